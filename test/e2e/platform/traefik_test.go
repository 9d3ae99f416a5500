// Package platform_test proves the part of the local platform that takes longest to build: requests
// reach backends through a real data plane.
package platform_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tenantry/tenantry/test/platform"
)

// routes are a Gateway API route that sets a header, on both listeners, and an Ingress, to one Service.
const routes = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: default}
spec:
  parentRefs: [{name: edge}]
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

func TestRequestsArrive(t *testing.T) {
	ctx := t.Context()
	plane, err := platform.StartControlPlane(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, plane.Stop)
	traefik, err := platform.StartTraefik(ctx, plane)
	if err != nil {
		t.Fatal(err)
	}
	stopAtEnd(t, traefik.Stop)
	kube, err := kubernetes.NewForConfig(plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	startBackend(t, kube)
	makeTLSSecret(t, plane, kube)
	if err := traefik.EnsureGateway(ctx, "default", "edge", "edge-tls"); err != nil {
		t.Fatal(err)
	}
	if err := plane.ApplyYAML(ctx, []byte(routes)); err != nil {
		t.Fatal(err)
	}

	client := clientOf(plane, traefik)
	for url, want := range map[string]string{
		"http://route.example.com/orders":  "route.example.com /orders tenant=acme",
		"https://route.example.com/orders": "route.example.com /orders tenant=acme",
		"http://ingress.example.com/":      "ingress.example.com / tenant=forged",
	} {
		eventually(t, fmt.Sprintf("%s answers %q", url, want), func() (string, bool) {
			got := get(ctx, client, url)
			return got, got == want
		})
	}
	if got := get(ctx, client, "http://other.example.com/"); !strings.HasPrefix(got, "404") {
		t.Errorf("an unknown host answers %q, want 404", got)
	}
	eventually(t, "the Ingress gets the address 127.0.0.1", func() (string, bool) {
		ingress, err := kube.NetworkingV1().Ingresses("default").Get(ctx, "web", metav1.GetOptions{})
		if err != nil {
			return err.Error(), false
		}
		addresses := ingress.Status.LoadBalancer.Ingress
		return fmt.Sprint(addresses), len(addresses) == 1 && addresses[0].IP == "127.0.0.1"
	})
	if err := traefik.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(traefik.LogPath)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Stop left a folder (%v)", err)
	}
	if got := get(ctx, client, "http://route.example.com/"); !strings.Contains(got, "connection refused") {
		t.Errorf("a stopped data plane answers %q", got)
	}
}

func stopAtEnd(t *testing.T, stop func() error) {
	t.Helper()
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// clientOf sends all requests to the data plane and trusts the control plane's authority.
func clientOf(plane *platform.ControlPlane, traefik *platform.Traefik) *http.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(plane.Config.CAData)
	transport := traefik.Transport()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return &http.Client{Transport: transport, Timeout: 5 * time.Second}
}

// startBackend makes a Service and listens on its cluster IP; answers tell host, path and tenant.
func startBackend(t *testing.T, kube *kubernetes.Clientset) {
	t.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	}
	service, err := kube.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(service.Spec.ClusterIP, "127.96.") {
		t.Fatalf("cluster IP %s is not on loopback", service.Spec.ClusterIP)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(service.Spec.ClusterIP, "8080"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s %s tenant=%s", r.Host, r.URL.Path, r.Header.Get("X-Tenant"))
		}),
	}
	go func() { _ = server.Serve(listener) }()
	stopAtEnd(t, server.Close)
}

func makeTLSSecret(t *testing.T, plane *platform.ControlPlane, kube *kubernetes.Clientset) {
	t.Helper()
	cert, key, err := plane.ServingCertificate("route.example.com")
	if err != nil {
		t.Fatal(err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "edge-tls"}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: key},
	}
	if _, err := kube.CoreV1().Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until the answer is right and fails the test with the last one after 30 seconds.
func eventually(t *testing.T, what string, ask func() (got string, right bool)) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for {
		got, right := ask()
		if right {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not in time: %s; last was %q", what, got)
		}
	}
}

// get returns the body of an answer, with its status in front if that is not 200. It always sends a
// tenant header of its own, as an attacker would.
func get(ctx context.Context, client *http.Client, url string) string {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
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
