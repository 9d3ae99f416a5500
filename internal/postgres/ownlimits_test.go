package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/postgres"
)

// ownLimits are what a login may change of itself for this database, and what it does to each.
var ownLimits = map[string]string{
	"search_path": "pg_catalog", "statement_timeout": "0", "lock_timeout": "'1h'", "idle_in_transaction_session_timeout": "'1d'",
	"role": "none", "default_transaction_read_only": "",
}

// Each limit that each of a tenant's four logins can undo is found and put back, as is the bound of sessions
// that it cannot: the next session has it again.
func TestOwnLimitsArePutBack(t *testing.T) {
	db := newDB(t)
	tn, first := newTenant(t, db, "acme")
	tn.ConnectionLimit, tn.StatementTimeout, tn.LockTimeout, tn.IdleInTransactionTimeout = 5, 5*time.Second, 3*time.Second, 7*time.Second
	tn.Reader = &postgres.Reader{ConnectionLimit: 2, StatementTimeout: 6 * time.Second}
	must(db.Provision(t.Context(), tn))(t)
	roles := observe(t, db, tn).Roles
	for what, tt := range map[string]struct {
		login                       postgres.Config
		statement, readOnly, spoilt string
		limit                       string
	}{
		"the login":         {first, "5s", "off", "on", "5"},
		"its second":        {secondLogin(t, db, tn), "5s", "off", "on", "5"},
		"the reader":        {readerPassword(t, db, tn, roles.Reader()), "6s", "on", "off", "2"},
		"the reader's turn": {readerPassword(t, db, tn, roles.SecondReader()), "6s", "on", "off", "2"},
	} {
		t.Run(what, func(t *testing.T) {
			wanted := map[string]string{
				"search_path": "acme, shared", "statement_timeout": tt.statement, "lock_timeout": "3s", "idle_in_transaction_session_timeout": "7s",
				"role": "none", "default_transaction_read_only": tt.readOnly,
			}
			in := "ALTER ROLE CURRENT_USER IN DATABASE " + quote(db.Config().Database())
			spoil := map[string]string{"all of them": in + " RESET ALL"}
			for key, value := range ownLimits {
				if value == "" {
					value = tt.spoilt
				}
				spoil[key] = in + " SET " + key + " = " + value
			}
			for key, sql := range spoil {
				exec(t, tt.login, "SET default_transaction_read_only = off", sql)
				expectPutBack(t, db, tn, key)
			}
			exec(t, admin(t, db.Config().Database()), "ALTER ROLE "+quote(tt.login.User())+" CONNECTION LIMIT -1")
			expectPutBack(t, db, tn, "connection limit")
			for key, want := range wanted {
				if got := query(t, tt.login, "SELECT current_setting('"+key+"')"); got != want {
					t.Errorf("%s is %q, want %q", key, got, want)
				}
			}
			if got := query(t, admin(t, "postgres"), "SELECT rolconnlimit FROM pg_roles WHERE rolname = $1", tt.login.User()); got != tt.limit {
				t.Errorf("%s sessions, want %s", got, tt.limit)
			}
		})
	}
}

// expectPutBack wants something found, mended, and nothing left.
func expectPutBack(t *testing.T, db *postgres.DB, tn postgres.Tenant, key string) {
	t.Helper()
	drift := strings.Join(observe(t, db, tn).Drift, "; ")
	if key != "all of them" && !strings.Contains(drift, key) || drift == "" {
		t.Errorf("%s: drift %q", key, drift)
	}
	if changed := must(db.Provision(t.Context(), tn))(t); !changed {
		t.Errorf("%s: nothing was changed", key)
	}
	if o := observe(t, db, tn); len(o.Drift)+len(o.Foreign) > 0 {
		t.Errorf("%s: left %q %v", key, o.Drift, o.Foreign)
	}
}
