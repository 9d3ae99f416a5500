package tenant

import (
	"context"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// server is what package logins asks of the database for two logins of a tenant.
type server struct {
	s *scope
	// try looks at what a login may do.
	try func(context.Context, postgres.Config) (postgres.ProbeResult, error)
	// excuse takes out of it what is so on purpose.
	excuse func(context.Context, *postgres.ProbeResult) error
	// wrong says what is wrong with that, or "".
	wrong func(postgres.ProbeResult) string
}

// CanLogin goes by what the pass saw.
func (v *server) CanLogin(login string) bool { return v.s.canLogin(login) }

// Set gives a login its password.
func (v *server) Set(ctx context.Context, login, verifier string) error {
	return v.s.db.SetLogin(ctx, v.s.wanted.UID, v.s.wanted.Schema, login, verifier)
}

// Prepare gives a login that was only just made the tenant's rights and settings, and wants of it all
// that verify wants, before anybody uses it.
func (v *server) Prepare(ctx context.Context, login postgres.Config) error {
	if _, err := v.s.db.Provision(ctx, v.s.wanted); err != nil {
		return err
	}
	result, err := v.try(ctx, login)
	if err != nil {
		return err
	}
	if v.excuse != nil {
		if err := v.excuse(ctx, &result); err != nil {
			return err
		}
	}
	wrong := v.wrong
	if wrong == nil {
		wrong = unusable
	}
	if text := wrong(result); text != "" {
		return fault.NewWaiting(v1alpha1.ReasonVerificationFailed, time.Minute, "The next login %s %s; the present one stays", login.User(), text)
	}
	return v.look(ctx)
}

// Retire takes a login away.
func (v *server) Retire(ctx context.Context, login string) error {
	if err := v.s.db.RetireLogin(ctx, v.s.wanted.UID, v.s.wanted.Schema, login); err != nil {
		return err
	}
	return v.look(ctx)
}

// Sessions counts those of logins.
func (v *server) Sessions(ctx context.Context, logins ...string) (map[string]int, error) {
	return v.s.db.Sessions(ctx, logins...)
}

func (v *server) look(ctx context.Context) (err error) {
	v.s.observed, err = v.s.db.Observe(ctx, v.s.wanted)
	return err
}
