package postgres

import (
	"context"
	"fmt"
)

// Login logs in once, outside any pool, and leaves again. It runs nothing, so it pins nothing, and
// works through a pooler. The error is a *fault.Fault.
func Login(ctx context.Context, cfg Config) error {
	conn, err := cfg.connect(ctx, map[string]string{"application_name": "tenantry-probe"})
	if err != nil {
		return Fault(err, fmt.Sprintf("cannot log in as %s", cfg))
	}
	return conn.Close(ctx)
}
