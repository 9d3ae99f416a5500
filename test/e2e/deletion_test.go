package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// A namespace is deleted with all that is in it, whatever goes first. Deletion ends, no claim is left,
// data are kept or dropped as each tenant's policy says, and no login of a tenant that is gone works.
func TestNamespaceEndsInAnyOrder(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(s *site) client.Object{
		"all at once":             nil,
		"the operator's Secret":   func(s *site) client.Object { return s.Secret },
		"the database object":     func(s *site) client.Object { return s.Database },
		"the class":               func(s *site) client.Object { return s.Class },
		"the MigrationSet":        func(s *site) client.Object { return s.Set },
		"the tenants' own Secret": func(s *site) client.Object { return s.ConnectionSecret("dropped-db", "") },
		"the Service behind routes": func(s *site) client.Object {
			return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: "web"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			kept, dropped := s.Tenant("kept", s.Host("kept")), s.Tenant("dropped", s.Host("dropped"))
			dropped.Spec.DeletionPolicy = v1alpha1.DeletionDelete
			s.Create(t, kept, dropped)
			s.AwaitReady(t, kept, dropped)
			if first != nil {
				s.Delete(t, first(s))
			}
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace}}
			s.Delete(t, namespace)
			awaitNamespaceGone(t, namespace)
			awaitNoClaims(t, s.Namespace)
			if diff := cmp.Diff([]string{kept.Status.Schema}, operator.Schemas(t, s.AdminDSN)); diff != "" {
				t.Errorf("schemas (-want +got):\n%s", diff)
			}
			s.noLogins(t)
		})
	}
}

// awaitNamespaceGone waits for the end of a namespace; what does not end says why.
func awaitNamespaceGone(t *testing.T, namespace *corev1.Namespace) {
	t.Helper()
	operator.Poll(t, operator.Eventually, func() error {
		err := servers.Admin.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace)
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		left := []string{"namespace " + namespace.Name + " is still there"}
		for _, list := range []client.ObjectList{&v1alpha1.TenantList{}, &v1alpha1.TenantDatabaseList{}} {
			if err := servers.Admin.List(t.Context(), list, client.InNamespace(namespace.Name)); err != nil {
				return err
			}
			err := meta.EachListItem(list, func(o runtime.Object) error {
				object := o.(conditions.Object)
				ready := conditions.Get(object, v1alpha1.ConditionReady)
				left = append(left, fmt.Sprintf("%T %s, to be deleted %v: Ready is %v", o, object.GetName(), object.GetDeletionTimestamp(), ready))
				return nil
			})
			if err != nil {
				return err
			}
		}
		return errors.New(strings.Join(left, "\n"))
	})
}

// awaitNoClaims waits until nobody of a namespace holds a host.
func awaitNoClaims(t *testing.T, namespace string) {
	t.Helper()
	operator.Poll(t, operator.Eventually, func() error {
		var claims v1alpha1.DomainClaimList
		if err := servers.Admin.List(t.Context(), &claims); err != nil {
			return err
		}
		for _, claim := range claims.Items {
			if claim.Spec.Holder.Namespace == namespace {
				return fmt.Errorf("host %s is still held", claim.Spec.Host)
			}
		}
		return nil
	})
}
