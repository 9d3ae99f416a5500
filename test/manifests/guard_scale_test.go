package manifests

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// crowd is how many claims the cluster has for the test of the guard's cost: a thousand tenants with
// two hosts each.
const crowd = 2000

// bearable bounds the admission of one route of others among so many claims, on a very busy machine. The
// figures are in docs/adr/0021.
const bearable = 20 * time.Second

// The guard is evaluated once for each claim. With two thousand of them no limit of the API server is
// hit, the cost is bearable for the routes of others, and the operator's own routes do not pay it.
func TestGuardAmongManyClaims(t *testing.T) {
	guard(t)
	crowdIn(t)
	var rules, tls []string
	for i := range 50 {
		rules = append(rules, fmt.Sprintf(`{host: free-%d.guard.example, %s}`, i, anyPath))
		tls = append(tls, fmt.Sprintf(`{hosts: [free-%d.guard.example], secretName: s}`, i))
	}
	own := `{metadata: {labels: {tenantry.dev/tenant-uid: u-1}}, spec: {hostnames: [acme.guard.example]}}`
	for name, tt := range map[string]guardCase{
		"own route":                      {operator, "HTTPRoute", own, allowed},
		"free route":                     {administrator, "HTTPRoute", ``, allowed},
		"free route of sixteen hosts":    {administrator, "HTTPRoute", `spec: {hostnames: [` + freeHosts(16) + `]}`, allowed},
		"claimed host":                   {administrator, "HTTPRoute", `spec: {hostnames: [crowd-1999.guard.example]}`, claimed},
		"wildcard over all claims":       {administrator, "HTTPRoute", `spec: {hostnames: ["*.guard.example"]}`, claimed},
		"free Ingress":                   {administrator, "Ingress", ``, allowed},
		"free Ingress of 50 rules":       {administrator, "Ingress", `spec: {rules: [` + strings.Join(rules, ", ") + `], tls: [` + strings.Join(tls, ", ") + `]}`, allowed},
		"Ingress with a claimed host":    {administrator, "Ingress", `spec: {rules: [{host: crowd-7.guard.example, ` + anyPath + `}]}`, claimedI},
		"Ingress with its labels forged": {administrator, "Ingress", `metadata: {labels: {tenantry.dev/tenant-uid: u-1}}`, forged},
	} {
		c := as(t, tt.user)
		var took []time.Duration
		for range 5 {
			object := stranger(t, tt.kind, tt.patch)
			began := time.Now()
			err := c.Create(t.Context(), object, client.DryRunAll)
			took = append(took, time.Since(began))
			if wrong := says(err, tt.want); wrong != "" {
				t.Errorf("%s: %s; want %q", name, wrong, tt.want)
			}
		}
		slices.Sort(took)
		t.Logf("%s among %d claims: median %s, slowest %s", name, crowd, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
		if took[0] > bearable {
			t.Errorf("%s: admission took %s at least, want less than %s", name, took[0], bearable)
		}
	}
}

// crowdIn makes the claims, which go with the test.
func crowdIn(t *testing.T) {
	t.Helper()
	c := as(t, operator)
	t.Cleanup(func() {
		claim := &unstructured.Unstructured{Object: fields(t, valid["DomainClaim"])}
		if err := c.DeleteAllOf(context.WithoutCancel(t.Context()), claim, client.MatchingLabels{"crowd": "yes"}); err != nil {
			t.Error(err)
		}
	})
	var workers sync.WaitGroup
	numbers := make(chan int)
	for range 16 {
		workers.Go(func() {
			for i := range numbers {
				claim := &unstructured.Unstructured{Object: fields(t, valid["DomainClaim"])}
				rename(claim, fmt.Sprintf("crowd-%d.guard.example", i))
				claim.SetLabels(map[string]string{"crowd": "yes"})
				if err := c.Create(t.Context(), claim); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range crowd {
		numbers <- i
	}
	close(numbers)
	workers.Wait()
	waitFor(t, func() bool {
		for _, host := range []string{"crowd-7", fmt.Sprintf("crowd-%d", crowd-1)} {
			route := stranger(t, "HTTPRoute", `spec: {hostnames: [`+host+`.guard.example]}`)
			if admin.Create(t.Context(), route, client.DryRunAll) == nil {
				return false
			}
		}
		return true
	})
}
