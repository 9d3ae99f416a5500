// Package metrics tells Prometheus how the objects of Tenantry are: how many of each kind are
// Ready, and why the others are not; how many domains of each class are served, or not reachable; how
// many tenants are isolated from others. It counts in the cache at each scrape, so that a series never
// outlives its objects. Series are by kind and reason, or by class and state, not by object: their number
// does not grow with the fleet.
package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// scrapeTimeout bounds the lists of one scrape; they come from memory.
const scrapeTimeout = 5 * time.Second

var objects = prometheus.NewDesc("tenantry_objects",
	"Objects by kind and by status and reason of their condition Ready.", []string{"kind", "ready", "reason"}, nil)

var hosts = prometheus.NewDesc("tenantry_domains",
	"Domains of Tenants by class and by state, such as Serving or Unreachable.", []string{"class", "state"}, nil)

var isolation = prometheus.NewDesc("tenantry_tenant_isolation",
	"Tenants by class and by status and reason of their condition Isolated.", []string{"class", "isolated", "reason"}, nil)

// Collector counts objects.
type Collector struct {
	// Reader lists the objects; it should be a cache.
	Reader client.Reader
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- objects
	ch <- hosts
	ch <- isolation
}

// Collect implements prometheus.Collector. A kind that cannot be listed has no series.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	for kind, list := range map[string]client.ObjectList{
		"Tenant":         &v1alpha1.TenantList{},
		"TenantClass":    &v1alpha1.TenantClassList{},
		"TenantDatabase": &v1alpha1.TenantDatabaseList{},
		"MigrationSet":   &v1alpha1.MigrationSetList{},
		"DomainClaim":    &v1alpha1.DomainClaimList{},
	} {
		if err := c.Reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			ch <- prometheus.NewInvalidMetric(objects, err)
			continue
		}
		for state, n := range count(list) {
			ch <- prometheus.MustNewConstMetric(objects, prometheus.GaugeValue, float64(n), kind, state.ready, state.reason)
		}
		if tenants, ok := list.(*v1alpha1.TenantList); ok {
			for of, n := range countDomains(tenants) {
				ch <- prometheus.MustNewConstMetric(hosts, prometheus.GaugeValue, float64(n), of.class, string(of.state))
			}
			for of, n := range countIsolation(tenants) {
				ch <- prometheus.MustNewConstMetric(isolation, prometheus.GaugeValue, float64(n), of.class, of.isolated, of.reason)
			}
		}
	}
}

type domainsOf struct {
	class string
	state v1alpha1.DomainState
}

func countDomains(tenants *v1alpha1.TenantList) map[domainsOf]int {
	counts := map[domainsOf]int{}
	for i := range tenants.Items {
		for _, d := range tenants.Items[i].Status.Domains {
			counts[domainsOf{tenants.Items[i].Spec.ClassName, d.State}]++
		}
	}
	return counts
}

type isolationOf struct{ class, isolated, reason string }

// countIsolation leaves out the tenants that were not looked at yet.
func countIsolation(tenants *v1alpha1.TenantList) map[isolationOf]int {
	counts := map[isolationOf]int{}
	for i := range tenants.Items {
		t := &tenants.Items[i]
		if c := conditions.Get(t, v1alpha1.ConditionIsolated); c != nil {
			counts[isolationOf{t.Spec.ClassName, string(c.Status), c.Reason}]++
		}
	}
	return counts
}

type state struct{ ready, reason string }

func count(list client.ObjectList) map[state]int {
	counts := map[state]int{}
	_ = meta.EachListItem(list, func(o runtime.Object) error { // the function returns no error
		s := state{ready: string(metav1.ConditionUnknown), reason: v1alpha1.ReasonPending}
		if obj, ok := o.(conditions.Object); ok {
			if c := conditions.Get(obj, v1alpha1.ConditionReady); c != nil {
				s = state{string(c.Status), c.Reason}
			}
		}
		counts[s]++
		return nil
	})
	return counts
}
