package postgres

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/fault"
)

// Reasons of faults that the registry gives.
const (
	// ReasonNotBootstrapped : the database has no registry, or no longer one.
	ReasonNotBootstrapped = "NotBootstrapped"
	// ReasonNotOwner : the registry names another UID as the schema's owner.
	ReasonNotOwner = "NotOwner"
	// ReasonNotProvisioned : the registry does not know the schema.
	ReasonNotProvisioned = "NotProvisioned"
	// ReasonPartlyDropped : the schema cannot be kept, some of its tables are dropped.
	ReasonPartlyDropped = "PartlyDropped"
)

// ErrNotOwner is in the chain of every error that refuses a UID which the registry does not name.
var ErrNotOwner = errors.New("the registry names another owner")

// registered is a row of the registry.
type registered struct {
	Schema       string `json:"schema_name"`
	UID          string `json:"tenant_uid"`
	Namespace    string `json:"namespace"`
	Name         string `json:"name"`
	Owner        string `json:"owner_role"`
	App          string `json:"app_role"`
	Keeper       string `json:"keeper_role"`
	State        string `json:"state"`
	Version      string `json:"version"`
	Digest       string `json:"digest"`
	MigrationSet string `json:"migration_set"`
	Proof        string `json:"login_proof"`
	Adopted      string `json:"adopted_at"`
	Baseline     string `json:"baseline"`
}

const lockRowSQL = `SELECT to_jsonb(t) FROM tenantry.tenant t WHERE schema_name = $1 FOR UPDATE`

// lockRow is the fence: it takes the lock of the schema's row and compares the UID. Every
// transaction that changes or drops something of a tenant begins with it. It returns nil where the
// registry does not know the schema.
func lockRow(ctx context.Context, tx pgx.Tx, uid, schema string) (*registered, error) {
	var row registered
	err := tx.QueryRow(ctx, lockRowSQL, schema).Scan(&row)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &row, row.ownedBy(uid)
}

// lockOwn is lockRow for what needs a row to be there.
func lockOwn(ctx context.Context, tx pgx.Tx, uid, schema string) (*registered, error) {
	row, err := lockRow(ctx, tx, uid, schema)
	if err == nil && row == nil {
		return nil, notProvisioned(schema)
	}
	return row, err
}

func (r *registered) ownedBy(uid string) error {
	if r.UID == uid && uid != "" {
		return nil
	}
	return fault.NewInvalid(ReasonNotOwner, "schema %q belongs to another Tenant", r.Schema).Because(ErrNotOwner)
}

func notProvisioned(schema string) error {
	return fault.NewWaiting(ReasonNotProvisioned, waitForServer, "the database's registry does not know schema %q", schema)
}

// failed is Fault for the methods of DB. A missing registry has a reason of its own there: the
// database was restored from before its bootstrap, or is not bootstrapped yet.
func failed(err error, what string) error {
	if err == nil {
		return nil
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && causeOfState(pg) == UndefinedObject && strings.Contains(pg.Message, `"tenantry.`) {
		return fault.NewWaiting(ReasonNotBootstrapped, waitForServer, "%s: the database has no registry yet", what).Because(err)
	}
	return Fault(err, what)
}
