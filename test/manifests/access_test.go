package manifests

import (
	"fmt"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
)

const operator = "system:serviceaccount:tenantry-system:tenantry-controller-manager"

// installRoles applies the roles and bindings of the installation.
func installRoles(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	found, err := render(t.Context(), "config/default")
	if err != nil {
		t.Fatal(err)
	}
	var roles []*unstructured.Unstructured
	for _, object := range found {
		switch object.GetKind() {
		case "Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
			roles = append(roles, object)
		}
	}
	if err := plane.ApplyObjects(t.Context(), roles...); err != nil {
		t.Fatal(err)
	}
	clients, err := kubernetes.NewForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	return clients
}

// Who holds Kubernetes' own roles in a namespace gets what belongs to them, and no more: nobody
// writes DomainClaims, and what is cluster-wide is the platform team's.
func TestRolesOfPeople(t *testing.T) {
	clients := installRoles(t)
	for _, role := range []string{"view", "edit", "admin"} {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role + "-of-test"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: role}},
		}
		if _, err := clients.RbacV1().RoleBindings("default").Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	// Asked within the namespace, where these users' roles count, also for what is cluster-wide:
	// somebody may hold the same roles in the whole cluster.
	tests := []struct {
		user, verb, resource, namespace string
		want                            bool
	}{
		{"view", "list", "tenants", "default", true},
		{"view", "watch", "tenantdatabases", "default", true},
		{"view", "get", "migrationsets", "default", true},
		{"view", "create", "tenants", "default", false},
		{"view", "list", "tenants", "kube-system", false},
		{"edit", "create", "tenants", "default", true},
		{"edit", "patch", "tenantdatabases", "default", true},
		{"edit", "delete", "migrationsets", "default", true},
		{"edit", "create", "tenants", "kube-system", false},
		{"edit", "patch", "tenants/status", "default", false},
		{"edit", "approve", "migrationsets", "default", false},
		{"admin", "approve", "migrationsets", "default", false},
		{"admin", "update", "tenants", "default", true},
		{"admin", "update", "tenants/status", "default", false},
		{"admin", "create", "tenantclasses", "default", false},
		{"edit", "create", "domainclaims", "default", false},
		{"admin", "create", "domainclaims", "default", false},
		{"admin", "delete", "domainclaims", "default", false},
		{"nobody", "list", "tenants", "default", false},
	}
	// The controllers of Kubernetes aggregate the roles a moment later, one by one: before, nobody may do anything.
	for _, tt := range tests {
		if tt.want {
			waitFor(t, func() bool { return may(t, clients, tt.user, tt.verb, tt.resource, tt.namespace) },
				tt.user, "may", tt.verb, tt.resource)
		}
	}
	for _, tt := range tests {
		if got := may(t, clients, tt.user, tt.verb, tt.resource, tt.namespace); got != tt.want {
			t.Errorf("%s may %s %s in %q: %t, want %t", tt.user, tt.verb, tt.resource, tt.namespace, got, tt.want)
		}
	}
}

// The operator may write status and claims, and is no administrator: it can neither give rights
// away nor change what people ask for.
func TestRoleOfOperator(t *testing.T) {
	clients := installRoles(t)
	tests := []struct {
		verb, resource, group, namespace string
		want                             bool
	}{
		{"list", "tenants", "tenantry.dev", "", true},
		{"patch", "tenants/status", "tenantry.dev", "shop", true},
		{"create", "domainclaims", "tenantry.dev", "", true},
		{"delete", "domainclaims", "tenantry.dev", "", true},
		{"create", "tenants", "tenantry.dev", "shop", false},
		{"delete", "tenants", "tenantry.dev", "shop", false},
		{"create", "tenantclasses", "tenantry.dev", "", false},
		{"create", "leases", "coordination.k8s.io", "tenantry-system", true},
		{"create", "leases", "coordination.k8s.io", "shop", false},
		{"create", "tokenreviews", "authentication.k8s.io", "", true},
		{"create", "clusterrolebindings", "rbac.authorization.k8s.io", "", false},
		{"escalate", "clusterroles", "rbac.authorization.k8s.io", "", false},
		{"impersonate", "users", "", "", false},
		{"create", "pods", "", "shop", false},
		{"create", "serviceaccounts/token", "", "shop", false},
		{"*", "*", "*", "", false},
	}
	allowed := func(verb, group, resource, namespace string) bool {
		t.Helper()
		return review(t, clients, operator, &authorizationv1.ResourceAttributes{
			Verb: verb, Group: group, Resource: resource, Namespace: namespace,
		})
	}
	for _, tt := range tests { // Until the API server has seen the roles, the operator may do nothing.
		if tt.want {
			waitFor(t, func() bool { return allowed(tt.verb, tt.group, tt.resource, tt.namespace) }, "the operator may", tt.verb, tt.resource)
		}
	}
	for _, tt := range tests {
		if got := allowed(tt.verb, tt.group, tt.resource, tt.namespace); got != tt.want {
			t.Errorf("the operator may %s %s in %q: %t, want %t", tt.verb, tt.resource, tt.namespace, got, tt.want)
		}
	}
}

// may asks whether a user may do something with a kind of ours; a resource may name its subresource.
func may(t *testing.T, clients *kubernetes.Clientset, user, verb, resource, namespace string) bool {
	t.Helper()
	return review(t, clients, user, &authorizationv1.ResourceAttributes{
		Verb: verb, Group: "tenantry.dev", Resource: resource, Namespace: namespace,
	})
}

func review(t *testing.T, clients *kubernetes.Clientset, user string, what *authorizationv1.ResourceAttributes) bool {
	t.Helper()
	if resource, sub, found := strings.Cut(what.Resource, "/"); found {
		what.Resource, what.Subresource = resource, sub
	}
	answer, err := clients.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: what},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Allowed
}

// waitFor asks again and again for at most a minute.
func waitFor(t *testing.T, condition func() bool, what ...any) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	limit := time.After(time.Minute)
	for !condition() {
		select {
		case <-ticker.C:
		case <-limit:
			t.Fatal("it did not come true in a minute: " + fmt.Sprintln(what...))
		}
	}
}
