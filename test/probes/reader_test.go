package probes

import (
	"testing"

	"github.com/tenantry/tenantry/internal/postgres"
)

// readersLogin is in the Secret of a tenant's reader. Its sessions are read only by default; all but one
// of its attempts begin by lifting that, since it is no wall.
var readersLogin = otherLogin{
	by: byReader, own: byAReader, first: []string{lift},
	make:    func(t *testing.T, s *stage) postgres.Config { t.Helper(); return s.reader(t, own) },
	differs: map[string]probe{"hide from the operator's look": {want: refused(denied)}},
}

const lift = "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"

// byAReader are attempts of a login that is there for reports and support.
var byAReader = group{"By a reader's login", []probe{
	reading("read its tenant", "`SELECT` from its tenant's table", "SELECT secret FROM item", "secret of acme", harmless("that is what it is for")),
	{name: "write as it comes", by: byReader, tries: "`INSERT` into its tenant's table", sql: "INSERT INTO item (secret) VALUES ('x')", want: refused("25006")},
	{name: "make a table as it comes", by: byReader, tries: "`CREATE TABLE` in its tenant's schema", sql: "CREATE TABLE x ()", want: refused("25006")},
	reading("insert into its tenant", "`INSERT` into its tenant's table, in a transaction that may write", "INSERT INTO item (secret) VALUES ('x')", "", refused(denied)),
	reading("update its tenant", "`UPDATE` of its tenant's rows", "UPDATE item SET secret = 'x'", "", refused(denied)),
	reading("delete from its tenant", "`DELETE` of its tenant's rows", "DELETE FROM item", "", refused(denied)),
	reading("truncate its tenant's table", "`TRUNCATE` of its tenant's table", "TRUNCATE item", "", refused(denied)),
	reading("lock its tenant's rows", "`SELECT ... FOR UPDATE` of its tenant's rows", "SELECT * FROM item FOR UPDATE", "", refused(denied)),
	reading("lock its tenant's table", "`LOCK TABLE` of its tenant's, against who writes", "BEGIN; LOCK TABLE item IN SHARE MODE", "", refused(denied)),
	reading("use its tenant's sequence", "`nextval` of its tenant's sequence", "SELECT nextval('number')", "", refused(denied)),
	reading("call its tenant's function", "a function of its tenant's schema, which might be SECURITY DEFINER and write", "SELECT price()", "", refused(denied)),
	reading("write its tenant's ledger", "`DELETE FROM tenantry_migrations` of its tenant", "DELETE FROM tenantry_migrations", "", refused(denied)),
	reading("make a table in its tenant", "`CREATE TABLE` in its tenant's schema", "CREATE TABLE x ()", "", refused(denied)),
	reading("make a temporary table as a reader", "`CREATE TEMPORARY TABLE`", "CREATE TEMPORARY TABLE x ()", "", refused(denied)),
	reading("make a view in its tenant", "`CREATE VIEW` in its tenant's schema", "CREATE VIEW x AS SELECT 1", "", refused(denied)),
	reading("become its tenant's login", "`SET ROLE` to its tenant's login", "SET ROLE {own_app}", "", refused(denied)),
	reading("its tenant's password", "`ALTER ROLE ... PASSWORD` of its tenant's login", "ALTER ROLE {own_app} PASSWORD 'x'", "", refused(denied)),
	reading("write what is shared", "`DELETE` from a shared table with DELETE for tenants", "BEGIN; DELETE FROM shared.offers WHERE id = 1 RETURNING name; ROLLBACK; SELECT 'deleted'", "deleted",
		open("rights on shared tables are those of all logins of all tenants", "Grant SELECT only, and let a program of the platform write")),
	{name: "its own settings, as a reader", by: byReader, tries: "`ALTER ROLE ... IN DATABASE ... SET default_transaction_read_only = off` of itself", sql: "ALTER ROLE CURRENT_USER IN DATABASE {database} SET default_transaction_read_only = off", before: []string{lift}, after: readAgain, want: harmless("it may write nothing either way; the operator puts it back")},
	{name: "its own password, as a reader", by: byReader, tries: "`ALTER ROLE ... PASSWORD` of itself", sql: "ALTER ROLE CURRENT_USER PASSWORD 'of its own'", before: []string{lift}, after: readAgain, want: harmless("the operator finds its Secret's password refused and sets it again")},
	{name: "more sessions than a reader may have", by: byReader, tries: "as many connections as the server lets it", do: manySessions, want: refused("53300")},
	reading("a large object as a reader", "`lo_create`", "SELECT lo_create(4717); SELECT lo_unlink(4717)", "1", harmless("it is its own alone, and goes with the reader")),
}}

// reading is an attempt of a reader that has lifted what makes its transactions read only.
func reading(name, tries, sql, gives string, want outcome) probe {
	return probe{name: name, by: byReader, tries: tries, before: []string{lift}, sql: sql, gives: gives, want: want}
}

// withReader is the tenant with a reader, as a class can offer it.
func withReader(schema string) postgres.Tenant {
	tn := tenantOf(schema, ownSet)
	tn.Reader = &postgres.Reader{ConnectionLimit: 5}
	return tn
}

// reader makes a tenant's reader, as a Tenant's reconcile does.
func (s *stage) reader(t *testing.T, schema string) postgres.Config {
	t.Helper()
	tn, password := withReader(schema), postgres.NewPassword()
	login := postgres.TenantRoles(s.db.Config().Database(), schema).Reader()
	s.verifiers[login] = must(postgres.SCRAMVerifier(password))(t)
	provision(t, s.db, tn)
	if err := s.db.SetLogin(t.Context(), tn.UID, schema, login, s.verifiers[login]); err != nil {
		t.Fatal(err)
	}
	return s.db.Config().WithLogin(login, password)
}

// readAgain lets the operator put the reader right, as its passes do.
func readAgain(t *testing.T, s *stage) {
	t.Helper()
	tn, login := withReader(own), s.logins[own].User()
	provision(t, s.db, tn)
	if err := s.db.SetLogin(t.Context(), tn.UID, own, login, s.verifiers[login]); err != nil {
		t.Fatal(err)
	}
}
