package probing

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// often is the interval of tests: long enough to count in.
	often = 30 * time.Millisecond
	// eventually bounds what a busy machine may take for some requests to itself.
	eventually = time.Minute
)

// door is a data plane: a server that answers each request by the next status of a row, and by the last
// one for ever.
type door struct {
	*httptest.Server

	mu       sync.Mutex
	statuses []int
	asked    map[string]int // by host
}

func newDoor(t *testing.T, statuses ...int) *door {
	t.Helper()
	d := &door{statuses: statuses, asked: map[string]int{}}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked[r.Host]++
	w.WriteHeader(d.statuses[0])
	if len(d.statuses) > 1 {
		d.statuses = d.statuses[1:]
	}
}

// answer sets what comes from now on.
func (d *door) answer(statuses ...int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.statuses = statuses
}

// count returns how often a host was asked for.
func (d *door) count(host string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[host]
}

func (d *door) target(host string) Target {
	return Target{
		Host: host, Via: "Gateway gateways/edge", Addresses: []string{d.Listener.Addr().String()}, Path: "/healthz",
		Want: Expectation{Status: http.StatusOK}, Timeout: 5 * time.Second, Interval: often,
	}
}

func owner(name string) Owner {
	return Owner{types.NamespacedName{Namespace: "shop", Name: name}, types.UID("uid-of-" + name)}
}

// start runs a prober until the test ends. The channel has the names of owners of which there was news.
func start(t *testing.T) (*Prober, <-chan string) {
	t.Helper()
	p, news := New(), make(chan string, 1000)
	p.Notify(func(n types.NamespacedName) { news <- n.Name })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p, news
}

func await(t *testing.T, what string, come func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(eventually)
	for !come() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("not in %v: %s", eventually, what)
		}
	}
}

func wantNews(t *testing.T, news <-chan string, who string) {
	t.Helper()
	select {
	case got := <-news:
		if got != who {
			t.Errorf("news of %s, want of %s", got, who)
		}
	case <-time.After(eventually):
		t.Fatalf("no news of %s", who)
	}
}

// A data plane that serves a host a moment after it said so costs the first caller that moment, and
// nobody is told of what that caller saw.
func TestWatchWaitsForTheFirstGoodAnswer(t *testing.T) {
	t.Parallel()
	p, news := start(t)
	d := newDoor(t, http.StatusNotFound, http.StatusNotFound, http.StatusServiceUnavailable, http.StatusOK)
	got := p.Watch(t.Context(), owner("acme"), []Target{d.target("acme.example")})
	if diff := cmp.Diff([]Verdict{{State: Good}}, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	n := d.count("acme.example")
	await(t, "the host is asked on", func() bool { return d.count("acme.example") > n+3 })
	if len(news) > 0 {
		t.Errorf("news of %s, which had been returned", <-news)
	}
}

func TestWatchGivesUpOnAHostThatNeverAnswers(t *testing.T) {
	t.Parallel()
	p, _ := start(t)
	d := newDoor(t, http.StatusBadGateway)
	begun := time.Now()
	got := p.Watch(t.Context(), owner("acme"), []Target{d.target("acme.example")})
	want := []Verdict{{Bad, "http://acme.example/healthz through Gateway gateways/edge: status 502, want status 200"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if took := time.Since(begun); took < settleFor-time.Second {
		t.Errorf("given up after %v", took)
	}
	if n := d.count("acme.example"); n < 5 {
		t.Errorf("asked %d times before it was given up", n)
	}
	begun = time.Now()
	p.Watch(t.Context(), owner("acme"), []Target{d.target("acme.example")})
	if took := time.Since(begun); took > time.Second {
		t.Errorf("a pass over what is known took %v", took)
	}
}

// One failure is a blip; two in a row are told, and so is the first good answer behind them.
func TestVerdictsFlip(t *testing.T) {
	t.Parallel()
	p, news := start(t)
	d := newDoor(t, http.StatusOK)
	targets := []Target{d.target("acme.example")}
	p.Watch(t.Context(), owner("acme"), targets)
	for range 3 {
		d.answer(http.StatusInternalServerError, http.StatusOK)
		n := d.count("acme.example")
		await(t, "the host is asked on", func() bool { return d.count("acme.example") > n+4 })
	}
	if len(news) > 0 {
		t.Fatal("a blip is news")
	}
	d.answer(http.StatusInternalServerError)
	wantNews(t, news, "acme")
	want := []Verdict{{Bad, "http://acme.example/healthz through Gateway gateways/edge: status 500, want status 200"}}
	if diff := cmp.Diff(want, p.Watch(t.Context(), owner("acme"), targets)); diff != "" {
		t.Errorf("verdicts in the outage (-want +got):\n%s", diff)
	}
	n := d.count("acme.example")
	await(t, "the host is asked on", func() bool { return d.count("acme.example") > n+3 })
	if len(news) > 0 {
		t.Error("an outage that goes on is news")
	}
	d.answer(http.StatusGatewayTimeout)
	wantNews(t, news, "acme")
	d.answer(http.StatusOK)
	wantNews(t, news, "acme")
	if diff := cmp.Diff([]Verdict{{State: Good}}, p.Watch(t.Context(), owner("acme"), targets)); diff != "" {
		t.Errorf("verdicts behind the outage (-want +got):\n%s", diff)
	}
}

// What nobody wants to know is not asked: of an owner that is forgotten, a host that is gone, and a
// question that is another now.
func TestForgetting(t *testing.T) {
	t.Parallel()
	p, news := start(t)
	d, other := newDoor(t, http.StatusOK), newDoor(t, http.StatusOK)
	p.Watch(t.Context(), owner("acme"), []Target{d.target("acme.example"), d.target("www.acme.example")})
	p.Watch(t.Context(), owner("globex"), []Target{d.target("globex.example")})
	for name, tt := range map[string]struct {
		do   func()
		gone string
	}{
		"owner": {func() { p.Forget(owner("globex").NamespacedName) }, "globex.example"},
		"host":  {func() { p.Watch(t.Context(), owner("acme"), []Target{d.target("acme.example")}) }, "www.acme.example"},
	} {
		tt.do()
		// A request that was under way may still arrive.
		n, kept := d.count(tt.gone), d.count("acme.example")
		await(t, "others are asked on", func() bool { return d.count("acme.example") > kept+5 })
		if got := d.count(tt.gone); got > n+1 {
			t.Errorf("%s: asked %d times more", name, got-n)
		}
	}
	moved := other.target("acme.example")
	if diff := cmp.Diff([]Verdict{{State: Good}}, p.Watch(t.Context(), owner("acme"), []Target{moved})); diff != "" {
		t.Errorf("verdicts at another address (-want +got):\n%s", diff)
	}
	if other.count("acme.example") == 0 {
		t.Error("the verdict is that of another question")
	}
	// A tenant that was made anew under the same name begins anew.
	d.answer(http.StatusNotFound)
	again := owner("acme")
	again.UID = "another"
	if got := p.Watch(t.Context(), again, []Target{d.target("acme.example")}); got[0].State != Bad {
		t.Errorf("a new tenant has the old one's verdict: %+v", got)
	}
	p.Forget(again.NamespacedName)
	if len(p.owners)+len(p.fresh)+len(p.known) != 0 {
		t.Errorf("%d owners, %d and %d probes are left", len(p.owners), len(p.fresh), len(p.known))
	}
	if len(news) > 0 {
		t.Errorf("news of %s", <-news)
	}
}

// How often a host is asked may change without a new verdict, and does at once.
func TestAnotherInterval(t *testing.T) {
	t.Parallel()
	p, _ := start(t)
	d := newDoor(t, http.StatusOK)
	target := d.target("acme.example")
	target.Interval = time.Hour
	p.Watch(t.Context(), owner("acme"), []Target{target})
	if n := d.count("acme.example"); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	target.Interval = often
	if got := p.Watch(t.Context(), owner("acme"), []Target{target}); got[0].State != Good {
		t.Errorf("verdict %+v", got)
	}
	await(t, "the host is asked on", func() bool { return d.count("acme.example") > 3 })
}

// After a restart what was known stands until the answers say otherwise: one that is bad flips nothing
// that was good, and tells nobody.
func TestPresumed(t *testing.T) {
	t.Parallel()
	p, news := start(t)
	d := newDoor(t, http.StatusBadGateway, http.StatusOK)
	good := d.target("acme.example")
	good.Presumed = Verdict{State: Good}
	if diff := cmp.Diff([]Verdict{{State: Good}}, p.Watch(t.Context(), owner("acme"), []Target{good})); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if d.count("acme.example") == 0 {
		t.Error("nobody asked")
	}
	await(t, "the host is asked on", func() bool { return d.count("acme.example") > 3 })
	if len(news) > 0 {
		t.Error("a blip after a restart is news")
	}
	// A host that joins an owner that is known has no past.
	d.answer(http.StatusBadGateway)
	joined := d.target("new.acme.example")
	joined.Presumed = Verdict{State: Good}
	if got := p.Watch(t.Context(), owner("acme"), []Target{joined}); got[0].State != Bad {
		t.Errorf("a new host is presumed %+v", got)
	}
}

// However many callers come, few of them wait; the others are told later.
func TestFewWait(t *testing.T) {
	t.Parallel()
	p, news := start(t)
	d := newDoor(t, http.StatusNotFound)
	var open atomic.Int32
	var callers sync.WaitGroup
	const n = 3 * maxWaiting
	for i := range n {
		callers.Go(func() {
			name := fmt.Sprintf("t%d", i)
			if p.Watch(t.Context(), owner(name), []Target{d.target(name + ".example")})[0].State == Unknown {
				open.Add(1)
			}
		})
	}
	callers.Wait()
	if got := open.Load(); got != n-maxWaiting {
		t.Errorf("%d callers did not wait, want %d", got, n-maxWaiting)
	}
	seen := map[string]bool{}
	for range n - maxWaiting {
		select {
		case who := <-news:
			seen[who] = true
		case <-time.After(eventually):
			t.Fatal("no news")
		}
	}
	if len(seen) != n-maxWaiting {
		t.Errorf("news of %v", seen)
	}
}

// Hosts that do not answer take their share of the requests and no more, and a new host comes before
// those of them that wait.
func TestHostsThatHangHoldUpNobody(t *testing.T) {
	t.Parallel()
	p, _ := start(t)
	hang := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(hang)
	target := Target{
		Via: "x", Addresses: []string{slow.Listener.Addr().String()}, Path: "/", Want: Expectation{Status: 200},
		Timeout: 200 * time.Millisecond, Interval: often, Presumed: Verdict{State: Bad},
	}
	var dark []Target
	for i := range 3 * inFlight {
		target.Host = fmt.Sprintf("d%d.example", i)
		dark = append(dark, target)
	}
	p.Watch(t.Context(), owner("dark"), dark)
	d := newDoor(t, http.StatusOK)
	if got := p.Watch(t.Context(), owner("acme"), []Target{d.target("acme.example")}); got[0].State != Good {
		t.Errorf("a new host beside hosts that hang is %+v", got)
	}
	for range 20 {
		await(t, "as many are asked as may be", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.asking > inFlight {
				t.Fatalf("%d requests at a time, want up to %d", p.asking, inFlight)
			}
			return p.asking == inFlight
		})
	}
}

// A caller whose time is over gets what is known.
func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	p := New() // nobody asks
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := newDoor(t, http.StatusOK)
	if got := p.Watch(ctx, owner("acme"), []Target{d.target("acme.example")}); got[0].State != Unknown {
		t.Errorf("verdict %+v", got)
	}
}
