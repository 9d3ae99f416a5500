package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/test/operator"
)

// reply is what a client gets back, from the sample backend, from a stand, or from the data plane.
type reply struct {
	answer
	// Stand is the name of the stand that answered; Host, Path and Named are what it saw of the
	// request, Named being the tenant headers in all spellings.
	Stand, Host, Path string
	Named             []string
	// Body is the text of whatever else answered.
	Body string
}

// who names the one that answers: a tenant, a stand with the tenant that it was told of, or a refusal
// with its status.
func (r reply) who() string {
	switch {
	case r.Tenant != "":
		return r.Tenant
	case r.Stand != "":
		return strings.TrimSpace(r.Stand + " " + strings.Join(r.Named, "+"))
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", r.Status, r.Error.Code))
}

// exchange sends a request to the data plane as it is written, line by line, since a client library
// would mend what attackers send. Connection: close is added.
func exchange(ctx context.Context, lines ...string) (r reply, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(traefik.HTTPPort)))
	if err != nil {
		return r, err
	}
	defer func() { _ = conn.Close() }()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return r, err
	}
	text := strings.Join(append(slices.Clone(lines), "Connection: close", "", ""), "\r\n")
	if _, err := io.WriteString(conn, text); err != nil {
		return r, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return r, fmt.Errorf("%q: %w", lines, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return r, err
	}
	r.Body = string(body)
	if strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &r); err != nil {
			return r, fmt.Errorf("%q is answered by %q: %w", lines, body, err)
		}
	}
	r.Status, r.Location = response.StatusCode, response.Header.Get("Location")
	return r, nil
}

// get asks a host for a path; headers are whole lines.
func get(ctx context.Context, host, path string, headers ...string) (reply, error) {
	return exchange(ctx, append([]string{"GET " + path + " HTTP/1.1", "Host: " + host}, headers...)...)
}

// awaitWho waits until a request is answered by the wanted one.
func awaitWho(t testing.TB, want string, ask func(context.Context) (reply, error)) {
	t.Helper()
	operator.Poll(t, operator.Eventually, func() error {
		r, err := ask(t.Context())
		if err == nil && r.who() != want {
			err = fmt.Errorf("answered by %q, not by %q (%s)", r.who(), want, r.Body)
		}
		return err
	})
}

// stand is a little web server behind a Service, in this process in the place of Pods: it answers
// every request with its own name, what it saw of the request, and one status.
func (s *site) stand(t testing.TB, namespace, name string, status int) {
	t.Helper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}},
	}
	s.Create(t, service)
	listener, err := net.Listen("tcp", net.JoinHostPort(service.Spec.ClusterIP, "8080"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			text, err := json.Marshal(reply{Stand: name, Host: r.Host, Path: r.RequestURI, Named: named(r.Header)})
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(text)
		}),
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
}

// named lists the values of the tenant header in every spelling that some server takes for it: CGI and
// its kin make no difference between hyphens and underscores.
func named(h http.Header) (values []string) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), header) {
			values = append(values, h[name]...)
		}
	}
	return values
}

// census counts who answers, one request after the other, until the returned function is called; the
// last is asked after that.
func census(t testing.TB, ask func(context.Context) (reply, error)) (stop func() *tally) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan *tally, 1)
	go func() {
		seen := newTally()
		defer func() { done <- seen }()
		ticker := time.NewTicker(25 * time.Millisecond)
		defer ticker.Stop()
		for {
			last := ctx.Err() != nil
			if r, err := ask(context.WithoutCancel(ctx)); err != nil {
				seen.add(err.Error())
			} else {
				seen.add(r.who())
			}
			if last {
				return
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	return func() *tally {
		cancel()
		return <-done
	}
}

// tally is who answered: in which order for the first time, and how often.
type tally struct {
	order  []string
	counts map[string]int
}

func newTally() *tally { return &tally{counts: map[string]int{}} }

func (c *tally) add(who string) {
	if len(c.order) == 0 || c.order[len(c.order)-1] != who {
		c.order = append(c.order, who)
	}
	c.counts[who]++
}

func (c *tally) String() string {
	var parts []string
	for _, who := range slices.Sorted(maps.Keys(c.counts)) {
		parts = append(parts, fmt.Sprintf("%d× %s", c.counts[who], who))
	}
	return strings.Join(parts, ", ")
}

// served lists who answered one after the other, without refusals and what stands answer for nobody.
func (c *tally) served(except ...string) []string {
	who := slices.DeleteFunc(slices.Clone(c.order), func(w string) bool {
		return w[0] >= '1' && w[0] <= '9' || slices.Contains(except, w)
	})
	return slices.Compact(who)
}

// only checks that nobody else answered.
func (c *tally) only(t testing.TB, want ...string) {
	t.Helper()
	for who := range c.counts {
		if !slices.Contains(want, who) {
			t.Errorf("answered: %s; want only %q", c, want)
			return
		}
	}
}
