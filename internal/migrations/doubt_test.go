package migrations

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
)

// halfway is a file whose second statement commits what it did before it fails, if it fails.
const halfway = `-- file 1_a.sql --
-- +goose Up
CREATE TABLE effects (version int);
CREATE TABLE busy (id int);
INSERT INTO busy VALUES (1);
-- file 2_batches.sql --
-- +goose Up
-- +goose NO TRANSACTION
INSERT INTO effects VALUES (1);
DO $$ BEGIN
  INSERT INTO effects VALUES (2);
  COMMIT;
  %s
END $$;
INSERT INTO effects VALUES (3);
`

// What a statement has committed by itself stays when its next part fails: it must not begin again.
func TestErrorBehindACommitAsksAPerson(t *testing.T) {
	tests := map[string]struct{ next, wantCode string }{
		"a lock":     {"UPDATE busy SET id = 2;", "55P03"},
		"a timeout":  {"RAISE EXCEPTION 'x' USING ERRCODE = '57014';", "57014"},
		"a bad row":  {"PERFORM 1 / (SELECT count(*) - 1 FROM busy);", "22012"},
		"a conflict": {"RAISE EXCEPTION 'x' USING ERRCODE = '40001';", "40001"},
	}
	answers := map[string]decision{
		"it is done": {"if it is done", halfway, "1 2 3"},
		"once more":  {"if it is to run again", strings.Replace(halfway, "VALUES (2)", "VALUES (22)", 1), "1 2 3 22"},
	}
	onServers(t, func(t *testing.T, db *database) {
		i := 0
		for name, tt := range tests {
			for how, after := range answers {
				i++
				target := db.tenant(t, fmt.Sprintf("acme%d", i))
				t.Run(name+", "+how, func(t *testing.T) { db.failBehindACommit(t, target, tt.next, tt.wantCode, after) })
			}
		}
	})
}

// A file that is changed around a statement in doubt, so that it may run in a transaction by now, takes nothing of the
// doubt away.
func TestDoubtOutlivesAnotherArrangement(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target, text := db.tenant(t, "acme"), fmt.Sprintf(halfway, "PERFORM 1 / (SELECT count(*) - 1 FROM busy);")
		for _, text := range []string{text, strings.Replace(text, "-- +goose NO TRANSACTION\n", "", 1), text} {
			if _, err := db.applyWith(t.Context(), fast, target, load(t, text)); fault.ReasonOf(err) != ReasonDecisionNeeded {
				t.Fatalf("error = %v, want %s", err, ReasonDecisionNeeded)
			}
			if got := effects(t, db, target); got != "1 2" {
				t.Fatalf("effects = %s, want 1 2", got)
			}
		}
	})
}

// decision is which UPDATE of the message somebody runs, the text of the file then, and what it leads to.
type decision struct{ answer, mended, wantEffects string }

func (db *database) failBehindACommit(t *testing.T, target Target, next, wantCode string, after decision) {
	t.Helper()
	db.apply(t, target, load(t, fmt.Sprintf(halfway, next)), "1")
	tx, err := db.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(t.Context()) }()
	if _, err := tx.Exec(t.Context(), "SELECT FROM "+ident(target.Schema, "busy")+" FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	_, err = db.applyWith(t.Context(), fast, target, load(t, fmt.Sprintf(halfway, next)))
	var partial *PartialError
	if !errors.As(err, &partial) || partial.SQLState != wantCode || fault.KindOf(err) != fault.Invalid ||
		fault.ReasonOf(err) != ReasonDecisionNeeded || !strings.HasPrefix(err.Error(), "2_batches.sql line ") {
		t.Fatalf("error = %v, want %s of a PartialError with %s", err, ReasonDecisionNeeded, wantCode)
	}
	_, err = db.applyWith(t.Context(), fast, target, load(t, fmt.Sprintf(halfway, next)))
	if fault.ReasonOf(err) != ReasonDecisionNeeded || !strings.HasPrefix(err.Error(), "2_batches.sql line 4: ") {
		t.Fatalf("error of the next call = %v", err)
	}
	if got := effects(t, db, target); got != "1 2" {
		t.Fatalf("effects = %s, want 1 2", got)
	}
	db.exec(t, "SET ROLE "+ident(target.Owner)+"; "+answerOf(t, err, after.answer)+"; RESET ROLE")
	mended := fmt.Sprintf(after.mended, "NULL;")
	if after.answer == "if it is done" { // then its text is what ran
		mended = fmt.Sprintf(halfway, next)
	}
	db.apply(t, target, load(t, mended), "")
	if got := effects(t, db, target); got != after.wantEffects {
		t.Errorf("effects = %s, want %s", got, after.wantEffects)
	}
}

// answerOf finds the UPDATE that an error tells to run in one of the cases.
func answerOf(t *testing.T, err error, in string) string {
	t.Helper()
	before, _, ok := strings.Cut(err.Error(), " "+in)
	at := strings.LastIndex(before, "UPDATE ")
	if !ok || at < 0 {
		t.Fatalf("error %q names no UPDATE %s", err, in)
	}
	return before[at:]
}

// A statement that succeeded is done, whatever becomes of the row that says so.
func TestSuccessOutlivesItsRecord(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		target, set := db.tenant(t, "acme"), load(t, fmt.Sprintf(halfway, "NULL;"))
		db.apply(t, target, set, "1")
		db.exec(t, `CREATE FUNCTION acme.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF OLD.finished = 1 AND NEW.finished = 2 AND NEW.runner <> '' THEN RAISE EXCEPTION 'not now'; END IF; RETURN NEW; END $$`,
			"CREATE TRIGGER refuse BEFORE UPDATE ON acme.tenantry_migrations FOR EACH ROW EXECUTE FUNCTION acme.refuse()")
		if _, err := db.applyWith(t.Context(), fast, target, set); err == nil {
			t.Fatal("the trigger did not refuse the record")
		}
		db.apply(t, target, set, "")
		if got := effects(t, db, target); got != "1 2 3" {
			t.Errorf("effects = %s, want 1 2 3", got)
		}
	})
}
