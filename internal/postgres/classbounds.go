package postgres

import (
	"context"
	_ "embed" // for the query
	"fmt"

	"github.com/jackc/pgx/v5"
)

//go:embed classbounds.sql
var classBoundsSQL string

// ExamineShared is Examine for a login that a class's tenants share, of which the first role is given.
// With all, it is asked what it can do in the tenant's schema as it is, and otherwise after SET ROLE to
// the tenant's app role. What it has beyond its bounds is what the app role has, and what the login has
// beside the app roles. That it can reach all tenants of its class is what it is for, and no excess.
func ExamineShared(ctx context.Context, cfg Config, b Bounds, first string, all bool) (result ProbeResult, excess []Excess, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var own []Excess
	err = asLogin(ctx, cfg, func(tx pgx.Tx) error {
		closed := b.Schema
		if all {
			closed = ""
			if err := tx.QueryRow(ctx, probeSQL, b.Schema, "").Scan(&result); err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, classBoundsSQL, first, closed, "").Scan(&own); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SET LOCAL ROLE "+ident(b.Roles.App)); err != nil {
			return err
		}
		if !all {
			if err := tx.QueryRow(ctx, probeSQL, b.Schema, "").Scan(&result); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, boundsSQL, b.args("")...).Scan(&excess)
	})
	if err != nil {
		return ProbeResult{}, nil, Fault(err, fmt.Sprintf("the login of schema %s does not work as %s", b.Schema, cfg))
	}
	return result, append(outward(excess, b.Roles.App), outward(own, cfg.User())...), nil
}
