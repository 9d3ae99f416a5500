package explain

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// before the routes: conditions of a Tenant that must be True before it is routed, in the order of the
// operator's steps.
var beforeRoutes = []string{
	v1alpha1.ConditionDatabaseReady, v1alpha1.ConditionSchemaReady, v1alpha1.ConditionCredentialsReady,
	v1alpha1.ConditionMigrated, v1alpha1.ConditionVerified,
}

// judgeUnrouted says why a tenant has no route for the host.
func (in *inquiry) judgeUnrouted() {
	t, subject := in.answer.Tenant, in.subject()
	if in.answer.Shared != nil && in.answer.Verdict == "" {
		defer func() { in.answer.Advice = "The host's fallback answers. " + in.answer.Advice }()
	}
	ready := conditionOf(in.tenant, v1alpha1.ConditionReady)
	behind := in.stepBehind()
	routed := conditionOf(in.tenant, v1alpha1.ConditionRouted)
	switch {
	case t.Deleting:
		in.say(Deleting, fmt.Sprintf("%s is not served: %s is being deleted", subject, in.tenantName()),
			in.whatBlocks())
	case t.State == v1alpha1.DomainUnverified:
		in.say(Unverified, fmt.Sprintf("%s is not served: nobody has proved yet that %s controls it", subject, in.tenantName()), in.messageOfHost())
	case t.Suspended:
		in.say(Suspended, fmt.Sprintf("%s is not served: %s is suspended", subject, in.tenantName()),
			"Take spec.suspended away to have it served again; schema, data and logins are as they were")
	case t.State == v1alpha1.DomainStateTaken, t.State == v1alpha1.DomainNotAllowed, t.State == v1alpha1.DomainInvalid:
		in.say(NotReady, fmt.Sprintf("%s is not served: %s may not have it any more (%s)", subject, in.tenantName(), t.State), in.messageOfHost())
	case behind != nil:
		in.say(NotReady, fmt.Sprintf("%s is not served: %s is not Ready (%s)", subject, in.tenantName(), behind.Reason), behind.Message)
	case ready == nil:
		in.say(NotReady, fmt.Sprintf("%s is not served: the operator has not got to %s yet", subject, in.tenantName()),
			"Wait some seconds; if it stays, see whether the operator runs")
	case in.class != nil && in.class.Spec.Routing == nil:
		in.say(RouteMissing, fmt.Sprintf("%s is not served: class %s asks for no routes", subject, in.answer.Class),
			"Set spec.routing of the class, or route the host by other means")
	case routed != nil && routed.Status == metav1.ConditionFalse:
		in.say(RouteMissing, fmt.Sprintf("%s is not served: %s has no route for it (%s)", subject, in.tenantName(), routed.Reason), routed.Message)
	case in.answer.Shared == nil && in.domain() == nil:
		in.say(RouteMissing, fmt.Sprintf("%s is not served: %s holds it and does not want it any more", subject, in.tenantName()),
			"Add it to spec.domains of a Tenant again; the claim is being released")
	default:
		in.say(RouteMissing, fmt.Sprintf("%s is not served: %s has no route for it", subject, in.tenantName()),
			"The operator makes the route within seconds; if it stays away, see whether the operator runs. An Ingress with a wildcard takes hosts of one label below it")
	}
}

// stepBehind is the first condition that keeps the operator from routing; nil if none does.
func (in *inquiry) stepBehind() *metav1.Condition {
	ready := conditionOf(in.tenant, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return nil
	}
	for _, kind := range beforeRoutes {
		c := conditionOf(in.tenant, kind)
		if c == nil {
			return ready
		}
		if c.Status == metav1.ConditionFalse {
			return c
		}
		if c.Status == metav1.ConditionUnknown {
			return ready
		}
	}
	if ready.Reason == v1alpha1.ReasonClassNotFound || ready.Reason == v1alpha1.ReasonNamespaceNotAllowed {
		return ready
	}
	return nil
}

// whatBlocks says what a Tenant that is being deleted waits for.
func (in *inquiry) whatBlocks() string {
	if t := in.answer.Tenant; t.Ready == string(metav1.ConditionFalse) {
		return t.Message
	}
	return "Wait; the host is free for others when the Tenant is gone"
}

// isAlias says whether the tenant's other hosts, this one among them, are redirected to its primary domain.
func (in *inquiry) isAlias() bool {
	return in.tenant != nil && in.class != nil && in.class.Spec.Routing != nil && in.class.Spec.Routing.Gateway != nil &&
		in.heldHost() == in.query.Host && in.tenant.Status.PrimaryDomain != in.query.Host
}

// judgeByState goes by what the operator wrote of the host, where the routes, or the Tenant itself, are not
// the caller's to read.
func (in *inquiry) judgeByState() {
	t, host := in.answer.Tenant, in.subject()
	const advice = "Who may read the Tenant and its routes learns more"
	switch t.State {
	case v1alpha1.DomainServing:
		if in.isAlias() {
			in.answer.Location = in.tenant.Status.PrimaryDomain
			in.say(Redirected, fmt.Sprintf("%s is redirected to %s, the primary domain of %s", host, in.answer.Location, in.tenantName()), advice)
		}
		in.say(Served, fmt.Sprintf("%s is served by %s", host, in.tenantName()), advice)
	case v1alpha1.DomainHolding:
		in.say(Holding, fmt.Sprintf("%s is answered by a holding backend, not by %s", host, in.tenantName()), advice)
	case v1alpha1.DomainUnreachable:
		in.say(Unreachable, fmt.Sprintf("%s does not answer as it should, although the route of %s is accepted", host, in.tenantName()), advice)
	case v1alpha1.DomainUnverified:
		in.say(Unverified, fmt.Sprintf("%s is not served: nobody has proved yet that %s controls it", host, in.tenantName()),
			"Create the DNS record that status.domains of the Tenant names")
	case "":
		in.say(Unknown, fmt.Sprintf("%s is held by %s, and what answers is not yours to read", host, in.tenantName()), advice)
	}
	if in.tenant == nil {
		in.say(NotReady, fmt.Sprintf("%s is not served: %s holds it and is not routed", host, in.tenantName()), advice)
	}
}
