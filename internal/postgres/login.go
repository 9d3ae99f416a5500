package postgres

import (
	"context"
	"fmt"

	"github.com/tenantry/tenantry/internal/fault"
)

// ReasonOtherRole : sessions of a login act as another role than the login's.
const ReasonOtherRole = "LoginFailed"

// Login logs in once, outside any pool, asks the session as whom it acts, and leaves again. It pins
// nothing, and works through a pooler. The error is a *fault.Fault.
func Login(ctx context.Context, cfg Config) error {
	conn, err := cfg.connect(ctx, map[string]string{"application_name": "tenantry-probe"})
	if err != nil {
		return Fault(err, fmt.Sprintf("cannot log in as %s", cfg))
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	results, err := conn.PgConn().Exec(ctx, "SELECT current_user").ReadAll()
	if err != nil {
		return Fault(err, fmt.Sprintf("cannot ask as whom %s acts", cfg))
	}
	// A role's settings may make its sessions another role's.
	if who := string(results[0].Rows[0][0]); who != cfg.User() {
		return fault.NewWaiting(ReasonOtherRole, waitForServer,
			"sessions of login %s act as role %s; ALTER ROLE %s RESET role mends it", cfg.User(), who, ident(cfg.User()))
	}
	return nil
}
