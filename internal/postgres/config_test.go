package postgres_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// parts is a Config spelled out.
type parts struct {
	Host                     string
	Port                     uint16
	Database, User, Password string
	SSLMode                  string
}

func partsOf(c postgres.Config) parts {
	return parts{c.Host(), c.Port(), c.Database(), c.User(), c.Password(), c.SSLMode()}
}

func TestParseDSN(t *testing.T) {
	tests := map[string]struct {
		dsn  string
		want parts
	}{
		"URL":                     {"postgres://app:pw@db.example.com:5433/shop?sslmode=require", parts{"db.example.com", 5433, "shop", "app", "pw", "require"}},
		"short URL":               {"postgresql://app@db/shop", parts{"db", 5432, "shop", "app", "", ""}},
		"encoded":                 {"postgres://a%40b:p%3Aw%2F%3F%23%25%20@db/sh%2Fop", parts{"db", 5432, "sh/op", "a@b", "p:w/?#% ", ""}},
		"raw @ and : in password": {"postgres://app:p:w@x@db/shop", parts{"db", 5432, "shop", "app", "p:w@x", ""}},
		"plus is a plus":          {"postgres://app:a+b@db/shop", parts{"db", 5432, "shop", "app", "a+b", ""}},
		"IPv6":                    {"postgres://app@[::1]:6000/shop", parts{"::1", 6000, "shop", "app", "", ""}},
		"keys in the query":       {"postgres:///shop?host=db&user=app&password=p%26w&port=6000", parts{"db", 6000, "shop", "app", "p&w", ""}},
		"several hosts":           {"postgres://app@a:1,b:2/shop?target_session_attrs=read-write", parts{"a", 1, "shop", "app", "", ""}},
		"system roots":            {"postgres://app@db/shop?sslrootcert=system", parts{"db", 5432, "shop", "app", "", "verify-full"}},
		"key=value":               {`host=db port=5433 user=app password=pw dbname=shop sslmode=verify-full connect_timeout=3`, parts{"db", 5433, "shop", "app", "pw", "verify-full"}},
		"quotes":                  {`host = 'db' user='a b' password='it\'s \\ x' dbname=sh\ op application_name=x`, parts{"db", 5432, "sh op", "a b", `it's \ x`, ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, partsOf(must(postgres.ParseDSN(tt.dsn))(t))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseDSNRefuses(t *testing.T) {
	const secret = "hunter2"
	url := "postgres://app:" + secret + "@db/shop?"
	kv := "host=db user=app dbname=shop password=" + secret + " "
	tests := map[string]struct{ dsn, want string }{
		"passfile":           {url + "passfile=/etc/passwd", "passfile"},
		"service":            {url + "service=x", "service"},
		"servicefile":        {kv + "servicefile=/x", "servicefile"},
		"client key":         {url + "sslkey=/var/run/secrets/key", "sslkey"},
		"client certificate": {kv + "sslcert=/x", "sslcert"},
		"root as a file":     {url + "sslrootcert=/var/run/secrets/ca.crt", "ca.crt"},
		"hostaddr":           {kv + "hostaddr=10.0.0.1", "hostaddr"},
		"options":            {url + "options=-crole%3Dadmin", "options"},
		"search_path":        {url + "search_path=evil", "search_path"},
		"role":               {kv + "role=postgres", "role"},
		"replication":        {url + "replication=database", "replication"},
		"encoded key":        {url + "passf%69le=/etc/passwd", "unknown key"},
		"upper case key":     {url + "PASSFILE=/etc/passwd", "unknown key"},
		"unknown key":        {url + "frob=1", "unknown key"},
		"unix socket":        {"postgres:///shop?host=/var/run/postgresql&user=app", "no DNS name"},
		"encoded socket":     {"postgres://app@%2Fvar%2Frun/shop", "no DNS name"},
		"abstract socket":    {"host=@x user=app dbname=shop", "no DNS name"},
		"no host":            {"postgres:///shop?user=app", "no host"},
		"no user":            {"postgres://db/shop", "no user"},
		"no database":        {"postgres://app@db", "no dbname"},
		"wrong port":         {"postgres://app:" + secret + "@db:0/shop", "port"},
		"port is a password": {"postgres://app:x@db:" + secret + "/shop", "port"},
		"ports and hosts":    {"postgres://app@a:1,b:2,c:3/shop?port=1,2", "ports"},
		"wrong sslmode":      {url + "sslmode=" + secret, "sslmode"},
		"wrong timeout":      {url + "connect_timeout=" + secret, "connect_timeout"},
		"raw / in password":  {"postgres://app:" + secret + "/x@db/shop", "percent-encode"},
		"raw ? in password":  {"postgres://app:hun?" + secret + "=x@db/shop", "percent-encode"},
		"space in password":  {"host=db user=app dbname=shop password=a " + secret + "=x", "unknown key"},
		"wrong encoding":     {"postgres://app:" + secret + "%zz@db/shop", "percent-encoding"},
		"NUL":                {"postgres://app:" + secret + "\x00@db/shop", "control"},
		"encoded NUL":        {"postgres://app%00:" + secret + "@db/shop", "control"},
		"line break":         {kv + "\n", "control"},
		"open quote":         {"host=db password='" + secret, "quote"},
		"neither":            {secret, "neither"},
		"empty":              {"", "no host"},
		"JDBC":               {"jdbc:postgresql://db/shop?user=app&password=" + secret, "unknown key"},
		"name cut by server": {"postgres://" + strings.Repeat("a", 64) + "@db/shop", "63"},
		"another scheme":     {"mysql://app:" + secret + "@db/shop", "neither"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, err := postgres.ParseDSN(tt.dsn)
			if err == nil {
				t.Fatalf("accepted as %v", partsOf(c))
			}
			if fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != postgres.ReasonInvalidConnection || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q in it", err, tt.want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error shows the secret: %v", err)
			}
		})
	}
}

// The process's environment is not the Secret's.
func TestEnvironmentIsIgnored(t *testing.T) {
	cfg := newDatabase(t)
	passfile := filepath.Join(t.TempDir(), "pgpass")
	if err := os.WriteFile(passfile, []byte("*:*:*:*:"+cfg.Password()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for key, value := range map[string]string{
		"PGHOST": "elsewhere.invalid", "PGPORT": "1", "PGUSER": "somebody", "PGDATABASE": "nothing", "PGPASSWORD": cfg.Password(),
		"PGPASSFILE": passfile, "PGOPTIONS": "-c search_path=evil", "PGAPPNAME": "evil", "PGTARGETSESSIONATTRS": "standby", "PGTZ": "Asia/Tokyo",
	} {
		t.Setenv(key, value)
	}
	db := open(t, cfg)
	var got string
	if err := db.Pool().QueryRow(t.Context(), "SELECT current_user || ' ' || current_setting('search_path') || ' ' || current_setting('application_name')").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != cfg.User()+" pg_catalog, pg_temp tenantry" {
		t.Errorf("session = %s", got)
	}
	if _, err := postgres.Open(t.Context(), cfg.WithLogin(cfg.User(), ""), postgres.PoolOptions{}); postgres.CauseOf(err) != postgres.AuthenticationFailed {
		t.Errorf("without a password, and one in the environment: %v", err)
	}
}

func TestConfigFromKeys(t *testing.T) {
	cnpg := map[string]string{
		"dbname": "app", "host": "cluster-rw", "password": "p@ss/w:rd", "pgpass": "cluster-rw:5432:app:app:x\n", "port": "5432", "user": "app", "username": "app",
		"jdbc-uri": "jdbc:postgresql://cluster-rw.ns:5432/app?password=x&user=app", "uri": "postgresql://app:p%40ss%2Fw%3Ard@cluster-rw.ns:5432/app",
		"fqdn-uri": "postgresql://app:p%40ss%2Fw%3Ard@cluster-rw.ns.svc.cluster.local:5432/app",
	}
	without := func(keys ...string) map[string]string {
		m := maps.Clone(cnpg)
		for _, k := range keys {
			delete(m, k)
		}
		return m
	}
	tests := map[string]struct {
		keys map[string]string
		want parts
		err  string
	}{
		"CloudNativePG":        {keys: cnpg, want: parts{"cluster-rw.ns.svc.cluster.local", 5432, "app", "app", "p@ss/w:rd", ""}},
		"CloudNativePG, older": {keys: without("fqdn-uri"), want: parts{"cluster-rw.ns", 5432, "app", "app", "p@ss/w:rd", ""}},
		"keys alone":           {keys: without("fqdn-uri", "uri"), want: parts{"cluster-rw", 5432, "app", "app", "p@ss/w:rd", ""}},
		"dsn":                  {keys: map[string]string{"dsn": "host=db user=a dbname=d password=x\n"}, want: parts{"db", 5432, "d", "a", "x", ""}},
		"service binding": {
			keys: map[string]string{"type": "postgresql", "host": "db", "port": "6000", "database": "d", "username": "a", "password": " x \n", "sslmode": "require"},
			want: parts{"db", 6000, "d", "a", " x ", "require"},
		},
		"no host":         {keys: without("fqdn-uri", "uri", "host"), err: "uri"},
		"wrong sslmode":   {keys: map[string]string{"uri": "postgres://a@db/d", "sslmode": "maybe"}, err: "sslmode"},
		"wrong authority": {keys: map[string]string{"uri": "postgres://a@db/d", "ca.crt": "no PEM"}, err: "ca.crt"},
		"bad uri":         {keys: map[string]string{"uri": "postgres://a@db/d?passfile=x", "host": "db"}, err: "passfile"},
		"empty":           {err: "uri"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range tt.keys {
				data[k] = []byte(v)
			}
			c, err := postgres.ConfigFromKeys(data)
			if tt.err != "" {
				if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error = %v, want %q in it", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, partsOf(c)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// However a Config is shown, the password is not.
func TestConfigHidesThePassword(t *testing.T) {
	c := must(postgres.ParseDSN("postgres://app:hunter2@db:5433/shop"))(t)
	type holder struct {
		Config postgres.Config
		hidden postgres.Config
		ptr    *postgres.Config
	}
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("Config", "config", c, "holder", holder{Config: c, hidden: c})
	slog.New(slog.NewTextHandler(&log, nil)).Info("Config", "config", c, "holder", holder{Config: c, hidden: c, ptr: &c})
	marshalled := must(json.Marshal(holder{Config: c, hidden: c}))(t)
	shown := log.String() + string(marshalled)
	for _, v := range []any{c, &c, holder{c, c, &c}, &holder{c, c, &c}, []postgres.Config{c}, map[string]postgres.Config{"c": c}, fmt.Errorf("wrapped %v", c)} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			shown += fmt.Sprintf(format, v)
		}
	}
	for _, form := range []string{"hunter2", "68756e74657232", "aHVudGVyM"} {
		if strings.Contains(shown, form) {
			t.Errorf("%s is in %s", form, shown)
		}
	}
	if !strings.Contains(shown, "app@db:5433/shop") {
		t.Error("nothing is shown at all")
	}
}

// Any password, user and database survive the URI, by our parser and by pgx's, which follows libpq.
func TestURIRoundTrips(t *testing.T) {
	base := must(postgres.ParseDSN("postgres://app@db:5433/shop?sslmode=require"))(t)
	printable := rapid.Rune().Filter(func(r rune) bool { return r >= ' ' && r != 0x7f })
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.StringOfN(printable, 1, 40, -1).Draw(t, "password")
		user := rapid.StringOfN(printable, 1, 40, 63).Draw(t, "user")
		uri := base.WithLogin(user, password).URI("acme", "we ird\\\"x")
		theirs, err := pgconn.ParseConfig(uri)
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		if theirs.User != user || theirs.Password != password || theirs.Host != "db" || theirs.Port != 5433 || theirs.Database != "shop" {
			t.Errorf("%s: pgx reads %q %q", uri, theirs.User, theirs.Password)
		}
		ours, err := postgres.ParseDSN(base.WithLogin(user, password).URI())
		if err != nil || !ours.Equal(base.WithLogin(user, password)) {
			t.Errorf("%s: %v, %v", uri, partsOf(ours), err)
		}
	})
}

// The search_path of the URI holds on a real server, even for names that need quotes.
func TestURIPinsTheSearchPath(t *testing.T) {
	cfg := newDatabase(t)
	for _, path := range [][]string{{"acme", "shared"}, {"select", `we ird\x"y`, "user"}, {"A,b", "ab", " ' ", "-c role=x"}} {
		for _, schema := range path {
			exec(t, cfg, "CREATE SCHEMA "+quote(schema))
		}
		conn := must(pgconn.Connect(t.Context(), cfg.URI(path...)))(t)
		result := conn.ExecParams(t.Context(), `SELECT to_json(current_schemas(false))`, nil, nil, nil, nil).Read()
		if result.Err != nil {
			t.Fatal(result.Err)
		}
		var got []string
		if err := json.Unmarshal(result.Rows[0][0], &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(path, got); diff != "" {
			t.Errorf("search_path (-want +got):\n%s", diff)
		}
		_ = conn.Close(t.Context())
	}
}
