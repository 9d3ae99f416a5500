package tenantdatabase

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// migrateShared takes the shared schema to its set's newest version and gives tenants exactly the
// rights that set and database list.
func (r *Reconciler) migrateShared(ctx context.Context, s *scope) (string, error) {
	shared := s.tdb.Spec.Shared
	if shared == nil {
		s.tdb.Status.SharedVersion = ""
		return "The spec asks for no shared schema", nil
	}
	ms, set, err := r.sharedSet(ctx, s)
	if err != nil {
		return "", err
	}
	name := ms.Namespace + "/" + ms.Name
	migrator, err := r.Pools.Migrator(ctx, s.tdb, name)
	if err != nil {
		return "", err
	}
	is, _, err := s.db.EnsureShared(ctx, shared.SchemaName, name)
	if err != nil {
		return "", err
	}
	// The ledger decides every time: one schema a database is cheap to ask.
	result, err := migrations.Apply(ctx, migrator.Pool(), migrations.Target{
		Schema: shared.SchemaName, Owner: is.Owner, Recorded: migrations.Version(is.Version),
		LockTimeout:      time.Duration(ms.Spec.LockTimeoutMilliseconds) * time.Millisecond,
		StatementTimeout: time.Duration(ms.Spec.StatementTimeoutSeconds) * time.Second,
	}, set, set.Latest())
	if result.Read { // otherwise nobody knows, and what was known still stands
		s.tdb.Status.SharedVersion = string(result.To)
	}
	if result.Read && string(result.To) != is.Version {
		if recordErr := s.db.RecordShared(ctx, shared.SchemaName, string(result.To)); recordErr != nil && err == nil {
			err = recordErr
		}
	}
	if recordErr := r.recordShared(ctx, s, name, set, result); recordErr != nil && err == nil {
		err = recordErr
	}
	if err != nil {
		if fault.ReasonOf(err) == v1alpha1.ReasonAuthenticationFailed {
			r.Pools.ForgetMigrator(s.tdb.UID, name)
		}
		return "", err
	}
	if _, err := s.db.SetSharedGrants(ctx, shared.SchemaName, grants(ms, shared)); err != nil {
		return "", err
	}
	return fmt.Sprintf("Shared schema %s is at version %s of MigrationSet %s", shared.SchemaName, result.To, ms.Name) + notTaken(is), nil
}

// notTaken tells of logins that the operator cannot take from the shared schema: who granted that was another.
func notTaken(is postgres.Shared) string {
	if len(is.Foreign) == 0 {
		return ""
	}
	what, mend := make([]string, len(is.Foreign)), make([]string, len(is.Foreign))
	for i, e := range is.Foreign {
		what[i], mend[i] = e.What, e.Mend+";"
	}
	return "; of another MigrationSet, " + strings.Join(what, ", ") + ". To take that back, run as a superuser: " + strings.Join(mend, " ")
}

// recordKey names a state of a set that a shared schema has come to, on a server that was not started anew.
type recordKey struct {
	database             types.UID
	server               int64
	set, digest, version string
}

// recordShared keeps what each file up to the schema's version was. The record has no gaps: what lies
// below its newest file and is not in it came late. The first pass of an operator records once more, since
// an earlier one may have ended before it could. A ledger that does not fit the files says nothing of them.
func (r *Reconciler) recordShared(ctx context.Context, s *scope, name string, set *migrations.Set, result migrations.Result) error {
	key := recordKey{s.tdb.UID, s.db.ServerStarted().UnixMicro(), name, set.Digest, string(result.To)}
	if _, known := r.recorded.Load(key); known || !result.Fits {
		return nil
	}
	var files []postgres.AppliedFile
	for i := range set.Migrations {
		if m := &set.Migrations[i]; !m.Repeatable && m.Version.Compare(result.To) <= 0 {
			files = append(files, postgres.AppliedFile{Version: string(m.Version), Name: m.File, Checksum: m.Checksum})
		}
	}
	_, err := s.db.RecordFiles(ctx, name, files)
	if err == nil {
		r.recorded.Store(key, true)
	}
	return err
}

// sharedSet returns the set if its controller has vetted just this state of it.
func (r *Reconciler) sharedSet(ctx context.Context, s *scope) (*v1alpha1.MigrationSet, *migrations.Set, error) {
	ref := s.tdb.Spec.Shared.MigrationSetRef
	ms := &v1alpha1.MigrationSet{}
	err := r.Get(ctx, client.ObjectKey{Namespace: s.tdb.Namespace, Name: ref.Name}, ms)
	if apierrors.IsNotFound(err) {
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotFound, recheck,
			"spec.shared.migrationSetRef: MigrationSet %q does not exist in namespace %q", ref.Name, s.tdb.Namespace)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read MigrationSet %s: %w", ref.Name, err)
	}
	if !conditions.Current(ms, v1alpha1.ConditionReady) {
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, recheck,
			"MigrationSet %q of the shared schema is not Ready", ref.Name)
	}
	set, err := r.Sources.Published(ctx, ms)
	switch {
	case err != nil:
		return nil, nil, err
	case set == nil && ms.Status.Proposed != nil:
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, recheck,
			"MigrationSet %q of the shared schema: version %s waits for its approval, and version %s can no longer be made: a file of it was changed or taken away",
			ref.Name, ms.Status.Proposed.Version, ms.Status.Version)
	case set == nil:
		return nil, nil, fault.NewWaiting(v1alpha1.ReasonMigrationSetNotReady, 5*time.Second,
			"MigrationSet %q of the shared schema has changed and is being looked at", ref.Name)
	}
	return ms, set, nil
}

// grants are what the set's authors name for their tables, and what the database's people add.
func grants(ms *v1alpha1.MigrationSet, shared *v1alpha1.SharedSchema) []postgres.TableGrant {
	var list []postgres.TableGrant
	for _, g := range slices.Concat(ms.Spec.SharedGrants, shared.Grants) {
		t := postgres.TableGrant{Table: g.Table}
		for _, p := range g.Privileges {
			t.Privileges = append(t.Privileges, string(p))
		}
		list = append(list, t)
	}
	return list
}
