// Package dryrun tries migrations where they harm nobody: on a scratch schema of a database that holds
// tenants, made for it, migrated as a tenant is, by the same login and with the shared schema on its
// path, and dropped. It finds what only a server can say. What depends on a tenant's rows it cannot
// find: the schema is empty.
package dryrun

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Runner tries sets on databases.
type Runner struct{ Pools *databases.Pools }

// Trial is what is tried.
type Trial struct {
	Set *migrations.Set
	// UID is the MigrationSet's, Name its "namespace/name".
	UID, Name string
	// SharedSchema is searched behind the scratch schema; "" for none.
	SharedSchema                  string
	LockTimeout, StatementTimeout time.Duration
}

// Replay applies all migrations of the set to an empty schema. An Invalid fault is the server's verdict
// on a file; every other error means that there is no verdict.
func (r *Runner) Replay(ctx context.Context, tdb *v1alpha1.TenantDatabase, t Trial) error {
	return r.onScratch(ctx, tdb, t, func(pool *pgxpool.Pool, target migrations.Target) error {
		_, err := migrations.Apply(ctx, pool, target, t.Set, "")
		return err
	})
}

// onScratch makes a scratch schema for what do does, and drops it.
func (r *Runner) onScratch(ctx context.Context, tdb *v1alpha1.TenantDatabase, t Trial, do func(*pgxpool.Pool, migrations.Target) error) error {
	admin, err := r.Pools.Get(ctx, tdb)
	if err != nil {
		return err
	}
	migrator, err := r.Pools.Migrator(ctx, tdb, t.Name)
	if err != nil {
		return err
	}
	s, err := admin.OpenScratch(ctx, postgres.ScratchSpec{SetUID: t.UID, Set: t.Name, Digest: t.Set.Digest})
	if err != nil {
		return err
	}
	defer drop(ctx, s, migrator)
	err = do(migrator.Pool(), migrations.Target{
		Schema: s.Schema, Owner: s.Owner, SharedSchema: t.SharedSchema,
		LockTimeout: t.LockTimeout, StatementTimeout: t.StatementTimeout,
	})
	if fault.ReasonOf(err) == v1alpha1.ReasonAuthenticationFailed {
		r.Pools.ForgetMigrator(tdb.UID, t.Name)
	}
	if err != nil && fault.KindOf(err) == fault.Invalid && !s.Held(ctx) {
		return fmt.Errorf("the scratch schema was taken away: %s", fault.Of(err, "").Message)
	}
	return err
}

// drop ends what the server may still be doing in the schema when the time was up. What cannot be dropped
// now the registry remembers: the TenantDatabase's next passes try again, and say so.
func drop(ctx context.Context, s *postgres.Scratch, migrator *postgres.DB) {
	if ctx.Err() != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := migrator.EndSessionsIn(ending, s.Schema); err != nil {
			log.FromContext(ctx).Error(err, "Cannot end sessions in the scratch schema", "schema", s.Schema)
		}
	}
	if err := s.Close(ctx); err != nil {
		log.FromContext(ctx).Error(err, "Cannot drop the scratch schema yet", "schema", s.Schema)
	}
}
