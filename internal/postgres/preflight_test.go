package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

func TestPreflightOfAGoodLogin(t *testing.T) {
	cfg := newDatabase(t)
	db := open(t, cfg)
	fresh := must(db.Preflight(t.Context()))(t)
	if fresh.Bootstrapped || fresh.Marker != "" || len(fresh.Missing) > 0 {
		t.Errorf("before bootstrap: %+v", fresh)
	}
	must(db.Bootstrap(t.Context(), "marker", "shared"))(t)
	newTenant(t, db, "acme")
	r := must(db.Preflight(t.Context()))(t)
	if !r.Bootstrapped || r.Marker != "marker" || r.Moved || r.TenantCount != 1 || len(r.Missing) > 0 ||
		r.Login != cfg.User() || r.Database != cfg.Database() || r.ServerVersion == "" || r.VersionNum/10000 != server.Major ||
		r.InRecovery || r.ReadOnly || r.Superuser || r.Encrypted || r.SystemIdentifier != query(t, cfg, "SELECT system_identifier FROM pg_control_system()") {
		t.Errorf("report = %+v", r)
	}
}

// Each missing right names the statement that gives it; running the statements mends all.
func TestPreflightNamesWhatMends(t *testing.T) {
	tests := map[string]struct {
		damage func(db *postgres.DB, login string) []string // run as superuser
		want   []string
		since  int
	}{
		"roles that their keeper did not make": {
			damage: func(db *postgres.DB, _ string) []string {
				names := postgres.TenantRoles(db.Config().Database(), "acme")
				return []string{"REVOKE " + quote(names.Owner) + ", " + quote(names.App) + " FROM " + quote(postgres.KeeperRole(db.Config().Database(), "acme"))}
			},
			want: []string{"manage 2 roles"}, since: 16,
		},
		"no CREATEROLE": {
			damage: func(_ *postgres.DB, login string) []string { return []string{"ALTER ROLE " + login + " NOCREATEROLE"} },
			want:   []string{"create roles"},
		},
		"another owner": {
			damage: func(db *postgres.DB, _ string) []string {
				return []string{"ALTER DATABASE " + db.Config().Database() + " OWNER TO postgres"}
			},
			want: []string{"own database"},
		},
		"another's registry": {
			damage: func(*postgres.DB, string) []string {
				return []string{"ALTER SCHEMA tenantry OWNER TO postgres", "ALTER TABLE tenantry.tenant OWNER TO postgres", "ALTER TABLE tenantry.domain OWNER TO postgres"}
			},
			want: []string{"own the registry's schema", "own the registry's table domain", "own the registry's table tenant"},
		},
		"no look at the identity": {
			damage: func(*postgres.DB, string) []string {
				return []string{"REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC"}
			},
			want: []string{"read the server's identity"},
		},
	}
	for name, tt := range tests {
		if server.Major < tt.since {
			continue
		}
		t.Run(name, func(t *testing.T) {
			db := newDB(t)
			newTenant(t, db, "acme")
			login := quote(db.Config().User())
			super := admin(t, db.Config().Database())
			exec(t, super, tt.damage(db, login)...)
			r := must(db.Preflight(t.Context()))(t)
			checkMissing(t, r, tt.want)
			for _, m := range r.Missing {
				exec(t, super, m.Grant)
			}
			if r := must(db.Preflight(t.Context()))(t); len(r.Missing) > 0 {
				t.Errorf("still missing: %+v", r.Missing)
			}
			exerciseAll(t, db)
		})
	}
}

func checkMissing(t *testing.T, r postgres.Report, want []string) {
	t.Helper()
	if len(r.Missing) != len(want) {
		t.Fatalf("missing = %+v, want %q", r.Missing, want)
	}
	for i, m := range r.Missing {
		if !strings.Contains(m.What, want[i]) || m.Grant == "" {
			t.Errorf("missing = %+v, want %q", m, want[i])
		}
	}
}

// exerciseAll shows that the rights are enough: it mends, makes and drops.
func exerciseAll(t *testing.T, db *postgres.DB) {
	t.Helper()
	if _, err := db.Bootstrap(t.Context(), "marker", "shared"); err != nil {
		t.Fatal(err)
	}
	newTenant(t, db, "more")
	for _, schema := range []string{"more", "acme"} {
		if err := db.Drop(t.Context(), "uid-"+schema, schema); err != nil {
			t.Fatal(err)
		}
	}
}

// The operator gets another login: what the first one made must be handed over.
func TestPreflightOfANewLogin(t *testing.T) {
	db := newDB(t)
	for i := range 30 {
		newTenant(t, db, fmt.Sprintf("t%d", i))
	}
	newTenant(t, db, "acme")
	super := admin(t, db.Config().Database())
	login := db.Config().User() + ` "2"`
	verifier := must(postgres.SCRAMVerifier("pw"))(t)
	exec(t, super, "CREATE ROLE "+quote(login)+" LOGIN CREATEROLE PASSWORD '"+verifier+"'", "GRANT CONNECT ON DATABASE "+db.Config().Database()+" TO "+quote(login))
	next := open(t, db.Config().WithLogin(login, "pw"))
	for round := 0; ; round++ {
		r := must(next.Preflight(t.Context()))(t)
		if len(r.Missing) == 0 {
			break
		}
		if round == 3 {
			t.Fatalf("still missing: %+v", r.Missing)
		}
		for _, m := range r.Missing {
			exec(t, super, m.Grant)
		}
	}
	exerciseAll(t, next)
}

func TestPreflightWarnings(t *testing.T) {
	db := newDB(t)
	exec(t, admin(t, "postgres"), "ALTER ROLE "+quote(db.Config().User())+" BYPASSRLS", "GRANT pg_read_all_data TO "+quote(db.Config().User()))
	warnings := strings.Join(must(db.Preflight(t.Context()))(t).Warnings, "\n")
	for _, want := range []string{"BYPASSRLS", "pg_read_all_data", "postgres, template1"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("warnings lack %q: %s", want, warnings)
		}
	}
	root := open(t, admin(t, db.Config().Database()))
	r := must(root.Preflight(t.Context()))(t)
	if !r.Superuser || len(r.Missing) > 0 || !strings.Contains(strings.Join(r.Warnings, "\n"), "is a superuser") {
		t.Errorf("superuser: %+v", r)
	}
}

func TestBootstrap(t *testing.T) {
	cfg := newDatabase(t)
	db := open(t, cfg)
	super := admin(t, cfg.Database())
	exec(t, super, "GRANT ALL ON DATABASE "+cfg.Database()+" TO PUBLIC", "GRANT ALL ON SCHEMA public TO PUBLIC")
	for _, want := range []bool{true, false} {
		if changed := must(db.Bootstrap(t.Context(), "marker", "shared"))(t); changed != want {
			t.Errorf("changed = %v, want %v", changed, want)
		}
	}
	for _, check := range []string{
		"has_database_privilege('public', current_database(), 'CONNECT')", "has_database_privilege('public', current_database(), 'TEMPORARY')",
		"has_schema_privilege('public', 'public', 'CREATE')", "has_schema_privilege('public', 'tenantry', 'USAGE')",
		"has_schema_privilege('" + postgres.GroupRole(cfg.Database()) + "', 'tenantry', 'USAGE')",
	} {
		if got := query(t, super, check); got != "false" {
			t.Errorf("%s = %s", check, got)
		}
	}
	if _, err := db.Bootstrap(t.Context(), "another", ""); fault.ReasonOf(err) != postgres.ReasonIdentityMismatch || fault.KindOf(err) != fault.Invalid {
		t.Errorf("another marker: %v", err)
	}
	// What somebody takes away comes back.
	exec(t, super, "REVOKE CONNECT ON DATABASE "+cfg.Database()+" FROM "+quote(postgres.GroupRole(cfg.Database())), "REVOKE USAGE ON SCHEMA shared FROM "+quote(postgres.GroupRole(cfg.Database())))
	for _, want := range []bool{true, false} {
		if changed := must(db.Bootstrap(t.Context(), "marker", "shared"))(t); changed != want {
			t.Errorf("after damage: changed = %v, want %v", changed, want)
		}
	}
	// What a DBA gives for the sake of migrations stays.
	exec(t, super, "GRANT TEMPORARY ON DATABASE "+cfg.Database()+" TO PUBLIC")
	if must(db.Bootstrap(t.Context(), "marker", "shared"))(t) {
		t.Error("TEMPORARY without CONNECT was taken from PUBLIC")
	}
	keeper := quote(postgres.KeeperRole(cfg.Database(), "acme"))
	exec(t, db.Config(), "REVOKE "+keeper+" FROM CURRENT_USER")
	exec(t, super, "ALTER ROLE "+keeper+" NOCREATEROLE")
	for _, want := range []bool{true, false} {
		if changed := must(db.Bootstrap(t.Context(), "marker", "shared"))(t); changed != want {
			t.Errorf("a keeper lost its rights: changed = %v, want %v", changed, want)
		}
	}
	newTenant(t, db, "acme")
	exec(t, super, "UPDATE tenantry.identity SET registry_version = 99")
	if _, err := db.Bootstrap(t.Context(), "marker", ""); fault.ReasonOf(err) != postgres.ReasonIdentityMismatch {
		t.Errorf("a registry of the future: %v", err)
	}
}

func TestBootstrapAtOnce(t *testing.T) {
	db := open(t, newDatabase(t))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { _, errs[i] = db.Bootstrap(t.Context(), "marker", "shared") })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// A copy of a database names the original's roles in its registry and must not touch them.
func TestBootstrapRefusesACopy(t *testing.T) {
	db := newDB(t)
	newTenant(t, db, "acme")
	original := db.Config().Database()
	db.Close()
	exec(t, admin(t, "postgres"), "CREATE DATABASE "+original+"_copy TEMPLATE "+original+" OWNER "+quote(db.Config().User()))
	copied := open(t, inDatabase(t, db.Config(), original+"_copy"))
	r := must(copied.Preflight(t.Context()))(t)
	if !r.Moved || r.Marker != "marker" {
		t.Errorf("report = %+v", r)
	}
	if _, err := copied.Bootstrap(t.Context(), "marker", ""); fault.ReasonOf(err) != postgres.ReasonIdentityMismatch {
		t.Errorf("Bootstrap of a copy = %v", err)
	}
	if err := copied.AcceptIdentity(t.Context(), "marker2"); err != nil {
		t.Fatal(err)
	}
	must(copied.Bootstrap(t.Context(), "marker2", ""))(t)
	if r := must(copied.Preflight(t.Context()))(t); r.Moved {
		t.Error("still moved")
	}
}
