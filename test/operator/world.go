package operator

import (
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/platform"
)

// World is one test's part of the servers. Its objects exist in the API only once the test made
// them; Ready makes the usual ones.
type World struct {
	*Servers
	// Namespace of all that the test makes. Its name also names the class and begins its domains.
	Namespace string
	// Server holds the world's database.
	Server *platform.Postgres
	// Name is the database's, DSN the operator's login on it, Admin a superuser's.
	Name, DSN, AdminDSN string

	Secret   *corev1.Secret
	Database *v1alpha1.TenantDatabase
	Files    *corev1.ConfigMap
	Set      *v1alpha1.MigrationSet
	Class    *v1alpha1.TenantClass
}

var worlds atomic.Int32

// World makes a namespace and a database that is prepared for the operator, on the shared server.
func (s *Servers) World(t testing.TB) *World {
	t.Helper()
	return s.WorldOn(t, s.Postgres)
}

// WorldOn makes a world whose database is on another server.
func (s *Servers) WorldOn(t testing.TB, server *platform.Postgres) *World {
	t.Helper()
	return s.worldIn(t, server, fmt.Sprintf("world-%d", worlds.Add(1)))
}

// WorldIn makes a world in a namespace of that name.
func (s *Servers) WorldIn(t testing.TB, namespace string) *World {
	t.Helper()
	return s.worldIn(t, s.Postgres, namespace)
}

func (s *Servers) worldIn(t testing.TB, server *platform.Postgres, namespace string) *World {
	t.Helper()
	w := &World{Servers: s, Server: server, Namespace: namespace}
	w.Name, w.DSN, w.AdminDSN = w.NewDatabase(t, strings.NewReplacer("-", "").Replace(namespace))
	err := s.Admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: w.Namespace, Annotations: map[string]string{"test": t.Name()},
	}})
	if client.IgnoreAlreadyExists(err) != nil { // The installation may have brought it.
		t.Fatal(err)
	}
	w.plan()
	return w
}

// plan says what the world's objects will be; tests change them before they create them.
func (w *World) plan() {
	w.Secret = w.ConnectionSecret("db", w.DSN)
	w.Database = w.TenantDatabase("main", "db")
	w.Files = w.ConfigMap("migrations", Migrations(3))
	w.Set = &v1alpha1.MigrationSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "app"},
		Spec: v1alpha1.MigrationSetSpec{Source: v1alpha1.MigrationSource{ConfigMaps: []v1alpha1.ConfigMapSource{
			{LocalReference: v1alpha1.LocalReference{Name: "migrations"}},
		}}},
	}
	w.Class = &v1alpha1.TenantClass{
		ObjectMeta: metav1.ObjectMeta{Name: w.Namespace},
		Spec: v1alpha1.TenantClassSpec{
			Databases:       []v1alpha1.NamespacedReference{{Namespace: w.Namespace, Name: "main"}},
			MigrationSetRef: &v1alpha1.NamespacedReference{Namespace: w.Namespace, Name: "app"},
			Domains:         &v1alpha1.DomainPolicy{Custom: &v1alpha1.CustomDomains{Verification: v1alpha1.VerifyNothing}},
		},
	}
}

// Make creates the world's own objects: Secret, TenantDatabase, ConfigMap, MigrationSet and class.
func (w *World) Make(t testing.TB) *World {
	t.Helper()
	w.Create(t, w.Secret, w.Database, w.Files, w.Set, w.Class)
	return w
}

// NewDatabase prepares one more database on the world's server. It returns the URLs of the operator's
// login and of a superuser.
func (w *World) NewDatabase(t testing.TB, name string) (database, dsn, admin string) {
	t.Helper()
	dsn, err := w.Server.NewOperatorDatabase(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return name, dsn, strings.Replace(w.Server.AdminDSN(), "/postgres?", "/"+name+"?", 1)
}

// ConnectionSecret is a Secret with a connection string.
func (w *World) ConnectionSecret(name, dsn string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		StringData: map[string]string{"uri": dsn},
	}
}

// TenantDatabase is a TenantDatabase with a connection Secret.
func (w *World) TenantDatabase(name, secret string) *v1alpha1.TenantDatabase {
	return &v1alpha1.TenantDatabase{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		Spec:       v1alpha1.TenantDatabaseSpec{ConnectionSecretRef: v1alpha1.LocalReference{Name: secret}},
	}
}

// ConfigMap is a ConfigMap with files.
func (w *World) ConfigMap(name string, files map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}, Data: files}
}

// Tenant is a Tenant of the world's class.
func (w *World) Tenant(name string, domains ...string) *v1alpha1.Tenant {
	return &v1alpha1.Tenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name},
		Spec:       v1alpha1.TenantSpec{ClassName: w.Class.Name, Domains: domains},
	}
}

// Host is a host name that belongs to this world alone.
func (w *World) Host(name string) string { return name + "." + w.Namespace + ".example" }

// Migrations returns n files of plain numbered SQL: the first makes the table note, every other one
// adds a column c<number> to it.
func Migrations(n int) map[string]string {
	files := map[string]string{}
	for i := 1; i <= n; i++ {
		name, text := MigrationFile(i)
		files[name] = text
	}
	return files
}

// MigrationFile returns name and text of one file of Migrations.
func MigrationFile(i int) (name, text string) {
	if i == 1 {
		return "0001_note.sql", "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);\n"
	}
	return fmt.Sprintf("%04d_c%d.sql", i, i), fmt.Sprintf("ALTER TABLE note ADD COLUMN c%d integer;\n", i)
}

// Login changes the login of a connection URL, and its database if one is given.
func Login(t testing.TB, dsn, user, password, database string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, password)
	if database != "" {
		u.Path = "/" + database
	}
	return u.String()
}
