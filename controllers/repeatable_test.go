package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// repeatable is a file of Flyway's that cannot run where note has just one row.
const repeatable = "DROP TABLE IF EXISTS report; CREATE TABLE report AS SELECT 1 / (count(*) - 1) AS n FROM note"

// byFlyway is a bench with the world's first files as Flyway's.
func byFlyway(t *testing.T, files int) *bench {
	t.Helper()
	b := newBench(t)
	b.Files.Data = flyway(files)
	return b.settle(t)
}

func flyway(files int) map[string]string {
	data := map[string]string{}
	for name, text := range operator.Migrations(files) {
		number, rest, _ := strings.Cut(name, "_")
		data["V"+number+"__"+rest] = text
	}
	return data
}

// A repeatable migration that fails behind a new version is no part of that version, whatever the numbers say.
func TestFailedRepeatableIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := byFlyway(t, 2)
	acme := b.tenant(t, "acme")
	note := func() { b.script(t, fmt.Sprintf("INSERT INTO %s.note (body) VALUES ('x')", acme.Status.Schema)) }
	note()
	operator.Update(t, b.Servers, b.Files, func(files *corev1.ConfigMap) {
		files.Data = flyway(3)
		files.Data["R__report.sql"] = repeatable
	})
	b.pass(t, b.Set)
	for range 2 {
		b.pass(t, acme)
		b.Expect(t, acme, operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed, "R__report.sql", "stays at version 3"))
		b.restart(t)
	}
	note()
	operator.Update(t, b.Servers, acme, func(tn *v1alpha1.Tenant) { tn.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"} })
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if got := operator.Columns(t, b.AdminDSN, acme.Status.Schema, "report"); len(got) != 1 {
		t.Errorf("the repeatable migration made the columns %q", got)
	}
}

// Who is adopted at the newest version has not yet what comes behind all versions.
func TestAdoptedTenantGetsRepeatables(t *testing.T) {
	t.Parallel()
	b := byFlyway(t, 2)
	operator.Update(t, b.Servers, b.Files, func(files *corev1.ConfigMap) { files.Data["R__report.sql"] = repeatable })
	b.pass(t, b.Set)
	b.script(t, fmt.Sprintf("GRANT %q TO %q", b.legacy(t), b.login()))
	b.adopt(t, b.entry("shop", "2"))
	acme := b.shop(t, "acme")
	b.pass(t, acme)
	b.Expect(t, acme, operator.Ready())
	if got := operator.Columns(t, b.AdminDSN, "shop", "report"); len(got) != 1 {
		t.Errorf("the repeatable migration made the columns %q", got)
	}
}

// A ledger that an adopted schema brings along is held against the files before anybody believes it, and says nothing
// of the files to others.
func TestAdoptedLedgerHasToFit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ rows, reason string }{
		"another text": {"('1', 'x', 'other', 'done', 1), ('2', 'x', 'other', 'done', 1), ('3', 'x', 'other', 'done', 1)", v1alpha1.ReasonChecksumChanged},
		"another file": {"('7', 'x', 'other', 'done', 1)", v1alpha1.ReasonMigrationRemoved},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t).settle(t)
			b.script(t, fmt.Sprintf("GRANT %q TO %q; SET ROLE %[1]q;", b.legacy(t), b.login())+`
				CREATE TABLE shop.tenantry_migrations (version text COLLATE "C" PRIMARY KEY, file text NOT NULL, checksum text NOT NULL,
					state text NOT NULL CHECK (state IN ('running', 'done')), finished integer NOT NULL, in_doubt boolean NOT NULL DEFAULT false,
					prefix text NOT NULL DEFAULT '', runner text NOT NULL DEFAULT '', applied_at timestamptz NOT NULL DEFAULT clock_timestamp());
				INSERT INTO shop.tenantry_migrations (version, file, checksum, state, finished) VALUES `+tt.rows)
			b.adopt(t, b.entry("shop", ""))
			acme := b.shop(t, "acme")
			b.pass(t, acme)
			b.Expect(t, acme, operator.Stalled("Migrated", tt.reason))
			other := b.tenant(t, "other")
			b.pass(t, b.Set)
			b.Expect(t, b.Set, operator.Ready())
			b.Expect(t, other, operator.Ready())
		})
	}
}
