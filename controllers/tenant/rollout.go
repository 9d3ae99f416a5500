package tenant

import (
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/rollout"
)

// goal is where a tenant should be now.
type goal struct {
	target migrations.Version
	// digest of the set's state that the tenant is at when it is there; "" where nobody knows of one.
	digest string
	// run says that there is something to do.
	run bool
	// pinned : by the tenant's own word, whatever the rollout is at.
	pinned bool
	// counts : to the version of the rollout. A failure spends its budget.
	counts bool
}

// aim decides where the tenant should be: at its pin; at the set's version, if it is there already or
// the rollout lets it begin; else at the version before, which files that only grow still hold. It is
// never behind what it has.
func aim(s *scope, ms *v1alpha1.MigrationSet, set *migrations.Set) (goal, error) {
	if pinned(s.tenant) {
		target, err := pinnedVersion(s.tenant, ms, set)
		return goal{target: target, digest: set.Digest, run: s.version != string(target) || s.digest != set.Digest, pinned: true}, err
	}
	newest := goal{target: set.Latest(), digest: set.Digest, counts: true}
	if s.version == string(set.Latest()) && s.digest == set.Digest {
		return newest, nil
	}
	newest.run = true
	unborn := s.version == "" && s.digest == ""
	if may(ms, s.base) || unborn && ms.Status.Previous == nil && !still(ms) {
		return newest, nil
	}
	before, err := previous(ms, set)
	if err == nil && (unborn || !paused(ms)) && migrations.Version(s.version).Compare(before) < 0 {
		return goal{target: before, digest: ms.Status.Previous.Digest, run: true}, nil
	}
	if unborn {
		return goal{}, pendingRollout(ms, err)
	}
	return goal{digest: s.digest}, recorded(s, ms)
}

// may asks the rollout, by what the tenant's own status said before this pass.
func may(ms *v1alpha1.MigrationSet, t *v1alpha1.Tenant) bool {
	return rollout.May(ms.Spec.Rollout, ms.Status.Rollout, ms.Status.Digest, rollout.Observe(t, target(ms)))
}

func target(ms *v1alpha1.MigrationSet) v1alpha1.MigrationSetVersion {
	return v1alpha1.MigrationSetVersion{Version: ms.Status.Version, Digest: ms.Status.Digest}
}

func paused(ms *v1alpha1.MigrationSet) bool { return ms.Spec.Rollout != nil && ms.Spec.Rollout.Paused }

// still says that nobody may begin: the rollout is paused, stopped, or not decided on yet. The first
// version of a set has none before it, at which a new tenant could start, and no customer to protect:
// only then.
func still(ms *v1alpha1.MigrationSet) bool {
	st := ms.Status.Rollout
	return ms.Spec.Rollout != nil && (ms.Spec.Rollout.Paused || st == nil || st.Digest != ms.Status.Digest || st.Stopped != nil)
}

// previous is the newest version of the set that is not above the one before the rollout. Its error
// says why a schema cannot be brought there.
func previous(ms *v1alpha1.MigrationSet, set *migrations.Set) (migrations.Version, error) {
	if ms.Status.Previous == nil {
		return "", fmt.Errorf("no version of MigrationSet %s was rolled out before", ms.Name)
	}
	var newest migrations.Version
	for i := range set.Migrations {
		m := &set.Migrations[i]
		if m.Repeatable {
			return "", fmt.Errorf("MigrationSet %s has repeatable migrations, which exist for its newest version only", ms.Name)
		}
		if m.Version.Compare(migrations.Version(ms.Status.Previous.Version)) <= 0 {
			newest = m.Version
		}
	}
	if newest == "" {
		return "", fmt.Errorf("MigrationSet %s has no version up to %s", ms.Name, ms.Status.Previous.Version)
	}
	return newest, nil
}

func pendingRollout(ms *v1alpha1.MigrationSet, why error) error {
	return fault.NewWaiting(v1alpha1.ReasonRolloutPending, recheck,
		"The rollout of version %s of MigrationSet %s/%s has not come to this tenant's ring, and it cannot start at the version before: %s",
		ms.Status.Version, ms.Namespace, ms.Name, why)
}

// stay is the outcome of a tenant that may not begin yet.
func stay(s *scope, ms *v1alpha1.MigrationSet) (outcome, error) {
	if s.version == "" && s.digest == "" {
		return outcome{}, pendingRollout(ms, fmt.Errorf("the failure budget is spent"))
	}
	if err := recorded(s, ms); err != nil {
		return outcome{}, err
	}
	s.tenant.Status.Digest = s.digest
	return at(s, ms), nil
}

// recorded is the failure that the tenant's status tells of, if it is one of this state of the set: who
// may not try again goes on saying so.
func recorded(s *scope, ms *v1alpha1.MigrationSet) error {
	failed := rollout.Observe(s.base, target(ms)).Failure
	switch {
	case failed == nil:
		return nil
	case failed.Refused:
		return fault.NewInvalid(failed.Reason, "%s", failed.Message)
	}
	return fault.NewWaiting(failed.Reason, recheck, "%s", failed.Message)
}

// failedBefore says whether the tenant's status tells of a failure at this state of a set.
func failedBefore(s *scope, digest string) bool {
	c := conditions.Get(s.base, v1alpha1.ConditionMigrated)
	return c != nil && c.Status == "False" && c.Reason != v1alpha1.ReasonProgressing && s.base.Status.Digest == digest
}

// permission is what the tenant asks for before it begins. The schema of a new tenant is empty: nobody
// waits for its locks, and it waits for nobody. A pin is a word of its own.
func permission(s *scope, ms *v1alpha1.MigrationSet, g goal) rollout.Ask {
	ask := rollout.Ask{
		Set: s.wanted.MigrationSet, Digest: ms.Status.Digest, Database: string(s.tdb.UID), Tenant: client.ObjectKeyFromObject(s.tenant).String(),
		Apart: s.version == "", Counted: int(ms.Status.FailedTenants), Now: time.Now(),
	}
	if ms.Spec.Rollout != nil {
		ask.MaxInFlight = int(ms.Spec.Rollout.MaxInFlight)
	}
	if st := ms.Status.Rollout; st != nil && st.CompletedAt == nil && g.counts && !failedBefore(s, g.digest) {
		ask.Allowed, ask.Budgeted = rollout.Allowed(st)
	}
	return ask
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
