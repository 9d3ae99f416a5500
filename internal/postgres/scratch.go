package postgres

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// ReasonScratchBusy : another runner is at work in the scratch schema of the same MigrationSet.
const ReasonScratchBusy = "DryRunPending"

// scratchBusyFor is the delay to the next look at a scratch schema that is in use.
const scratchBusyFor = 10 * time.Second

// ScratchSpec says for what a scratch schema is made.
type ScratchSpec struct {
	// SetUID is the fence, as a Tenant's UID is for its schema.
	SetUID string
	// Set is the MigrationSet, "namespace/name", whose login may act as the owner. EnsureMigrator must
	// have been called for it.
	Set string
	// Digest is of the migrations that are tried, for people's eyes.
	Digest string
}

// Scratch is an empty schema with an owner of its own, like a tenant's: the same rights by the group
// role, the same default rights, and nobody but the set's migrator may act as the owner. It has no
// login. The registry keeps it apart from tenants.
type Scratch struct {
	Schema, Owner string

	db    *DB
	uid   string
	guard pgx.Tx
}

// OpenScratch makes a scratch schema, in one transaction with its row in the registry. What a crash
// left of an earlier one of the same set is dropped first. As long as it is open a lock on the row,
// which ends with this process, tells others that it is in use: for them it is fault.Waiting
// (ReasonScratchBusy).
func (db *DB) OpenScratch(ctx context.Context, spec ScratchSpec) (*Scratch, error) {
	s, err := db.openScratch(ctx, spec)
	return s, failed(err, "cannot make a scratch schema for MigrationSet "+spec.Set)
}

func (db *DB) openScratch(ctx context.Context, spec ScratchSpec) (*Scratch, error) {
	if err := db.DropScratch(ctx, spec.SetUID); err != nil {
		return nil, err
	}
	s := &Scratch{db: db, uid: spec.SetUID}
	err := db.inTx(ctx, func(tx pgx.Tx) error { return s.make(ctx, tx, spec) })
	if err != nil {
		return nil, err
	}
	if err := s.watch(ctx); err != nil {
		s.release(ctx)
		return nil, err
	}
	return s, nil
}

// make registers and creates. The name is nobody's: it is drawn anew at each try.
func (s *Scratch) make(ctx context.Context, tx pgx.Tx, spec ScratchSpec) error {
	database := s.db.config.Database()
	s.Schema = "tenantry_scratch_" + randomHex()
	s.Owner = TenantRoles(database, s.Schema).Owner
	keeper := KeeperRole(database, s.Schema)
	tag, err := tx.Exec(ctx, `INSERT INTO tenantry.scratch (set_uid, set_name, digest, schema_name, owner_role, keeper_role)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, spec.SetUID, spec.Set, spec.Digest, s.Schema, s.Owner, keeper)
	if err != nil {
		return err
	}
	if tag.RowsAffected() == 0 {
		return scratchBusy()
	}
	var version int
	if err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
		return err
	}
	return script(ctx, tx, s.statements(keeper, MigratorRole(database, spec.Set), version)...)
}

// statements make what a tenant's schema has without its login.
func (s *Scratch) statements(keeper, migrator string, version int) []string {
	owner := ident(s.Owner)
	asGroup := ""
	if version >= version16 {
		asGroup = " WITH INHERIT TRUE, SET FALSE"
	}
	return actingAs(keeper, version, s.Owner,
		[]string{
			"CREATE ROLE " + owner + " NOLOGIN INHERIT",
			"GRANT " + ident(GroupRole(s.db.config.Database())) + " TO " + owner + asGroup,
			"GRANT " + owner + " TO " + ident(migrator) + actOptions(version),
		},
		"CREATE SCHEMA "+ident(s.Schema)+" AUTHORIZATION "+owner,
		"SET LOCAL ROLE "+owner,
		"ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
		"ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC")
}

// watch holds the row's lock in a transaction that does nothing else.
func (s *Scratch) watch(ctx context.Context) (err error) {
	if s.guard, err = s.db.pool.Begin(ctx); err != nil {
		return err
	}
	row, err := lockScratch(ctx, s.guard, s.uid)
	if err != nil {
		return err
	}
	if row == nil || row.Schema != s.Schema {
		return scratchBusy() // another runner took it for a leftover
	}
	// In the simple protocol, and last: the portal of a query with parameters stays open with its snapshot,
	// for which a concurrent index would wait as long as the transaction is open.
	return script(ctx, s.guard, "SET LOCAL idle_in_transaction_session_timeout = 0")
}

// Held says whether the schema is still this runner's: while it is not, what went wrong in it may be
// another's doing.
func (s *Scratch) Held(ctx context.Context) bool {
	var held bool
	err := s.guard.QueryRow(ctx, `SELECT EXISTS (SELECT FROM tenantry.scratch WHERE set_uid = $1 AND schema_name = $2)`, s.uid, s.Schema).Scan(&held)
	return err == nil && held
}

// Close drops the scratch schema, also when the context has ended. If it cannot be dropped now, the
// next OpenScratch or SweepScratch does it.
func (s *Scratch) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	s.release(ctx)
	return s.db.DropScratch(ctx, s.uid)
}

func (s *Scratch) release(ctx context.Context) {
	if s.guard != nil {
		_ = s.guard.Rollback(ctx) // nothing was written
	}
}

func scratchBusy() error {
	return fault.NewWaiting(ReasonScratchBusy, scratchBusyFor, "another runner tries this MigrationSet; waiting for it")
}

// lockScratch is the fence of scratch schemas: the row of a set's UID, locked at once or not at all. It
// returns nil where the registry knows none.
func lockScratch(ctx context.Context, tx pgx.Tx, uid string) (*registered, error) {
	row := registered{UID: uid}
	err := tx.QueryRow(ctx, `SELECT schema_name, owner_role, keeper_role FROM tenantry.scratch WHERE set_uid = $1 FOR UPDATE NOWAIT`, uid).
		Scan(&row.Schema, &row.Owner, &row.Keeper)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case CauseOf(err) == LockTimeout:
		return nil, scratchBusy()
	case err != nil:
		return nil, err
	case !strings.HasPrefix(row.Schema, "tenantry_scratch_"):
		return nil, fault.NewInvalid(ReasonNotOwner, "the registry calls schema %q a scratch schema, which it cannot be", row.Schema)
	}
	return &row, nil
}

func randomHex() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
