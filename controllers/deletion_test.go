package controllers_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// traces are what a Tenant leaves behind, anywhere.
type traces struct {
	Schemas  []string
	Roles    []string // tenants' own
	Logins   int      // tenants' roles that can log in
	Registry []string // schema and state
	Domains  int
	Secret   bool
	Claims   []string
	Routes   int
}

func (b *bench) traces(t *testing.T, tenant string) traces {
	t.Helper()
	q := func(sql string) []string {
		return operator.Query[[]string](t, b.AdminDSN, sql, "tn\\_"+b.Name+"\\_\\_%")
	}
	const array = `SELECT coalesce(array_agg(x::text ORDER BY x::text), '{}') FROM (%) q (x) WHERE $1 <> ''`
	list := func(inner string) []string { return q(strings.Replace(array, "%", inner, 1)) }
	got := traces{
		Schemas:  operator.Schemas(t, b.AdminDSN),
		Roles:    list(`SELECT rolname FROM pg_roles WHERE rolname LIKE $1`),
		Logins:   len(list(`SELECT rolname FROM pg_roles WHERE rolname LIKE $1 AND rolcanlogin`)),
		Registry: list(`SELECT schema_name || ' ' || state FROM tenantry.tenant`),
		Domains:  len(list(`SELECT host FROM tenantry.domain`)),
		Routes:   len(b.routes(t)),
	}
	secrets := b.ConnectionSecret(tenant+"-db", "")
	err := b.Admin.Get(t.Context(), client.ObjectKeyFromObject(secrets), secrets)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	got.Secret = !apierrors.IsNotFound(err)
	var claims v1alpha1.DomainClaimList
	if err := b.Admin.List(t.Context(), &claims); err != nil {
		t.Fatal(err)
	}
	for _, c := range claims.Items {
		if c.Spec.Holder.Namespace == b.Namespace {
			got.Claims = append(got.Claims, c.Spec.Host)
		}
	}
	return got
}

// wantTraces compares, and takes no list for an empty one.
func wantTraces(t *testing.T, when string, want, got traces) {
	t.Helper()
	for _, list := range []*[]string{&want.Schemas, &want.Roles, &want.Registry, &want.Claims, &got.Claims} {
		if *list == nil {
			*list = []string{}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

// kept is what remains of a retained tenant: exactly the data.
func (b *bench) kept(schema string) traces {
	stem := "tn_" + b.Name + "__" + schema
	return traces{Schemas: []string{schema}, Roles: []string{stem + "_app", stem + "_owner"}, Registry: []string{schema + " retained"}}
}

// served makes a routed tenant with a row of its own.
func (b *bench) served(t *testing.T, policy v1alpha1.DeletionPolicy) *v1alpha1.Tenant {
	t.Helper()
	b.Class.Spec.Routing = gatewayRouting()
	b.Create(t, b.backend())
	b.settle(t)
	acme := b.Tenant("acme", b.Host("acme"), b.Host("www"))
	acme.Spec.DeletionPolicy = policy
	b.Create(t, acme)
	b.pass(t, acme)
	b.acceptRoutes(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	operator.Exec(t, keys(b.secret(t, acme))["uri"], "INSERT INTO note (body) VALUES ('precious')")
	return acme
}

// Retain keeps exactly the data. A Tenant of the same name is told of it, adopts it when it says so,
// and has its old rows.
func TestRetainAndAdopt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acme := b.served(t, "")
	uri, schema, first := keys(b.secret(t, acme))["uri"], acme.Status.Schema, string(acme.UID)
	session := operator.Hold(t, uri)
	b.remove(t, acme)
	wantTraces(t, "after Retain", b.kept(schema), b.traces(t, "acme"))
	if _, err := session.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a session of the deleted tenant still works")
	}
	if err := operator.LogsIn(t, uri); err == nil {
		t.Error("the deleted tenant can log in")
	}

	again := b.Tenant("acme", b.Host("acme"))
	b.Create(t, again)
	b.pass(t, again)
	b.Expect(t, again,
		operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaRetained, "data retained", first, "kubectl annotate", v1alpha1.AnnotationAdopt+"="+first),
		operator.Stalled("Ready", v1alpha1.ReasonSchemaRetained))
	wantKept := b.kept(schema)
	wantKept.Claims = []string{b.Host("acme")}
	wantTraces(t, "while adoption waits", wantKept, b.traces(t, "acme"))
	operator.Update(t, b.Servers, again, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationAdopt: "another-uid"}
	})
	b.pass(t, again)
	b.Expect(t, again, operator.Stalled("Ready", v1alpha1.ReasonSchemaRetained))
	operator.Update(t, b.Servers, again, func(tn *v1alpha1.Tenant) { tn.Annotations[v1alpha1.AnnotationAdopt] = first })
	b.pass(t, again)
	b.acceptRoutes(t, again)
	b.pass(t, again)
	b.Expect(t, again, operator.Ready())
	fresh := keys(b.secret(t, again))["uri"]
	if got := operator.Query[string](t, fresh, "SELECT body FROM note"); got != "precious" {
		t.Errorf("the adopted row is %q", got)
	}
	if fresh == uri {
		t.Error("the password of the deleted tenant is used again")
	}
}

// Only a namesake adopts.
func TestAdoptByAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.SchemaName = "shop" })
	first := string(acme.UID)
	b.remove(t, acme)
	thief := b.Tenant("thief")
	thief.Spec.SchemaName = "shop"
	thief.Annotations = map[string]string{v1alpha1.AnnotationAdopt: first}
	b.Create(t, thief)
	b.pass(t, thief)
	b.Expect(t, thief, operator.Stalled("SchemaReady", v1alpha1.ReasonSchemaNameTaken))
	for _, c := range thief.Status.Conditions {
		if strings.Contains(c.Message, first) || strings.Contains(c.Message, "acme") {
			t.Errorf("%s tells whose the schema was: %q", c.Type, c.Message)
		}
	}
}

// Delete leaves nothing.
func TestDelete(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	acme := b.served(t, v1alpha1.DeletionDelete)
	session := operator.Hold(t, keys(b.secret(t, acme))["uri"])
	if _, err := session.Exec(t.Context(), "BEGIN; INSERT INTO note (body) VALUES ('open')"); err != nil {
		t.Fatal(err)
	}
	b.remove(t, acme)
	wantTraces(t, "after Delete", traces{}, b.traces(t, "acme"))
	again := b.Tenant("acme")
	b.Create(t, again)
	b.pass(t, again)
	b.Expect(t, again, operator.Ready())
}

// What makes a deletion special, and what is then left of it.
func TestDeletionAtAnyPoint(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		do   func(t *testing.T, b *bench) *v1alpha1.Tenant
		want func(b *bench, tenant *v1alpha1.Tenant) traces
	}{
		"never touched": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.settle(t)
				tenant := b.Tenant("acme", b.Host("acme"))
				b.Create(t, tenant)
				return tenant
			},
		},
		"never placed, for want of a class": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.settle(t)
				tenant := b.Tenant("acme", b.Host("acme"))
				tenant.Spec.ClassName = "nowhere"
				b.Create(t, tenant)
				b.pass(t, tenant)
				b.Expect(t, tenant, operator.Waiting("Ready", v1alpha1.ReasonClassNotFound))
				return tenant
			},
		},
		"never placed, for want of a database": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.Class.Spec.Databases[0].Name = "nowhere"
				b.Make(t)
				b.pass(t, b.Set)
				b.pass(t, b.Database)
				tenant := b.Tenant("acme", b.Host("acme"))
				b.Create(t, tenant)
				b.pass(t, tenant)
				b.Expect(t, tenant, operator.Waiting("Ready", v1alpha1.ReasonDatabaseNotFound))
				return tenant
			},
		},
		"in the middle of a failing migration": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.Files.Data["0004_bad.sql"] = "INSERT INTO nowhere (id) VALUES (1);\n"
				b.Set.Spec.DryRun = v1alpha1.DryRunDisabled
				b.settle(t)
				tenant := b.Tenant("acme", b.Host("acme"))
				tenant.Spec.DeletionPolicy = v1alpha1.DeletionDelete
				b.Create(t, tenant)
				b.pass(t, tenant)
				b.Expect(t, tenant, operator.Stalled("Ready", v1alpha1.ReasonMigrationFailed))
				return tenant
			},
		},
		"placed by the registry's word alone": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.settle(t)
				tenant := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
				b.forge(t, tenant, func(s *v1alpha1.TenantStatus) { *s = v1alpha1.TenantStatus{ObservedGeneration: -1} })
				b.restart(t)
				return tenant
			},
		},
		"by an operator that has just been started": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.settle(t)
				tenant := b.tenant(t, "acme")
				b.restart(t)
				return tenant
			},
			want: func(b *bench, tenant *v1alpha1.Tenant) traces { return b.kept(tenant.Status.Schema) },
		},
		"with the role dropped by hand": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.settle(t)
				tenant := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
				role := "tn_" + b.Name + "__" + tenant.Status.Schema + "_app"
				b.sql(t, "DROP OWNED BY "+role+"; DROP ROLE "+role)
				return tenant
			},
		},
		"with the schema dropped by hand": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.settle(t)
				tenant := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
				b.sql(t, "DROP SCHEMA "+tenant.Status.Schema+" CASCADE")
				return tenant
			},
		},
		"with the Secret deleted by hand": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.settle(t)
				tenant := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
				b.Delete(t, b.secret(t, tenant))
				return tenant
			},
		},
		"by the class's policy": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.Class.Spec.DeletionPolicy = v1alpha1.DeletionDelete
				b.settle(t)
				return b.tenant(t, "acme")
			},
		},
		"with a policy that says otherwise than the class": {
			do: func(t *testing.T, b *bench) *v1alpha1.Tenant {
				b.Class.Spec.DeletionPolicy = v1alpha1.DeletionDelete
				b.settle(t)
				return b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionRetain })
			},
			want: func(b *bench, tenant *v1alpha1.Tenant) traces { return b.kept(tenant.Status.Schema) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			tenant := tt.do(t, b)
			want := traces{}
			if tt.want != nil {
				want = tt.want(b, tenant)
			}
			b.remove(t, tenant)
			wantTraces(t, "left behind", want, b.traces(t, "acme"))
		})
	}
}

// A deletion that cannot go on says what blocks it, and goes on when that is gone.
func TestBlockedDeletion(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		block func(t *testing.T, b *bench, tenant *v1alpha1.Tenant)
		want  []operator.Want
		free  func(t *testing.T, b *bench, tenant *v1alpha1.Tenant)
	}{
		"by a view of somebody else": {
			block: func(t *testing.T, b *bench, tenant *v1alpha1.Tenant) {
				b.sql(t, "CREATE SCHEMA reports; CREATE VIEW reports.notes AS SELECT * FROM "+tenant.Status.Schema+".note")
			},
			want: []operator.Want{{Condition: "Ready", Reason: v1alpha1.ReasonDependentObjects, Message: []string{"reports.notes"}}},
			free: func(t *testing.T, b *bench, _ *v1alpha1.Tenant) {
				b.sql(t, "DROP VIEW reports.notes; DROP SCHEMA reports")
			},
		},
		"by the connection Secret": {
			block: func(t *testing.T, b *bench, _ *v1alpha1.Tenant) {
				b.Delete(t, b.Secret)
				b.restart(t)
			},
			want: []operator.Want{{Condition: "Ready", Reason: v1alpha1.ReasonSecretNotFound, Message: []string{`Secret "db" does not exist`}}},
			free: func(t *testing.T, b *bench, _ *v1alpha1.Tenant) { b.Create(t, b.ConnectionSecret("db", b.DSN)) },
		},
		"by a database that is away": {
			block: func(t *testing.T, b *bench, _ *v1alpha1.Tenant) {
				b.connection(t, map[string]string{"uri": strings.Replace(b.DSN, "/"+b.Name+"?", "/nowhere?", 1)})
				b.restart(t)
			},
			want: []operator.Want{{Condition: "Ready", Reason: v1alpha1.ReasonDatabaseNotFound}},
			free: func(t *testing.T, b *bench, _ *v1alpha1.Tenant) {
				goodConnection(t, b)
				b.pass(t, b.Database)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			acme := b.tenant(t, "acme", func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
			tt.block(t, b, acme)
			b.Delete(t, acme)
			if _, err := b.by.Reconcile(t.Context(), acme); err != nil {
				t.Fatalf("what blocks a deletion is no error of the operator: %v", err)
			}
			b.Expect(t, acme, tt.want...)
			tt.free(t, b, acme)
			b.finish(t, acme)
			wantTraces(t, "left behind", traces{}, b.traces(t, "acme"))
		})
	}
}

// TenantDatabase and class stay until the last of their tenants is gone, and say so.
func TestInUse(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.Delete(t, b.Database, b.Class, b.Set)
	b.pass(t, b.Set)
	for _, obj := range []conditions.Object{b.Database, b.Class} {
		b.pass(t, obj)
		b.Expect(t, obj, operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonInUse, Message: []string{"1 Tenant"}})
	}
	// Who is still there is looked after, and its deletion needs the login that the Secret has by now.
	b.sql(t, "ALTER ROLE "+b.login()+" PASSWORD 'turned'")
	b.sql(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	b.pass(t, b.Database) // finds its sessions ended
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Want{Condition: v1alpha1.ConditionReachable, Reason: v1alpha1.ReasonAuthenticationFailed},
		operator.Want{Condition: "Ready", Reason: v1alpha1.ReasonInUse, Message: []string{"1 Tenant", "check user name and password"}})
	u, err := url.Parse(b.DSN)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(b.login(), "turned")
	b.connection(t, map[string]string{"uri": u.String()})
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Want{Condition: v1alpha1.ConditionReachable, Status: "True", Reason: v1alpha1.ReasonSucceeded})
	// Nobody new comes to what is going.
	late := b.Tenant("late")
	b.Create(t, late)
	b.pass(t, late)
	b.Expect(t, late, operator.Waiting("DatabaseReady", v1alpha1.ReasonDatabaseNotReady, "is being deleted"))
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	b.remove(t, late)
	b.remove(t, acme)
	for _, obj := range []conditions.Object{b.Database, b.Class} {
		b.pass(t, obj)
		if !b.gone(t, obj) {
			t.Errorf("%T is still there: %v", obj, *obj.GetConditions())
		}
	}
	wantTraces(t, "left behind", b.kept(acme.Status.Schema), b.traces(t, "acme"))
}
