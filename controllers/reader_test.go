package controllers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

func (b *bench) readerSecret(t *testing.T, tenant *v1alpha1.Tenant) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: tenant.Name + "-db-reader"}}
	err := b.Admin.Get(t.Context(), client.ObjectKeyFromObject(s), s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var readerReady = operator.Want{Condition: v1alpha1.ConditionReaderReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}

// A reader comes with the class's offer, rotates, and goes with its Secret when it is switched off.
func TestReader(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Logins = &v1alpha1.LoginPolicy{Reader: &v1alpha1.ReaderPolicy{Connections: 2}}
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
	b.settle(t)
	acme := b.tenant(t, "acme")
	b.Expect(t, acme, readerReady)
	first := keys(b.readerSecret(t, acme))
	if err := operator.Try(t, first["uri"], "SELECT FROM note"); err != nil {
		t.Error(err)
	}
	if operator.Try(t, first["uri"], "SET default_transaction_read_only = off", "INSERT INTO note (body) VALUES ('no')") == nil {
		t.Error("the reader writes")
	}
	if r := acme.Status.Reader; r == nil || r.Login != first["username"] || r.Secret != "acme-db-reader" {
		t.Errorf("status.reader is %+v", r)
	}
	b.pass(t, acme)
	before := acme.ResourceVersion
	b.restart(t)
	b.pass(t, acme)
	if acme.ResourceVersion != before {
		t.Error("a steady pass writes")
	}

	b.rotate(t, acme, "1")
	b.pass(t, acme)
	second := keys(b.readerSecret(t, acme))
	if second["username"] != first["username"]+"_b" || operator.LogsIn(t, second["uri"]) != nil {
		t.Errorf("after %s comes %s", first["username"], second["username"])
	}
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, acme)
		if operator.LogsIn(t, first["uri"]) == nil {
			return errors.New("the old reader still works")
		}
		return nil
	})
	b.Expect(t, acme, operator.Ready(), readerReady)

	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Reader = v1alpha1.SwitchDisabled })
	b.pass(t, acme)
	if b.readerSecret(t, acme) != nil || operator.LogsIn(t, second["uri"]) == nil || acme.Status.Reader != nil ||
		conditions.Get(acme, v1alpha1.ConditionReaderReady) != nil || len(operator.Roles(t, b.AdminDSN, first["username"])) > 0 {
		t.Errorf("something of the reader is left: %+v", acme.Status)
	}
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Reader = v1alpha1.SwitchEnabled })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), readerReady)
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Logins = nil })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionReaderReady, Reason: v1alpha1.ReasonReaderNotOffered})
	if b.readerSecret(t, acme) != nil {
		t.Error("the Secret is left")
	}
}

// A reader that cannot be had keeps nobody from working, and is said.
func TestReaderCannotBeHad(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Logins = &v1alpha1.LoginPolicy{Reader: &v1alpha1.ReaderPolicy{Default: v1alpha1.SwitchDisabled}}
	b.settle(t)
	acme := b.tenant(t, "acme")
	if b.readerSecret(t, acme) != nil {
		t.Error("there is a reader that nobody asked for")
	}
	theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "acme-db-reader"}, StringData: map[string]string{"password": "precious-and-not-ours"}}
	b.Create(t, theirs)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.Reader = v1alpha1.SwitchEnabled })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionReaderReady, Reason: v1alpha1.ReasonSecretNameTaken})
	b.Delete(t, theirs)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), readerReady)
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	b.remove(t, acme)
	if b.readerSecret(t, acme) != nil || len(operator.Roles(t, b.AdminDSN, "tn_"+b.Name+"__")) > 0 {
		t.Error("something is left")
	}
}

// Keys by template are in every Secret with a login; one that cannot be made changes no Secret.
func TestExtraKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Logins = &v1alpha1.LoginPolicy{Reader: &v1alpha1.ReaderPolicy{}}
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{ExtraKeys: []v1alpha1.SecretKey{
		{Key: "JDBC_URL", Template: "jdbc:postgresql://{{ .Host }}:{{ .Port }}/{{ .Database | urlquery }}?currentSchema={{ .Schema | urlquery }}"},
		{Key: "dsn", Template: "user={{ .Username }} of {{ .Namespace }}/{{ .Name }} as {{ .Role }}"},
	}}
	b.settle(t)
	acme := b.tenant(t, "acme")
	app := "tn_" + b.Name + "__" + acme.Status.Schema + "_app"
	for _, s := range []map[string]string{keys(b.secret(t, acme)), keys(b.readerSecret(t, acme))} {
		if want := "jdbc:postgresql://" + s["host"] + ":" + s["port"] + "/" + b.Name + "?currentSchema=" + acme.Status.Schema; s["JDBC_URL"] != want {
			t.Errorf("JDBC_URL is %q, want %q", s["JDBC_URL"], want)
		}
		if want := "user=" + s["username"] + " of " + b.Namespace + "/acme as " + app; s["dsn"] != want {
			t.Errorf("dsn is %q, want %q", s["dsn"], want)
		}
	}
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) {
		c.Spec.Credentials.ExtraKeys = []v1alpha1.SecretKey{{Key: "note", Template: "{{ .Schema }}"}}
	})
	b.pass(t, acme)
	if s := keys(b.secret(t, acme)); s["note"] != acme.Status.Schema || s["JDBC_URL"] != "" {
		t.Errorf("the Secret has %q and %q", s["note"], s["JDBC_URL"])
	}
}

// A pooler refuses options in the start-up packet, so that a URI for one has none: the login's own default
// path is the same.
func TestURIForPooler(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Database.Spec.Endpoint = &v1alpha1.DatabaseEndpoint{Host: "127.0.0.1", Port: int32(b.Server.Port)}
	b.settle(t)
	acme := b.tenant(t, "acme")
	uri := keys(b.secret(t, acme))["uri"]
	operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('works')")
	for _, part := range []string{"options", "search_path"} {
		if strings.Contains(uri, part) {
			t.Errorf("the URI has %s", part)
		}
	}
}

// shrink vacuums until a table takes less: what a session that just begins elsewhere on the server might
// still see is kept.
func (b *bench) shrink(t *testing.T, table string, below int64) {
	t.Helper()
	operator.Poll(t, operator.Soon, func() error {
		b.script(t, "VACUUM FULL "+table)
		if size := operator.Query[int64](t, b.AdminDSN, "SELECT pg_total_relation_size($1::text::regclass)", table); size >= below {
			return fmt.Errorf("%s takes %d bytes", table, size)
		}
		return nil
	})
}

// A table that one tenant locks keeps nobody else's schema from being measured, and of its own it is said
// that nobody knows. What cannot be done about a schema is said too.
func TestQuotaBesideALock(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Limits = &v1alpha1.TenantLimits{Schema: &v1alpha1.SchemaQuota{Size: new(resource.MustParse("1Mi")), WhenExceeded: v1alpha1.QuotaReport}}
	b.settle(t)
	locks, grows := b.tenant(t, "locks"), b.tenant(t, "grows")
	measure := func() {
		t.Helper()
		b.by.Tenant.Quotas.Measure(t.Context(), false)
		b.pass(t, locks)
		b.pass(t, grows)
	}
	within := operator.Want{Condition: v1alpha1.ConditionWithinQuota, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
	measure()
	b.Expect(t, locks, within)
	b.Expect(t, grows, within)

	session := operator.Hold(t, keys(b.secret(t, locks))["uri"])
	for _, sql := range []string{"BEGIN", "LOCK TABLE note IN ACCESS EXCLUSIVE MODE"} {
		if _, err := session.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	operator.Exec(t, keys(b.secret(t, grows))["uri"], "INSERT INTO note (body) SELECT repeat(md5(i::text), 40) FROM generate_series(1, 2000) i")
	measure()
	b.Expect(t, grows, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionWithinQuota, Reason: v1alpha1.ReasonQuotaExceeded})
	b.Expect(t, locks, operator.Ready(), within)
	measure()
	unknown := operator.Want{Condition: v1alpha1.ConditionWithinQuota, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNotMeasured, Message: []string{"is locked"}}
	b.Expect(t, locks, operator.Ready(), unknown)
	b.quietHere(t, "passes over a schema that cannot be measured", locks)
	if _, err := session.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	measure()
	b.Expect(t, locks, operator.Ready(), within)

	// INSERT cannot be taken while the table is locked.
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits.Schema.WhenExceeded = v1alpha1.QuotaRevokeInsert })
	session = operator.Hold(t, keys(b.secret(t, grows))["uri"])
	for _, sql := range []string{"BEGIN", "LOCK TABLE note IN ACCESS EXCLUSIVE MODE"} {
		if _, err := session.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	b.pass(t, grows)
	c := conditions.Get(grows, v1alpha1.ConditionWithinQuota)
	if c.Status != metav1.ConditionFalse || c.Reason == v1alpha1.ReasonQuotaExceeded || !strings.Contains(c.Message, "cannot revoke INSERT") {
		t.Errorf("INSERT could not be taken, and the condition is %s %s: %s", c.Status, c.Reason, c.Message)
	}
	operator.Update(t, b.Servers, grows, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = true })
	if again := b.pass(t, grows).RequeueAfter; again > 15*time.Second {
		t.Errorf("a suspended tenant whose INSERT could not be taken is looked at in %s, want 15s", again)
	}
	operator.Update(t, b.Servers, grows, func(tn *v1alpha1.Tenant) { tn.Spec.Suspended = false })
	if _, err := session.Exec(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	b.pass(t, grows)
	b.Expect(t, grows, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionWithinQuota, Reason: v1alpha1.ReasonInsertRevoked})
}

// A schema that grows over its bound is said; INSERT goes and comes back if the class wants it so.
func TestQuota(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	quota := &v1alpha1.SchemaQuota{Size: new(resource.MustParse("1Mi")), WhenExceeded: v1alpha1.QuotaRevokeInsert}
	b.Class.Spec.Limits = &v1alpha1.TenantLimits{Schema: quota}
	b.settle(t)
	acme := b.tenant(t, "acme")
	measure := func() {
		t.Helper()
		b.by.Tenant.Quotas.Measure(t.Context(), false)
		b.pass(t, acme)
	}
	b.Expect(t, acme, operator.Want{Condition: v1alpha1.ConditionWithinQuota, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending})
	measure()
	within := operator.Want{Condition: v1alpha1.ConditionWithinQuota, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded}
	b.Expect(t, acme, operator.Ready(), within)
	uri := keys(b.secret(t, acme))["uri"]
	fill := "INSERT INTO note (body) SELECT repeat(md5(i::text), 40) FROM generate_series(1, 2000) i"
	operator.Exec(t, uri, fill)
	measure()
	revoked := operator.Want{Condition: v1alpha1.ConditionWithinQuota, Reason: v1alpha1.ReasonInsertRevoked, Message: []string{"1Mi"}}
	b.Expect(t, acme, operator.Ready(), revoked)
	if operator.Try(t, uri, fill) == nil {
		t.Error("rows are added above the bound")
	}
	b.Nudge(t, acme) // verify finds what the quota did, and says nothing
	b.restart(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready(), revoked)
	operator.Exec(t, uri, "DELETE FROM note WHERE id > 10")
	b.shrink(t, acme.Status.Schema+".note", 1<<19)
	measure()
	b.Expect(t, acme, operator.Ready(), within)
	operator.Exec(t, uri, fill)

	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits.Schema.WhenExceeded = v1alpha1.QuotaReport })
	measure()
	b.Expect(t, acme, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionWithinQuota, Reason: v1alpha1.ReasonQuotaExceeded})
	operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('works')")
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits.Schema.WhenExceeded = v1alpha1.QuotaRevokeInsert })
	measure()
	b.Expect(t, acme, revoked)
	b.restart(t)
	operator.Update(t, b.Servers, b.Class, func(c *v1alpha1.TenantClass) { c.Spec.Limits.Schema = nil })
	b.pass(t, acme)
	if conditions.Get(acme, v1alpha1.ConditionWithinQuota) != nil {
		t.Error("the condition is left")
	}
	operator.Exec(t, uri, "INSERT INTO note (body) VALUES ('works')")
}
