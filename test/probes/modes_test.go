package probes

import (
	"testing"

	"github.com/tenantry/tenantry/internal/postgres"
)

// classmate is another tenant of the class whose tenants share a login. The sibling and the stranger are
// tenants of other classes.
const classmate = "hooli"

// setRoleLogin is in the Secret of a class with mode SetRole. Its programs set the role of a tenant
// first; what they try then is what the tenant's own login would.
var setRoleLogin = otherLogin{
	by: bySetRole, own: bySettingRole, first: []string{asOwn, "SET search_path = acme, shared"},
	make: func(t *testing.T, s *stage) postgres.Config { t.Helper(); return s.class(t, inRoles) },
	differs: map[string]probe{"hide from the operator's look": {
		after: func(t *testing.T, s *stage) { t.Helper(); s.join(t, own, inRoles) }, want: harmless("the probe sets its own path in its transaction; the operator puts it back"),
	}},
}

// sharedLogin is in the Secret of a class with mode Shared.
var sharedLogin = otherLogin{
	by: byShared, own: bySharing, first: []string{"SET search_path = acme, shared"},
	make:    func(t *testing.T, s *stage) postgres.Config { t.Helper(); return s.class(t, atOnce) },
	differs: map[string]probe{"hide from the operator's look": {want: refused(denied)}},
}

// asOwn sets the role of the tenant for which a program works.
const asOwn = "SET ROLE {own_app}"

const (
	programChooses = "the program chooses the tenant"
	mistrust       = "Use it for programs that you trust with all tenants of the class; let nobody's SQL run in such a session; `Isolated` is False with `SharedLogin`"
)

// bySettingRole are attempts with a class's login that has no rights but by SET ROLE.
var bySettingRole = group{"By a class's login of mode SetRole", []probe{
	{name: "without a role", by: bySetRole, tries: "`SELECT` from a tenant's table before `SET ROLE`", sql: "SELECT * FROM acme.item", want: refused(denied)},
	{name: "in a role", by: bySetRole, tries: "`SELECT` from a tenant's table after `SET ROLE` to its role", sql: asOwn + "; SELECT secret FROM acme.item", gives: "secret of acme", want: harmless("that is what it is for")},
	{name: "another tenant of the class, in a role", by: bySetRole, tries: "`SELECT` from another tenant of the class in a tenant's role", sql: asOwn + "; SELECT * FROM hooli.item", want: refused(denied)},
	{name: "another tenant of the class, in its role", by: bySetRole, tries: "`RESET ROLE`, and `SET ROLE` to another tenant of the class", sql: asOwn + "; RESET ROLE; SET ROLE {classmate_app}; SELECT secret FROM hooli.item", gives: "secret of hooli", want: open(programChooses, mistrust)},
	{name: "a request that set no role", by: bySetRole, tries: "a table by its name alone, before anything was set", do: unset, want: refused("42P01")},
	{name: "make a table in a role", by: bySetRole, tries: "`CREATE TABLE` in a tenant's role", sql: asOwn + "; CREATE TABLE acme.x ()", want: refused(denied)},
	{name: "a ledger in a role", by: bySetRole, tries: "`DELETE FROM tenantry_migrations` in a tenant's role", sql: asOwn + "; DELETE FROM acme.tenantry_migrations", want: refused(denied)},
	{name: "a retained tenant in its role", by: bySetRole, tries: "`SET ROLE` to a tenant of the class whose Tenant is gone and whose data are kept", do: kept(inRoles, "SET ROLE {umbrella_app}"), want: refused(denied)},
	{name: "a tenant that left the class, in its role", by: bySetRole, tries: "`SET ROLE` to a tenant that has a login of its own since", do: left(inRoles, "SET ROLE {umbrella_app}"), want: refused(denied)},
	{name: "its own settings, as SetRole", by: bySetRole, tries: "`ALTER ROLE ... IN DATABASE ... SET role` of itself, so that every session begins as one tenant", sql: "ALTER ROLE CURRENT_USER IN DATABASE {database} SET role = {own_app_text}", after: classAgain(inRoles), want: harmless("the operator puts it back")},
	{name: "its own password, as SetRole", by: bySetRole, tries: "`ALTER ROLE ... PASSWORD` of itself", sql: "ALTER ROLE CURRENT_USER PASSWORD 'of its own'", after: classAgain(inRoles), want: harmless("the operator finds its Secret's password refused and sets it again")},
	{name: "lock its class out", by: bySetRole, tries: "`ALTER ROLE ... SET local_preload_libraries` of itself, which lets nobody log in", do: lockOut, gives: "58P01", want: open("it is the login of all tenants of the class", "A DBA mends it by `ALTER ROLE ... RESET ALL`; a login for each tenant (`Dedicated`) locks out that tenant alone")},
	{name: "more sessions than a class's login may have", by: bySetRole, tries: "as many connections as the server lets it", do: manySessions, want: refused("53300")},
}}

// bySharing are attempts with a class's login that has all tenants' rights at once.
var bySharing = group{"By a class's login of mode Shared", []probe{
	{name: "all tenants of the class at once", by: byShared, tries: "one `SELECT` from two tenants of the class", sql: "SELECT string_agg(secret, ', ' ORDER BY secret) FROM (SELECT secret FROM acme.item UNION ALL SELECT secret FROM hooli.item) i", gives: "secret of acme, secret of hooli", want: open(programChooses, mistrust)},
	{name: "a request that set no path", by: byShared, tries: "a table by its name alone, before anything was set", do: unset, want: refused("42P01")},
	{name: "make a table for a tenant", by: byShared, tries: "`CREATE TABLE` in a tenant's schema", sql: "CREATE TABLE acme.x ()", want: refused(denied)},
	{name: "drop a table of a tenant", by: byShared, tries: "`DROP TABLE` of a tenant of the class", sql: "DROP TABLE acme.item", want: refused(denied)},
	{name: "a ledger of the class", by: byShared, tries: "`DELETE FROM tenantry_migrations` of a tenant of the class", sql: "DELETE FROM hooli.tenantry_migrations", want: refused(denied)},
	{name: "a retained tenant", by: byShared, tries: "`SELECT` from a tenant of the class whose Tenant is gone and whose data are kept", do: kept(atOnce, "SELECT * FROM umbrella.item"), want: refused(denied)},
	{name: "a tenant that left the class", by: byShared, tries: "`SELECT` from a tenant that has a login of its own since", do: left(atOnce, "SELECT * FROM umbrella.item"), want: refused(denied)},
	{name: "its own settings, as Shared", by: byShared, tries: "`ALTER ROLE ... IN DATABASE ... SET search_path` of itself", sql: "ALTER ROLE CURRENT_USER IN DATABASE {database} SET search_path = hooli", after: classAgain(atOnce), want: harmless("the operator puts it back")},
	{name: "its own password, as Shared", by: byShared, tries: "`ALTER ROLE ... PASSWORD` of itself", sql: "ALTER ROLE CURRENT_USER PASSWORD 'of its own'", after: classAgain(atOnce), want: harmless("the operator finds its Secret's password refused and sets it again")},
	{name: "more sessions than the class allows", by: byShared, tries: "as many connections as the server lets it", do: manySessions, want: refused("53300")},
}}

// inRoles and atOnce are the logins of a class, by its mode.
var (
	inRoles = postgres.ClassLogin{UID: "uid-class", Class: "standard", ConnectionLimit: 8, SharedSchema: sharedSchema}
	atOnce  = postgres.ClassLogin{UID: "uid-class", Class: "standard", ConnectionLimit: 8, SharedSchema: sharedSchema, All: true}
)

// class makes the shared login of a class, as its reconcile does, and lets two tenants join it.
func (s *stage) class(t *testing.T, l postgres.ClassLogin) postgres.Config {
	t.Helper()
	state, password := must(s.db.EnsureClassLogin(t.Context(), l))(t), postgres.NewPassword()
	s.verifiers[state.First] = must(postgres.SCRAMVerifier(password))(t)
	classAgain(l)(t, s)
	s.add(t, classmate, ownSet)
	for _, schema := range []string{own, classmate} {
		s.join(t, schema, l)
	}
	return s.db.Config().WithLogin(state.First, password)
}

// join lets a class's login act for a tenant.
func (s *stage) join(t *testing.T, schema string, l postgres.ClassLogin) {
	t.Helper()
	tn := tenantOf(schema, ownSet)
	tn.ClassLogin, tn.ClassLoginInherits = s.db.ClassLoginRole(l), l.All
	provision(t, s.db, tn)
}

// classAgain lets the operator put a class's login right, as its passes do.
func classAgain(l postgres.ClassLogin) func(*testing.T, *stage) {
	return func(t *testing.T, s *stage) {
		t.Helper()
		login := s.db.ClassLoginRole(l)
		if err := s.db.SetClassLogin(t.Context(), l, login, s.verifiers[login]); err != nil {
			t.Fatal(err)
		}
		must(s.db.EnsureClassLogin(t.Context(), l))(t)
	}
}

// lockOut lets the login set for itself what no session can load.
func lockOut(t *testing.T, s *stage) (string, error) {
	t.Helper()
	if _, err := s.session(t, s.logins[own].URI(), nil, "ALTER ROLE CURRENT_USER SET local_preload_libraries = 'nothing'"); err != nil {
		return "", err
	}
	err := postgres.Login(t.Context(), s.logins[own])
	exec(t, s.admin, "ALTER ROLE "+quoted(s.logins[own].User())+" RESET ALL")
	return stateOf(err), nil
}

// unset is what a request meets that forgot to say for which tenant it is.
func unset(t *testing.T, s *stage) (string, error) {
	t.Helper()
	return s.session(t, s.logins[own].URI(), nil, "SELECT * FROM item")
}

// kept tries to reach a tenant of the class that is retained.
func kept(l postgres.ClassLogin, attempt string) func(*testing.T, *stage) (string, error) {
	return behind(l, attempt, func(t *testing.T, s *stage) error {
		t.Helper()
		return s.db.Retain(t.Context(), "uid-"+victim, victim)
	})
}

// left tries to reach a tenant that was of the class.
func left(l postgres.ClassLogin, attempt string) func(*testing.T, *stage) (string, error) {
	return behind(l, attempt, func(t *testing.T, s *stage) error {
		t.Helper()
		return s.db.LeaveClassLogins(t.Context(), "uid-"+victim, victim)
	})
}

func behind(l postgres.ClassLogin, attempt string, what func(*testing.T, *stage) error) func(*testing.T, *stage) (string, error) {
	return func(t *testing.T, s *stage) (string, error) {
		t.Helper()
		app := s.add(t, victim, ownSet).App
		defer s.leave(t, victim)
		s.join(t, victim, l)
		attempt := s.names("{umbrella_app}", app).Replace(attempt)
		if _, err := s.session(t, s.logins[own].URI(), nil, attempt); err != nil {
			t.Fatal(err)
		}
		if err := what(t, s); err != nil {
			t.Fatal(err)
		}
		return s.session(t, s.logins[own].URI(), nil, attempt)
	}
}
