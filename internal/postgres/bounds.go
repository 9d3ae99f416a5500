package postgres

import (
	"context"
	_ "embed" // for the query
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed bounds.sql
var boundsSQL string

// Bounds are what a tenant's login may reach.
type Bounds struct {
	// Schema is its own, Shared the one that all tenants see, or "".
	Schema, Shared string
	// Roles are the tenant's; Group is the role of all tenants, see GroupRole.
	Roles RoleNames
	Group string
}

// Excess is a right too many: somebody gave it, and the operator does not take it.
type Excess struct {
	// What the login has, or who else has what of the tenant, for people's eyes.
	What string `json:"what"`
	// Mend is the statement with which a DBA takes it back.
	Mend string `json:"mend"`
	// Outward : the tenant's roles reach beyond their bounds; else others reach into the tenant.
	Outward bool `json:"-"`
}

// Limits are what Examine asks for, one after the other, in the words of a sentence that begins with
// "a tenant's login has no". bounds.sql numbers its parts by them.
var Limits = []string{
	"attribute such as SUPERUSER, CREATEROLE, CREATEDB, REPLICATION or BYPASSRLS",
	"membership but in the tenants' group: not in an owner, a migrator, the operator, pg_read_all_data or pg_read_server_files",
	"right on another tenant's schema",
	"right on the registry",
	"CREATE on any schema, its own included",
	"right on a table or sequence of any other schema, unless an extension made it",
	"CREATE or TEMPORARY on the database",
	"right on another database that PUBLIC has not",
	"ownership, but of large objects",
	"EXECUTE on a function of the server that is not everybody's",
	"SET or ALTER SYSTEM on a parameter",
	"USAGE on a foreign server or wrapper",
	"CREATE on a tablespace",
	"right on its own ledger but SELECT",
}

// Examine is Probe, and asks on the same connection what the login has beyond its bounds.
func Examine(ctx context.Context, cfg Config, b Bounds) (result ProbeResult, excess []Excess, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err = asLogin(ctx, cfg, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, probeSQL, b.Schema, "").Scan(&result); err != nil {
			return err
		}
		return tx.QueryRow(ctx, boundsSQL, b.args("")...).Scan(&excess)
	})
	if err != nil {
		return ProbeResult{}, nil, Fault(err, fmt.Sprintf("the login of schema %s does not work as %s", b.Schema, cfg))
	}
	return result, outward(excess, result.User), nil
}
