package tenantclass

import (
	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// reference is something in a namespace that a class names, by the field.
type reference struct{ field, kind, namespace, name string }

// references are all that a class names. A backend without a namespace is in each tenant's own.
func references(class *v1alpha1.TenantClass) []reference {
	var all []reference
	add := func(field, kind, namespace, name string) {
		all = append(all, reference{"spec." + field, kind, namespace, name})
	}
	for _, ref := range class.Spec.Databases {
		add("databases", "TenantDatabase", ref.Namespace, ref.Name)
	}
	if ref := class.Spec.MigrationSetRef; ref != nil {
		add("migrationSetRef", "MigrationSet", ref.Namespace, ref.Name)
	}
	if l := class.Spec.Logins; l != nil && l.SecretRef != nil {
		add("logins.secretRef", "Secret", l.SecretRef.Namespace, l.SecretRef.Name+"-*")
	}
	routed := class.Spec.Routing
	if routed == nil {
		return all
	}
	backend := func(field string, b *v1alpha1.ServiceBackend) {
		if b != nil {
			add("routing."+field, "Service", b.Namespace, b.Name)
		}
	}
	if routed.Gateway != nil {
		for _, ref := range routed.Gateway.ParentRefs {
			add("routing.gateway.parentRefs", "Gateway", ref.Namespace, ref.Name)
		}
	}
	backend("backend", &routed.Backend)
	backend("holding", routed.Holding)
	for _, p := range routed.PublicPaths {
		backend("publicPaths", p.Backend)
	}
	for _, h := range routed.PublicHosts {
		backend("publicHosts", &h.Backend)
	}
	for _, h := range routed.SharedHosts {
		backend("sharedHosts", &h.Fallback)
	}
	return all
}

// checkWatched finds what the class names where this operator does not look. It would be forbidden to
// read it there, or to write.
func (r *Reconciler) checkWatched(class *v1alpha1.TenantClass) error {
	for _, ref := range references(class) {
		if err := r.Namespaces.Refuse(ref.namespace, ref.field+": "+ref.kind+" "+ref.namespace+"/"+ref.name); err != nil {
			return err
		}
	}
	return nil
}

// isElsewhere : the operator has nothing there, and could not have made anything.
func isElsewhere(err error) bool { return fault.ReasonOf(err) == v1alpha1.ReasonNamespaceNotWatched }
