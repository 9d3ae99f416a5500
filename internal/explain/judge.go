package explain

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// subject names what was asked about: of the request, only what tells it apart on this host.
func (in *inquiry) subject() string {
	q := Query{Host: in.query.Host, Path: "/"}
	switch {
	case in.answer.PublicPath != "":
		q.Path = in.query.Path
	case in.answer.Shared == nil:
	case in.answer.Shared.Header == "":
		q.Path = in.query.Path
	case in.answer.Shared.Value != "":
		q.Headers = map[string]string{in.answer.Shared.Header: in.answer.Shared.Value}
	}
	return q.String()
}

func (in *inquiry) tenantName() string {
	return "Tenant " + in.answer.Tenant.Namespace + "/" + in.answer.Tenant.Name
}

// judgeTenant gives the verdict on a host of a tenant, or on its value on a shared host, by the rule that
// the request takes; nil if no route of the tenant takes it.
func (in *inquiry) judgeTenant(to *rule) {
	if to == nil {
		if !in.routes.cover(in.tenant.Namespace) {
			in.judgeByState()
		}
		in.judgeUnrouted()
		return
	}
	in.judgeRoutes(in.tenantName())
	in.judgeBackend()
	t := in.answer.Tenant
	if to.location != "" {
		in.answer.Location = to.location
		in.say(Redirected, fmt.Sprintf("%s is redirected to %s, the primary domain of %s", in.subject(), to.location, in.tenantName()),
			"Nothing is to be done here; ask for "+to.location+" to learn who answers there")
		return
	}
	in.answer.Backend = &to.backend
	if in.isHolding(to) {
		in.say(Holding, fmt.Sprintf("%s is answered by the holding backend, Service %s, not by %s", in.subject(), service(to.backend), in.tenantName()), in.whyAway())
		return
	}
	if t.State == v1alpha1.DomainUnreachable {
		in.say(Unreachable, fmt.Sprintf("%s does not answer as it should, although its route to %s is accepted", in.subject(), in.tenantName()), in.messageOfHost())
	}
	if path := in.publicPath(to); path != "" {
		in.answer.PublicPath = path
		in.say(Public, fmt.Sprintf("%s needs no tenant: Service %s answers", in.subject(), service(to.backend)),
			"Nothing is to be done. "+path+" is one of the public paths of class "+in.answer.Class+"; other paths of the host are for "+in.tenantName())
	}
	in.say(Served, fmt.Sprintf("%s is served by %s", in.subject(), in.tenantName()), in.whenServed())
}

// judgeRoutes gives a verdict where the routes that are there do not lead to their owner.
func (in *inquiry) judgeRoutes(owner string) {
	for _, r := range in.answer.Routes {
		for _, p := range r.Parents {
			if !p.Accepted {
				in.say(RouteNotAccepted, fmt.Sprintf("%s is not served: the data plane does not take it to %s by %s %s/%s", in.subject(), owner, r.Kind, r.Namespace, r.Name), p.Message)
			}
		}
	}
	if len(in.answer.Others) > 0 {
		o := in.answer.Others[0]
		asks, or := "asks for it too", "take "+o.Host+" out of it"
		if o.Host == "" {
			asks, or = "is on its listener and names no host", "name other hosts in it"
		}
		in.say(Shadowed, fmt.Sprintf("%s may not get to %s: %s %s/%s %s", in.subject(), owner, o.Kind, o.Namespace, o.Name, asks),
			fmt.Sprintf("Delete that %s, or %s; and apply config/policy, which denies such routes", o.Kind, or))
	}
}

// judgeBackend gives a verdict where the operator knows of routes what the data plane does not say.
func (in *inquiry) judgeBackend() {
	c := conditionOf(in.tenant, v1alpha1.ConditionRouted)
	if c == nil || c.Status != metav1.ConditionFalse || c.ObservedGeneration < in.tenant.Generation {
		return
	}
	switch c.Reason {
	case v1alpha1.ReasonBackendNotFound, v1alpha1.ReasonReferenceNotPermitted:
		in.say(RouteNotAccepted, fmt.Sprintf("%s is not served: the routes of %s lead nowhere (%s)", in.subject(), in.tenantName(), c.Reason), c.Message)
	case v1alpha1.ReasonHostShadowed:
		if !in.routes.all() {
			in.say(Shadowed, fmt.Sprintf("%s may not get to %s: a route that is not yours to read asks for one of its hosts", in.subject(), in.tenantName()), c.Message)
		}
	}
}

// isHolding says whether a rule leads to the class's holding backend.
func (in *inquiry) isHolding(to *rule) bool {
	if in.class == nil || in.class.Spec.Routing == nil || in.class.Spec.Routing.Holding == nil || to.setsHeaders {
		return in.class == nil && in.answer.Tenant.State == v1alpha1.DomainHolding
	}
	w := routing.Wish{Tenant: in.tenant, Routing: in.class.Spec.Routing, Held: true}
	return in.isAt(to, w, w.Backend())
}

func (in *inquiry) isAt(to *rule, w routing.Wish, b v1alpha1.ServiceBackend) bool {
	b.Namespace = w.BackendNamespace(b)
	return to.backend == b
}

// publicPath is the public path of the class by which a rule is there; none if it is there for another
// reason.
func (in *inquiry) publicPath(to *rule) string {
	if in.class == nil || in.class.Spec.Routing == nil || to.setsHeaders {
		return ""
	}
	for _, p := range in.class.Spec.Routing.PublicPaths {
		// An Ingress has a prefix with a slash behind it, too.
		if p.Path == strings.TrimSuffix(to.path, "/") && pathMatches(p.Path, p.Match == v1alpha1.PathExact, in.query.Path) {
			return p.Path
		}
	}
	return ""
}

// whenServed says what else is worth knowing of a tenant that is served.
func (in *inquiry) whenServed() string {
	t := in.answer.Tenant
	switch {
	case t.Deleting:
		return "The Tenant is being deleted; the operator takes its route away"
	case t.Suspended:
		return "spec.suspended is set; the operator takes the route away"
	case t.Ready != string(metav1.ConditionTrue):
		return fmt.Sprintf("The Tenant itself is not Ready (%s): %s", t.Reason, t.Message)
	}
	return "Nothing is to be done; who sees something else is led to another data plane by DNS, or to an older answer by a cache"
}

// whyAway says why a tenant is not served itself.
func (in *inquiry) whyAway() string {
	t := in.answer.Tenant
	switch {
	case t.Deleting:
		return "The Tenant is being deleted. " + in.whatBlocks()
	case t.Suspended:
		return "The Tenant is suspended: take spec.suspended away to have it served again"
	}
	return fmt.Sprintf("The Tenant is not Ready (%s): %s", t.Reason, t.Message)
}

// messageOfHost is what the Tenant's status says of the host, or of all.
func (in *inquiry) messageOfHost() string {
	if d := in.domain(); d != nil && d.Message != "" {
		return d.Message
	}
	if c := conditionOf(in.tenant, v1alpha1.ConditionReachable); c != nil && c.Status == metav1.ConditionFalse {
		return c.Message
	}
	return in.answer.Tenant.Message
}
