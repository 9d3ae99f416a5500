package dryrun

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
)

// Brief is what an error means, without the version at which a scratch schema stays.
func Brief(err error) string {
	if partial, ok := errors.AsType[*migrations.PartialError](err); ok {
		return partial.Brief()
	}
	return fault.Of(err, "").Message
}

// Verify compares what each checkpoint makes of an empty schema with what the migrations make that it stands
// for, and returns for each what is wrong with it, nothing if they are alike. An error means that there is no verdict.
func (r *Runner) Verify(ctx context.Context, tdb *v1alpha1.TenantDatabase, t Trial, checkpoints []*migrations.Checkpoint) ([][]string, error) {
	replayed := make([]migrations.Shape, len(checkpoints))
	err := r.onScratch(ctx, tdb, t, func(pool *pgxpool.Pool, target migrations.Target) (err error) {
		for i := len(checkpoints) - 1; i >= 0; i-- { // the oldest first: nothing runs backwards
			if _, err = migrations.Apply(ctx, pool, target, t.Set, checkpoints[i].Version); err != nil {
				return err
			}
			if replayed[i], err = migrations.ReadShape(ctx, pool, target); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	wrong := make([][]string, len(checkpoints))
	for i, c := range checkpoints {
		shape, err := r.start(ctx, tdb, t, c)
		switch {
		case err == nil:
			wrong[i] = replayed[i].Differences(shape)
		case fault.KindOf(err) == fault.Invalid:
			wrong[i] = []string{Brief(err)}
		default:
			return nil, err
		}
	}
	return wrong, nil
}

// start makes a schema from a checkpoint alone.
func (r *Runner) start(ctx context.Context, tdb *v1alpha1.TenantDatabase, t Trial, c *migrations.Checkpoint) (shape migrations.Shape, err error) {
	err = r.onScratch(ctx, tdb, t, func(pool *pgxpool.Pool, target migrations.Target) (err error) {
		target.Checkpoints = []string{c.Checksum}
		if _, err = migrations.Apply(ctx, pool, target, t.Set, c.Version); err == nil {
			shape, err = migrations.ReadShape(ctx, pool, target)
		}
		return err
	})
	return shape, err
}
