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

// A tenant that waits for a place rests, and is called; one that wants nothing any more is not.
func TestWhoRestsIsCalled(t *testing.T) {
	d := newDesk(t)
	d.want("the first", true, d.Start(d.ask("a")))
	for _, waits := range []string{"b", "c", "e"} {
		d.want(waits, false, d.Start(d.ask(waits)))
		d.Rest(waits, d.now)
	}
	d.Gone("b", d.now)
	d.wantWoken("nothing is free")
	d.Rest("a", d.now)
	d.wantWoken("a place is free", "c")
	d.want("who was called", true, d.Start(d.ask("c")))
	d.Gone("c", d.now)
	d.wantWoken("the next", "e")
}

// Who was called and is no more, or wants nothing any more, leaves the place to the next at once: the end of its
// pass finds that it was not called.
func TestWhoWasCalledAndIsGoneLeavesTheTurn(t *testing.T) {
	d := newDesk(t)
	d.want("the first", true, d.Start(d.ask("a")))
	for _, waits := range []string{"b", "c", "e"} {
		d.want(waits, false, d.Start(d.ask(waits)))
	}
	d.Rest("a", d.now)
	d.wantWoken("a place is free", "b")
	d.Gone("b", d.now)
	d.wantWoken("who was called is gone", "c")
	d.Passed("b", d.now)
	d.wantWoken("nothing is free")
	d.want("the next", true, d.Start(d.ask("c")))
	d.Gone("c", d.now)
	d.wantWoken("one at work is gone", "e")
}
