package probes

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

const (
	with15   = "On 15, CREATEROLE is nearly a superuser's"
	need16   = "Use PostgreSQL 16 or newer; guard that Secret as you guard a superuser's"
	guardKey = "Guard that Secret as you guard a superuser's"
)

// operatorsLogin are attempts with the login that is in the Secret of the TenantDatabase: what a
// mistake, or whoever stole it, can do.
var operatorsLogin = group{"With the operator's own login", []probe{
	{name: "read a tenant's rows", by: byOperator, tries: "`SELECT` from a tenant's table", sql: "SELECT * FROM acme.item", want: refused(denied)},
	{name: "become a tenant's owner", by: byOperator, tries: "`SET ROLE` to a tenant's owner", sql: "SET ROLE {own_owner}", want: refused(denied)},
	{name: "become a tenant's login", by: byOperator, tries: "`SET ROLE` to a tenant's login", sql: "SET ROLE {own_app}", want: refused(denied)},
	{
		name: "grant itself a tenant's owner as itself", by: byOperator, tries: "`GRANT` of a tenant's owner to itself", sql: "BEGIN; GRANT {own_owner} TO {operator}; SET LOCAL ROLE {own_owner}; SELECT secret FROM acme.item", gives: "secret of acme", want: refused("XX000"),
		want15: open(with15, need16),
	},
	{name: "read a tenant's rows on purpose", by: byOperator, tries: "`SET ROLE` to a keeper, which grants itself a tenant's owner", sql: "BEGIN; SET LOCAL ROLE {keeper}; GRANT {own_owner} TO {keeper}; RESET ROLE; SET LOCAL ROLE {own_owner}; SELECT secret FROM acme.item", gives: "secret of acme", want: open("who makes roles can use them; it is a guard against mistakes", guardKey)},
	{name: "become superuser by itself", by: byOperator, tries: "`ALTER ROLE CURRENT_USER SUPERUSER`", sql: "ALTER ROLE CURRENT_USER SUPERUSER", want: refused(denied)},
	{name: "the superuser's password", by: byOperator, tries: "`ALTER ROLE postgres PASSWORD`", sql: "ALTER ROLE postgres PASSWORD 'x'", want: refused(denied)},
	{name: "take pg_execute_server_program", by: byOperator, tries: "`GRANT pg_execute_server_program` to itself", sql: "BEGIN; GRANT pg_execute_server_program TO {operator}", want: refused(denied), want15: open(with15+": it runs programs on the server", need16)},
	{name: "take pg_read_all_data", by: byOperator, tries: "`GRANT pg_read_all_data` to itself", sql: "BEGIN; GRANT pg_read_all_data TO {operator}", want: refused(denied), want15: open(with15+": it reads all rows", need16)},
	{name: "a tenant of another database", by: byOperator, tries: "`ALTER ROLE ... PASSWORD` of a tenant's login in another TenantDatabase of the server", sql: "BEGIN; ALTER ROLE {abroad_app} PASSWORD 'x'", want: refused(denied), want15: open(with15+" over all roles of the server", need16)},
	{name: "another TenantDatabase", by: byOperator, tries: "a connection to another TenantDatabase of the server", do: operatorElsewhere, want: refused(denied)},
	{name: "run a program", by: byOperator, tries: "`COPY ... FROM PROGRAM`", sql: "COPY (SELECT 1) TO PROGRAM 'cat'", want: refused(denied)},
	{name: "change the server", by: byOperator, tries: "`ALTER SYSTEM SET`", sql: "ALTER SYSTEM SET work_mem = '1GB'", want: refused(denied)},
	{name: "an extension that reaches out", by: byOperator, tries: "`CREATE EXTENSION dblink`", sql: "CREATE EXTENSION dblink", want: refused(denied)},
}}

// operatorElsewhere connects with the login of one TenantDatabase to another of the same server.
func operatorElsewhere(t *testing.T, s *stage) (string, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), inDatabase(t, s.db.Config(), s.elsewhere.Config().Database()).URI())
	if err != nil {
		return "", err
	}
	hangUp(t, conn)
	return "connected", nil
}
