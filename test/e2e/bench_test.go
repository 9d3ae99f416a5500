package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/test/operator"
)

// additions is how many domains each of the two is asked to serve.
const additions = 15

// How long a customer waits for a new domain: from the edit of a Ready Tenant to the first right answer,
// beside the time that the data plane takes by itself for a route that is made by hand. Half a second
// of both is the data plane's own throttle.
func BenchmarkDomainAdded(b *testing.B) {
	s := newSite(b)
	acme := s.Tenant("acme", s.Host("acme"))
	s.Create(b, acme)
	s.AwaitReady(b, acme)
	awaitAnswer(b, s.Host("acme"), s.Namespace+"/acme")
	for range b.N {
		var ours, theirs []time.Duration
		for i := range additions {
			host := s.Host(fmt.Sprintf("added-%d", i))
			start := time.Now()
			// As primary domain: an alias would only redirect.
			operator.Update(b, s.Servers, acme, func(t *v1alpha1.Tenant) { t.Spec.Domains = append([]string{host}, t.Spec.Domains...) })
			awaitRoute(b, host, func(status int) bool { return status == http.StatusOK })
			ours = append(ours, time.Since(start))

			route := s.byHand(fmt.Sprintf("by-hand-%d", i))
			start = time.Now()
			s.Create(b, route)
			awaitRoute(b, string(route.Spec.Hostnames[0]), func(status int) bool { return status != http.StatusNotFound })
			theirs = append(theirs, time.Since(start))
		}
		b.ReportMetric(median(ours).Seconds(), "s/domain-median")
		b.ReportMetric(slices.Max(ours).Seconds(), "s/domain-max")
		b.ReportMetric(median(theirs).Seconds(), "s/route-by-hand-median")
		b.ReportMetric(median(ours).Seconds()/median(theirs).Seconds(), "ratio")
	}
}

// byHand is a route as somebody without the operator makes it. The sample backend refuses
// requests that name no tenant: any answer but the data plane's own 404 shows that the route leads there.
func (s *site) byHand(name string) *gatewayv1.HTTPRoute {
	return &gatewayv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: name},
		Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{
				Namespace: new(gatewayv1.Namespace(gatewayNamespace)), Name: gatewayName, SectionName: new(gatewayv1.SectionName("http")),
			}}},
			Hostnames: []gatewayv1.Hostname{gatewayv1.Hostname(s.Host(name))},
			Rules: []gatewayv1.HTTPRouteRule{{BackendRefs: []gatewayv1.HTTPBackendRef{{BackendRef: gatewayv1.BackendRef{
				BackendObjectReference: gatewayv1.BackendObjectReference{Name: "web", Port: new(gatewayv1.PortNumber(8080))},
			}}}}},
		},
	}
}

// awaitRoute asks a host without a pause until its answer is the right one.
func awaitRoute(b *testing.B, host string, right func(status int) bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		if a, err := whoami(ctx, host); err == nil && right(a.Status) {
			return
		}
	}
	b.Fatalf("%s does not answer as it should", host)
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// fleetSize is how many tenants the fleet has, each with two domains.
const fleetSize = 1000

// A thousand tenants with two domains each, from YAML to served: every domain is asked. What the
// programs hold in memory then is reported too.
func BenchmarkFleetServed(b *testing.B) {
	for range b.N {
		s := newSite(b)
		start := time.Now()
		parallel(b, fleetSize, func(i int) error {
			name := fmt.Sprintf("tenant-%04d", i)
			return s.Admin.Create(b.Context(), s.Tenant(name, s.Host(name), s.Host("www-"+name)))
		})
		b.ReportMetric(time.Since(start).Seconds(), "s/created")
		s.awaitFleetWithin(b, fleetSize, 20*time.Minute)
		b.ReportMetric(time.Since(start).Seconds(), "s/ready")
		parallel(b, fleetSize, func(i int) error { return s.servedAs(b.Context(), fmt.Sprintf("tenant-%04d", i)) })
		b.ReportMetric(time.Since(start).Seconds(), "s/served")
		for metric, program := range map[string]string{"MB/operator": "manager", "MB/traefik": "traefik", "MB/apiserver": "kube-apiserver"} {
			b.ReportMetric(memory(b, program), metric)
		}
	}
}

// servedAs asks the two domains of a tenant: the first answers with the tenant's own data, the second
// leads there.
func (s *site) servedAs(ctx context.Context, name string) error {
	var err error
	for range 100 {
		var primary, alias answer
		primary, err = whoami(ctx, s.Host(name))
		if err == nil && primary.Tenant != s.Namespace+"/"+name {
			err = fmt.Errorf("%s is answered by %q with status %d", s.Host(name), primary.Tenant, primary.Status)
		}
		if err != nil {
			continue
		}
		alias, err = whoami(ctx, s.Host("www-"+name))
		if err == nil && (alias.Status != http.StatusMovedPermanently || !strings.Contains(alias.Location, s.Host(name))) {
			err = fmt.Errorf("%s answers %d to %q", s.Host("www-"+name), alias.Status, alias.Location)
		}
		if err == nil {
			return nil
		}
	}
	return err
}

// parallel runs n calls, eight at a time.
func parallel(b *testing.B, n int, call func(i int) error) {
	b.Helper()
	var wait sync.WaitGroup
	var lock sync.Mutex
	var errs []error
	work := make(chan int)
	for range 8 {
		wait.Go(func() {
			for i := range work {
				if err := call(i); err != nil {
					lock.Lock()
					errs = append(errs, err)
					lock.Unlock()
				}
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wait.Wait()
	if len(errs) > 0 {
		b.Fatalf("%d of %d failed: %v", len(errs), n, errors.Join(errs[:min(3, len(errs))]...))
	}
}

// memory is the resident memory of a program that this process started, in MB.
func memory(b *testing.B, program string) float64 {
	b.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range files {
		fields := statusOf(path)
		if fields["PPid"] != strconv.Itoa(os.Getpid()) || !strings.HasPrefix(program, fields["Name"]) {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSuffix(fields["VmRSS"], " kB"), 64)
		if err != nil {
			b.Fatal(err)
		}
		return kb / 1024
	}
	b.Fatalf("no process %s was started from here", program)
	return 0
}

// statusOf reads /proc/<pid>/status; a process that has ended has none.
func statusOf(path string) map[string]string {
	fields := map[string]string{}
	file, err := os.Open(path)
	if err != nil {
		return fields
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		fields[name] = strings.TrimSpace(value)
	}
	return fields
}
