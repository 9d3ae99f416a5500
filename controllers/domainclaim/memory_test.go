package domainclaim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

func claimThatSays(status metav1.ConditionStatus, reason string) *v1alpha1.DomainClaim {
	c := &v1alpha1.DomainClaim{}
	conditions.Set(c, v1alpha1.ConditionVerified, status, reason, "")
	return c
}

func TestPause(t *testing.T) {
	asked := time.Now()
	const yes, no = metav1.ConditionTrue, metav1.ConditionFalse
	for name, tt := range map[string]struct {
		claim *v1alpha1.DomainClaim
		age   time.Duration
		fresh bool
		want  time.Duration
	}{
		"new":                   {claimThatSays(no, v1alpha1.ReasonDomainUnverified), 0, false, 5 * time.Second},
		"nothing said yet":      {&v1alpha1.DomainClaim{}, 0, false, 5 * time.Second},
		"of tomorrow":           {claimThatSays(no, v1alpha1.ReasonDomainUnverified), -time.Hour, false, 5 * time.Second},
		"5 s":                   {claimThatSays(no, v1alpha1.ReasonDomainUnverified), 5 * time.Second, false, 10 * time.Second},
		"a minute":              {claimThatSays(no, v1alpha1.ReasonDomainUnverified), time.Minute, false, 65 * time.Second},
		"an hour":               {claimThatSays(no, v1alpha1.ReasonDomainUnverified), time.Hour, false, 5 * time.Minute},
		"two days":              {claimThatSays(no, v1alpha1.ReasonDomainUnverified), 48 * time.Hour, false, 15 * time.Minute},
		"two days, no answer":   {claimThatSays(no, v1alpha1.ReasonDNSUnanswered), 48 * time.Hour, false, 15 * time.Minute},
		"lost":                  {claimThatSays(no, v1alpha1.ReasonRecordMissing), 48 * time.Hour, false, 15 * time.Minute},
		"somebody asks":         {claimThatSays(no, v1alpha1.ReasonDomainUnverified), 48 * time.Hour, true, 2 * time.Second},
		"verified":              {claimThatSays(yes, v1alpha1.ReasonSucceeded), time.Minute, false, time.Hour},
		"verified, missing":     {claimThatSays(yes, v1alpha1.ReasonRecordMissing), time.Minute, false, 15 * time.Minute},
		"verified, no answer":   {claimThatSays(yes, v1alpha1.ReasonDNSUnanswered), time.Minute, false, 15 * time.Minute},
		"missing, and is asked": {claimThatSays(yes, v1alpha1.ReasonRecordMissing), time.Minute, true, 2 * time.Second},
	} {
		m := &memory{asked: asked, since: asked.Add(-tt.age)}
		if tt.fresh {
			m.fresh = map[types.UID]bool{"a": true}
		}
		if got := pause(tt.claim, m); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// What was verified is asked about in the course of an hour after a restart, all else at once; a claim made
// anew with the same name has no memory.
func TestRecall(t *testing.T) {
	now := time.Now()
	r := &Reconciler{}
	due := func(status metav1.ConditionStatus, reason string, method v1alpha1.VerificationMethod, uid types.UID) time.Duration {
		c := claimThatSays(status, reason)
		c.Name, c.UID = "acme.example", uid
		if method != "" {
			c.Status.Verification = &v1alpha1.ClaimVerification{Method: method}
		}
		return r.recall(c, now).due.Sub(now)
	}
	var spread []time.Duration
	for i := range 100 {
		got := due(metav1.ConditionTrue, v1alpha1.ReasonSucceeded, v1alpha1.VerifiedTXT, types.UID(fmt.Sprint("uid-", i)))
		if got < 0 || got >= time.Hour {
			t.Fatalf("it is asked after %s", got)
		}
		spread = append(spread, got)
	}
	if slices.Min(spread) > 10*time.Minute || slices.Max(spread) < 50*time.Minute {
		t.Errorf("a hundred are asked between %s and %s", slices.Min(spread), slices.Max(spread))
	}
	for name, got := range map[string]time.Duration{
		"unverified":      due(metav1.ConditionFalse, v1alpha1.ReasonDomainUnverified, "", "a"),
		"missing":         due(metav1.ConditionTrue, v1alpha1.ReasonRecordMissing, v1alpha1.VerifiedTXT, "b"),
		"no answer":       due(metav1.ConditionTrue, v1alpha1.ReasonDNSUnanswered, v1alpha1.VerifiedTXT, "c"),
		"trusted before":  due(metav1.ConditionTrue, v1alpha1.ReasonSucceeded, v1alpha1.VerifiedTrusted, "d"),
		"platform before": due(metav1.ConditionTrue, v1alpha1.ReasonSucceeded, v1alpha1.VerifiedPlatform, "e"),
	} {
		if got != 0 {
			t.Errorf("%s: it is asked after %s, want at once", name, got)
		}
	}
}

func TestSlots(t *testing.T) {
	var s slots
	for i := range maxSlots {
		if !s.take() {
			t.Fatalf("no slot for number %d", i)
		}
	}
	if s.take() {
		t.Error("one more than there are has a slot")
	}
	s.give()
	if !s.take() || s.take() {
		t.Error("one slot was given back")
	}
	if maxSlots >= workers {
		t.Error("those who ask take all workers")
	}
}

// A Tenant in the making is no news at each step; one that is Ready is at every change that claims show.
func TestShown(t *testing.T) {
	making := &v1alpha1.Tenant{Status: v1alpha1.TenantStatus{ObservedGeneration: -1}}
	made := making.DeepCopy()
	made.Status.Schema, made.Status.Version, made.Status.Database = "acme", "3", &v1alpha1.NamespacedReference{Namespace: "a", Name: "b"}
	made.Status.Binding = &v1alpha1.LocalReference{Name: "acme-db"}
	made.Status.Domains = []v1alpha1.TenantDomainStatus{{Host: "a.example", Claim: "a.example", State: v1alpha1.DomainClaimed}, {Host: "b.example", Claim: "b.example", State: v1alpha1.DomainUnverified}}
	conditions.False(made, v1alpha1.ConditionReady, v1alpha1.ReasonRouteNotAccepted, "")
	if shown(making) != shown(made) {
		t.Error("a Tenant in the making is news")
	}
	ready := made.DeepCopy()
	ready.Status.ObservedGeneration = 1
	conditions.True(ready, v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")
	if shown(made) == shown(ready) {
		t.Error("that a Tenant is Ready is no news")
	}
	for what, change := range map[string]func(*v1alpha1.Tenant){
		"state":    func(tn *v1alpha1.Tenant) { tn.Status.Domains[0].State = v1alpha1.DomainServing },
		"version":  func(tn *v1alpha1.Tenant) { tn.Status.Version = "4" },
		"schema":   func(tn *v1alpha1.Tenant) { tn.Status.Schema = "other" },
		"database": func(tn *v1alpha1.Tenant) { tn.Status.Database.Name = "other" },
		"secret":   func(tn *v1alpha1.Tenant) { tn.Status.Binding.Name = "other" },
		"suspended": func(tn *v1alpha1.Tenant) {
			conditions.False(tn, v1alpha1.ConditionReady, v1alpha1.ReasonSuspended, "")
		},
		"routed": func(tn *v1alpha1.Tenant) { conditions.True(tn, v1alpha1.ConditionRouted, "", "") },
	} {
		next := ready.DeepCopy()
		change(next)
		if shown(ready) == shown(next) {
			t.Errorf("%s is no news", what)
		}
	}
	same := ready.DeepCopy()
	same.Status.PrimaryDomain = "a.example"
	conditions.True(same, v1alpha1.ConditionReady, v1alpha1.ReasonReady, "another message")
	if diff := cmp.Diff(shown(ready), shown(same)); diff != "" {
		t.Errorf("what claims do not show is news (-before +after):\n%s", diff)
	}
}

// Of what claims show only the version can wait, and only where nothing moved beside it.
func TestOnlyVersionMoved(t *testing.T) {
	before := &v1alpha1.Tenant{Status: v1alpha1.TenantStatus{ObservedGeneration: 1, Schema: "acme", Version: "3"}}
	conditions.True(before, v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")
	for what, test := range map[string]struct {
		change func(*v1alpha1.Tenant)
		want   bool
	}{
		"nothing": {func(*v1alpha1.Tenant) {}, false},
		"version": {func(tn *v1alpha1.Tenant) { tn.Status.Version = "4" }, true},
		"schema":  {func(tn *v1alpha1.Tenant) { tn.Status.Schema = "other" }, false},
		"both":    {func(tn *v1alpha1.Tenant) { tn.Status.Version, tn.Status.Schema = "4", "other" }, false},
		"version and a verdict": {func(tn *v1alpha1.Tenant) {
			tn.Status.Version = "4"
			conditions.False(tn, v1alpha1.ConditionReady, v1alpha1.ReasonProbeFailed, "")
		}, false},
	} {
		after := before.DeepCopy()
		test.change(after)
		if got := onlyVersionMoved(before, after); got != test.want || after.Status.Version == "" {
			t.Errorf("%s: %t, want %t", what, got, test.want)
		}
	}
}

// A claim that waits is looked at soon once, for the sake of a tenant that is made alone; and when DNS is to be asked.
func TestLookAgain(t *testing.T) {
	r := &Reconciler{Patience: 5 * time.Second}
	for waited, want := range map[time.Duration]time.Duration{
		0: 5 * time.Second, 3 * time.Second: 5 * time.Second, 5 * time.Second: 30 * time.Second, time.Minute: 30 * time.Second,
		110 * time.Second: 10 * time.Second, longestWait: time.Second,
	} {
		if got := r.lookAgain(waited, 0); got != want {
			t.Errorf("after %s it is looked at in %s, want %s", waited, got, want)
		}
		if got := r.lookAgain(waited, 100*time.Millisecond); got != 100*time.Millisecond {
			t.Errorf("after %s DNS is asked in %s", waited, got)
		}
	}
}
