package bench

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/claims"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/routing"
	"github.com/tenantry/tenantry/test/operator"
)

// bareWrites makes the API writes that no operator could spare for a tenant that is there: a Secret, a claim, a
// route, and a status. like is the status of a tenant that the operator made.
func (s *stage) bareWrites(ctx context.Context, name, schema string, like v1alpha1.TenantStatus) error {
	tenant := s.made[name]
	owner := []metav1.OwnerReference{routing.Owner(tenant)}
	password := []byte(postgres.NewPassword())
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name + "-db", OwnerReferences: owner, Labels: routing.Labels(tenant)},
		Type:       "servicebinding.io/postgresql",
		Data: map[string][]byte{
			"type": []byte("postgresql"), "provider": []byte("tenantry"), "host": []byte("127.0.0.1"), "port": []byte("5432"),
			"database": []byte(s.Name), "username": []byte(schema), "password": password, "schema": []byte(schema),
			"uri": append([]byte("postgresql://"+schema+":"), password...),
		},
	}
	claim := s.claim(tenant)
	route := routing.HTTPRoutes(routing.Wish{Tenant: tenant, Routing: s.Class.Spec.Routing, Schema: schema, Hosts: []string{s.Host(name)}})[0]
	for _, obj := range []client.Object{secret, claim, &route} {
		if err := s.bare.Create(ctx, obj); err != nil {
			return err
		}
	}
	return s.bareStatus(ctx, tenant, like)
}

func (s *stage) claim(tenant *v1alpha1.Tenant) *v1alpha1.DomainClaim {
	spec := v1alpha1.DomainClaimSpec{
		Host: s.Host(tenant.Name), Role: v1alpha1.HostTenant,
		Holder: v1alpha1.ClaimHolder{Kind: "Tenant", Namespace: s.Namespace, Name: tenant.Name, UID: string(tenant.UID)},
	}
	return &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: claims.Name(spec), Labels: routing.Labels(tenant)}, Spec: spec}
}

// clear takes Tenants and their claims away, while no operator runs: the next one would look at them, and tell those
// of the bare client that their class is missing, while it is measured.
func (s *stage) clear(b *testing.B) {
	b.Helper()
	release := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	inParallel(b, 8, s.names, func(name string) error {
		tenant := s.made[name]
		if err := s.Admin.Patch(b.Context(), tenant, release); err != nil {
			return err
		}
		return errors.Join(s.Admin.Delete(b.Context(), tenant), s.bare.Delete(b.Context(), s.claim(tenant)))
	})
	operator.Poll(b, 10*time.Minute, func() error { // until its owner references have done their work
		var routes gatewayv1.HTTPRouteList
		err := s.Admin.List(b.Context(), &routes, client.InNamespace(s.Namespace), client.Limit(1))
		if err == nil && len(routes.Items) > 0 {
			err = errors.New("there are routes of Tenants that are gone")
		}
		return err
	})
	s.vacuum(b)
}

// bareStatus writes a Tenant's status by the same patch as the operator, without its lock, and is answered by metadata
// alone, as the operator is.
func (s *stage) bareStatus(ctx context.Context, tenant *v1alpha1.Tenant, status v1alpha1.TenantStatus) error {
	before := &v1alpha1.Tenant{Status: tenant.Status}
	tenant.Status = status
	data, err := conditions.StatusPatch(before, tenant, "")
	if err != nil || data == nil {
		return err
	}
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: tenant.Name}}
	answer.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Tenant"))
	return s.bare.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, data))
}

// beside runs the SQL and the API writes of all tenants side by side, each at its own parallelism, while
// somebody watches the Tenants, as whoever waits for them does on the operator's side.
func (s *stage) beside(b *testing.B, connections, writers int, sql, api func(name string) error, is func(*v1alpha1.Tenant) bool) {
	b.Helper()
	var all sync.WaitGroup
	all.Go(func() { inParallel(b, connections, s.names, sql) })
	all.Go(func() { inParallel(b, writers, s.names, api) })
	all.Go(func() { s.awaitTenants(b, is) })
	all.Wait()
}
