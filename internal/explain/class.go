package explain

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/routing"
)

// ofPublic answers for a host that needs no tenant.
func (in *inquiry) ofPublic(ctx context.Context) (err error) {
	if in.classes, err = in.declaring(ctx); err != nil {
		return err
	}
	if err := in.readRoutes(ctx, append(backendNamespaces(in.classes, in.query.Host), in.query.Namespace)...); err != nil {
		return err
	}
	return in.ofClass(ctx, in.judgePublic)
}

// ofClass follows the routes that the classes have for their host themselves.
func (in *inquiry) ofClass(ctx context.Context, judge func(*rule)) error {
	var names []string
	var uids []types.UID
	for _, c := range in.classes {
		names, uids = append(names, c.Name), append(uids, c.UID)
	}
	in.answer.Class = join(names)
	own := ownedBy(uids...)
	if err := in.describeRoutes(ctx, own); err != nil {
		return err
	}
	in.shadows(in.mates(own), in.query.Host, in.classes...)
	to := choose(in.routes.rules(own), in.query)
	switch {
	case len(in.classes) == 0:
		in.say(Unknown, fmt.Sprintf("%s is a %s host, and which class declares it is not yours to read", in.query.Host, in.answer.Role),
			"Ask somebody who may read TenantClasses")
	case to == nil && !in.readable(in.classes):
		in.say(Unknown, fmt.Sprintf("%s is a %s host of class %s, whose routes are not yours to read", in.query.Host, in.answer.Role, in.answer.Class),
			"Ask somebody who may read the routes in the namespace of the class's backend")
	case to == nil:
		in.say(RouteMissing, fmt.Sprintf("%s is not served: class %s has no route for it", in.query.Host, in.answer.Class), in.classTrouble())
	default:
		in.judgeRoutes("class " + in.answer.Class)
		judge(to)
	}
	return nil
}

func (in *inquiry) judgePublic(to *rule) {
	in.answer.Backend = &to.backend
	in.say(Public, fmt.Sprintf("%s needs no tenant: Service %s answers, as class %s declares", in.query.Host, service(to.backend), in.answer.Class),
		"Nothing is to be done. No tenant header reaches that Service")
}

// readable says whether the routes of the classes for the host could be read.
func (in *inquiry) readable(classes []*v1alpha1.TenantClass) bool {
	return !slices.ContainsFunc(backendNamespaces(classes, in.query.Host), func(namespace string) bool { return !in.routes.cover(namespace) })
}

// classTrouble says what the class itself does.
func (in *inquiry) classTrouble() string {
	for _, c := range in.classes {
		for _, condition := range c.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReady && condition.Status != "True" {
				return fmt.Sprintf("Class %s is not Ready (%s): %s", c.Name, condition.Reason, condition.Message)
			}
		}
	}
	return "The operator makes the route within seconds; if it stays away, see whether the operator runs"
}

// backendNamespaces are where the classes' own routes for a host live.
func backendNamespaces(classes []*v1alpha1.TenantClass, host string) (namespaces []string) {
	for _, c := range classes {
		for _, h := range routing.ClassHosts(c) {
			if h.Host == host {
				namespaces = append(namespaces, h.Backend.Namespace)
			}
		}
	}
	return namespaces
}

func service(b v1alpha1.ServiceBackend) string {
	return fmt.Sprintf("%s/%s:%d", b.Namespace, b.Name, b.Port)
}

func join(words []string) string { return strings.Join(words, ", ") }
