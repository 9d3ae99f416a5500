package controllers_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// mendedSoon bounds how long a database rests before it is looked at again: nothing in Kubernetes
// tells that a DBA has been there.
const mendedSoon = 2*time.Minute + time.Second

// What can be wrong with a database: each has a reason and a message of its own, comes back to look,
// and heals at the pass after the cause went.
func TestBadDatabase(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		// do breaks something, before the first pass.
		do   func(t *testing.T, b *bench)
		want []operator.Want
		mend func(t *testing.T, b *bench)
	}{
		"Secret missing": {
			do:   func(t *testing.T, b *bench) { b.Delete(t, b.Secret) },
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonSecretNotFound, `Secret "db" does not exist`, "spec.connectionSecretRef")},
			mend: func(t *testing.T, b *bench) { b.Create(t, b.ConnectionSecret("db", b.DSN)) },
		},
		"Secret without keys": {
			do:   func(t *testing.T, b *bench) { b.connection(t, map[string]string{"name": "x"}) },
			want: []operator.Want{operator.Stalled("Reachable", v1alpha1.ReasonInvalidConnection, `Secret "db"`, "neither a key uri nor all of host, dbname, username and password")},
			mend: goodConnection,
		},
		"refused key": {
			do:   func(t *testing.T, b *bench) { b.connection(t, map[string]string{"uri": b.DSN + "&service=other"}) },
			want: []operator.Want{operator.Stalled("Reachable", v1alpha1.ReasonInvalidConnection, "has the key service, which is not allowed")},
			mend: goodConnection,
		},
		"wrong password": {
			do: func(t *testing.T, b *bench) {
				b.connection(t, map[string]string{"uri": operator.Login(t, b.DSN, b.login(), "guess", "")})
			},
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonAuthenticationFailed, "the server refuses the login", "@127.0.0.1:")},
			mend: goodConnection,
		},
		"unknown login": {
			do: func(t *testing.T, b *bench) {
				b.connection(t, map[string]string{"uri": operator.Login(t, b.DSN, "nobody", "guess", "")})
			},
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonAuthenticationFailed, "the server refuses the login")},
			mend: goodConnection,
		},
		"wrong port": {
			do: func(t *testing.T, b *bench) {
				b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, ":"+strconv.Itoa(b.Server.Port)+"/", ":"+closedPort(t)+"/", 1)})
			},
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonUnreachable, "the connection is refused")},
			mend: goodConnection,
		},
		"unknown host": {
			do: func(t *testing.T, b *bench) {
				b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, "127.0.0.1", "nowhere.invalid", 1)})
			},
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonUnreachable, "the host name")},
			mend: goodConnection,
		},
		"wrong database": {
			do: func(t *testing.T, b *bench) {
				b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, "/"+b.Name+"?", "/nowhere?", 1)})
			},
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonDatabaseNotFound, "no database of this name", "nowhere")},
			mend: goodConnection,
		},
		"read-only": {
			do: func(t *testing.T, b *bench) {
				b.sql(t, "ALTER ROLE "+b.login()+" SET default_transaction_read_only = on")
			},
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonReadOnly, "takes no writes", "name the primary")},
			mend: func(t *testing.T, b *bench) {
				b.sql(t, "ALTER ROLE "+b.login()+" RESET default_transaction_read_only")
			},
		},
		"role without LOGIN": {
			do:   func(t *testing.T, b *bench) { b.sql(t, "ALTER ROLE "+b.login()+" NOLOGIN") },
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonAuthenticationFailed)},
			mend: func(t *testing.T, b *bench) { b.sql(t, "ALTER ROLE "+b.login()+" LOGIN") },
		},
		"may not create roles": {
			do:   func(t *testing.T, b *bench) { b.sql(t, "ALTER ROLE "+b.login()+" NOCREATEROLE") },
			want: []operator.Want{operator.Waiting("Privileged", v1alpha1.ReasonMissingPrivileges, "may not create roles", "Run as an administrator: ALTER ROLE")},
			mend: runGrants,
		},
		"may not connect": {
			do:   func(t *testing.T, b *bench) { b.sql(t, "ALTER DATABASE "+b.Name+" OWNER TO postgres") },
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonInsufficientPrivilege, "permission denied for database")},
			mend: func(t *testing.T, b *bench) { b.sql(t, "ALTER DATABASE "+b.Name+" OWNER TO "+b.login()) },
		},
		"does not own the database": {
			do: func(t *testing.T, b *bench) {
				b.sql(t, "ALTER DATABASE "+b.Name+" OWNER TO postgres")
				b.sql(t, "GRANT CONNECT ON DATABASE "+b.Name+" TO "+b.login())
			},
			want: []operator.Want{operator.Waiting("Privileged", v1alpha1.ReasonMissingPrivileges, "may not own database", "ALTER DATABASE")},
			mend: runGrants,
		},
		"lacks several rights": {
			do: func(t *testing.T, b *bench) {
				b.sql(t, "ALTER DATABASE "+b.Name+" OWNER TO postgres")
				b.sql(t, "GRANT CONNECT ON DATABASE "+b.Name+" TO "+b.login())
				b.sql(t, "ALTER ROLE "+b.login()+" NOCREATEROLE")
			},
			want: []operator.Want{operator.Waiting("Privileged", v1alpha1.ReasonMissingPrivileges, "create roles, nor own database")},
			mend: runGrants,
		},
		"too many connections": {
			do:   func(t *testing.T, b *bench) { b.sql(t, "ALTER ROLE "+b.login()+" CONNECTION LIMIT 0") },
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonTooManyConnections, "no free connection")},
			mend: func(t *testing.T, b *bench) { b.sql(t, "ALTER ROLE "+b.login()+" CONNECTION LIMIT -1") },
		},
		"shared set missing": {
			do: func(t *testing.T, b *bench) {
				operator.Update(t, b.Servers, b.Database, func(d *v1alpha1.TenantDatabase) {
					d.Spec.Shared = &v1alpha1.SharedSchema{MigrationSetRef: v1alpha1.LocalReference{Name: "auth"}}
				})
			},
			want: []operator.Want{operator.Waiting("SharedMigrated", v1alpha1.ReasonMigrationSetNotFound, "spec.shared.migrationSetRef", `"auth" does not exist`)},
			mend: func(t *testing.T, b *bench) {
				set := b.Set.DeepCopy()
				set.ResourceVersion, set.Name = "", "auth"
				b.Create(t, set)
				b.pass(t, set)
			},
		},
		"TLS wanted, and not there": {
			do: func(t *testing.T, b *bench) {
				b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, "sslmode=disable", "sslmode=require", 1)})
			},
			want: []operator.Want{operator.Waiting("Reachable", v1alpha1.ReasonTLSFailed, "no encrypted connection")},
			mend: goodConnection,
		},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.Make(t)
			row.do(t, b)
			result := b.pass(t, b.Database)
			wants := slices.Concat(row.want, []operator.Want{{Condition: "Ready", Reason: row.want[0].Reason, KStatus: row.want[0].KStatus}})
			b.Expect(t, b.Database, wants...)
			if result.RequeueAfter <= 0 || result.RequeueAfter > mendedSoon {
				t.Errorf("it looks again after %s, want at most %s", result.RequeueAfter, mendedSoon)
			}
			b.noSecrets(t, b.Database)
			row.mend(t, b)
			b.pass(t, b.Database)
			b.Expect(t, b.Database, operator.Ready())
		})
	}
}

// The same, for a database on which a tenant lives already: the message names what the operator
// lacks now.
func TestDatabaseLosesRights(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.sql(t, "ALTER ROLE "+b.login()+" NOCREATEROLE")
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Waiting("Privileged", v1alpha1.ReasonMissingPrivileges, "ALTER ROLE"))
	// The tenant's customer works; there is nothing to change for it.
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	runGrants(t, b)
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Ready())
}

// The login of the operator is replaced by another one: the grants that the message names are all
// that is missing.
func TestAnotherLogin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.sql(t, "CREATE ROLE "+b.Name+"_new LOGIN CREATEROLE PASSWORD 'xyzzy-xyzzy'")
	b.sql(t, "GRANT CONNECT ON DATABASE "+b.Name+" TO "+b.Name+"_new")
	b.connection(t, map[string]string{"uri": operator.Login(t, b.DSN, b.Name+"_new", "xyzzy-xyzzy", "")})
	for range 4 { // one right may show only behind another
		b.pass(t, b.Database)
		if conditions.IsTrue(b.Database, v1alpha1.ConditionReady) {
			break
		}
		b.Expect(t, b.Database, operator.Waiting("Privileged", v1alpha1.ReasonMissingPrivileges, "Login "+b.Name+"_new may not"))
		runGrants(t, b)
	}
	b.Expect(t, b.Database, operator.Ready())
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	second := b.tenant(t, "second")
	for _, tenant := range []*v1alpha1.Tenant{acme, second} {
		operator.Update(t, b.Servers, tenant, func(t *v1alpha1.Tenant) { t.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
		b.remove(t, tenant)
	}
	if left := operator.Schemas(t, b.AdminDSN); len(left) > 0 {
		t.Errorf("schemas %v are left", left)
	}
}

// connection replaces the keys of the database's Secret.
func (b *bench) connection(t *testing.T, keys map[string]string) {
	t.Helper()
	operator.Update(t, b.Servers, b.Secret, func(s *corev1.Secret) {
		s.Data = map[string][]byte{}
		for k, v := range keys {
			s.Data[k] = []byte(v)
		}
	})
}

func goodConnection(t *testing.T, b *bench) {
	t.Helper()
	b.connection(t, map[string]string{"uri": b.DSN})
}

// login is the operator's on this database.
func (b *bench) login() string { return b.Name + "_operator" }

// sql runs a statement as superuser in the world's database.
func (b *bench) sql(t *testing.T, sql string, args ...any) {
	t.Helper()
	operator.Exec(t, b.AdminDSN, sql, args...)
}

// runGrants does what the condition's message asks a DBA to do, to the letter.
func runGrants(t *testing.T, b *bench) {
	t.Helper()
	b.Get(t, b.Database)
	c := conditions.Get(b.Database, v1alpha1.ConditionPrivileged)
	_, statements, ok := strings.Cut(c.Message, "Run as an administrator: ")
	if !ok {
		t.Fatalf("no statements in %q", c.Message)
	}
	b.script(t, statements)
}

// script runs several statements as superuser, as psql does.
func (b *bench) script(t *testing.T, statements string) {
	t.Helper()
	if _, err := operator.Hold(t, b.AdminDSN).Exec(t.Context(), statements, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}

// noSecrets holds the messages of an object against the password of the operator's login.
func (b *bench) noSecrets(t *testing.T, obj conditions.Object) {
	t.Helper()
	_, password, _ := strings.Cut(b.DSN, ":")
	_, password, _ = strings.Cut(password, ":")
	password, _, _ = strings.Cut(password, "@")
	for _, c := range *obj.GetConditions() {
		if strings.Contains(c.Message, password) || strings.Contains(c.Message, "guess") {
			t.Errorf("%s shows a password: %q", c.Type, c.Message)
		}
	}
}

// closedPort is a port on which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	port, release, err := platform.DeadPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = release() })
	return strconv.Itoa(port)
}
