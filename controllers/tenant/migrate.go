package tenant

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/consent"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/jobs"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/rollout"
)

// migrate takes the schema to the version that the MigrationSet's rollout allows, or the tenant's pin
// wants. The registry's word decides whether there is anything to do, so that a tenant that is up to
// date costs no look at its ledger; the ledger decides what to run.
func (r *Reconciler) migrate(ctx context.Context, s *scope) (outcome, error) {
	s.migrates = true
	if pinned(s.tenant) {
		r.Permits.Pardon(client.ObjectKeyFromObject(s.tenant).String())
	}
	s.version, s.digest = s.observed.Version, s.observed.Digest
	s.tenant.Status.Version = s.version
	if s.wanted.MigrationSet == "" {
		return outcome{reason: v1alpha1.ReasonNotRequested, message: "The class names no MigrationSet"}, r.endStrayJob(ctx, s, nil)
	}
	ms, set, err := r.migrationSet(ctx, s)
	if err == nil && ms.Spec.Job != nil {
		return r.migrateByJob(ctx, s, ms)
	}
	if err == nil || fault.ReasonOf(err) != "" {
		if err := r.endStrayJob(ctx, s, ms); err != nil {
			return outcome{}, err
		}
	}
	if err != nil {
		if hasPublished(s, ms) {
			s.tenant.Status.Digest = s.digest
			return at(s, ms), nil
		}
		return r.withoutSet(ctx, s, err)
	}
	if err := r.baseline(ctx, s, ms, set); err != nil {
		return outcome{}, err
	}
	g, err := aim(s, ms, set)
	if err != nil {
		return outcome{}, err
	}
	if g.run {
		begun, err := r.migrateNow(ctx, s, ms, set, g)
		if err != nil {
			return outcome{}, err
		}
		if !begun {
			return stay(s, ms)
		}
	}
	s.tenant.Status.Digest = g.digest
	if g.pinned && g.target != set.Latest() {
		return outcome{reason: v1alpha1.ReasonPinned, message: fmt.Sprintf("At version %s as pinned; MigrationSet %s has %s", g.target, ms.Name, set.Latest())}, nil
	}
	return at(s, ms), nil
}

// withoutSet is the outcome of a tenant whose set cannot be used. A set in trouble stalls itself and new tenants; who
// runs on an older version of it works, and goes on saying what it failed with. One that the set does not let in any
// more says so as soon as there is something that it does not get: nobody else would.
func (r *Reconciler) withoutSet(ctx context.Context, s *scope, cause error) (outcome, error) {
	f := fault.Of(cause, "")
	if s.version == "" || f.Reason == "" || pinnedElsewhere(s) {
		return outcome{}, cause
	}
	ms, err := r.namedSet(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	if ms != nil && ms.Status.Digest != "" && !pinned(s.tenant) && !hasPublished(s, ms) {
		if err := recorded(s, ms); err != nil {
			return outcome{}, err
		}
		if f.Reason == v1alpha1.ReasonNamespaceNotAllowed {
			return outcome{}, cause
		}
	}
	s.tenant.Status.Digest = s.digest
	return done(fmt.Sprintf("At version %s; nothing newer can be run: %s", s.version, f.Message)), nil
}

// hasPublished : a set whose files cannot be had, as when a registry is away after a restart, is nothing to
// a tenant that has them.
func hasPublished(s *scope, ms *v1alpha1.MigrationSet) bool {
	return ms != nil && !pinned(s.tenant) && s.version == ms.Status.Version && s.digest == ms.Status.Digest
}

func at(s *scope, ms *v1alpha1.MigrationSet) outcome {
	return done(fmt.Sprintf("At version %s of MigrationSet %s", s.version, ms.Name))
}

// migrateNow says whether the tenant could begin: if not, it waits for its turn.
func (r *Reconciler) migrateNow(ctx context.Context, s *scope, ms *v1alpha1.MigrationSet, set *migrations.Set, g goal) (begun bool, err error) {
	if err := sharedFirst(s.tdb, set, g.target); err != nil {
		return false, err
	}
	work := fmt.Sprint(s.wanted.MigrationSet, set.Digest, g.target, s.tenant.Generation, s.tenant.Annotations[v1alpha1.AnnotationReconcile],
		ms.Annotations[v1alpha1.AnnotationRetry], ms.Spec.LockTimeoutMilliseconds, ms.Spec.StatementTimeoutSeconds)
	if err := r.attempts.last(s.tenant.UID, work, time.Now()); err != nil {
		s.tenant.Status.Digest = g.digest
		s.tenant.Status.Version = either(s.version, s.base.Status.Version) // A new tenant's came a part of the way.
		return false, err
	}
	ask := permission(s, ms, g)
	if !r.Permits.Start(ask) {
		return false, nil
	}
	r.work(s)
	err = r.migrateOnce(ctx, s, ms, set, g)
	r.attempts.note(s.tenant.UID, work, err, time.Now())
	r.Permits.End(ask, err == nil, g.counts && rollout.Refused(fault.ReasonOf(err)), time.Now())
	return true, err
}

func (r *Reconciler) migrateOnce(ctx context.Context, s *scope, ms *v1alpha1.MigrationSet, set *migrations.Set, g goal) error {
	again := failedBefore(s, g.digest)
	s.tenant.Status.Digest = g.digest
	target := g.target
	migrator, err := r.Pools.Migrator(ctx, s.tdb, s.wanted.MigrationSet)
	if err != nil {
		return err
	}
	to := schemaOf(s, ms)
	to.Believed = r.believed(s)
	proofHolds := r.proofHolds(s) && set.KeepRights(migrations.Version(s.version), target)
	if s.mode() == v1alpha1.LoginDedicated && !proofHolds {
		to.Ask = postgres.AskRights(s.user, bounds(s))
	}
	var result migrations.Result
	r.tellIfLong(ctx, s, again, fmt.Sprintf("Migrating schema %s to version %s", s.wanted.Schema, target), func() {
		result, err = migrations.Apply(ctx, migrator.Pool(), to, set, target)
	})
	if result.Read { // otherwise nobody knows, and what was known still stands
		s.tenant.Status.Version = string(result.To)
	}
	if recordErr := r.record(ctx, s, set, known(set, target, result, err)); recordErr != nil && err == nil {
		err = recordErr
	}
	if err != nil {
		if fault.ReasonOf(err) == v1alpha1.ReasonAuthenticationFailed {
			r.Pools.ForgetMigrator(s.tdb.UID, s.wanted.MigrationSet)
		}
		if recordErr := r.recordPart(ctx, s, set, result, err); recordErr != nil {
			note(ctx, recordErr, v1alpha1.ConditionMigrated)
		}
		return err
	}
	r.believe(s, result.Before)
	s.keepsProof = proofHolds && result.KeptRights(set, migrations.Version(s.version))
	s.version, s.digest, s.behind = string(target), g.digest, true
	s.answer = result.Answer
	return nil
}

// ledger is what one tenant's ledger had at a version by the registry's word; others' have most likely the same.
type ledger struct {
	version, digest string
	rows            []migrations.Applied
}

type ledgerKey struct {
	database types.UID
	set      string
}

func (r *Reconciler) believe(s *scope, rows []migrations.Applied) {
	if s.version != "" && len(rows) > 0 {
		r.ledgers.Store(ledgerKey{s.tdb.UID, s.wanted.MigrationSet}, ledger{s.version, s.digest, rows})
	}
}

func (r *Reconciler) believed(s *scope) []migrations.Applied {
	if known, ok := r.ledgers.Load(ledgerKey{s.tdb.UID, s.wanted.MigrationSet}); ok {
		if l := known.(ledger); s.version != "" && l.version == s.version && l.digest == s.digest {
			return l.rows
		}
	}
	return nil
}

// schemaOf is the tenant's schema as the engine needs it.
func schemaOf(s *scope, ms *v1alpha1.MigrationSet) migrations.Target {
	return migrations.Target{
		Schema: s.wanted.Schema, Owner: s.observed.Roles.Owner, App: s.observed.Roles.App, SharedSchema: s.wanted.SharedSchema,
		LockTimeout:      time.Duration(ms.Spec.LockTimeoutMilliseconds) * time.Millisecond,
		StatementTimeout: time.Duration(ms.Spec.StatementTimeoutSeconds) * time.Second,
		Checkpoints:      checkpoints(ms),
		Empty:            s.begun,
		Recorded:         migrations.Version(s.version),
	}
}

// checkpoints are those that a new schema may start from.
func checkpoints(ms *v1alpha1.MigrationSet) (checksums []string) {
	for _, c := range ms.Status.Checkpoints {
		if c.State == v1alpha1.CheckpointVerified {
			checksums = append(checksums, c.Checksum)
		}
	}
	return checksums
}

// migrationSet returns the set that the class names, and its files unless it has a Job, if its controller
// has vetted just this state of it and the tenant's namespace may use it. Beside an error there is a set if
// it is Ready and its files cannot be had.
func (r *Reconciler) migrationSet(ctx context.Context, s *scope) (*v1alpha1.MigrationSet, *migrations.Set, error) {
	ref := s.class.Spec.MigrationSetRef
	ms := &v1alpha1.MigrationSet{}
	if err := r.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, ms); err != nil {
		if !apierrors.IsNotFound(err) {
			return nil, nil, fmt.Errorf("read MigrationSet %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotFound, recheck,
			"MigrationSet %s/%s, which class %q names, does not exist", ref.Namespace, ref.Name, s.class.Name)
	}
	allowed, err := consent.Allows(ctx, r, ms.Spec.AllowedNamespaces, ms.Namespace, s.tenant.Namespace)
	if err != nil {
		return nil, nil, err
	}
	if !allowed {
		return nil, nil, fault.NewInvalid(v1alpha1.ReasonNamespaceNotAllowed,
			"MigrationSet %s/%s does not allow namespace %q (spec.allowedNamespaces)", ms.Namespace, ms.Name, s.tenant.Namespace)
	}
	// A verdict on an older spec will do: what it was about is in the digest, the rest is read here.
	if !conditions.IsTrue(ms, v1alpha1.ConditionReady) && !onlyTheNewestFails(ms) {
		return nil, nil, notReady(ms)
	}
	if ms.Spec.Job != nil {
		if jobs.Digest(ms.Spec.Job) == ms.Status.Digest {
			return ms, nil, nil
		}
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, 5*time.Second,
			"MigrationSet %s/%s has changed and is being looked at", ms.Namespace, ms.Name)
	}
	set, err := r.Sources.Published(ctx, ms)
	switch {
	case err != nil:
		return ms, nil, err
	case set == nil && ms.Status.Proposed != nil:
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, time.Minute,
			"MigrationSet %s/%s: version %s waits for its approval, and version %s can no longer be made: a file of it was changed or taken away",
			ms.Namespace, ms.Name, ms.Status.Proposed.Version, ms.Status.Version)
	case set == nil:
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, 5*time.Second,
			"MigrationSet %s/%s has changed and is being looked at", ms.Namespace, ms.Name)
	}
	return ms, set, nil
}

// onlyTheNewestFails : the version that was published before runs, and new tenants can start at it.
func onlyTheNewestFails(ms *v1alpha1.MigrationSet) bool {
	c := conditions.Get(ms, v1alpha1.ConditionReady)
	return ms.Status.Digest != "" && c != nil && (c.Reason == v1alpha1.ReasonDryRunFailed || c.Reason == v1alpha1.ReasonDryRunPending)
}

func notReady(ms *v1alpha1.MigrationSet) error {
	why := "it has not been looked at yet"
	if c := conditions.Get(ms, v1alpha1.ConditionReady); c != nil && c.Status == "False" {
		why = c.Reason + ": " + c.Message
	}
	return fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, time.Minute,
		"MigrationSet %s/%s is not Ready: %s", ms.Namespace, ms.Name, why)
}

// sharedFirst keeps tenants' migrations behind those of the shared schema, which they may refer to: behind
// its newest version, and behind the one that a file names as needed, which may not have been shipped yet.
func sharedFirst(tdb *v1alpha1.TenantDatabase, set *migrations.Set, upto migrations.Version) error {
	if err := sharedReady(tdb); err != nil {
		return err
	}
	needed, has := set.NeedsShared(upto), migrations.Version(tdb.Status.SharedVersion)
	if needed.Compare(has) <= 0 {
		return nil
	}
	return fault.NewWaiting(v1alpha1.ReasonSharedNotMigrated, time.Minute,
		"Version %s needs version %s of the shared schema (tenantry:requires-shared), and that of TenantDatabase %s/%s is at %q; ship the shared migrations first",
		upto, needed, tdb.Namespace, tdb.Name, has)
}

// sharedReady says whether the shared schema, if there is one, stands at its newest version.
func sharedReady(tdb *v1alpha1.TenantDatabase) error {
	if tdb.Spec.Shared == nil || conditions.Current(tdb, v1alpha1.ConditionSharedMigrated) {
		return nil
	}
	return fault.NewWaiting(v1alpha1.ReasonSharedNotMigrated, time.Minute,
		"The shared schema of TenantDatabase %s/%s is not at its version yet%s", tdb.Namespace, tdb.Name, because(tdb))
}

// pinnedVersion is the tenant's pin as the set writes it.
func pinnedVersion(t *v1alpha1.Tenant, ms *v1alpha1.MigrationSet, set *migrations.Set) (migrations.Version, error) {
	pin := t.Spec.Migrations.TargetVersion
	if version, known := set.Numbered(migrations.Written(pin)); known {
		return version, nil
	}
	return "", fault.NewInvalid(v1alpha1.ReasonUnknownVersion,
		"spec.migrations.targetVersion: MigrationSet %q has no version %s; its newest is %s", ms.Name, pin, set.Latest())
}

func pinned(t *v1alpha1.Tenant) bool {
	return t.Spec.Migrations != nil && t.Spec.Migrations.TargetVersion != ""
}

// pinnedElsewhere : who asked for just one version is told when it cannot be had.
func pinnedElsewhere(s *scope) bool {
	return pinned(s.tenant) && migrations.Written(s.tenant.Spec.Migrations.TargetVersion).Compare(migrations.Version(s.version)) != 0
}

// long is how long a migration may take in silence: most are over before anybody could read of them, and a
// status written for each would cost a fleet's upgrade as much as the migrations do.
const long = 3 * time.Second

// tellIfLong tells watchers of work that takes long, while it goes on. Who failed before says so until there
// is news. The work must not touch the scope. That nothing could be told does not stop it; the status at the
// end of the pass meets the same trouble.
func (r *Reconciler) tellIfLong(ctx context.Context, s *scope, again bool, message string, work func()) {
	done, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		timer := time.NewTimer(long)
		defer timer.Stop()
		select {
		case <-done:
		case <-timer.C:
			if again {
				return
			}
			if err := r.progress(ctx, s, message); err != nil {
				note(ctx, err, v1alpha1.ConditionMigrated)
			}
		}
	}()
	defer func() {
		close(done)
		<-told
	}()
	work()
}

func (r *Reconciler) progress(ctx context.Context, s *scope, message string) error {
	conditions.Progress(s.tenant, message)
	conditions.False(s.tenant, v1alpha1.ConditionMigrated, v1alpha1.ReasonProgressing, message)
	if err := r.Status.Patch(ctx, s.base, s.tenant); err != nil {
		return err
	}
	s.base = s.tenant.DeepCopy()
	return nil
}
