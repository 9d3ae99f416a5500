package probes

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// victim is a tenant for one attempt, to which the attacker does something.
const victim = "umbrella"

// grantOnLargeObject gives another tenant's login a right on what the attacker owns. PostgreSQL
// drops no role that has rights anywhere.
func grantOnLargeObject(t *testing.T, s *stage) (string, error) {
	t.Helper()
	app := s.add(t, victim, ownSet).App
	exec(t, s.uri(own), "SELECT lo_create(4712)", "GRANT SELECT ON LARGE OBJECT 4712 TO "+pgx.Identifier{app}.Sanitize())
	err := s.db.Drop(t.Context(), "uid-"+victim, victim)
	exec(t, s.uri(own), "SELECT lo_unlink(4712)")
	s.leave(t, victim)
	return "", err
}

// holdDrop keeps a transaction open that names another tenant's login.
func holdDrop(t *testing.T, s *stage) (string, error) {
	t.Helper()
	app := s.add(t, victim, ownSet).App
	conn := must(pgx.Connect(t.Context(), s.uri(own)))(t)
	_, err := lastValue(t, conn, "BEGIN; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO "+pgx.Identifier{app}.Sanitize())
	reason := fault.ReasonOf(s.db.Drop(t.Context(), "uid-"+victim, victim))
	hangUp(t, conn)
	s.leave(t, victim)
	return reason, err
}

// ownElsewhere leaves something in a database where the operator has no rights.
func ownElsewhere(t *testing.T, s *stage) (string, error) {
	t.Helper()
	app := s.add(t, attacker, ownSet).App
	outside := inDatabase(t, s.logins[attacker], "postgres")
	conn, err := pgx.Connect(t.Context(), outside.URI())
	if err != nil {
		s.leave(t, attacker)
		return "", err
	}
	_, err = conn.Exec(t.Context(), "SELECT lo_create(4713)")
	hangUp(t, conn)
	refusal := s.db.Drop(t.Context(), "uid-"+attacker, attacker)
	exec(t, s.server.AdminDSN(), "DROP OWNED BY "+pgx.Identifier{app}.Sanitize())
	s.leave(t, attacker)
	return fault.ReasonOf(refusal), err
}

// fillLockTable takes locks until the server has no room for more. They stay after the error, until
// the session ends.
func fillLockTable(t *testing.T, s *stage) (string, error) {
	t.Helper()
	theirs := must(pgx.Connect(t.Context(), s.uri(sibling)))(t)
	defer hangUp(t, theirs)
	conn := must(pgx.Connect(t.Context(), s.uri(own)))(t)
	pid := conn.PgConn().PID()
	_, _ = conn.Exec(t.Context(), "SELECT count(pg_advisory_lock(i)) FROM generate_series(1, 1000000) i")
	_, err := lastValue(t, theirs, "BEGIN; LOCK TABLE item IN SHARE ROW EXCLUSIVE MODE")
	hangUp(t, conn)
	for gone := false; !gone; {
		if err := s.eyes.QueryRow(t.Context(), "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE pid = $1)", pid).Scan(&gone); err != nil {
			t.Fatal(err)
		}
	}
	return stateOf(err), nil
}

// holdIndex keeps a snapshot for which CREATE INDEX CONCURRENTLY waits.
func holdIndex(t *testing.T, s *stage) (string, error) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), s.uri(own)))(t)
	defer hangUp(t, conn)
	if _, err := lastValue(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1"); err != nil {
		return "", err
	}
	admin := must(pgx.Connect(t.Context(), s.admin))(t)
	defer hangUp(t, admin)
	if _, err := admin.Exec(t.Context(), "SET statement_timeout = '300ms'"); err != nil {
		t.Fatal(err)
	}
	_, err := admin.Exec(t.Context(), "CREATE INDEX CONCURRENTLY held ON globex.item (secret)")
	if _, dropped := admin.Exec(t.Context(), "DROP INDEX globex.held"); dropped != nil {
		t.Error(dropped)
	}
	return stateOf(err), nil
}

// tooMany opens sessions up to the limit of the class, and one more.
func tooMany(t *testing.T, s *stage) (string, error) {
	t.Helper()
	for range tenantOf(own, "").ConnectionLimit {
		defer hangUp(t, must(pgx.Connect(t.Context(), s.uri(own)))(t))
	}
	return "", postgres.Login(t.Context(), s.logins[own])
}

// cancelOther tries to end another tenant's statement.
func cancelOther(t *testing.T, s *stage) (string, error) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), s.uri(sibling)))(t)
	defer hangUp(t, conn)
	return s.session(t, s.uri(own), nil, fmt.Sprintf("SELECT pg_cancel_backend(%d)", conn.PgConn().PID()))
}
