package tenantclass

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/logins"
	"github.com/tenantry/tenantry/internal/postgres"
)

// proofAge is how long a login that worked is believed to work without another log-in.
const proofAge = 10 * time.Minute

// loginProof is what was seen to work, and what it depends on.
type loginProof struct {
	version, user, from string
	at                  time.Time
}

// loginKey is one class on one database.
type loginKey struct{ class, database types.UID }

func (l *login) key() loginKey { return loginKey{l.class.UID, l.tdb.UID} }

// from names what the Secret is made from, besides the password.
func (l *login) from() string {
	return fmt.Sprint(l.db.Config(), l.db.Config().CA(), l.tdb.Spec.Endpoint, mode(l.class), extraKeys(l.class), l.class.Annotations[v1alpha1.AnnotationReconcile])
}

func (r *Reconciler) loginProved(l *login, version string) (user string, ok bool) {
	v, ok := r.proofs.Load(l.key())
	if !ok || version == "" {
		return "", false
	}
	p := v.(loginProof)
	return p.user, p.version == version && p.from == l.from() && time.Since(p.at) < proofAge
}

func (r *Reconciler) ensureLogin(ctx context.Context, p *logins.Pair) (client.Object, *logins.State, error) {
	secret, state, err := r.Logins.Ensure(ctx, p)
	return secret, state, err
}

func wantedLogin(class *v1alpha1.TenantClass, tdb *v1alpha1.TenantDatabase) postgres.ClassLogin {
	l := postgres.ClassLogin{
		UID: string(class.UID), Class: class.Name, All: mode(class) == v1alpha1.LoginShared,
		ConnectionLimit: int(class.Spec.Logins.Connections),
	}
	if limits := class.Spec.Limits; limits != nil {
		l.StatementTimeout = time.Duration(limits.StatementTimeoutSeconds) * time.Second
		l.LockTimeout = time.Duration(limits.LockTimeoutMilliseconds) * time.Millisecond
		l.IdleInTransactionTimeout = time.Duration(limits.IdleInTransactionTimeoutSeconds) * time.Second
	}
	if shared := tdb.Spec.Shared; shared != nil {
		l.SharedSchema = shared.SchemaName
	}
	return l
}

func (l *login) pair() *logins.Pair {
	p := &logins.Pair{
		Owner: logins.ClassOwner(l.class), Key: logins.SharedKey(l.class, l.tdb),
		Labels: map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy},
		First:  l.seen.First, Second: l.seen.Second, Config: l.db.Config(), Fill: l.keys, Extra: extraKeys(l.class),
		Marks: map[string]string{
			v1alpha1.AnnotationLoginMode: string(mode(l.class)), v1alpha1.AnnotationDatabase: logins.DatabaseName(l.tdb),
		},
		Asked: l.class.Annotations[v1alpha1.AnnotationRotate], Grace: grace(l.class), Server: l,
	}
	if policy := l.class.Spec.Credentials; policy != nil {
		p.MaxAge = time.Duration(policy.RotateAfterDays) * 24 * time.Hour
	}
	return p
}

// keys are those of a tenant's Secret, but schema and role: those are in the tenants' own.
func (l *login) keys(user, password string) (map[string][]byte, error) {
	config := l.db.Config().WithLogin(user, password)
	if e := l.tdb.Spec.Endpoint; e != nil {
		config = config.WithEndpoint(e.Host, uint16(e.Port)) //nolint:gosec // bounded to 65535 by the API
	}
	f := logins.Fields{
		Host: config.Host(), Port: strconv.Itoa(int(config.Port())), Database: config.Database(), SSLMode: config.SSLMode(),
		Username: user, Password: password, URI: config.URI(), SharedSchema: l.wanted.SharedSchema, Name: l.class.Name,
	}
	data, err := logins.Extra(extraKeys(l.class), f)
	if err != nil {
		return nil, err
	}
	for key, value := range map[string]string{
		"type": "postgresql", "provider": "tenantry", "host": f.Host, "port": f.Port, "database": f.Database,
		"username": user, "password": password, "uri": f.URI,
	} {
		data[key] = []byte(value)
	}
	if ca := config.CA(); ca != "" {
		data["ca.crt"] = []byte(ca)
	}
	return data, nil
}

func extraKeys(class *v1alpha1.TenantClass) []v1alpha1.SecretKey {
	if policy := class.Spec.Credentials; policy != nil {
		return policy.ExtraKeys
	}
	return nil
}

// grace of a class that names none is that of the API's default.
func grace(class *v1alpha1.TenantClass) time.Duration {
	if policy := class.Spec.Credentials; policy != nil && policy.GraceSeconds > 0 {
		return time.Duration(policy.GraceSeconds) * time.Second
	}
	return time.Hour
}

// CanLogin goes by what the pass saw.
func (l *login) CanLogin(name string) bool {
	return name == l.seen.First && l.seen.FirstCanLogin || name == l.seen.Second && l.seen.SecondCanLogin
}

// Set gives one of the two its password.
func (l *login) Set(ctx context.Context, name, verifier string) error {
	return l.db.SetClassLogin(ctx, l.wanted, name, verifier)
}

// Prepare gives a login that was only just made its rights. What it may do for each tenant follows from
// them, and each tenant's pass tries it.
func (l *login) Prepare(ctx context.Context, config postgres.Config) error {
	if err := l.look(ctx); err != nil {
		return err
	}
	return postgres.Login(ctx, config)
}

// Retire takes one away.
func (l *login) Retire(ctx context.Context, name string) error {
	if err := l.db.RetireClassLogin(ctx, l.wanted, name); err != nil {
		return err
	}
	return l.look(ctx)
}

// Sessions counts those of logins.
func (l *login) Sessions(ctx context.Context, names ...string) (map[string]int, error) {
	return l.db.Sessions(ctx, names...)
}
