package probes

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/migrations"
)

// throughForeignKey deletes a row of the shared schema as another tenant, behind which the attacker
// has a trigger. It answers with what became of that tenant's search_path.
func throughForeignKey(t *testing.T, s *stage) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	const text = `CREATE TABLE ordered (offer int REFERENCES shared.offers ON DELETE CASCADE);
INSERT INTO ordered VALUES (2);
CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('search_path', 'mallory', false); RETURN OLD; END $$;
CREATE TRIGGER trap BEFORE DELETE ON ordered FOR EACH ROW EXECUTE FUNCTION trap();`
	if _, err := migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, load(t, tenantFiles, text), ""); err != nil {
		t.Fatal(err)
	}
	defer exec(t, s.admin, "INSERT INTO shared.offers VALUES (2, 'second') ON CONFLICT DO NOTHING")
	return s.session(t, s.uri(sibling), nil, "DELETE FROM shared.offers WHERE id = 2; SHOW search_path")
}

// dbaReads reads a view of a tenant as a superuser.
func dbaReads(t *testing.T, s *stage) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	const text = `CREATE FUNCTION trap() RETURNS text LANGUAGE plpgsql AS $$ BEGIN
	RETURN CASE current_setting('is_superuser') WHEN 'on' THEN 'superuser' ELSE current_user END; END $$;
CREATE VIEW bait AS SELECT trap() FROM item`
	if _, err := migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, load(t, tenantFiles, text), ""); err != nil {
		t.Fatal(err)
	}
	return value(t, s.admin, "SELECT * FROM mallory.bait LIMIT 1"), nil
}

// dbaAnalyzes has the server evaluate a tenant's function for a superuser, as autovacuum does.
func dbaAnalyzes(t *testing.T, s *stage) (string, error) {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	const text = `CREATE FUNCTION trap(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
	IF session_user = 'postgres' THEN PERFORM set_config('role', 'none', false); END IF; RETURN $1; END $$;
CREATE INDEX ON item (trap(secret))`
	if _, err := migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, load(t, tenantFiles, text), ""); err != nil {
		t.Fatal(err)
	}
	conn := must(pgx.Connect(t.Context(), s.admin))(t)
	defer hangUp(t, conn)
	return lastValue(t, conn, "ANALYZE mallory.item")
}
