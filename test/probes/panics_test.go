package probes

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/test/operator"
)

// A panic in the middle of a reconcile that has just read or written a Secret, of each kind that there is:
// what is logged of it has no password, and the operator works on.
func TestLeaksInPanic(t *testing.T) {
	servers := *clusterOf(t)
	w := servers.World(t)
	setOperatorPassword(t, w)
	panics := &panicking{}
	config := *servers.Operator
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { panics.next = next; return panics })
	servers.Operator = &config
	w.Servers = &servers
	process := must(servers.Run(controllers.Options{DatabaseConnections: 3}))(t)
	h := furnish(t, w)
	// Two Secrets are made for a tenant with a Job: its own, and the Job's.
	panics.arm("GET db", "GET acme-db", "GET acme-db-reader", "GET sharing-main", "GET registry", "POST secrets", "POST secrets")
	w.Nudge(t, h.acme, w.Database, h.shared, h.packed)
	h.job(t)
	operator.Poll(t, operator.Eventually, panics.done)
	operator.Poll(t, operator.Eventually, func() error { return operator.LogsIn(t, h.atWork(t)) })
	made := regexp.MustCompile("[A-Z2-7]{26}").FindAllString(panics.answers.String(), -1)
	if len(made) < 2 {
		t.Fatalf("%d passwords in the answers behind which it panicked", len(made))
	}
	for i, password := range made {
		h.canaries[fmt.Sprintf("Secret behind whose making it panicked, %d", i)] = password
	}
	everySecret(t, w, h.canaries)
	w.AwaitReady(t, w.Database, h.acme, h.shared, h.packed)
	if err := process.Stop(); err != nil {
		t.Fatal(err)
	}
	place := leak{"the operator's log of a panic", operatorLog.String(), provoked}
	for _, name := range sortedKeys(h.canaries) {
		place.search(t, name, h.canaries[name])
	}
}

// provoked is the panic's text.
const provoked = "provoked behind the answer of a Secret"

// panicking panics in the goroutine that asked for a Secret, when the answer is there, once for each request
// that it is armed for: "GET" with a Secret's name, or "POST secrets" for the next one that is made.
type panicking struct {
	next http.RoundTripper
	mu   sync.Mutex
	left []string
	// answers are those to requests that made Secrets.
	answers buffer
}

func (p *panicking) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := p.next.RoundTrip(request)
	p.mu.Lock()
	defer p.mu.Unlock()
	at := slices.Index(p.left, request.Method+" "+path.Base(request.URL.Path))
	if at < 0 || err != nil || !strings.Contains(request.URL.Path, "/secrets") {
		return response, err
	}
	if request.Method == http.MethodPost {
		_, _ = io.Copy(&p.answers, response.Body)
	}
	p.left = slices.Delete(p.left, at, at+1)
	_ = response.Body.Close()
	panic(provoked)
}

func (p *panicking) arm(requests ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left = append(p.left, requests...)
}

func (p *panicking) done() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.left) > 0 {
		return fmt.Errorf("no panic yet behind %v", p.left)
	}
	return nil
}
