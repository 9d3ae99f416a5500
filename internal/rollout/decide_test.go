package rollout

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func version(n int) v1alpha1.MigrationSetVersion {
	return v1alpha1.MigrationSetVersion{Version: fmt.Sprint(n), Digest: fmt.Sprintf("digest-of-version-%d", n)}
}

// ring is a ring of the tenants with the label ring=<name>.
func ring(name string, soak int32) v1alpha1.RolloutRing {
	return v1alpha1.RolloutRing{Name: name, SoakSeconds: soak, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": name}}}
}

func budgetOf(text string) *intstr.IntOrString { return new(intstr.Parse(text)) }

// sim is a rollout with a clock and tenants that the test moves.
type sim struct {
	t    *testing.T
	in   Input
	last Decision
}

func newSim(t *testing.T, spec *v1alpha1.Rollout, tenants ...Tenant) *sim {
	return &sim{t: t, in: Input{Spec: spec, Target: version(4), Previous: new(version(3)), Tenants: tenants, Now: start}}
}

// in returns n healthy tenants of a ring at version 3.
func in(ring string, n int) (tenants []Tenant) {
	for i := range n {
		tenants = append(tenants, Tenant{
			Namespace: "ns", Name: fmt.Sprintf("%s%02d", ring, i), Labels: map[string]string{"ring": ring}, Version: "3", Healthy: true,
		})
	}
	return tenants
}

// decide lets time pass and decides, twice: the same moment gives the same decision.
func (s *sim) decide(after time.Duration) Decision {
	s.t.Helper()
	s.in.Now = s.in.Now.Add(after)
	d, err := Decide(s.in)
	if err != nil {
		s.t.Fatal(err)
	}
	s.in.Status, s.in.Previous = &d.Status, d.Previous
	again, err := Decide(s.in)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := cmp.Diff(d, again); diff != "" {
		s.t.Errorf("decided again at the same moment (-first +second):\n%s", diff)
	}
	s.last = d
	return d
}

// move changes the tenants whose names match.
func (s *sim) move(change func(*Tenant), names ...string) {
	s.t.Helper()
	for _, name := range names {
		found := false
		for i := range s.in.Tenants {
			if s.in.Tenants[i].Name == name {
				change(&s.in.Tenants[i])
				found = true
			}
		}
		if !found {
			s.t.Fatalf("no tenant %s", name)
		}
	}
}

func (s *sim) updated(t *Tenant) {
	t.Version, t.AtTarget, t.Failure, t.Begun, t.Healthy = s.in.Target.Version, true, nil, false, true
}

func (s *sim) refused(t *Tenant) {
	t.Failure, t.Begun, t.Healthy, t.Since = &Failure{Reason: "MigrationFailed", Message: "no", Refused: true}, false, false, s.in.Now
	t.Trouble = *t.Failure
}

func (s *sim) want(what string, phase Phase, position, next string) {
	s.t.Helper()
	got := []string{string(s.last.Phase), s.last.Status.Position, ""}
	if !s.last.Next.IsZero() {
		got[2] = s.last.Next.Sub(s.in.Now).String()
	}
	if diff := cmp.Diff([]string{string(phase), position, next}, got); diff != "" {
		s.t.Errorf("%s: phase, position, next look (-want +got):\n%s", what, diff)
	}
}

// open names the rings whose tenants may begin.
func (s *sim) open() (open []string) {
	for _, name := range []string{"a", "b", "c", "none"} {
		if May(s.in.Spec, s.in.Status, s.in.Target.Digest, Tenant{Labels: map[string]string{"ring": name}}) {
			open = append(open, name)
		}
	}
	return open
}

func (s *sim) wantOpen(what string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.open()); diff != "" {
		s.t.Errorf("%s: rings that are open (-want +got):\n%s", what, diff)
	}
}

// The whole way: a ring, its gate, its soak time, the next ring; an empty ring; the rest.
func TestRingsOpenOneAfterAnother(t *testing.T) {
	spec := &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{ring("a", 60), ring("b", 0), ring("c", 30)}, FailureBudget: budgetOf("1")}
	s := newSim(t, spec, append(append(in("a", 2), in("c", 1)...), in("none", 1)...)...)
	s.decide(0)
	s.want("at first", Progressing, "a", "")
	s.wantOpen("at first", "a")
	s.move(s.updated, "a00")
	s.decide(time.Second)
	s.wantOpen("half of ring a", "a")
	s.move(s.updated, "a01")
	s.decide(time.Second)
	s.want("ring a is there", Soaking, "a (soaking)", "1m0s")
	spec.Rings[0].SoakSeconds = 3600
	s.decide(0)
	s.want("with a longer soak time", Soaking, "a (soaking)", "1h0m0s")
	spec.Rings[0].SoakSeconds = 60
	s.decide(0)
	s.wantOpen("ring a soaks", "a")
	s.decide(59 * time.Second)
	s.wantOpen("ring a still soaks", "a")
	s.decide(time.Second)
	s.want("nobody is in ring b", Progressing, "c", "")
	s.wantOpen("ring c", "a", "b", "c")
	s.move(s.refused, "c00")
	s.decide(time.Second)
	s.want("a failure within the budget", Soaking, "c (soaking)", "30s")
	s.decide(30 * time.Second)
	s.want("the rest", Progressing, "rest", "")
	s.wantOpen("the rest", "a", "b", "c", "none")
	s.move(s.updated, "none00")
	d := s.decide(time.Second)
	s.want("the end", Completed, "", "")
	if diff := cmp.Diff("3/4", d.Progress()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if len(d.Failed) != 1 || d.Failed[0].Key() != "ns/c00" || d.Failed[0].Ring != "c" {
		t.Errorf("failed are %v", d.Failed)
	}
	states := map[string]v1alpha1.RingState{}
	for _, r := range d.Status.Rings {
		states[r.Name] = r.State
	}
	if diff := cmp.Diff(map[string]v1alpha1.RingState{"a": "Done", "b": "Done", "c": "Done", "rest": "Done"}, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestWithoutSpecEverybodyGoesAtOnce(t *testing.T) {
	s := newSim(t, nil, in("a", 3)...)
	if !May(nil, nil, s.in.Target.Digest, s.in.Tenants[0]) {
		t.Error("without a rollout a tenant waits for a decision")
	}
	s.decide(0)
	s.wantOpen("at first", "a", "b", "c", "none")
	s.move(s.refused, "a00", "a01")
	s.decide(time.Second)
	s.want("two failed", Progressing, "rest", "")
	s.move(s.updated, "a02")
	d := s.decide(time.Second)
	s.want("the end", Completed, "", "")
	if d.Status.FailuresAllowed != nil || d.Total.Failed != 2 {
		t.Errorf("failures allowed %v, failed %d", d.Status.FailuresAllowed, d.Total.Failed)
	}
}

func TestASpecHoldsUntilThereIsADecision(t *testing.T) {
	spec := &v1alpha1.Rollout{}
	if May(spec, nil, "d", Tenant{}) || May(spec, &v1alpha1.RolloutStatus{MigrationSetVersion: version(3)}, "d", Tenant{}) {
		t.Error("a tenant begins before anything was decided on its version")
	}
}

// What lets a rollout go on whose budget is spent, and what does not.
func TestBudget(t *testing.T) {
	tests := map[string]struct {
		budget string
		fail   int
		then   func(*sim)
		want   Phase
	}{
		"within":                               {"3", 3, nil, Progressing},
		"spent":                                {"3", 4, nil, Stopped},
		"percent is rounded down":              {"19%", 2, nil, Stopped}, // of ten tenants
		"percent suffices":                     {"20%", 2, nil, Progressing},
		"none by default":                      {"", 1, nil, Stopped},
		"failures that heal let nothing go on": {"1", 2, func(s *sim) { s.move(s.updated, "a00", "a01") }, Stopped},
		"the right word":                       {"1", 2, func(s *sim) { s.in.Resume = s.last.Status.Stopped.Resume }, Progressing},
		"the word of another version":          {"1", 2, func(s *sim) { s.in.Resume = "3-digest-of-ve-1" }, Stopped},
		"more budget":                          {"1", 2, func(s *sim) { s.in.Spec.FailureBudget = budgetOf("2") }, Progressing},
		"more, but not enough":                 {"1", 4, func(s *sim) { s.in.Spec.FailureBudget = budgetOf("3") }, Stopped},
		"no budget any more":                   {"1", 2, func(s *sim) { s.in.Spec = nil }, Progressing},
		"a new version": {"1", 2, func(s *sim) {
			s.in.Target = version(5)
			for i := range s.in.Tenants {
				s.in.Tenants[i].Failure, s.in.Tenants[i].Healthy = nil, true
			}
		}, Progressing},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			spec := &v1alpha1.Rollout{}
			if tt.budget != "" {
				spec.FailureBudget = budgetOf(tt.budget)
			}
			s := newSim(t, spec, in("a", 10)...)
			s.decide(0)
			for i := range tt.fail {
				s.move(s.refused, fmt.Sprintf("a%02d", i))
			}
			s.decide(time.Second)
			if tt.then != nil {
				if s.last.Phase != Stopped {
					t.Fatalf("phase is %s, want it stopped at first", s.last.Phase)
				}
				tt.then(s)
				s.decide(time.Second)
			}
			if s.last.Phase != tt.want {
				t.Errorf("phase is %s, want %s", s.last.Phase, tt.want)
			}
		})
	}
}

// A stop holds those who have not begun. A user's word for one stop is none for the next.
func TestStopAndResume(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{FailureBudget: budgetOf("1")}, in("a", 9)...)
	s.decide(0)
	s.move(s.refused, "a00", "a01")
	s.decide(time.Second)
	s.want("stopped", Stopped, "rest (stopped)", "")
	s.wantOpen("stopped")
	digest := s.in.Target.Digest
	if !May(s.in.Spec, s.in.Status, digest, s.in.Tenants[0]) || !May(s.in.Spec, s.in.Status, digest, Tenant{Begun: true}) {
		t.Error("who failed may not try again, or who has begun may not go on")
	}
	s.in.Resume = s.last.Status.Stopped.Resume
	s.decide(time.Second)
	s.want("resumed", Progressing, "rest", "")
	if got := *s.last.Status.FailuresAllowed; got != 3 {
		t.Errorf("%d failures allowed after two were forgiven of a budget of one", got)
	}
	s.move(s.refused, "a02", "a03")
	s.decide(time.Second)
	s.want("stopped again by the same word", Stopped, "rest (stopped)", "")
	if s.last.Status.Stops != 2 || s.last.Status.Stopped.Resume == s.in.Resume {
		t.Errorf("second stop is %+v", s.last.Status.Stopped)
	}
}

// A word that let one rollout go on is none for a later one of the same files.
func TestResumeIsForOneRollout(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{FailureBudget: budgetOf("1")}, in("a", 9)...)
	spoil := func() {
		s.decide(time.Second)
		s.move(s.refused, "a00", "a01")
		s.decide(time.Second)
		if s.last.Phase != Stopped {
			t.Fatalf("phase is %s, want it stopped", s.last.Phase)
		}
	}
	target := s.in.Target
	spoil()
	s.in.Resume = s.last.Status.Stopped.Resume
	s.decide(time.Second)
	s.in.Target = version(5)
	for i := range s.in.Tenants {
		s.in.Tenants[i].Failure, s.in.Tenants[i].Healthy = nil, true
	}
	s.decide(time.Second)
	s.in.Target = target
	spoil()
	s.decide(time.Second)
	s.want("the same files again", Stopped, "rest (stopped)", "")
}

func TestPause(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{ring("a", 10)}, FailureBudget: budgetOf("1")}, append(in("a", 2), in("b", 1)...)...)
	s.decide(0)
	s.move(s.updated, "a00")
	s.in.Spec.Paused = true
	s.decide(time.Second)
	s.want("paused", Paused, "a (paused)", "")
	s.wantOpen("paused")
	failed := Tenant{Labels: map[string]string{"ring": "a"}, Failure: &Failure{}}
	if May(s.in.Spec, s.in.Status, s.in.Target.Digest, failed) {
		t.Error("a retry begins during a pause")
	}
	s.move(s.updated, "a01")
	s.decide(time.Hour)
	s.want("time and those at work move nothing", Paused, "a (paused)", "")
	if newcomer := (Tenant{Labels: map[string]string{"ring": "a"}}); May(s.in.Spec, s.in.Status, s.in.Target.Digest, newcomer) {
		t.Error("a new tenant gets a version during a pause of its rollout")
	}
	s.in.Spec.Paused = false
	s.decide(time.Second)
	s.want("on again", Soaking, "a (soaking)", "10s")
	s.decide(10 * time.Second)
	s.move(s.updated, "b00")
	s.decide(time.Second)
	s.in.Spec.Paused = true
	s.decide(time.Second)
	if s.in.Status.CompletedAt == nil {
		t.Fatalf("the rollout is not completed: %+v", s.in.Status)
	}
	behind := Tenant{Labels: map[string]string{"ring": "a"}, Version: "1", Failure: &Failure{}}
	if !May(s.in.Spec, s.in.Status, s.in.Target.Digest, Tenant{}) || May(s.in.Spec, s.in.Status, s.in.Target.Digest, behind) {
		t.Error("when a completed rollout is paused, new tenants alone begin, at the version that all have")
	}
}

// In a pause, in which nobody may try again, nobody's deadline runs out; behind it each has the whole of it.
func TestDeadlineStandsStillInAPause(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{ring("a", 0)}, ProgressDeadlineSeconds: 60}, in("a", 2)...)
	s.decide(0)
	s.move(s.updated, "a00")
	s.move(func(t *Tenant) {
		t.Healthy, t.Since, t.Failure = false, start, &Failure{Reason: "MigrationLocked"}
		t.Trouble = *t.Failure
	}, "a01")
	s.decide(10 * time.Second)
	s.want("a lock is held", Waiting, "a (waiting)", "50s")
	s.in.Spec.Paused = true
	s.decide(time.Second)
	s.want("paused", Paused, "a (paused)", "")
	if d := s.decide(time.Hour); d.Total.Failed != 0 || d.Status.Stopped != nil {
		t.Errorf("an hour of a pause spends the budget: %+v", d.Status)
	}
	s.in.Spec.Paused = false
	s.decide(time.Second)
	s.want("on again", Waiting, "a (waiting)", "1m0s")
	s.decide(30 * time.Second)
	s.want("half way", Waiting, "a (waiting)", "30s")
	d := s.decide(30 * time.Second)
	s.want("over", Stopped, "a (stopped)", "")
	if d.Total.Failed != 1 {
		t.Errorf("%d tenants have failed", d.Total.Failed)
	}
	for range 2 {
		for _, paused := range []bool{true, false} {
			s.in.Spec.Paused = paused
			if d := s.decide(20 * time.Second); d.Total.Failed != 1 || d.Status.Stopped == nil {
				t.Errorf("with paused %t it is forgotten who had failed: %+v", paused, d.Status)
			}
		}
	}
}

// Who is not well for reasons that keep nobody from being migrated has not failed while it waits for its turn, however
// long that takes. Who cannot be migrated has.
func TestWaitingForATurnIsNoFailure(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{ProgressDeadlineSeconds: 60, FailureBudget: budgetOf("1")}, in("a", 3)...)
	unwell := func(waits bool) func(*Tenant) {
		return func(t *Tenant) {
			t.Healthy, t.Waits, t.Since, t.Trouble = false, waits, start.Add(-time.Hour), Failure{Reason: "X"}
		}
	}
	s.move(unwell(true), "a00")
	s.move(unwell(false), "a01")
	s.move(s.updated, "a02")
	s.decide(0)
	d := s.decide(time.Hour)
	s.want("an hour later", Progressing, "rest", "")
	if d.Total.Failed != 1 || d.Total.Pending != 1 || d.Failed[0].Name != "a01" {
		t.Errorf("total %+v, failed %+v", d.Total, d.Failed)
	}
}

// Who was forgiven and is well again leaves nothing of that to others.
func TestForgivenessEnds(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{FailureBudget: budgetOf("1")}, in("a", 8)...)
	s.decide(0)
	s.move(s.refused, "a00", "a01", "a02")
	d := s.decide(time.Second)
	s.want("three", Stopped, "rest (stopped)", "")
	s.in.Resume = d.Status.Stopped.Resume
	if d := s.decide(time.Second); *d.Status.FailuresAllowed != 4 {
		t.Errorf("%d may fail when three are forgiven", *d.Status.FailuresAllowed)
	}
	s.move(func(t *Tenant) { t.Failure.Reason, t.Failure.Refused = "MigrationLocked", false }, "a00", "a01", "a02")
	if d := s.decide(time.Second); *d.Status.FailuresAllowed != 4 {
		t.Errorf("%d may fail while the three meet a lock", *d.Status.FailuresAllowed)
	}
	s.move(s.updated, "a00", "a01", "a02")
	if d := s.decide(time.Second); *d.Status.FailuresAllowed != 1 {
		t.Errorf("%d may fail when the three are well", *d.Status.FailuresAllowed)
	}
	s.move(s.refused, "a03", "a04")
	s.decide(time.Second)
	s.want("two others", Stopped, "rest (stopped)", "")
}

// The health gate waits for tenants that are not well, up to the deadline.
func TestGateWaitsForHealth(t *testing.T) {
	spec := &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{ring("a", 0)}, FailureBudget: budgetOf("1"), ProgressDeadlineSeconds: 60}
	s := newSim(t, spec, append(in("a", 2), in("b", 1)...)...)
	s.decide(0)
	s.move(s.updated, "a00", "a01")
	s.move(func(t *Tenant) {
		t.Healthy, t.Since, t.Trouble = false, start.Add(-time.Hour), Failure{Reason: "RouteNotAccepted"}
	}, "a00")
	d := s.decide(time.Second)
	s.want("one is not well", Waiting, "a (waiting)", "59s")
	s.wantOpen("one is not well", "a")
	if len(d.Holding) != 1 || d.Holding[0].Why.Reason != "RouteNotAccepted" || d.Total.Updated != 2 {
		t.Errorf("holding are %v, updated %d", d.Holding, d.Total.Updated)
	}
	d = s.decide(59 * time.Second)
	s.want("for too long", Progressing, "rest", "")
	if d.Total.Failed != 1 || d.Total.Updated != 1 || d.Failed[0].Why.Reason != "RouteNotAccepted" {
		t.Errorf("failed are %v, updated %d", d.Failed, d.Total.Updated)
	}
	s.move(s.updated, "a00", "b00")
	d = s.decide(time.Second)
	s.want("well again", Completed, "", "")
	if d.Total.Failed != 0 {
		t.Errorf("%d failed, want the one that recovered not to count", d.Total.Failed)
	}
}

// A failure that may pass, and a database that is away, hold the ring until the deadline, counted from
// when the ring was opened.
func TestDeadline(t *testing.T) {
	for name, change := range map[string]func(*Tenant){
		"a lock that stays": func(t *Tenant) {
			t.Failure, t.Healthy, t.Since = &Failure{Reason: "MigrationLocked"}, false, start
		},
		"a database that is away": func(t *Tenant) {
			t.Healthy, t.Since, t.Trouble = false, start.Add(-time.Hour), Failure{Reason: "DatabaseNotReady"}
		},
		"a database that goes away under a migration": func(t *Tenant) {
			t.Begun, t.Halted = true, true
			t.Healthy, t.Since, t.Trouble = false, start, Failure{Reason: "DatabaseNotReady"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim(t, &v1alpha1.Rollout{FailureBudget: budgetOf("1"), ProgressDeadlineSeconds: 60}, in("a", 1)...)
			s.move(change, "a00")
			s.decide(0)
			s.want("at first", Waiting, "rest (waiting)", "1m0s")
			d := s.decide(time.Minute)
			s.want("at the deadline", Completed, "", "")
			if d.Total.Failed+d.Total.Pending != 1 {
				t.Errorf("total is %+v", d.Total)
			}
		})
	}
}

// A migration that runs has no deadline but its own.
func TestNoDeadlineForWhoIsAtWork(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{ProgressDeadlineSeconds: 60}, in("a", 1)...)
	s.move(func(t *Tenant) {
		t.Begun, t.Healthy, t.Since, t.Trouble = true, false, start, Failure{Reason: "MigrationFailed"}
	}, "a00")
	s.decide(0)
	if d := s.decide(601 * time.Second); d.Total.Failed != 0 || d.Total.Pending != 1 {
		t.Errorf("total is %+v", d.Total)
	}
}

// A new tenant that does not come about is nobody's failure.
func TestUnbornTenantsHoldNothingForLong(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{ProgressDeadlineSeconds: 60}, append(in("a", 1), Tenant{
		Namespace: "ns", Name: "new", Since: start, Trouble: Failure{Reason: "DatabaseFull"},
	})...)
	s.decide(0)
	s.move(s.updated, "a00")
	s.decide(time.Second)
	s.want("a new tenant is on its way", Waiting, "rest (waiting)", "59s")
	d := s.decide(time.Minute)
	s.want("it does not come about", Completed, "", "")
	if d.Total.Failed != 0 || d.Total.Pending != 1 {
		t.Errorf("total is %+v", d.Total)
	}
}

func TestPinnedTenantsCountApart(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{ring("a", 60)}}, append(in("a", 1), in("b", 1)...)...)
	s.move(func(t *Tenant) { t.Pinned = true; s.refused(t) }, "a00")
	d := s.decide(0)
	s.want("a ring with pinned tenants only", Progressing, "rest", "")
	if diff := cmp.Diff("0/1", d.Progress()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	if d.Total.Pinned != 1 || d.Total.Failed != 0 || d.Total.Tenants != 2 {
		t.Errorf("total is %+v", d.Total)
	}
}

// What was rolled out half way is no version to start at.
func TestPrevious(t *testing.T) {
	s := newSim(t, nil, in("a", 1)...)
	s.in.Previous = nil
	s.move(s.updated, "a00")
	d := s.decide(0)
	if d.Phase != Completed || d.Previous != nil {
		t.Fatalf("the first version: %s, previous %v", d.Phase, d.Previous)
	}
	s.in.Target = version(5)
	s.move(func(t *Tenant) { t.AtTarget = false }, "a00")
	if d = s.decide(time.Second); cmp.Diff(new(version(4)), d.Previous) != "" {
		t.Errorf("previous of 5 is %v, want 4", d.Previous)
	}
	s.in.Target = version(6)
	if d = s.decide(time.Second); cmp.Diff(new(version(4)), d.Previous) != "" {
		t.Errorf("previous of 6 is %v, want 4: 5 was not completed", d.Previous)
	}
	if d.Status.Version != "6" || d.Status.StartedAt.Time != s.in.Now {
		t.Errorf("the rollout of 6 is %+v", d.Status)
	}
}

// Rings that change under way are told by their names.
func TestRingsChangeUnderWay(t *testing.T) {
	s := newSim(t, &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{ring("a", 0), ring("c", 0)}}, append(append(in("a", 1), in("b", 1)...), in("c", 1)...)...)
	s.decide(0)
	s.move(s.updated, "a00")
	s.decide(time.Second)
	s.wantOpen("ring c is at work", "a", "c")
	s.in.Spec.Rings = []v1alpha1.RolloutRing{ring("a", 0), ring("b", 0), ring("c", 0)}
	s.decide(time.Second)
	s.want("a ring was put before it", Progressing, "b", "")
	s.wantOpen("a ring was put before it", "a", "b")
	// A tenant that comes to a ring that is done may begin, and is waited for in the end.
	s.move(func(t *Tenant) { t.Labels = map[string]string{"ring": "a"} }, "c00")
	s.move(s.updated, "b00")
	s.decide(time.Second)
	s.want("one came late", Progressing, "a", "")
	s.move(s.updated, "c00")
	s.decide(time.Second)
	s.want("the end", Completed, "", "")
}

func TestBadSelectorIsNamed(t *testing.T) {
	bad := ring("a", 0)
	bad.Selector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "x", Operator: metav1.LabelSelectorOpIn}}
	_, err := Decide(Input{Spec: &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{bad}}, Target: version(1), Now: start})
	if fault.ReasonOf(err) != v1alpha1.ReasonInvalidRollout || fault.KindOf(err) != fault.Invalid {
		t.Errorf("Decide() = %v", err)
	}
}

// The estimate comes from the pace and the soak times ahead; it is there only while it means something.
func TestEstimate(t *testing.T) {
	spec := &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{ring("a", 600)}, FailureBudget: budgetOf("1")}
	s := newSim(t, spec, append(in("a", 60), in("b", 60)...)...)
	eta := func(want string) {
		t.Helper()
		got := ""
		if e := s.last.Status.EstimatedCompletion; e != nil {
			got = e.UTC().Format("15:04:05")
		}
		if got != want {
			t.Errorf("at %s the estimate is %q, want %q (pace %+v)", s.in.Now.Format("15:04:05"), got, want, s.last.Status.Pace)
		}
	}
	s.decide(0)
	eta("")
	for i := range 30 {
		s.move(s.updated, fmt.Sprintf("a%02d", i))
		s.decide(time.Second)
	}
	eta("09:15:00") // 90 tenants at 60 a minute, and ten minutes of soak time, in fives
	s.move(s.updated, "a30")
	s.decide(time.Second)
	eta("09:15:00")
	s.in.Spec.Paused = true
	s.decide(time.Second)
	eta("")
	s.in.Spec.Paused = false
	for i := 31; i < 60; i++ {
		s.move(s.updated, fmt.Sprintf("a%02d", i))
		s.decide(time.Second)
	}
	s.want("soaks", Soaking, "a (soaking)", "10m0s")
	eta("09:15:00")
	s.decide(30 * time.Second)
	eta("09:15:00")
	s.decide(5 * time.Minute)
	eta("09:13:00") // nearer, in minutes
}
