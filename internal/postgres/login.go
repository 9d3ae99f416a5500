package postgres

import (
	"context"
	"fmt"
)

// Login logs in once, outside any pool, and leaves again. The error is a *fault.Fault.
func Login(ctx context.Context, cfg Config) error {
	conn, err := cfg.connect(ctx, PoolOptions{ApplicationName: "tenantry-probe"}.withDefaults().runtimeParams())
	if err != nil {
		return Fault(err, fmt.Sprintf("cannot log in as %s", cfg))
	}
	return conn.Close(ctx)
}
