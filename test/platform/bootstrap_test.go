package platform

import (
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestNewOperatorDatabase(t *testing.T) {
	p := startPostgres(t, PostgresSetting("log_statement", "all"))
	dsn, err := p.NewOperatorDatabase(t.Context(), `shop "1"`)
	if err != nil {
		t.Fatal(err)
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	const login = `shop "1"_operator`
	for _, check := range []struct{ sql, want string }{
		{`SELECT current_user`, login},
		{`SELECT current_database()`, `shop "1"`},
		{`SELECT string_agg(o.rolname, ',') FROM pg_database d JOIN pg_roles o ON o.oid = d.datdba WHERE d.datname = current_database()`, login},
		{`SELECT (rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin) FROM pg_roles WHERE rolname = current_user`, `(f,t,f,f,f,t)`},
		{`SELECT has_schema_privilege('public', 'CREATE')`, `true`},
		{`SELECT count(*) FROM pg_auth_members WHERE roleid = quote_ident(current_user)::regrole`, `0`},
	} {
		if got := query(t, dsn, check.sql); got != check.want {
			t.Errorf("%s = %s, want %s", check.sql, got, check.want)
		}
	}
	execute(t, p.AdminDSN(), "CREATE ROLE stranger LOGIN")
	for _, privilege := range []string{"CONNECT", "TEMPORARY"} {
		if got := query(t, dsn, "has_database_privilege('stranger', current_database(), '"+privilege+"')"); got != "false" {
			t.Errorf("any login has %s on the operator's database", privilege)
		}
	}
	if got := query(t, dsn, "has_schema_privilege('stranger', 'public', 'USAGE')"); got != "false" {
		t.Error("any login may use the schema public")
	}
	log, err := os.ReadFile(p.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "SCRAM-SHA-256$4096:") || strings.Contains(string(log), config.Password) {
		t.Error("the server's log does not hold the verifier, or holds the password")
	}
	if _, err := p.NewOperatorDatabase(t.Context(), `shop "1"`); err == nil {
		t.Error("a name that is taken was accepted")
	}
	renewed, err := p.EnsureOperatorDatabase(t.Context(), `shop "1"`)
	if err != nil || query(t, renewed, "SELECT current_user") != login {
		t.Errorf("EnsureOperatorDatabase of what is there: %v", err)
	}
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		_ = conn.Close(t.Context())
		t.Error("the old password still works")
	}
}

// On a managed server nobody is superuser: the script must do with CREATEROLE and CREATEDB.
func TestBootstrapByAnAdminWhoIsNoSuperuser(t *testing.T) {
	p := startPostgres(t)
	execute(t, p.AdminDSN(), "CREATE ROLE dba LOGIN CREATEROLE CREATEDB")
	if err := p.setPassword(t.Context(), "dba", "secret"); err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../../hack/bootstrap.sql")
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{"database": "shop", "login": "shop_operator"}
	if err := runScript(t.Context(), p.DSN("dba", "secret", "postgres"), string(script), variables); err != nil {
		t.Fatal(err)
	}
	if got := query(t, p.AdminDSN(), "SELECT datdba::regrole FROM pg_database WHERE datname = 'shop'"); got != "shop_operator" {
		t.Errorf("owner = %s", got)
	}
	if got := query(t, p.AdminDSN(), "SELECT has_database_privilege('public', 'shop', 'CONNECT')"); got != "false" {
		t.Error("PUBLIC may still connect")
	}
}

func TestScriptRefusesWhatItDoesNotKnow(t *testing.T) {
	p := startPostgres(t)
	for name, script := range map[string]string{
		"backslash command":     `\gexec`,
		"unset variable":        `CREATE ROLE :"nobody_set_it";`,
		"connect to a constant": `\connect postgres`,
		"no end":                `SELECT 1`,
		"bad SQL":               `CREATE NONSENSE;`,
	} {
		if err := runScript(t.Context(), p.AdminDSN(), script, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
