package metrics_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/metrics"
)

// shelf is a reader that holds Tenants, as the cache does.
type shelf struct {
	client.Reader
	tenants []v1alpha1.Tenant
	err     error
}

func (s shelf) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	if l, ok := list.(*v1alpha1.TenantList); ok {
		l.Items = s.tenants
	}
	return s.err
}

func TestCollectorCountsByReason(t *testing.T) {
	var ready, taken, untouched v1alpha1.Tenant
	conditions.True(&ready, v1alpha1.ConditionReady, v1alpha1.ReasonReady, "")
	conditions.False(&taken, v1alpha1.ConditionReady, v1alpha1.ReasonDomainTaken, "")
	c := &metrics.Collector{Reader: shelf{tenants: []v1alpha1.Tenant{ready, taken, ready, untouched}}}
	want := `
# HELP tenantry_objects Objects by kind and by status and reason of their condition Ready.
# TYPE tenantry_objects gauge
tenantry_objects{kind="Tenant",ready="False",reason="DomainTaken"} 1
tenantry_objects{kind="Tenant",ready="True",reason="Ready"} 2
tenantry_objects{kind="Tenant",ready="Unknown",reason="Pending"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestCollectorCountsDomains(t *testing.T) {
	tenant := func(class string, states ...v1alpha1.DomainState) (t v1alpha1.Tenant) {
		t.Spec.ClassName = class
		for _, s := range states {
			t.Status.Domains = append(t.Status.Domains, v1alpha1.TenantDomainStatus{State: s})
		}
		return t
	}
	c := &metrics.Collector{Reader: shelf{tenants: []v1alpha1.Tenant{
		tenant("a", v1alpha1.DomainServing, v1alpha1.DomainUnreachable), tenant("a", v1alpha1.DomainServing), tenant("b"),
		tenant("c", v1alpha1.DomainServing),
	}}}
	want := `
# HELP tenantry_domains Domains of Tenants by class and by state, such as Serving or Unreachable.
# TYPE tenantry_domains gauge
tenantry_domains{class="a",state="Serving"} 2
tenantry_domains{class="a",state="Unreachable"} 1
tenantry_domains{class="c",state="Serving"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "tenantry_domains"); err != nil {
		t.Error(err)
	}
}

func TestCollectorCountsIsolation(t *testing.T) {
	var apart, reaching, untouched v1alpha1.Tenant
	conditions.True(&apart, v1alpha1.ConditionIsolated, v1alpha1.ReasonSucceeded, "")
	conditions.False(&reaching, v1alpha1.ConditionIsolated, v1alpha1.ReasonIsolationBreached, "")
	apart.Spec.ClassName, reaching.Spec.ClassName = "a", "a"
	c := &metrics.Collector{Reader: shelf{tenants: []v1alpha1.Tenant{apart, reaching, apart, untouched}}}
	want := `
# HELP tenantry_tenant_isolation Tenants by class and by status and reason of their condition Isolated.
# TYPE tenantry_tenant_isolation gauge
tenantry_tenant_isolation{class="a",isolated="False",reason="IsolationBreached"} 1
tenantry_tenant_isolation{class="a",isolated="True",reason="Succeeded"} 2
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "tenantry_tenant_isolation"); err != nil {
		t.Error(err)
	}
}

func TestCollectorSaysWhenItCannotCount(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&metrics.Collector{Reader: shelf{err: errors.New("cache is not there")}})
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "cache is not there") {
		t.Errorf("Gather() = %v: a failure that shows nowhere", err)
	}
}
