package migrations

import (
	"time"

	"github.com/tenantry/tenantry/internal/postgres"
)

// DefaultLockTimeout bounds how long the application's own statements queue behind a migration that
// itself waits for a lock.
const DefaultLockTimeout = time.Second

// Target is the schema to migrate. Its names are never trusted, and quoted wherever they are used.
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
	// Checkpoints are the checksums of those that were verified: a schema without anything in it may
	// start from one.
	Checkpoints []string
	// Empty says that the schema was only just made, so that it most likely has no ledger, and none is read
	// before the first try. Should there be one, its primary key refuses what is in it.
	Empty bool
	// Recorded is the version that is recorded of the schema elsewhere, "" for none: a ledger without a row
	// is lost then, and not new.
	Recorded Version
	// Ask is a question to the migrator's own session when all is applied, in the same message where there is
	// one: a session that has just made tables has read what the catalogs say of them. It names everything with its
	// schema. See Result.Answer. Nil asks nothing.
	Ask *postgres.Question
	// Believed are the rows of the ledger, if they are most likely known: they are not read then, but compared
	// in the transaction of the first migration.
	Believed []Applied
	// StatementTimeout bounds each statement but those that run CONCURRENTLY; 0 means no bound.
	StatementTimeout time.Duration
}

func (t Target) lockTimeout() time.Duration {
	if t.LockTimeout > 0 {
		return t.LockTimeout
	}
	return DefaultLockTimeout
}

// settings makes a transaction or, with scope SESSION, a session the owner's.
func (t Target) settings(scope string) []string {
	path := ident(t.Schema)
	if t.SharedSchema != "" {
		path += ", " + ident(t.SharedSchema)
	}
	// Named, pg_temp comes last; left out, it would come first, with what an earlier migration's
	// session left in it.
	path += ", pg_temp"
	return []string{
		"SET " + scope + " ROLE " + ident(t.Owner),
		"SET " + scope + " search_path = " + path,
		"SET " + scope + " lock_timeout = " + milliseconds(t.lockTimeout()),
		"SET " + scope + " statement_timeout = " + milliseconds(t.StatementTimeout),
	}
}

// role makes the transactions of a message the owner's, for the session where there are several: those behind the first
// have it then, or the row that each writes into the ledger refuses them (see insertRows). To take a role the server reads
// again all that the migrator is a member of, which is each tenant's owner, if any role was made or granted since. Beside
// the making of other tenants that is 8 microseconds for each of a fleet, in every file.
func (t Target) role(several bool) string {
	if several {
		return t.settings("SESSION")[0]
	}
	return t.settings("LOCAL")[0]
}

// policy is how often and after which pause a migration is tried again that met a lock. A run of
// tries lasts about 15 seconds beside the lock timeouts.
type policy struct {
	tries       int
	first, most time.Duration
	// concurrently is the lock timeout of statements that run CONCURRENTLY. They block nobody while
	// they wait, and what they did would be lost.
	concurrently time.Duration
}

var defaultPolicy = policy{tries: 10, first: 100 * time.Millisecond, most: 3 * time.Second, concurrently: 10 * time.Minute}
