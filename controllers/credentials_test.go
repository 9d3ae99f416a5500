package controllers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// secret reads the tenant's Secret.
func (b *bench) secret(t *testing.T, tenant *v1alpha1.Tenant) *corev1.Secret {
	t.Helper()
	s := &corev1.Secret{}
	s.Namespace, s.Name = tenant.Namespace, tenant.Name+"-db"
	b.Get(t, s)
	return s
}

// keys are the Secret's, as text.
func keys(s *corev1.Secret) map[string]string {
	text := map[string]string{}
	for k, v := range s.Data {
		text[k] = string(v)
	}
	return text
}

// What people do to a tenant's Secret or login by hand is mended by the next pass, and the customer's
// connection string then works.
func TestCredentialsByHand(t *testing.T) {
	t.Parallel()
	const mine = "a-password-of-our-own+/=&@"
	edit := func(change func(*corev1.Secret)) func(*testing.T, *bench, *v1alpha1.Tenant) {
		return func(t *testing.T, b *bench, tenant *v1alpha1.Tenant) {
			operator.Update(t, b.Servers, b.secret(t, tenant), change)
		}
	}
	sql := func(text string) func(*testing.T, *bench, *v1alpha1.Tenant) {
		return func(t *testing.T, b *bench, tenant *v1alpha1.Tenant) {
			b.sql(t, strings.NewReplacer("APP", "tn_"+b.Name+"__"+tenant.Status.Schema+"_app", "DB", b.Name).Replace(text))
		}
	}
	same := func(before, after map[string]string) string { return cmp.Diff(before, after) }
	replaced := func(before, after map[string]string) string {
		if before["password"] == after["password"] || len(after["password"]) < 22 {
			return "the password was not replaced"
		}
		before["password"], before["uri"] = after["password"], after["uri"]
		return cmp.Diff(before, after)
	}
	b := newBench(t).settle(t)
	n := 0
	for name, tt := range map[string]struct {
		do func(*testing.T, *bench, *v1alpha1.Tenant)
		// want compares the Secret's keys before and after.
		want func(before, after map[string]string) string
		// asked says that nothing in the cluster or the catalog shows it: only a look that a user asks
		// for, or the regular one, finds it.
		asked bool
	}{
		"Secret deleted": {
			do:   func(t *testing.T, b *bench, tenant *v1alpha1.Tenant) { b.Delete(t, b.secret(t, tenant)) },
			want: replaced,
		},
		"password edited": {
			do: edit(func(s *corev1.Secret) { s.Data["password"] = []byte(mine) }),
			want: func(_, after map[string]string) string {
				if after["password"] != mine {
					return "a good password was not taken over"
				}
				return ""
			},
		},
		"password too short":      {do: edit(func(s *corev1.Secret) { s.Data["password"] = []byte("short") }), want: replaced},
		"password of spaces":      {do: edit(func(s *corev1.Secret) { s.Data["password"] = []byte("a password with spaces") }), want: replaced},
		"password removed":        {do: edit(func(s *corev1.Secret) { delete(s.Data, "password") }), want: replaced},
		"key removed":             {do: edit(func(s *corev1.Secret) { delete(s.Data, "host") }), want: same},
		"uri edited":              {do: edit(func(s *corev1.Secret) { s.Data["uri"] = []byte("postgres://elsewhere") }), want: same},
		"all keys removed":        {do: edit(func(s *corev1.Secret) { s.Data = nil }), want: replaced},
		"role without LOGIN":      {do: sql("ALTER ROLE APP NOLOGIN"), want: same},
		"role without password":   {do: sql("ALTER ROLE APP NOLOGIN PASSWORD NULL"), want: same},
		"password changed in SQL": {do: sql("ALTER ROLE APP PASSWORD 'something else'"), want: same, asked: true},
		"login expired":           {do: sql("ALTER ROLE APP VALID UNTIL '2020-01-01'"), want: same, asked: true},
		"search_path changed":     {do: sql("ALTER ROLE APP IN DATABASE DB SET search_path = public"), want: same},
		"own key beside": {do: edit(func(s *corev1.Secret) { s.Data["team"] = []byte("blue") }), want: func(before, after map[string]string) string {
			before["team"] = "blue"
			return cmp.Diff(before, after)
		}},
	} {
		n++
		tenant := fmt.Sprintf("t%d", n)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			acme := b.tenant(t, tenant)
			before := keys(b.secret(t, acme))
			tt.do(t, b, acme)
			if tt.asked {
				b.Nudge(t, acme)
			}
			b.pass(t, acme)
			b.Expect(t, acme, operator.Ready())
			after := keys(b.secret(t, acme))
			if diff := tt.want(before, after); diff != "" {
				t.Errorf("Secret: %s", diff)
			}
			operator.Exec(t, after["uri"], "INSERT INTO note (body) VALUES ('works')")
		})
	}
}

// A pool of the customer's keeps its sessions while the operator mends.
func TestPasswordIsNotTouched(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	verifier := func() string {
		return operator.Query[string](t, b.AdminDSN, `SELECT rolpassword FROM pg_authid WHERE rolname LIKE $1`, "%"+acme.Status.Schema+"_app")
	}
	before := verifier()
	b.restart(t)
	b.pass(t, b.Set)
	b.pass(t, b.Database)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if after := verifier(); after != before {
		t.Error("the operator's restart changed the tenant's password")
	}
	if got := before[:14]; got != "SCRAM-SHA-256$" {
		t.Errorf("the password is kept as %s", got)
	}
}

// The operator writes the Secret first: one that ended there goes on from it.
func TestCredentialsAfterCrash(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	// The server has not got the password that is in the Secret, as after a crash between the two.
	operator.Update(t, b.Servers, b.secret(t, acme), func(s *corev1.Secret) { s.Data["password"] = []byte("the-next-password-1") })
	b.restart(t)
	b.pass(t, b.Database)
	b.pass(t, b.Set)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	got := keys(b.secret(t, acme))
	if got["password"] != "the-next-password-1" {
		t.Error("the password in the Secret was replaced")
	}
	if err := operator.LogsIn(t, got["uri"]); err != nil {
		t.Errorf("the Secret's login does not work: %v", err)
	}
}

// A connection limit that is spent keeps the operator's own log-in out; the customer is not told to
// be broken for that.
func TestSpentConnectionLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Limits = &v1alpha1.TenantLimits{Connections: 1}
	b.settle(t)
	acme := b.tenant(t, "acme")
	operator.Hold(t, keys(b.secret(t, acme))["uri"])
	b.Nudge(t, acme)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
}

// rotate asks for another login.
func (b *bench) rotate(t *testing.T, tenant *v1alpha1.Tenant, asked string) {
	t.Helper()
	operator.Update(t, b.Servers, tenant, func(tn *v1alpha1.Tenant) {
		tn.Annotations = map[string]string{v1alpha1.AnnotationRotate: asked}
	})
}

// A login is replaced without a moment in which neither works; the old one goes when its grace is over and
// nobody uses it. The next rotation gives it back, with another password.
func TestRotation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{GraceSeconds: 1}
	b.settle(t)
	acme := b.tenant(t, "acme")
	first := keys(b.secret(t, acme))
	session := operator.Session(t, first["uri"])

	b.rotate(t, acme, "1")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	second := keys(b.secret(t, acme))
	if second["username"] != first["username"]+"_b" || second["password"] == first["password"] {
		t.Fatalf("the Secret has %s after %s", second["username"], first["username"])
	}
	for _, login := range []map[string]string{first, second} {
		if err := operator.LogsIn(t, login["uri"]); err != nil {
			t.Errorf("%s: %v", login["username"], err)
		}
	}
	if c := acme.Status.Credentials; c == nil || c.Login != second["username"] || c.Previous != first["username"] || c.Since == nil {
		t.Errorf("status.credentials is %+v", c)
	}
	operator.Poll(t, operator.Soon, func() error { // past the grace
		if result := b.pass(t, acme); result.RequeueAfter < time.Minute {
			return fmt.Errorf("comes back after %s", result.RequeueAfter)
		}
		return nil
	})
	if err := operator.LogsIn(t, first["uri"]); err != nil {
		t.Errorf("a login with a session was retired: %v", err)
	}
	session.End(t)
	operator.Poll(t, operator.Soon, func() error {
		b.pass(t, acme)
		if operator.LogsIn(t, first["uri"]) == nil {
			return fmt.Errorf("%s still logs in", first["username"])
		}
		return nil
	})
	if c := acme.Status.Credentials; c.Previous != "" {
		t.Errorf("status still names %s", c.Previous)
	}
	tenantBefore, secretBefore := acme.ResourceVersion, b.secret(t, acme).ResourceVersion
	b.restart(t)
	b.pass(t, acme)
	if acme.ResourceVersion != tenantBefore || b.secret(t, acme).ResourceVersion != secretBefore {
		t.Error("a steady pass after a rotation writes")
	}

	b.rotate(t, acme, "2")
	b.pass(t, acme)
	third := keys(b.secret(t, acme))
	if third["username"] != first["username"] || third["password"] == first["password"] {
		t.Errorf("the third login is %s", third["username"])
	}
	b.pass(t, acme)
	if again := keys(b.secret(t, acme)); again["password"] != third["password"] {
		t.Error("one wish is met twice")
	}
	b.Expect(t, acme, operator.Ready())

	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	b.remove(t, acme)
	if left := operator.Roles(t, b.AdminDSN, "tn_"+b.Name+"__"); len(left) > 0 {
		t.Errorf("roles %v are left", left)
	}
}

// A login is replaced when it is as old as the class allows.
func TestRotationBySchedule(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Class.Spec.Credentials = &v1alpha1.CredentialsPolicy{RotateAfterDays: 30}
	b.settle(t)
	acme := b.tenant(t, "acme")
	before := keys(b.secret(t, acme))
	b.pass(t, acme)
	if keys(b.secret(t, acme))["password"] != before["password"] {
		t.Fatal("a young login was replaced")
	}
	operator.Update(t, b.Servers, b.secret(t, acme), func(s *corev1.Secret) {
		s.Annotations[v1alpha1.AnnotationLoginSince] = time.Now().AddDate(0, 0, -31).UTC().Format(time.RFC3339)
	})
	b.pass(t, acme)
	after := keys(b.secret(t, acme))
	if after["username"] == before["username"] {
		t.Error("an old login was not replaced")
	}
	b.pass(t, acme)
	if keys(b.secret(t, acme))["username"] != after["username"] {
		t.Error("a new login was replaced")
	}
}

// Whatever a crash between two writes leaves, the tenant's Secret has a login that works, and the rotation
// ends with the next passes.
func TestRotationSurvivesCrashes(t *testing.T) {
	t.Parallel()
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.rotate(t, acme, "1")
	for n := 0; ; n++ {
		_, err := servers.DyingReconcilers(t, n).Reconcile(t.Context(), acme)
		crashed := errors.Is(err, operator.ErrCrash)
		if err != nil && !crashed {
			t.Fatal(err)
		}
		if err := operator.LogsIn(t, keys(b.secret(t, acme))["uri"]); err != nil {
			t.Fatalf("after a crash behind write %d, the Secret's login does not work: %v", n, err)
		}
		if !crashed {
			break
		}
		if n > 20 {
			t.Fatal("the rotation does not end")
		}
	}
	b.restart(t)
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if user := keys(b.secret(t, acme))["username"]; !strings.HasSuffix(user, "_b") {
		t.Errorf("the Secret has %s", user)
	}
}
