package tenant

import (
	"context"
	"errors"
	"time"
)

// asideLimit bounds what is done behind the steps.
const asideLimit = time.Minute

// asideAgain is when to try again what failed there.
const asideAgain = 15 * time.Second

// asides are what a Tenant may want besides, and what decides nothing about Ready. They come behind the
// steps, so that they keep no customer waiting.
func (r *Reconciler) asides(ctx context.Context, s *scope) error {
	ctx, cancel := context.WithTimeout(ctx, asideLimit)
	defer cancel()
	restErr := r.restBefore(ctx, s)
	if s.class == nil || s.db == nil {
		return restErr
	}
	return errors.Join(restErr, r.readerTurn(ctx, s), r.quota(ctx, s))
}
