package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/probing"
)

// reach says whether the tenant's hosts answer through the data plane. The prober asks; a pass reads its
// verdict, and waits for it only where there is none yet. A host that does not answer loses no route:
// what cannot be seen from here may still work for customers.
func (r *Reconciler) reach(ctx context.Context, s *scope) (outcome, error) {
	who := client.ObjectKeyFromObject(s.tenant)
	if !s.asks() {
		r.Prober.Forget(who)
		return outcome{reason: v1alpha1.ReasonNotRequested, message: "The class asks for no probe"}, nil
	}
	targets, err := r.targets(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	if len(targets) == 0 && len(s.refused)+len(s.tls.waiting) > 0 {
		r.Prober.Forget(who)
		return outcome{status: metav1.ConditionUnknown, reason: v1alpha1.ReasonPending, message: "Waits for " + v1alpha1.ConditionRouted}, nil
	}
	if len(targets) == 0 {
		r.Prober.Forget(who)
		return outcome{reason: v1alpha1.ReasonNotRequested, message: "The tenant holds no host that could be asked: wildcards and shared hosts are not"}, nil
	}
	verdicts := r.Prober.Watch(ctx, probing.Owner{NamespacedName: who, UID: s.tenant.UID}, targets)
	return judge(s, targets, verdicts)
}

// asks says whether the class wants the tenant's hosts to be asked.
func (s *scope) asks() bool {
	return s.class.Spec.Routing != nil && s.class.Spec.Routing.Probe != nil
}

// unasked says that a host has no business to answer yet: it never did, and the data plane has not accepted
// its route.
func (s *scope) unasked(host string) bool {
	state, _ := s.stateBefore(host)
	return slices.Contains(s.refused, host) && state != v1alpha1.DomainServing && state != v1alpha1.DomainUnreachable
}

// targets lists what is to be asked: every host but wildcards, by every way in. Nobody but the platform
// team chooses where requests go: addresses are those in the status of the Gateways that the class
// names, or of the Ingress, whose status a namespace's users cannot write (Kubernetes' roles edit and
// admin only read it). A Tenant's author chooses the host in the request and no more, and learns the
// status of the answer, or the host of its redirect.
func (r *Reconciler) targets(ctx context.Context, s *scope) ([]probing.Target, error) {
	probe, find := s.class.Spec.Routing.Probe, r.newFinder(s)
	var targets []probing.Target
	for _, host := range s.hosts {
		if domains.IsWildcard(host) || s.unasked(host) {
			continue
		}
		entrances, err := find.entrances(ctx, host)
		if err != nil {
			return nil, err
		}
		for _, e := range entrances {
			targets = append(targets, probing.Target{
				Host: host, Via: e.via, Addresses: e.addresses, TLS: e.tls, Path: probe.Path, Want: s.expects(host),
				Timeout: timeout(probe), Interval: time.Duration(probe.IntervalSeconds) * time.Second, Presumed: s.presumed(host),
			})
		}
	}
	return targets, nil
}

// expects says what a host's answer must be: an alias redirects to the primary host, but for Ingress,
// which knows no redirects.
func (s *scope) expects(host string) probing.Expectation {
	if primary := s.wish().Primary(); host != primary && s.class.Spec.Routing.Gateway != nil {
		return probing.Expectation{RedirectTo: primary}
	}
	return probing.Expectation{Status: int(s.class.Spec.Routing.Probe.ExpectedStatus)}
}

// presumed is what the status says of a host: an operator that was restarted must not make a tenant
// unready because it has not asked yet. It is asked at once, and answers count from then on.
func (s *scope) presumed(host string) probing.Verdict {
	for _, d := range s.base.Status.Domains {
		switch {
		case d.Host != host:
		case d.State == v1alpha1.DomainUnreachable:
			return probing.Verdict{State: probing.Bad, Message: d.Message}
		case d.State == v1alpha1.DomainServing && conditions.IsTrue(s.base, v1alpha1.ConditionReachable):
			return probing.Verdict{State: probing.Good}
		}
	}
	return probing.Verdict{}
}

// settling is how soon a tenant is looked at again whose hosts have no verdict yet, and failing how soon
// one whose hosts fail: both only in case, since the prober tells when there is news.
const (
	settling = 10 * time.Second
	failing  = 5 * time.Minute
)

// judge sums the verdicts up, marks each host, and says what all of it means for the tenant.
func judge(s *scope, targets []probing.Target, verdicts []probing.Verdict) (outcome, error) {
	var good, open, bad []string
	for i := range targets {
		host := targets[i].Host
		switch verdicts[i].State {
		case probing.Good:
			good = union(good, []string{host})
			s.tell(host, v1alpha1.DomainServing, "")
		case probing.Unknown:
			open = union(open, []string{host})
			state, message := s.stateBefore(host)
			s.tell(host, state, message)
		case probing.Bad:
			// After a restart, both of two ways in are presumed to say the same.
			bad = union(bad, []string{verdicts[i].Message})
		}
	}
	for i := range targets {
		if verdicts[i].State == probing.Bad {
			s.mark(targets[i].Host, v1alpha1.DomainUnreachable, strings.Join(ofHost(targets[i].Host, targets, verdicts), "; "))
		}
	}
	switch {
	case len(bad) > 0:
		return outcome{}, fault.NewWaiting(v1alpha1.ReasonProbeFailed, failing, "%s", strings.Join(bad, "; "))
	case len(open) > 0:
		return outcome{}, fault.NewWaiting(v1alpha1.ReasonProgressing, settling,
			"Waits for the first answer of %s through the data plane", strings.Join(open, ", "))
	}
	return done(fmt.Sprintf("The data plane answers on %s as it should; this is at most %d s old",
		strings.Join(good, ", "), 2*s.class.Spec.Routing.Probe.IntervalSeconds)), nil
}

// ofHost lists what is wrong with one host, by whichever way in.
func ofHost(host string, targets []probing.Target, verdicts []probing.Verdict) (bad []string) {
	for i := range targets {
		if targets[i].Host == host && verdicts[i].State == probing.Bad {
			bad = union(bad, []string{verdicts[i].Message})
		}
	}
	return bad
}

// tell marks a host unless something else is wrong with it, which its answers do not mend.
func (s *scope) tell(host string, state v1alpha1.DomainState, message string) {
	if !slices.Contains(s.refused, host) && s.tls.doubtful[host] == nil {
		s.mark(host, state, message)
	}
}

func (s *scope) mark(host string, state v1alpha1.DomainState, message string) {
	at := slices.IndexFunc(s.tenant.Status.Domains, func(d v1alpha1.TenantDomainStatus) bool { return d.Host == host })
	if at >= 0 {
		s.tenant.Status.Domains[at].State, s.tenant.Status.Domains[at].Message = state, clip(message)
	}
}

// timeout is short enough for what is said about a host that answers to be at most two intervals old:
// an interval passes, and then two requests in a row must fail, a second apart, before anything else is
// said.
func timeout(probe *v1alpha1.ReachabilityProbe) time.Duration {
	interval := time.Duration(probe.IntervalSeconds) * time.Second
	return min(time.Duration(probe.TimeoutSeconds)*time.Second, (interval-time.Second)/2)
}

// leaveUnasked asks the tenant's hosts no more: they are not meant to answer.
func (r *Reconciler) leaveUnasked(s *scope) {
	r.Prober.Forget(client.ObjectKeyFromObject(s.tenant))
	conditions.Unknown(s.tenant, v1alpha1.ConditionReachable, v1alpha1.ReasonPending, "Waits for "+v1alpha1.ConditionRouted)
}

// onSize queues a tenant whose schema passed its quota, either way.
func (r *Reconciler) onSize(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.Quotas.Notify(func(tenant types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: tenant}) })
	return nil
}

// onVerdict queues a tenant of which the prober knows another thing than before.
func (r *Reconciler) onVerdict(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	r.Prober.Notify(func(tenant types.NamespacedName) { q.Add(reconcile.Request{NamespacedName: tenant}) })
	return nil
}
