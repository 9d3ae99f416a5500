// Package fuzz holds the fuzz targets of what package postgres does without a server: names, connection
// strings, URIs. It stands apart from the tests that start one.
//
//	go test ./internal/postgres/fuzz -fuzz FuzzParseDSN -fuzztime 1m
package fuzz

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// FuzzParseDSN: what is taken leads where pgx, which follows libpq, says that it leads; what is refused
// is an Invalid fault that quotes nothing of the string, for all of it may be a password.
func FuzzParseDSN(f *testing.F) {
	for _, seed := range []string{
		"postgres://app:pw@db:5433/shop?sslmode=require", "postgresql://app@[::1]:6000/sh%2Fop", "postgres://a%40b:p%3Aw%2F%3F%23%25%20@db/d",
		"postgres://app@a:1,b:2/shop?target_session_attrs=read-write", "postgres:///shop?host=db&user=app&password=p%26w", "host=db user=app dbname=shop password='it\\'s \\\\ x'",
		"host = db user='a b' dbname=sh\\ op", "postgres://app:x@db/shop?passfile=/etc/passwd", "postgres://app:x/y@db/shop", "postgres://db/shop", "", "=", "'", "postgres://", "host=db port=5432,5433 user=a dbname=b",
		"postgres://a:b@c/d?sslrootcert=system", "postgres://a:%00@c/d", "postgres://a:\x7f@c/d", "postgres://a@c/d?connect_timeout=301",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dsn string) {
		config, err := postgres.ParseDSN(dsn)
		if err != nil {
			refusesQuietly(t, err, dsn)
			return
		}
		survives(t, config)
	})
}

// FuzzSecret: the same of a Secret's keys.
func FuzzSecret(f *testing.F) {
	f.Add("db", "5432", "shop", "app", "pw", "", "")
	f.Add("db", "", "sh op", "a'b", "p\"w\\x\n", "require", "")
	f.Add("", "", "", "", "", "verify-full", "no PEM")
	f.Add("::1", "65535", "лавка", "ü", " ", "maybe", "")
	f.Fuzz(func(t *testing.T, host, port, database, user, password, mode, authority string) {
		keys := map[string][]byte{
			"host": []byte(host), "port": []byte(port), "dbname": []byte(database), "username": []byte(user),
			"password": []byte(password), "sslmode": []byte(mode), "ca.crt": []byte(authority),
		}
		config, err := postgres.ConfigFromKeys(keys)
		if err != nil {
			refusesQuietly(t, err, password)
			return
		}
		if want := strings.TrimRight(password, "\r\n"); config.Password() != want || config.User() != strings.TrimSpace(user) || config.Database() != strings.TrimSpace(database) {
			t.Errorf("%q became %q, %q became %q, %q became %q", user, config.User(), database, config.Database(), want, config.Password())
		}
		survives(t, config)
	})
}

// survives hands a connection on as a tenant's Secret does, and reads it back by two readers.
func survives(t *testing.T, config postgres.Config) {
	t.Helper()
	uri := config.URI()
	again, err := postgres.ParseDSN(uri)
	if err != nil {
		t.Fatalf("%q: %v", uri, err)
	}
	if again.User() != config.User() || again.Password() != config.Password() || again.Database() != config.Database() || again.Endpoint() != config.Endpoint() {
		t.Errorf("%q is %q %q %q", uri, again.User(), again.Password(), again.Endpoint())
	}
	if !utf8.ValidString(config.User() + config.Password() + config.Database()) {
		return // pgx refuses what is no UTF-8, as the server does
	}
	theirs, err := pgconn.ParseConfig(uri)
	if err != nil {
		t.Fatalf("pgx on %q: %v", uri, err)
	}
	if theirs.User != config.User() || theirs.Password != config.Password() || theirs.Database != config.Database() || theirs.Host != config.Host() || theirs.Port != config.Port() {
		t.Errorf("pgx reads %q as %q %q %q %q %d", uri, theirs.User, theirs.Password, theirs.Database, theirs.Host, theirs.Port)
	}
}

// word is long enough not to stand in a message by chance.
var word = regexp.MustCompile(`[A-Za-z0-9]{5,}`)

// ours are the words of messages.
var ours = regexp.MustCompile(`(?i)connection|string|control|character|ambiguous|percent|encode|special|password|wrong|encoding|write|unclosed|quote|neither|postgres|list|value|allowed|unknown|names|file|sslrootcert|certificate|secret|connect_timeout|timeout|number|seconds|hosts|ports|address|dbname|bytes|sslmode|channel|binding|target|session|attrs|disable|prefer|require|verify|hostaddr|passfile|service|servicefile|require_auth|client|options|fallback|application|keepalives|replication|sslcompression|sslcert|sslkey|sslpassword|sslcertmode|sslcrl|sslcrldir|sslsni|sslnegotiation|protocol|version|krbsrvname|gsslib|gssdelegation|load_balance|search|primary|read|write|username|which|65535`)

func refusesQuietly(t *testing.T, err error, secret string) {
	t.Helper()
	if fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != postgres.ReasonInvalidConnection {
		t.Errorf("%v is no Invalid fault", err)
	}
	said := word.FindAllString(ours.ReplaceAllString(err.Error(), " "), -1)
	for _, part := range word.FindAllString(ours.ReplaceAllString(secret, " "), -1) {
		if slices.Contains(said, part) {
			t.Errorf("the error shows %q: %v", part, err)
		}
	}
}

// FuzzURI: any login, password and search_path survive.
func FuzzURI(f *testing.F) {
	f.Add("app", "p@ss/w:rd?#%&+ ", "shop", "acme", "shared")
	f.Add("ü", "'\"\\", "sh op", `we"ird\ `, "a,b")
	f.Fuzz(func(t *testing.T, user, password, database, first, second string) {
		base, err := postgres.ParseDSN("host=db user=a dbname='" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(database) + "'")
		if err != nil {
			return
		}
		config := base.WithLogin(user, password)
		uri := config.URI(first, second)
		theirs, err := pgconn.ParseConfig(uri)
		if err != nil || user == "" || !utf8.ValidString(user+password+database+first+second) || strings.ContainsAny(user+password+database+first+second, "\x00") {
			return
		}
		if theirs.User != user || theirs.Password != password || theirs.Database != database {
			t.Errorf("%q: %q %q %q", uri, theirs.User, theirs.Password, theirs.Database)
		}
		options := theirs.RuntimeParams["options"]
		if strings.Count(unescaped.ReplaceAllString(options, ""), " ") > 0 {
			t.Errorf("the options of %q are several: %q", uri, options)
		}
	})
}

// unescaped are pairs in libpq's options that end no option.
var unescaped = regexp.MustCompile(`\\.`)

var roleName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// FuzzRoleNames: every role has a name that PostgreSQL takes as it is, and two that are not the same
// role never have the same name.
func FuzzRoleNames(f *testing.F) {
	f.Add("shop", "acme", "shop__a", "cme")
	f.Add("my__shop", "acme", "my", "shop__acme")
	f.Add("shop_", "acme", "shop", "_acme")
	f.Add(strings.Repeat("x", 63), "a", strings.Repeat("x", 62), "xa")
	f.Add("shop", "x", "shop", "x_app")
	f.Add("лавка", "\x00", "", "")
	f.Fuzz(func(t *testing.T, database, schema, database2, schema2 string) {
		seen := map[string]string{}
		for _, pair := range [][2]string{{database, schema}, {database2, schema2}} {
			of, both := pair[0], pair[0]+"\x01"+pair[1]
			names := map[string]string{
				"owner " + both: postgres.TenantRoles(of, pair[1]).Owner, "app " + both: postgres.TenantRoles(of, pair[1]).App, "second " + both: postgres.TenantRoles(of, pair[1]).Second(),
				"reader " + both: postgres.TenantRoles(of, pair[1]).Reader(), "second reader " + both: postgres.TenantRoles(of, pair[1]).SecondReader(),
				"class for SET ROLE " + both: postgres.ClassLoginRole(of, pair[1], "uid", false), "class for all " + both: postgres.ClassLoginRole(of, pair[1], "uid", true),
				"second class for all " + both: postgres.ClassLoginRole(of, pair[1], "uid", true) + "_b",
				"shared " + both:               postgres.SharedOwnerRole(of, pair[1]), "migrator " + both: postgres.MigratorRole(of, pair[1]), "group " + of: postgres.GroupRole(of),
			}
			for _, keeper := range postgres.KeeperRoles(of) {
				names["keeper "+keeper[len(keeper)-2:]+" "+of] = keeper
			}
			for what, name := range names {
				if !roleName.MatchString(name) {
					t.Errorf("%q is called %q", what, name)
				}
				if other, ok := seen[name]; ok && other != what {
					t.Errorf("%q and %q are both called %q", what, other, name)
				}
				seen[name] = what
			}
		}
	})
}

// FuzzSchemaName: a name that is taken means the same with quotes and without, and belongs to nobody.
func FuzzSchemaName(f *testing.F) {
	for _, seed := range []string{"acme", "a_1", "pg_x", "public", "", "A", "a\n", "a\x00", "ä", strings.Repeat("a", 50), strings.Repeat("a", 51), "tenantry", "аcme"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if err := postgres.ValidateSchemaName(name); err != nil {
			if fault.ReasonOf(err) != postgres.ReasonInvalidSchemaName || fault.KindOf(err) != fault.Invalid {
				t.Errorf("%q: %v", name, err)
			}
			return
		}
		if !roleName.MatchString(name) || len(name) > postgres.MaxSchemaNameLength || pgx.Identifier([]string{name}).Sanitize() != `"`+name+`"` ||
			strings.HasPrefix(name, "pg_") || slices.Contains([]string{"public", "tenantry", "information_schema"}, name) {
			t.Errorf("%q is taken", name)
		}
	})
}

// FuzzVerifier: every printable password has a verifier that is one word of SQL between quotes.
func FuzzVerifier(f *testing.F) {
	f.Add("pw")
	f.Add("' OR 1=1 --")
	f.Add("ü")
	f.Fuzz(func(t *testing.T, password string) {
		verifier, err := postgres.SCRAMVerifier(password)
		if err != nil {
			return
		}
		if !scram.MatchString(verifier) || len(password) > 8 && strings.Contains(verifier, password) {
			t.Errorf("%q has the verifier %q", password, verifier)
		}
	})
}

var scram = regexp.MustCompile(`^SCRAM-SHA-256\$4096:[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$`)
