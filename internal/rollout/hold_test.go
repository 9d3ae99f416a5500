package rollout

import "testing"

// A tenant that is at work since before this process holds its place, and gives it back when it is gone.
func TestPlacesThatAreHeld(t *testing.T) {
	d := newDesk(t)
	d.Hold(d.ask("a"))
	d.Hold(d.ask("b")) // There are more than there may be: they began under another bound.
	d.want("a third", false, d.Start(d.ask("c")))
	d.want("one that is at work", true, d.Start(d.ask("a")))
	d.Gone("b", d.now)
	d.wantWoken("one of two places is back")
	d.Gone("a", d.now)
	d.wantWoken("the other too", "c")
	d.Gone("c", d.now)
	d.Gone("nobody", d.now)
	d.want("the next", true, d.Start(d.ask("e")))
}
