package migrations

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

var errDraft = errors.New("migrations: draft")

type class int

type indexTarget struct{}

// Load reads the files of a set. Every error is an Invalid fault that names file and line and says
// how to mend it. Loading costs about a millisecond per ten files, and once per process two seconds
// to start the parser: keep the result, by the digest of the files.
func Load(files []File, f Format) (*Set, error) { return nil, errDraft }

// Target is the schema to migrate.
type Target struct {
	// Schema is migrated; the ledger lives in it.
	Schema string
	// Owner is the NOLOGIN role that owns the schema and everything migrations create.
	Owner string
	// App is the role that may read the ledger; "" for none.
	App string
	// SharedSchema is searched behind Schema; "" for none.
	SharedSchema string
	// LockTimeout is how long a statement waits for a lock before the migration is rolled back and
	// tried again; 0 means DefaultLockTimeout.
	LockTimeout time.Duration
	// StatementTimeout bounds one statement; 0 means no bound.
	StatementTimeout time.Duration
}

// Result is what Apply did.
type Result struct {
	// From and To are the schema's versions before and after.
	From, To Version
	// Applied are the versions applied by this call, in order.
	Applied []Version
}

// Apply brings the schema to the target version ("" is the set's latest).
func Apply(ctx context.Context, pool *pgxpool.Pool, t Target, set *Set, target Version) (Result, error) {
	return Result{}, errDraft
}

// ReadLedger returns the rows of a schema's ledger, none if it has no ledger yet.
func ReadLedger(ctx context.Context, pool *pgxpool.Pool, t Target) ([]Applied, error) {
	return nil, errDraft
}

// PartialError says which migration failed, and where.
type PartialError struct {
	// Applied are the versions that this call applied before.
	Applied []Version
	// Current is the version at which the schema stays.
	Current Version
	Failed  Version
	File    string
	// Line is the 1-based line of the file, 0 if unknown.
	Line int
	// SQLState and Message are the server's; both empty when the error is not the server's.
	SQLState, Message string
	Err               error
}

func (e *PartialError) Error() string { return e.Message }
func (e *PartialError) Unwrap() []error { return []error{e.Err} }
