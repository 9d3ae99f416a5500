package platform

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// routes are a Gateway API route that sets a header and an Ingress, to one Service.
const routes = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: default}
spec:
  parentRefs: [{name: edge, sectionName: http}]
  hostnames: [route.example.com]
  rules:
  - filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: X-Tenant, value: acme}]}
    backendRefs: [{name: web, port: 8080}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: default}
spec:
  ingressClassName: traefik
  rules:
  - host: ingress.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 8080}}}}]}
`

func TestTraefikServesRoutesAndIngresses(t *testing.T) {
	ctx := t.Context()
	plane := startControlPlane(t)
	traefik, err := StartTraefik(ctx, plane)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := traefik.Stop(); err != nil {
			t.Error(err)
		}
	})
	startBackend(t, plane, "web", 8080)
	if err := traefik.EnsureGateway(ctx, "default", "edge", ""); err != nil {
		t.Fatal(err)
	}
	if err := plane.ApplyYAML(ctx, []byte(routes)); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: traefik.Transport(), Timeout: 5 * time.Second}
	for url, want := range map[string]string{
		"http://route.example.com/orders": "route.example.com /orders tenant=acme",
		"http://ingress.example.com/":     "ingress.example.com / tenant=forged",
	} {
		var got string
		eventually(t, 30*time.Second, fmt.Sprintf("%s answers %q", url, want), func() bool {
			got = get(ctx, client, url)
			return got == want
		})
	}
	if got := get(ctx, client, "http://other.example.com/"); !strings.HasPrefix(got, "404") {
		t.Errorf("an unknown host answers %q, want 404", got)
	}
	eventually(t, 30*time.Second, "the Ingress gets an address", func() bool {
		ingress, err := clientset(t, plane.Config).NetworkingV1().Ingresses("default").Get(ctx, "web", metav1.GetOptions{})
		return err == nil && len(ingress.Status.LoadBalancer.Ingress) == 1 && ingress.Status.LoadBalancer.Ingress[0].IP == loopback
	})
	if err := traefik.Stop(); err != nil {
		t.Fatal(err)
	}
	if !gone(traefik.record.Folder) || !processGone(t, traefik.record.Folder) {
		t.Error("Stop left a folder or a process")
	}
}

// startBackend makes a Service and listens on its cluster IP; answers tell host, path and tenant.
func startBackend(t *testing.T, plane *ControlPlane, name string, port int32) {
	t.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: port}}},
	}
	service, err := clientset(t, plane.Config).CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(service.Spec.ClusterIP, "127.96.") {
		t.Fatalf("cluster IP %s is not on loopback", service.Spec.ClusterIP)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(service.Spec.ClusterIP, fmt.Sprint(port)))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s tenant=%s", r.Host, r.URL.Path, r.Header.Get("X-Tenant"))
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// get returns the body of an answer, with its status in front if that is not 200. It always sends a
// tenant header of its own, as an attacker would.
func get(ctx context.Context, client *http.Client, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err.Error()
	}
	request.Header.Set("X-Tenant", "forged")
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	if response.StatusCode != http.StatusOK {
		return response.Status + ": " + string(body)
	}
	return string(body)
}
