package probes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// place is where a text reaches SQL when nothing in front has refused it. try uses it, and returns
// under which name the server then has it; it takes away again what it made.
type place struct {
	name string
	try  func(t *testing.T, s *stage, text string) (got string, err error)
}

// errNothing says that a text was looked for and, rightly, nothing was found.
var errNothing = fault.NewInvalid("NotFound", "nothing of this name")

// Whatever reaches the layer over PostgreSQL, the API bypassed, is used as exactly that name or
// value, or refused by an error that says what it means. It is never cut or changed, and never a
// second statement: the catalogs are the same before and after.
func TestInjectionSQL(t *testing.T) {
	on := majors
	if !isFull() {
		on = majors[len(majors)-1:]
	}
	onServers(t, on, func(t *testing.T, server *platform.Postgres) {
		s := newStage(t, server, "sql")
		exec(t, s.admin, "CREATE TABLE public.canary (id int)", "GRANT ALL ON public.canary TO PUBLIC", "GRANT USAGE ON SCHEMA public TO PUBLIC")
		s.before = s.snapshot(t)
		for i, p := range slices.Concat(places, loginPlaces) {
			t.Run(p.name, func(t *testing.T) { s.inject(t, p, sample(hostile, i)) })
		}
	})
}

func (s *stage) inject(t *testing.T, p place, texts []string) {
	r := result{table: injection, where: s.where, name: p.name, want: "exactly the text, or a typed error", got: "the probe failed", unexpected: true}
	defer func() { results.add(t, r) }()
	var exact, refusals int
	var wrong []string
	for _, text := range texts {
		got, err := p.try(t, s, text)
		switch {
		case err != nil && fault.ReasonOf(err) == "":
			wrong = append(wrong, fmt.Sprintf("%q: an error without a reason: %v", text, err))
		case err != nil:
			refusals++
		case got != text:
			wrong = append(wrong, fmt.Sprintf("%q became %q", text, got))
		default:
			exact++
		}
	}
	after := s.snapshot(t)
	if diff := changes(s.before, after); diff != "" {
		wrong = append(wrong, "changed:\n"+diff)
	}
	s.before = after
	if t.Failed() {
		return
	}
	r.got = fmt.Sprintf("%d texts: %d exact, %d refused", len(texts), exact, refusals)
	if r.unexpected = len(wrong) > 0; r.unexpected {
		r.got += "; " + strings.Join(wrong, "; ")
	}
}

const aVerifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$RTw0GzTLZIyUyLdFCgCXcYsIY5tAl3RNsmaEmYCbVC8=:mEDRJLhGhTYnSSkYBU6z2Ei1SVQyEDzHFR+DXz8xp3Q="

var places = []place{
	{"schema of a tenant", func(t *testing.T, s *stage, text string) (string, error) {
		tn := tenantOf(text, ownSet)
		tn.UID = "uid-injected"
		if _, err := s.db.Provision(t.Context(), tn); err != nil {
			return "", err
		}
		got := s.look(t, "SELECT nspname FROM pg_namespace WHERE nspowner = $1::text::regrole", quoted(s.target(text).Owner))
		return got, s.db.Drop(t.Context(), tn.UID, text)
	}},
	{"schema of every call that changes one", func(t *testing.T, s *stage, text string) (string, error) {
		if text == own {
			return text, nil
		}
		uid, ctx := "uid-"+own, t.Context()
		errs := []error{
			s.db.Retain(ctx, uid, text), s.db.DisableLogins(ctx, uid, text), s.db.Drop(ctx, uid, text),
			s.db.Adopt(ctx, tenantOf(text, ""), uid), s.db.SetPassword(ctx, uid, text, aVerifier), s.db.RetireLogin(ctx, uid, text, ""),
			second(s.db.SetVersion(ctx, uid, text, "1", "d")), second(s.db.SetDomains(ctx, uid, text, []string{"a.com"})), second(s.db.GrantOwner(ctx, uid, text, ownSet)),
		}
		if text != sharedSchema {
			errs = append(errs, second(s.db.SetSharedGrants(ctx, text, []postgres.TableGrant{{Table: "plans", Privileges: []string{"INSERT"}}})))
		}
		for _, err := range errs {
			if err != nil && fault.ReasonOf(err) == "" {
				return "", err
			}
		}
		return "", errNothing
	}},
	{"shared schema", func(t *testing.T, s *stage, text string) (string, error) {
		if text == sharedSchema {
			return text, nil
		}
		shared, _, err := s.db.EnsureShared(t.Context(), text, "")
		if err != nil {
			return "", err
		}
		got := s.look(t, "SELECT nspname FROM pg_namespace WHERE nspowner = $1::text::regrole", quoted(shared.Owner))
		exec(t, s.admin, "DROP SCHEMA "+quoted(text), "DROP OWNED BY "+quoted(shared.Owner), "DROP ROLE "+quoted(shared.Owner))
		exec(t, s.admin, "DELETE FROM tenantry.shared_schema WHERE schema_name <> '"+sharedSchema+"'")
		return got, nil
	}},
	{"UID, namespace and name of a Tenant", func(t *testing.T, s *stage, text string) (string, error) {
		tn := tenantOf(victim, "")
		tn.UID, tn.Namespace, tn.Name = text, text, text
		if _, err := s.db.Provision(t.Context(), tn); err != nil {
			return "", err
		}
		got := s.look(t, "SELECT tenant_uid FROM tenantry.tenant WHERE schema_name = $1 AND tenant_uid = namespace AND namespace = name", victim)
		return got, s.db.Drop(t.Context(), text, victim)
	}},
	{"MigrationSet", func(t *testing.T, s *stage, text string) (string, error) {
		if text == "" {
			return text, nil // a Tenant without one
		}
		if _, err := s.db.EnsureMigrator(t.Context(), text); err != nil {
			return "", err
		}
		tn := tenantOf(victim, text)
		if _, err := s.db.Provision(t.Context(), tn); err != nil {
			return "", errors.Join(err, s.db.DropMigrator(t.Context(), text))
		}
		got := s.look(t, "SELECT migration_set FROM tenantry.tenant WHERE schema_name = $1", victim)
		if s.look(t, "SELECT pg_has_role($1, $2, 'MEMBER')", postgres.MigratorRole(s.db.Config().Database(), text), s.target(victim).Owner) != "true" {
			t.Errorf("%q: its login is no member", text)
		}
		return got, errors.Join(s.db.Drop(t.Context(), tn.UID, victim), s.db.DropMigrator(t.Context(), text))
	}},
	{"host", func(t *testing.T, s *stage, text string) (string, error) {
		if _, err := s.db.SetDomains(t.Context(), "uid-"+own, own, []string{text}); err != nil {
			return "", err
		}
		got := s.look(t, "SELECT host FROM tenantry.domain WHERE schema_name = $1", own)
		_, err := s.db.SetDomains(t.Context(), "uid-"+own, own, nil)
		return got, err
	}},
	{"version and digest", func(t *testing.T, s *stage, text string) (string, error) {
		if _, err := s.db.SetVersion(t.Context(), "uid-"+own, own, text, text); err != nil {
			return "", err
		}
		got := s.look(t, "SELECT version FROM tenantry.tenant WHERE schema_name = $1 AND version = digest", own)
		return got, second(s.db.SetVersion(t.Context(), "uid-"+own, own, "", ""))
	}},
	{"migration file in the registry", func(t *testing.T, s *stage, text string) (string, error) {
		if _, err := s.db.RecordFiles(t.Context(), text, []postgres.AppliedFile{{Version: text, Name: text, Checksum: text}}); err != nil {
			return "", err
		}
		files, err := s.db.AppliedFiles(t.Context(), text)
		exec(t, s.admin, "TRUNCATE tenantry.migration_file")
		if err != nil || len(files) != 1 || files[0].Version != files[0].Name || files[0].Name != files[0].Checksum {
			return fmt.Sprint(files), err
		}
		return files[0].Name, nil
	}},
	{"marker of a database", func(t *testing.T, s *stage, text string) (string, error) {
		if err := s.db.AcceptIdentity(t.Context(), text); err != nil {
			return "", err
		}
		got := s.look(t, "SELECT marker FROM tenantry.identity")
		if _, err := s.db.Bootstrap(t.Context(), text, ""); err != nil {
			t.Error(err)
		}
		return got, s.db.AcceptIdentity(t.Context(), "marker")
	}},
	{"table of a shared grant", func(t *testing.T, s *stage, text string) (string, error) {
		grants := func(table string) error {
			return second(s.db.SetSharedGrants(t.Context(), sharedSchema, append(s.grants(), postgres.TableGrant{Table: table, Privileges: []string{"INSERT"}})))
		}
		missing := grants(text)
		if missing == nil {
			return "a table that is not there", nil
		}
		if !nameable(text) {
			return "", missing
		}
		exec(t, s.admin, "CREATE TABLE shared."+quoted(text)+" (id int)", "ALTER TABLE shared."+quoted(text)+" OWNER TO "+quoted(postgres.SharedOwnerRole(s.db.Config().Database(), sharedSchema)))
		err := grants(text)
		got := s.look(t, `SELECT relname FROM pg_class, aclexplode(relacl) x WHERE relnamespace = 'shared'::regnamespace
			AND x.grantee = $1::text::regrole AND x.privilege_type = 'INSERT'`, quoted(postgres.GroupRole(s.db.Config().Database())))
		exec(t, s.admin, "DROP TABLE shared."+quoted(text))
		return got, err
	}},
	{"privilege of a shared grant", func(t *testing.T, s *stage, text string) (string, error) {
		return "", second(s.db.SetSharedGrants(t.Context(), sharedSchema, append(s.grants(), postgres.TableGrant{Table: "accounts", Privileges: []string{text}})))
	}},
	{"verifier", func(t *testing.T, s *stage, text string) (string, error) {
		return "", s.db.SetPassword(t.Context(), "uid-"+own, own, text)
	}},
	{"login whose password is set", func(t *testing.T, s *stage, text string) (string, error) {
		if text == "" {
			return text, nil // stands for the app role
		}
		return "", s.db.SetLogin(t.Context(), "uid-"+own, own, text, aVerifier)
	}},
	{"what is looked up", func(t *testing.T, s *stage, text string) (string, error) {
		_, found, err := s.db.FindTenant(t.Context(), text)
		known, err2 := s.db.KnowsName(t.Context(), text, text)
		sessions, err3 := s.db.Sessions(t.Context(), text)
		if found || known || text != "postgres" && len(sessions) > 0 {
			return "found", nil
		}
		for _, err := range []error{err, err2, err3} {
			if err != nil {
				return "", err
			}
		}
		return "", errNothing
	}},
	{"schema of the probe", func(t *testing.T, s *stage, text string) (string, error) {
		result, err := postgres.Probe(t.Context(), s.logins[own], text)
		if err == nil && result.SchemaUsage && text != own && text != sharedSchema && text != "pg_catalog" && text != "information_schema" && text != "public" {
			return fmt.Sprintf("%+v", result), nil
		}
		if err == nil {
			err = errNothing
		}
		return "", err
	}},
	{"login and password of a connection", func(t *testing.T, s *stage, text string) (string, error) {
		verifier, err := postgres.SCRAMVerifier(text)
		if err != nil {
			verifier = aVerifier
		}
		dsn, parsed := postgres.ParseDSN(s.db.Config().WithLogin(text, text).URI())
		if parsed != nil {
			return "", parsed
		}
		if !nameable(text) || text == "postgres" {
			return dsn.User(), nil
		}
		exec(t, s.admin, "CREATE ROLE "+quoted(text)+" LOGIN PASSWORD '"+verifier+"'", "GRANT CONNECT ON DATABASE "+quoted(dsn.Database())+" TO "+quoted(text))
		got := text
		if err == nil {
			got = value(t, dsn.URI(), "SELECT session_user")
		}
		exec(t, s.admin, "REVOKE CONNECT ON DATABASE "+quoted(dsn.Database())+" FROM "+quoted(text), "DROP ROLE "+quoted(text))
		return got, nil
	}},
	{"schema and roles of a migration", func(t *testing.T, s *stage, text string) (string, error) {
		if !nameable(text) {
			return "", s.apply(t, migrations.Target{Schema: text, Owner: text, App: s.logins[own].User(), SharedSchema: text})
		}
		if s.look(t, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) OR EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", text) == "true" {
			return text, nil
		}
		exec(t, s.admin, "CREATE ROLE "+quoted(text), "CREATE SCHEMA "+quoted(text)+" AUTHORIZATION "+quoted(text), s.names().Replace("GRANT "+quoted(text)+" TO {migrator}"))
		err := s.apply(t, migrations.Target{Schema: text, Owner: text, App: s.logins[own].User(), SharedSchema: text})
		got := s.look(t, "SELECT nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relname = 'made' AND relowner = $1::text::regrole", quoted(text))
		exec(t, s.admin, "DROP SCHEMA "+quoted(text)+" CASCADE", "DROP ROLE "+quoted(text))
		return got, err
	}},
	{"name of a migration file", func(t *testing.T, s *stage, text string) (string, error) {
		files := []migrations.File{{Name: "0001_file.sql", Content: []byte(tenantFiles)}, {Name: "0002_" + text + ".sql", Content: []byte("SELECT 1;")}}
		set, err := migrations.Load(files, migrations.Plain)
		if err != nil {
			return "", err
		}
		target := s.target(own)
		if _, err := migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, set, ""); err != nil {
			return "", err
		}
		got := s.look(t, "SELECT file FROM acme.tenantry_migrations WHERE file <> '0001_file.sql'")
		exec(t, s.admin, "DELETE FROM acme.tenantry_migrations WHERE file <> '0001_file.sql'")
		return strings.TrimSuffix(strings.TrimPrefix(got, "0002_"), ".sql"), nil
	}},
}

// nameable says whether PostgreSQL takes a text, between quotes, as the name of a role and a schema.
func nameable(text string) bool {
	return text != "" && len(text) <= 63 && utf8.ValidString(text) && !strings.Contains(text, "\x00") &&
		!strings.HasPrefix(text, "pg_") && text != "public" && text != "none"
}

// look asks the one text of a query.
func (s *stage) look(t *testing.T, sql string, args ...any) string {
	t.Helper()
	var text *string
	if err := s.eyes.QueryRow(t.Context(), "SELECT ("+sql+")::text", args...).Scan(&text); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	if text == nil {
		return "(nothing)"
	}
	return *text
}

func (s *stage) apply(t *testing.T, target migrations.Target) error {
	t.Helper()
	set := must(migrations.Load([]migrations.File{{Name: "0001_a.sql", Content: []byte("CREATE TABLE made ();")}}, migrations.Plain))(t)
	_, err := migrations.Apply(context.WithoutCancel(t.Context()), s.migrator(t, ownSet).Pool(), target, set, "")
	return err
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

func second[T any](_ T, err error) error { return err }
