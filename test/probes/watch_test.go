package probes

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

func watchSessions(t *testing.T, s *stage) (string, error) {
	t.Helper()
	return watch(t, s, "application_name")
}

func watchStatements(t *testing.T, s *stage) (string, error) {
	t.Helper()
	return watch(t, s, "query")
}

// watch reads one column of pg_stat_activity while another tenant is at work.
func watch(t *testing.T, s *stage, column string) (string, error) {
	t.Helper()
	conn := must(pgx.Connect(t.Context(), s.uri(sibling)))(t)
	defer hangUp(t, conn)
	if _, err := lastValue(t, conn, "SET application_name = 'orders of globex'; SELECT secret FROM item"); err != nil {
		t.Fatal(err)
	}
	return s.session(t, s.uri(own), nil, "SELECT "+column+" FROM pg_stat_activity WHERE usename = {sibling_app_text}")
}
