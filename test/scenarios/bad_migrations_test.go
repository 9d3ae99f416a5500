package scenarios

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// setOnly makes the world with the given files and returns its MigrationSet.
func setOnly(files map[string]string, also ...func(*operator.World)) func(*testing.T, *operator.World) object {
	return func(t *testing.T, w *operator.World) object {
		w.Files.Data = files
		for _, f := range also {
			f(w)
		}
		w.Make(t)
		return w.Set
	}
}

// write replaces files of the world's ConfigMap; an empty text takes the file away.
func write(t *testing.T, w *operator.World, files map[string]string) {
	t.Helper()
	operator.Update(t, w.Servers, w.Files, func(cm *corev1.ConfigMap) {
		for name, text := range files {
			if cm.Data[name] = text; text == "" {
				delete(cm.Data, name)
			}
		}
	})
}

// with returns three good files and others.
func with(files map[string]string) map[string]string {
	all := operator.Migrations(3)
	maps.Copy(all, files)
	return all
}

// Sets that cannot be read.
func TestBadSources(t *testing.T) {
	t.Parallel()
	runBad(t, map[string]bad{
		"ConfigMap missing": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.Secret, w.Database, w.Set, w.Class)
				return w.Set
			},
			want: []operator.Want{operator.Waiting("Ready", v1alpha1.ReasonSourceNotFound, `ConfigMap "migrations" does not exist`, "spec.source.configMaps")},
			mend: func(t *testing.T, w *operator.World, _ object) { w.Create(t, w.Files) },
		},
		"ConfigMap missing, as the Tenant says it": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.Secret, w.Database, w.Set, w.Class)
				tenant := w.Tenant("acme", w.Host("acme"))
				w.Create(t, tenant)
				return tenant
			},
			want: []operator.Want{operator.Waiting("Migrated", v1alpha1.ReasonMigrationSetNotReady, "SourceNotFound", `ConfigMap "migrations" does not exist`)},
			mend: func(t *testing.T, w *operator.World, _ object) { w.Create(t, w.Files) },
		},
		"key missing": {
			do: setOnly(operator.Migrations(2), func(w *operator.World) {
				w.Set.Spec.Source.ConfigMaps[0].Keys = []string{"0001_note.sql", "0002_c2.sql", "0003_c3.sql"}
			}),
			want: []operator.Want{operator.Waiting("Ready", v1alpha1.ReasonSourceNotFound, `has no key "0003_c3.sql"`)},
			mend: func(t *testing.T, w *operator.World, _ object) { write(t, w, operator.Migrations(3)) },
		},
		"file twice": {
			do: func(t *testing.T, w *operator.World) object {
				w.Create(t, w.ConfigMap("more", map[string]string{"0003_c3.sql": "SELECT 1;"}))
				w.Set.Spec.Source.ConfigMaps = append(w.Set.Spec.Source.ConfigMaps, v1alpha1.ConfigMapSource{LocalReference: v1alpha1.LocalReference{Name: "more"}})
				return setOnly(operator.Migrations(3))(t, w)
			},
			want: []operator.Want{operator.Stalled("Ready", v1alpha1.ReasonInvalidMigration, `"0003_c3.sql" is in ConfigMap "migrations" and in "more"`)},
			mend: func(t *testing.T, w *operator.World, _ object) { write(t, w, map[string]string{"0003_c3.sql": ""}) },
		},
		"unclosed quote": {
			do:   setOnly(with(map[string]string{"0003_c3.sql": "SELECT 1;\n\nSELECT 'one;\n"})),
			want: []operator.Want{operator.Stalled("Ready", v1alpha1.ReasonInvalidMigration, "0003_c3.sql line 3", "unterminated quoted string")},
			mend: func(t *testing.T, w *operator.World, _ object) { write(t, w, operator.Migrations(3)) },
		},
		"no migrations at all": {
			do:   setOnly(map[string]string{"README.md": "# none"}),
			want: []operator.Want{operator.Stalled("Ready", v1alpha1.ReasonInvalidMigration)},
			mend: func(t *testing.T, w *operator.World, _ object) { write(t, w, with(map[string]string{"README.md": ""})) },
		},
		"version twice": {
			do:   setOnly(with(map[string]string{"3_again.sql": "SELECT 1;"})),
			want: []operator.Want{operator.Stalled("Ready", v1alpha1.ReasonInvalidMigration, "3_again.sql", "0003_c3.sql")},
			mend: func(t *testing.T, w *operator.World, _ object) { write(t, w, map[string]string{"3_again.sql": ""}) },
		},
		"breaks out of its role": {
			do:   setOnly(with(map[string]string{"0004_out.sql": "SELECT 1;\nRESET ROLE;\n"})),
			want: []operator.Want{operator.Stalled("Ready", v1alpha1.ReasonInvalidMigration, "0004_out.sql line 2")},
			mend: func(t *testing.T, w *operator.World, _ object) { write(t, w, map[string]string{"0004_out.sql": ""}) },
		},
	})
}

// What the parser does not understand is left to a server that may be newer, and said.
func TestUnparsedMigration(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Set.Spec.DryRun = v1alpha1.DryRunDisabled
	w.Files.Data = with(map[string]string{"0003_c3.sql": "SELECT 1;\n\nCREATE TABEL x ();\n"})
	tenant := acme(t, w).(*v1alpha1.Tenant)
	w.AwaitWant(t, operator.Eventually, w.Set, operator.Want{
		Condition: "Ready", Status: "True", Reason: v1alpha1.ReasonReady, Message: []string{"did not understand 0003_c3.sql line 3", "TABEL"},
	})
	w.AwaitWant(t, operator.Eventually, tenant, operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed, "0003_c3.sql line 3", "TABEL", "42601"))
	write(t, w, operator.Migrations(3))
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
}

// A migration that the server refuses, where no dry run catches it: the Tenant stays at the version before it, says which file
// and line, and why, and goes on when the file is mended.
func TestBadMigration(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Set.Spec.DryRun = v1alpha1.DryRunDisabled
	w.Files.Data = operator.Migrations(12)
	w.Files.Data["0007_c7.sql"] = "ALTER TABLE note ADD COLUMN c7 integer;\n\nINSERT INTO nowhere (id)\nVALUES (1);\n"
	tenant := acme(t, w).(*v1alpha1.Tenant)
	stalled := operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed,
		"0007_c7.sql line 3", `relation "nowhere" does not exist`, "42P01", "stays at version 6")
	w.AwaitWant(t, operator.Eventually, tenant, stalled, operator.Stalled("Ready", v1alpha1.ReasonMigrationFailed, "0007_c7.sql line 3"))
	if got, want := tenant.Status.Version, "6"; got != want {
		t.Errorf("status.version is %q, want %q", got, want)
	}
	if got, want := len(operator.Columns(t, w.AdminDSN, tenant.Status.Schema, "note")), 7; got != want {
		t.Errorf("%d columns in the table, want %d: half of the failed migration is left", got, want)
	}
	// The set itself is good, by all that can be known without running it, and counts the failure.
	w.AwaitWant(t, operator.Soon, w.Set, operator.Ready())
	w.Await(t, operator.Soon, w.Set, counts(w.Set, 1, 0, 1))
	text, fixed := operator.MigrationFile(7)
	write(t, w, map[string]string{text: fixed})
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
	if got, want := tenant.Status.Version, "12"; got != want {
		t.Errorf("status.version is %q, want %q", got, want)
	}
	w.Await(t, operator.Soon, w.Set, counts(w.Set, 1, 1, 0))
}

// An upgrade that fails takes nothing from a customer who works: version, login and route stay.
func TestFailedUpgrade(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	w.Set.Spec.DryRun = v1alpha1.DryRunDisabled
	tenant := acme(t, w).(*v1alpha1.Tenant)
	w.AwaitReady(t, tenant)
	write(t, w, map[string]string{"0004_bad.sql": "ALTER TABLE note\n  ADD COLUMN c3 integer;\n"})
	w.AwaitWant(t, operator.Soon, tenant,
		operator.Stalled("Migrated", v1alpha1.ReasonMigrationFailed, "0004_bad.sql line 1", `column "c3"`, "stays at version 3"),
		operator.Want{Condition: "Verified", Status: "True", Reason: v1alpha1.ReasonSucceeded},
		operator.Want{Condition: "Routed", Status: "True", Reason: v1alpha1.ReasonNotRequested})
	if got, want := tenant.Status.Version, "3"; got != want {
		t.Errorf("status.version is %q, want %q", got, want)
	}
	if err := operator.LogsIn(t, uri(t, w, tenant)); err != nil {
		t.Errorf("the customer cannot log in during a failed upgrade: %v", err)
	}
	write(t, w, map[string]string{"0004_bad.sql": "ALTER TABLE note ADD COLUMN c4 integer;\n"})
	w.AwaitWant(t, operator.Soon, tenant, operator.Ready())
	if diff := cmp.Diff([]string{"id", "body", "c2", "c3", "c4"}, operator.Columns(t, w.AdminDSN, tenant.Status.Schema, "note")); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

// History that changed stalls the set and new tenants; who runs on it stays Ready.
func TestChangedHistory(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change, back map[string]string
		want         operator.Want
	}{
		"text changed": {
			change: map[string]string{"0002_c2.sql": "ALTER TABLE note ADD COLUMN c2 bigint;\n"},
			back:   operator.Migrations(3),
			want:   operator.Stalled("Ready", v1alpha1.ReasonChecksumChanged, "0002_c2.sql (version 2)", "restore its text"),
		},
		"file removed": {
			change: map[string]string{"0002_c2.sql": ""},
			back:   operator.Migrations(3),
			want:   operator.Stalled("Ready", v1alpha1.ReasonMigrationRemoved, "0002_c2.sql (version 2)", "put the file back"),
		},
		"last file removed": {
			change: map[string]string{"0003_c3.sql": ""},
			back:   operator.Migrations(3),
			want:   operator.Stalled("Ready", v1alpha1.ReasonMigrationRemoved, "0003_c3.sql (version 3)", "put the file back"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := servers.World(t)
			old := acme(t, w).(*v1alpha1.Tenant)
			w.AwaitReady(t, old, w.Set)
			write(t, w, tt.change)
			w.AwaitWant(t, operator.Soon, w.Set, tt.want)
			fresh := w.Tenant("fresh")
			w.Create(t, fresh)
			w.AwaitWant(t, operator.Eventually, fresh, operator.Waiting("Migrated", v1alpha1.ReasonMigrationSetNotReady, tt.want.Reason))
			w.Nudge(t, old)
			w.AwaitWant(t, operator.Soon, old, operator.Ready(),
				operator.Want{Condition: "Migrated", Status: "True", Reason: v1alpha1.ReasonSucceeded, Message: []string{"At version 3", tt.want.Reason}})
			write(t, w, tt.back)
			w.AwaitWant(t, operator.Soon, w.Set, operator.Ready())
			w.AwaitWant(t, operator.Soon, fresh, operator.Ready())
			w.AwaitReady(t, old)
		})
	}
}

// A file below the version of tenants would never reach them: it stalls the set, and they work on.
func TestLateMigration(t *testing.T) {
	t.Parallel()
	w := servers.World(t)
	files := operator.Migrations(4)
	delete(files, "0003_c3.sql")
	w.Files.Data = files
	old := acme(t, w).(*v1alpha1.Tenant)
	w.AwaitReady(t, old)
	write(t, w, operator.Migrations(4))
	w.AwaitWant(t, operator.Soon, w.Set, operator.Stalled("Ready", v1alpha1.ReasonOutOfOrder, "0003_c3.sql", "a version above 4"))
	w.AwaitPass(t, operator.Eventually, old, operator.Ready())
	write(t, w, map[string]string{"0003_c3.sql": "", "0005_c3.sql": "ALTER TABLE note ADD COLUMN c3 integer;\n"})
	w.Await(t, operator.Soon, old, func(bool) error { return differs("status.version", "5", old.Status.Version) })
	w.AwaitWant(t, operator.Soon, old, operator.Ready())
}

// counts is the wish that a set counts its tenants so.
func counts(ms *v1alpha1.MigrationSet, tenants, updated, failed int32) func(bool) error {
	return func(bool) error {
		want := []int32{tenants, updated, failed}
		got := []int32{ms.Status.Tenants, ms.Status.UpdatedTenants, ms.Status.FailedTenants}
		return differs("tenants, updated, failed", want, got)
	}
}
