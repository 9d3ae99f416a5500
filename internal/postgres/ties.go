package postgres

import (
	"context"
	_ "embed" // for the query
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

//go:embed ties.sql
var tiesSQL string

// ties are what others tied to a tenant's roles. A login may grant rights on its large objects, and
// a migration on its tables, to any role of the server; a role with rights anywhere is not dropped, so
// that one tenant could keep another from being deleted.
type ties struct {
	Grantors []struct{ Role, Keeper string }
	// Elsewhere are other databases of the server that have something of the roles.
	Elsewhere []string
}

func readTies(ctx context.Context, tx pgx.Tx, roles []string) (t ties, err error) {
	err = tx.QueryRow(ctx, tiesSQL, roles).Scan(&t)
	return t, err
}

// refusal names the databases where the operator has no say.
func (t ties) refusal(schema string, roles []string) error {
	if len(t.Elsewhere) == 0 {
		return nil
	}
	return fault.NewWaiting(string(DependentObjects), waitForMend,
		"schema %q is not dropped: its roles have something in other databases of the server (%s); as a superuser there, run DROP OWNED BY %s, "+
			"and take CONNECT on them from PUBLIC", schema, strings.Join(t.Elsewhere, ", "), idents(roles))
}

// dropOwned takes what the roles have outside the schema: default privileges, large objects, rights on
// others' objects. The keeper does it with the rights of the roles and of the grantors, for that long:
// a role itself cannot drop its rights on what it does not own, and on some objects fails at it. What no
// keeper made, the operator drops as itself.
func (t ties) dropOwned(who string, isKeeper bool, versionNum int, roles []string) []string {
	inherit := ""
	if versionNum >= version16 {
		inherit = " WITH INHERIT TRUE, SET FALSE"
	}
	var drop, give, take []string
	if isKeeper {
		drop = []string{"SET LOCAL ROLE " + ident(who)}
	}
	for _, g := range t.Grantors {
		var as []string
		if g.Keeper != "" { // else it is the operator's own
			as = []string{"SET LOCAL ROLE " + ident(g.Keeper)}
		}
		give = append(append(give, as...), "GRANT "+ident(g.Role)+" TO "+ident(who)+inherit, "RESET ROLE")
		take = append(append(take, as...), "REVOKE "+ident(g.Role)+" FROM "+ident(who), "RESET ROLE")
	}
	drop = append(drop, "GRANT "+idents(roles)+" TO "+ident(who)+inherit)
	for _, role := range roles { // one by one: several at once stumble over their default privileges
		drop = append(drop, "DROP OWNED BY "+ident(role))
	}
	// The keeper's own membership in the roles goes with them.
	return slices.Concat(give, drop, []string{"RESET ROLE"}, take)
}
