package rollout

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Tenant is what a rollout goes by.
type Tenant struct {
	Namespace, Name string
	Labels          map[string]string
	// Version at which the schema stands; "" for a tenant that has none yet.
	Version string
	// Pinned tenants go their own way: nothing counts them, nothing holds them.
	Pinned bool
	// AtTarget : version and digest are the target's.
	AtTarget bool
	// Begun : it is on its way to the target right now.
	Begun bool
	// Halted : a step before the migration fails, so that it gets no further.
	Halted bool
	// Waits : it has a version, and nothing that is wrong with it keeps a pass from the migration. It waits for its turn.
	Waits bool
	// Failure is why it did not come to the target; nil if it did not fail.
	Failure *Failure
	// Healthy : nothing is wrong with it that a migration could have done. A claim on a domain that
	// is not proved is no such thing, nor a suspension.
	Healthy bool
	// Trouble is what its conditions say if it is not Healthy.
	Trouble Failure
	// Since is when it last stopped being well; of no meaning while it is.
	Since time.Time
}

// Failure is why a tenant is not where it should be.
type Failure struct {
	Reason, Message string
	// Refused failures end by an edit only, and count at once; others may pass.
	Refused bool
}

// Key names the tenant as failures and permits do.
func (t Tenant) Key() string { return t.Namespace + "/" + t.Name }

// refused are the reasons of Migrated that only an edit mends.
var refused = []string{
	v1alpha1.ReasonMigrationFailed, v1alpha1.ReasonChecksumChanged, v1alpha1.ReasonMigrationRemoved, v1alpha1.ReasonOutOfOrder,
	v1alpha1.ReasonMigrationDecisionNeeded, v1alpha1.ReasonLedgerUnusable,
	v1alpha1.ReasonJobFailed, v1alpha1.ReasonJobIncomplete,
}

// Refused says whether a reason of Migrated is one that only an edit mends.
func Refused(reason string) bool { return slices.Contains(refused, reason) }

// untried are the reasons of Migrated by which nothing was tried. A version below the tenant's is most often that of its
// pin, which is no word of the rollout's, also in the moment after it was lifted.
var untried = []string{
	v1alpha1.ReasonPending, v1alpha1.ReasonRolloutPending, v1alpha1.ReasonMigrationSetNotFound, v1alpha1.ReasonMigrationSetNotReady,
	v1alpha1.ReasonNamespaceNotAllowed, v1alpha1.ReasonSharedNotMigrated, v1alpha1.ReasonUnknownVersion,
	v1alpha1.ReasonDowngradeRefused,
}

// before are the conditions without which a pass does not come to the migration.
var before = []string{v1alpha1.ConditionDatabaseReady, v1alpha1.ConditionSchemaReady, v1alpha1.ConditionCredentialsReady}

// behind are the conditions that a migration can spoil.
var behind = []string{v1alpha1.ConditionVerified, v1alpha1.ConditionRouted, v1alpha1.ConditionReachable}

// Observe reads a Tenant's own word. Whoever forges it can make a rollout wait, or not wait, for that
// one tenant; what may be done to a schema is decided by the registry and the ledger.
func Observe(t *v1alpha1.Tenant, target v1alpha1.MigrationSetVersion) Tenant {
	o := Tenant{
		Namespace: t.Namespace, Name: t.Name, Labels: t.Labels, Version: t.Status.Version,
		Pinned: t.Spec.Migrations != nil && t.Spec.Migrations.TargetVersion != "",
	}
	migrated := condition(t, v1alpha1.ConditionMigrated)
	tried := migrated != nil && t.Status.Digest == target.Digest
	switch {
	case !tried:
	case migrated.Status == metav1.ConditionTrue:
		o.AtTarget = t.Status.Version == target.Version
	case migrated.Reason == v1alpha1.ReasonProgressing:
		o.Begun = true
	case migrated.Status == metav1.ConditionFalse && !slices.Contains(untried, migrated.Reason):
		o.Failure = &Failure{Reason: migrated.Reason, Message: migrated.Message, Refused: Refused(migrated.Reason)}
		o.Since = migrated.LastTransitionTime.Time
	}
	o.Halted = o.Begun && (shutOut(t) || anyFailed(t, before))
	o.Healthy, o.Trouble, o.Since = health(t, o)
	o.Waits = o.Version != "" && !o.Healthy && !o.AtTarget && !o.Begun && o.Failure == nil && passable(t)
	return o
}

// shutOut says that passes end before the first step: the class is gone, or lets the namespace in no longer.
func shutOut(t *v1alpha1.Tenant) bool {
	if !isFalse(t, v1alpha1.ConditionReady) {
		return false
	}
	reason := condition(t, v1alpha1.ConditionReady).Reason
	return reason == v1alpha1.ReasonClassNotFound || reason == v1alpha1.ReasonNamespaceNotAllowed
}

func isFalse(t *v1alpha1.Tenant, name string) bool {
	return meta.IsStatusConditionFalse(t.Status.Conditions, name)
}

func anyFailed(t *v1alpha1.Tenant, names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return isFalse(t, name) })
}

// passable says that a pass comes to the migration although the Tenant is not Ready: its first failure, which Ready names,
// is one of a step that lets the others go on, or of the migration to another version.
func passable(t *v1alpha1.Tenant) bool {
	ready, migrated := condition(t, v1alpha1.ConditionReady), condition(t, v1alpha1.ConditionMigrated)
	if ready == nil || migrated == nil || ready.Reason == v1alpha1.ReasonRetrying || anyFailed(t, before) {
		return false
	}
	is := func(name string) bool { return isFalse(t, name) && condition(t, name).Reason == ready.Reason }
	if migrated.Status != metav1.ConditionTrue && !(isFalse(t, migrated.Type) && Refused(migrated.Reason)) {
		return false // Nobody knows whether the next pass comes any further.
	}
	return is(v1alpha1.ConditionDomainsClaimed) || is(v1alpha1.ConditionMigrated) || slices.ContainsFunc(behind, is)
}

// health finds out whether the tenant works, what is wrong if not, and since when.
func health(t *v1alpha1.Tenant, o Tenant) (healthy bool, trouble Failure, since time.Time) {
	ready := condition(t, v1alpha1.ConditionReady)
	switch {
	case ready == nil:
		return false, Failure{Reason: v1alpha1.ReasonPending}, t.CreationTimestamp.Time
	case ready.Status == metav1.ConditionTrue || ready.Reason == v1alpha1.ReasonSuspended:
		return true, Failure{}, o.Since
	}
	since = ready.LastTransitionTime.Time
	if o.Since.After(since) {
		since = o.Since
	}
	trouble = Failure{Reason: ready.Reason, Message: ready.Message}
	claims := condition(t, v1alpha1.ConditionDomainsClaimed)
	if claims == nil || claims.Status != metav1.ConditionFalse || claims.Reason != ready.Reason || !o.AtTarget {
		return false, trouble, since
	}
	// Ready names the first failure, the claims'; there may be others behind it.
	for _, name := range behind {
		if c := condition(t, name); c != nil && c.Status == metav1.ConditionFalse && c.Reason != v1alpha1.ReasonSuspended {
			return false, Failure{Reason: c.Reason, Message: c.Message}, since
		}
	}
	return true, trouble, since
}

func condition(t *v1alpha1.Tenant, name string) *metav1.Condition {
	return meta.FindStatusCondition(t.Status.Conditions, name)
}
