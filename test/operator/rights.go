package operator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Right is a verb on a kind of resource, a subresource included.
type Right struct{ Verb, Group, Resource string }

func (r Right) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Verb, r.Resource, r.Group))
}

// Granted are the rights that the installed roles give the operator, whatever the namespace.
func (s *Servers) Granted(ctx context.Context) (map[Right]bool, error) {
	return s.granted(ctx, true)
}

// GrantedInCluster are those of them that it has in all namespaces.
func (s *Servers) GrantedInCluster(ctx context.Context) (map[Right]bool, error) {
	return s.granted(ctx, false)
}

func (s *Servers) granted(ctx context.Context, inNamespaces bool) (map[Right]bool, error) {
	var (
		clusterBindings rbacv1.ClusterRoleBindingList
		bindings        rbacv1.RoleBindingList
	)
	if err := errors.Join(s.Admin.List(ctx, &clusterBindings), s.Admin.List(ctx, &bindings)); err != nil {
		return nil, err
	}
	granted := map[Right]bool{}
	add := func(namespace string, ref rbacv1.RoleRef) error {
		rules, err := s.rules(ctx, namespace, ref)
		addRights(granted, rules)
		return err
	}
	for _, b := range clusterBindings.Items {
		if slices.ContainsFunc(b.Subjects, isOperator) {
			if err := add("", b.RoleRef); err != nil {
				return nil, err
			}
		}
	}
	if !inNamespaces {
		return granted, nil
	}
	for _, b := range bindings.Items {
		if slices.ContainsFunc(b.Subjects, isOperator) {
			if err := add(b.Namespace, b.RoleRef); err != nil {
				return nil, err
			}
		}
	}
	return granted, nil
}

// rules are those of the role that a binding refers to, in a namespace if it is no ClusterRole.
func (s *Servers) rules(ctx context.Context, namespace string, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, error) {
	if ref.Kind == "Role" {
		role := &rbacv1.Role{}
		err := s.Admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, role)
		return role.Rules, err
	}
	role := &rbacv1.ClusterRole{}
	err := s.Admin.Get(ctx, client.ObjectKey{Name: ref.Name}, role)
	return role.Rules, err
}

// addRights adds the rights that rules give.
func addRights(granted map[Right]bool, rules []rbacv1.PolicyRule) {
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					granted[Right{verb, group, resource}] = true
				}
			}
		}
	}
}

func isOperator(s rbacv1.Subject) bool {
	return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == operatorNamespace && s.Name == operatorAccount
}

// Used are the rights that the operator used since the control plane started, by the API server's audit
// log, and what it was forbidden.
func (s *Servers) Used() (used map[Right]bool, forbidden []string, err error) {
	events, err := s.Plane.AuditEvents(0)
	if err != nil {
		return nil, nil, err
	}
	used, refused := map[Right]bool{}, map[string]bool{}
	for _, e := range events {
		// An administrator may have the operator's name, see Unguarded.
		if e.User != OperatorUser || e.Resource == "" || slices.Contains(e.Groups, "system:masters") {
			continue
		}
		resource := e.Resource
		if e.Subresource != "" {
			resource += "/" + e.Subresource
		}
		if e.Code == 403 && e.Verb != "create" { // a policy may deny what was asked for; RBAC says no by the same code
			refused[fmt.Sprintf("%s %s in %q", e.Verb, resource, e.Namespace)] = true
			continue
		}
		used[Right{e.Verb, e.Group, resource}] = true
	}
	return used, slices.Sorted(maps.Keys(refused)), nil
}

// CheckRights holds what the operator was granted against what it used. Each right that was not used is
// an error, unless unusable gives a reason why nothing here can make it use the right; so is a reason for
// one that is not granted.
func (s *Servers) CheckRights(ctx context.Context, unusable map[Right]string) error {
	granted, err := s.Granted(ctx)
	if err != nil {
		return err
	}
	used, _, err := s.Used()
	if err != nil {
		return err
	}
	var wrong []string
	for right := range granted {
		if !used[right] && unusable[right] == "" {
			wrong = append(wrong, "granted and not used: "+right.String())
		}
	}
	for right := range unusable {
		if !granted[right] {
			wrong = append(wrong, "not granted, and its reason is in the way: "+right.String())
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("rights of the operator's service account:\n%s", strings.Join(wrong, "\n"))
}
