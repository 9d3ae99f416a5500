package tenant

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// verify logs in as the tenant and asks the server what this login can do in its own schema, and, for
// isolate, what beyond it. It stands before route: no domain is published on a schema that does not work.
func (r *Reconciler) verify(ctx context.Context, s *scope) (outcome, error) {
	ok := done("The tenant's own login can use its schema")
	if p, _ := r.proofOf(s); r.proved(s) && r.sameVersion(s) && len(p.excess) == 0 {
		s.examined = true
		return ok, nil
	}
	if err := r.readLogin(ctx, s); err != nil {
		return outcome{}, err
	}
	result, excess, err := postgres.Examine(ctx, *s.login, bounds(s))
	if brokenOff(err) {
		// Somebody ended the probe's own session. That says nothing about the customer's.
		result, excess, err = postgres.Examine(ctx, *s.login, bounds(s))
	}
	if isFull(err) && (s.served() || r.sameVersion(s)) {
		return done("The tenant's own login was verified before; all its connections are in use now"), nil
	}
	if err != nil {
		return outcome{}, err
	}
	if wrong := unusable(result); wrong != "" {
		return outcome{}, fault.NewWaiting(v1alpha1.ReasonVerificationFailed, time.Minute,
			"The tenant's login %s %s", s.user, wrong)
	}
	r.checked.Store(s.tenant.UID, proof{
		secretVersion: s.secretVersion, user: s.user, login: loginKey(s), version: s.version, digest: s.digest,
		asked: s.tenant.Annotations[v1alpha1.AnnotationReconcile], at: time.Now(), excess: excess,
	})
	s.examined, s.excess = true, excess
	return ok, nil
}

func (r *Reconciler) sameVersion(s *scope) bool {
	p, ok := r.proofOf(s)
	return ok && p.version == s.version && p.digest == s.digest
}

// isFull : a customer whose pool holds every connection that the class allows is at work, and must not
// be told to be broken because the operator finds no room to look.
func isFull(err error) bool { return postgres.TooManyForRole(err) }

func brokenOff(err error) bool {
	reason := fault.ReasonOf(err)
	return reason == v1alpha1.ReasonServerShuttingDown || reason == v1alpha1.ReasonConnectionLost
}

// readLogin reads the Secret again where credentials had no need to.
func (r *Reconciler) readLogin(ctx context.Context, s *scope) error {
	if s.login != nil {
		return nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: s.tenant.Namespace, Name: secretName(s.tenant)}
	if err := r.Live.Get(ctx, key, secret); err != nil {
		return fmt.Errorf("read the tenant's Secret: %w", err)
	}
	s.use(secret)
	return nil
}

// maxNames bounds the names in a message.
const maxNames = 5

// unusable says what the login lacks, or "".
func unusable(p postgres.ProbeResult) string {
	switch {
	case !p.SchemaUsage:
		return "has no USAGE on its schema"
	case len(p.LackingTables) > 0:
		return "lacks SELECT, INSERT, UPDATE or DELETE on " + some("tables", p.LackingTables) + "; were they made by another role than the schema's owner?"
	case len(p.LackingSequences) > 0:
		return "lacks USAGE on " + some("sequences", p.LackingSequences)
	case len(p.LackingFunctions) > 0:
		return "lacks EXECUTE on " + some("functions", p.LackingFunctions)
	}
	return ""
}

func some(what string, names []string) string {
	if len(names) <= maxNames {
		return what + " " + strings.Join(names, ", ")
	}
	return fmt.Sprintf("%d %s, among them %s", len(names), what, strings.Join(names[:maxNames], ", "))
}
