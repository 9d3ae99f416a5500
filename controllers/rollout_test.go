package controllers_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// ship adds a fourth file to the world's set and lets the set look at it.
func (b *bench) ship(t *testing.T) {
	t.Helper()
	operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) { cm.Data = operator.Migrations(4) })
	b.pass(t, b.Set)
}

// canary puts the tenants with the label ring=canary in front of the others, for an hour.
func (b *bench) canary(t *testing.T) {
	t.Helper()
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Rollout = &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{{
			Name: "canary", SoakSeconds: 3600, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": "canary"}},
		}}}
	})
	b.pass(t, b.Set)
}

func inCanary(tn *v1alpha1.Tenant) { tn.Labels = map[string]string{"ring": "canary"} }

// A tenant whose ring is not open costs no write, in the API or in SQL, and a set that soaks none
// either, also when the operator has just been started. This test does not run beside others.
func TestClosedRingsCostNothing(t *testing.T) {
	b := newBench(t).settle(t)
	first, other := b.tenant(t, "first", inCanary), b.tenant(t, "other")
	b.pass(t, b.Set)
	b.canary(t)
	b.ship(t)
	b.steady(t, "passes of a closed ring", []conditions.Object{other, b.Set})
	b.pass(t, first)
	b.pass(t, b.Set)
	if got, want := first.Status.Version, "4"; got != want {
		t.Errorf("the canary is at version %s, want %s", got, want)
	}
	all := []conditions.Object{first, other, b.Set}
	b.steady(t, "passes while the ring soaks", all)
	b.restart(t)
	for _, obj := range []conditions.Object{b.Database, b.Class, first, other, b.Set} {
		b.pass(t, obj)
	}
	b.steady(t, "passes after a restart", all)
	b.Expect(t, other, operator.Ready())
	if got, want := other.Status.Version, "3"; got != want {
		t.Errorf("the other is at version %s, want %s", got, want)
	}
}

// The set asks to be looked at when a soak time ends, and not before.
func TestSetComesBackWhenTheSoakTimeEnds(t *testing.T) {
	b := newBench(t).settle(t)
	first := b.tenant(t, "first", inCanary)
	b.tenant(t, "other")
	b.pass(t, b.Set)
	b.canary(t)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout.Rings[0].SoakSeconds = 120 })
	b.ship(t)
	b.pass(t, first)
	result := b.pass(t, b.Set)
	if seconds := result.RequeueAfter.Seconds(); seconds < 100 || seconds > 121 {
		t.Errorf("the set wants to be looked at after %s, the ring soaks for two minutes", result.RequeueAfter)
	}
}

// What is rolled out is the version in hand, and not the one before it: whoever ships files that cannot be
// used, or a rollout that cannot be read, must not be told that it is done.
func TestRolledOutIsOfTheFilesInHand(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	done := operator.Want{Condition: v1alpha1.ConditionRolledOut, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
	b.Expect(t, b.Set, operator.Ready(), done)

	b.file(t, "0004_bad.sql", "SELECT 'open;")
	b.Expect(t, b.Set, operator.Stalled(v1alpha1.ConditionRolledOut, v1alpha1.ReasonInvalidMigration, "0004_bad.sql"))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.file(t, "0004_bad.sql", "")
	b.Expect(t, b.Set, operator.Ready(), done)

	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Rollout = &v1alpha1.Rollout{Rings: []v1alpha1.RolloutRing{{Name: "a", Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "ring", Operator: metav1.LabelSelectorOpIn}},
		}}}}
	})
	b.ship(t)
	b.Expect(t, b.Set, operator.Stalled(v1alpha1.ConditionRolledOut, v1alpha1.ReasonInvalidRollout, "spec.rollout.rings[0] (a)"))
	if b.Set.Status.Tenants != 1 {
		t.Errorf("the set counts %d tenants, want what it knew", b.Set.Status.Tenants)
	}
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout = nil })
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Waiting(v1alpha1.ConditionRolledOut, v1alpha1.ReasonProgressing, "Version 4"))
	b.pass(t, acme)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready(), done)
}

// A tenant that failed the version says so for as long as it may not try again: nothing hides it, and a
// user's word brings one more try.
func TestFailureStaysSaid(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout = &v1alpha1.Rollout{} })
	b.sql(t, "INSERT INTO "+acme.Status.Schema+".note (body) VALUES ('none')")
	operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) {
		cm.Data["0004_c4.sql"] = "ALTER TABLE note ADD COLUMN c4 integer;\nUPDATE note SET c4 = body::integer;\n"
	})
	failed := operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed, "0004_c4.sql line 2")
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, failed)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionRolledOut, Reason: v1alpha1.ReasonFailureBudgetSpent})
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout.Paused = true })
	b.pass(t, b.Set)
	b.sql(t, "UPDATE "+acme.Status.Schema+".note SET body = '1'")
	b.restart(t)
	b.pass(t, acme)
	b.Expect(t, acme, failed)
	// A file that cannot be read is no news of the one that failed.
	for _, text := range []string{"ALTER TABEL note;", ""} {
		operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) {
			if cm.Data["0005_c5.sql"] = text; text == "" {
				delete(cm.Data, "0005_c5.sql")
			}
		})
		b.pass(t, b.Set)
		b.pass(t, acme)
		b.Expect(t, acme, failed)
	}
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Rollout.Paused = false })
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionRolledOut, Reason: v1alpha1.ReasonFailureBudgetSpent})
}

// A set that does not let a tenant in any more is nothing to one that has its version, and said by one that does not
// get the next, which works on. So a rollout's ring does not wait for it beyond the deadline.
func TestSetForOtherNamespaces(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	allow := func(from *v1alpha1.AllowedNamespaces) {
		t.Helper()
		operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
			ms.Spec.Rollout, ms.Spec.AllowedNamespaces = &v1alpha1.Rollout{}, from
		})
		b.pass(t, b.Set)
		b.pass(t, acme)
	}
	allow(&v1alpha1.AllowedNamespaces{From: "Selector", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"never": "true"}}})
	b.Expect(t, acme, operator.Ready())
	operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) { cm.Data["0004_c4.sql"] = "ALTER TABLE note ADD COLUMN c4 integer;\n" })
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonNamespaceNotAllowed, "spec.allowedNamespaces"))
	for _, serves := range []string{v1alpha1.ConditionVerified, v1alpha1.ConditionIsolated} {
		if !conditions.IsTrue(acme, serves) {
			t.Errorf("%s is not True: the customer cannot work on", serves)
		}
	}
	b.pass(t, b.Set)
	b.Get(t, b.Set)
	if st := b.Set.Status.Rollout; len(st.Rings) != 1 || st.Rings[0].Pending != 1 || st.CompletedAt != nil {
		t.Errorf("the rollout is %+v, want that its ring waits", st)
	}
	allow(nil)
	b.Expect(t, acme, operator.Ready())
}
