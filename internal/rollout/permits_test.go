package rollout

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// desk is Permits with what they told.
type desk struct {
	*Permits

	t     *testing.T
	woken []string
	now   time.Time
}

func newDesk(t *testing.T) *desk {
	d := &desk{Permits: NewPermits(), t: t, now: start}
	d.OnWake(func(tenant string) { d.woken = append(d.woken, tenant) })
	return d
}

// ask is a tenant's on database x, where one may be at work, with no budget.
func (d *desk) ask(tenant string) Ask {
	return Ask{Set: "set", Digest: "d4", Database: "x", Tenant: tenant, MaxInFlight: 1, Now: d.now}
}

// budgeted asks for a turn where any number may be at work and one may fail.
func (d *desk) budgeted(tenant string) Ask {
	a := d.ask(tenant)
	a.MaxInFlight, a.Budgeted, a.Allowed = 0, true, 1
	return a
}

func (d *desk) want(what string, want, got bool) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("%s: may begin is %v, want %v", what, got, want)
	}
}

func (d *desk) wantWoken(what string, want ...string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.woken); diff != "" {
		d.t.Errorf("%s: woken (-want +got):\n%s", what, diff)
	}
	d.woken = nil
}

func TestPermitsGoRoundInOrder(t *testing.T) {
	d := newDesk(t)
	d.want("the first", true, d.Start(d.ask("a")))
	d.want("the second", false, d.Start(d.ask("b")))
	d.want("the third", false, d.Start(d.ask("c")))
	d.want("the second again", false, d.Start(d.ask("b")))
	other := d.ask("z")
	other.Database = "y"
	d.want("on another database", true, d.Start(other))
	d.End(d.ask("a"), true, false, d.now)
	d.wantWoken("one is done", "b")
	d.want("who was not called", false, d.Start(d.ask("c")))
	d.want("who was called", true, d.Start(d.ask("b")))
	d.Passed("b", d.now)
	d.wantWoken("b is at work")
	d.End(d.ask("b"), false, true, d.now)
	d.wantWoken("one failed", "c")
}

func TestWhoIsCalledInVainLeavesTheTurn(t *testing.T) {
	d := newDesk(t)
	d.Start(d.ask("a"))
	for _, tenant := range []string{"b", "c", "e"} {
		d.Start(d.ask(tenant))
	}
	d.End(d.ask("a"), true, false, d.now)
	d.wantWoken("one is done", "b")
	d.Passed("other", d.now)
	d.wantWoken("somebody else was looked at")
	d.Passed("b", d.now)
	d.wantWoken("b had no need", "c")
	// c is gone and never comes.
	d.now = d.now.Add(2 * time.Minute)
	d.want("the next who asks", true, d.Start(d.ask("f")))
	d.End(d.ask("f"), true, false, d.now)
	d.wantWoken("the queue goes on", "e")
}

// Failures count from the moment they happen, and no status had to be written.
func TestFailuresSpendTheBudgetAtOnce(t *testing.T) {
	d := newDesk(t)
	d.Counted("set", "d4", nil, true, 1, d.now)
	for _, tenant := range []string{"a", "b"} {
		d.want(tenant, true, d.Start(d.budgeted(tenant)))
	}
	d.End(d.budgeted("a"), false, true, d.now)
	d.want("one failed of one that may", true, d.Start(d.budgeted("c")))
	d.End(d.budgeted("b"), false, false, d.now)
	d.want("another failed, which may pass", true, d.Start(d.budgeted("b")))
	d.End(d.budgeted("b"), false, true, d.now)
	d.want("two failed", false, d.Start(d.budgeted("e")))
	d.want("a retry without a budget", true, d.Start(Ask{Set: "set", Digest: "d4", Database: "x", Tenant: "a", Now: d.now}))

	d.Counted("set", "d4", []string{"a", "b"}, true, 1, d.now)
	d.wantWoken("the count says the same")
	d.want("two failed, counted once", false, d.Start(d.budgeted("e")))
	d.Counted("set", "d4", []string{"a", "b"}, true, 2, d.now)
	d.wantWoken("there is more budget", "e")
	d.want("there is more budget", true, d.Start(func() Ask { a := d.budgeted("e"); a.Allowed = 2; return a }()))
	d.End(d.ask("a"), true, false, d.now)
	d.want("one healed", true, d.Start(d.budgeted("f")))
}

// A count that is behind does not lose what it has not heard of, but only for a while.
// A tenant that is pinned or deleted in the moment in which it fails is in no count, and holds nobody.
func TestPardonLetsOthersBegin(t *testing.T) {
	p := NewPermits()
	var woken []string
	p.OnWake(func(tenant string) { woken = append(woken, tenant) })
	ask := func(tenant string) Ask {
		return Ask{Set: "set", Digest: "d", Database: "db", Tenant: tenant, Budgeted: true, Now: start}
	}
	p.Counted("set", "d", nil, true, 0, start)
	if !p.Start(ask("a")) {
		t.Fatal("the first may not begin")
	}
	p.End(ask("a"), false, true, start)
	if p.Start(ask("b")) {
		t.Fatal("another begins while the budget is spent")
	}
	p.Counted("set", "d", nil, true, 0, start)
	if p.Start(ask("b")) {
		t.Fatal("a failure is forgotten that the count did not know yet")
	}
	p.Pardon("a")
	if len(woken) != 1 || woken[0] != "b" || !p.Start(ask("b")) {
		t.Errorf("woken are %q, and b may begin: %t", woken, p.Start(ask("b")))
	}
}

func TestACountMayBeBehind(t *testing.T) {
	d := newDesk(t)
	for _, tenant := range []string{"a", "b"} {
		d.Start(d.budgeted(tenant))
		d.End(d.budgeted(tenant), false, true, d.now)
	}
	d.Counted("set", "d4", []string{"a"}, true, 1, d.now)
	d.want("the count has one of two", false, d.Start(d.budgeted("c")))
	d.Counted("set", "d4", []string{"a"}, true, 1, d.now.Add(2*time.Minute))
	d.wantWoken("it still has one", "c")
	d.want("it still has one", true, d.Start(d.budgeted("c")))
}

// After a restart the status's word counts until there is a count; another version begins at nothing.
func TestTheStatusCountsAfterARestart(t *testing.T) {
	d := newDesk(t)
	a := d.budgeted("a")
	a.Counted = 2
	d.want("two by the status", false, d.Start(a))
	a.Digest = "d5"
	a.Counted = 0
	d.want("another version", true, d.Start(a))
	d.Forget("set")
	d.End(a, true, false, d.now)
	d.want("a set that is gone and back", true, d.Start(a))
}

// New tenants are none of those that the bound counts: they take no place, and call nobody.
func TestNewTenantsStandApart(t *testing.T) {
	d := newDesk(t)
	born := d.ask("new")
	born.MaxInFlight, born.Apart = 0, true
	d.want("a new tenant", true, d.Start(born))
	d.want("an upgrade beside it", true, d.Start(d.ask("a")))
	d.want("a second upgrade", false, d.Start(d.ask("b")))
	d.want("a third", false, d.Start(d.ask("c")))
	d.want("another new tenant", true, d.Start(born))
	d.End(born, true, false, d.now)
	d.wantWoken("when a new tenant is made")
	d.End(d.ask("a"), true, false, d.now)
	d.wantWoken("when the upgrade is done", "b")
	spent := born
	spent.Budgeted = true
	d.End(d.budgeted("f"), false, true, d.now)
	d.want("a new tenant when the budget is spent", false, d.Start(spent))
}
