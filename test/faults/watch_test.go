package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// watcher looks at a rollout from the outside while it runs: at each status that the API server gets, and
// at the database, many times a second. What must never be is collected.
type watcher struct {
	*fleet

	behind   []string // need not come to the version
	quit     context.CancelFunc
	ended    sync.WaitGroup
	mu       sync.Mutex
	wrong    map[string]bool
	statuses int
	samples  int
	most     int             // at work at a time
	reasons  map[string]bool // of Migrated of the tenant to be cut
}

// watch begins to watch the rollout of the newest version; the result ends it and fails the test for what
// was wrong.
func (p *planted) watch(t *testing.T) (end func() *watcher) {
	t.Helper()
	w := &watcher{fleet: p.fleet, behind: p.failing(), wrong: map[string]bool{}, reasons: map[string]bool{}}
	ctx, cancel := context.WithCancel(t.Context())
	w.quit = cancel
	sets, err := w.Admin.Watch(ctx, &v1alpha1.MigrationSetList{}, client.InNamespace(w.Namespace))
	if err != nil {
		t.Fatal(err)
	}
	tenants, err := w.Admin.Watch(ctx, &v1alpha1.TenantList{}, client.InNamespace(w.Namespace), client.MatchingFields{"metadata.name": p.cut})
	if err != nil {
		t.Fatal(err)
	}
	conn := operator.Hold(t, w.AdminDSN)
	w.ended.Go(func() {
		for event := range sets.ResultChan() {
			if set, ok := event.Object.(*v1alpha1.MigrationSet); ok {
				w.status(set.Status)
			}
		}
	})
	w.ended.Go(func() {
		for event := range tenants.ResultChan() {
			if tenant, ok := event.Object.(*v1alpha1.Tenant); ok {
				w.cutTenant(tenant)
			}
		}
	})
	w.ended.Go(func() { w.database(ctx, conn) })
	return func() *watcher {
		t.Helper()
		sets.Stop()
		tenants.Stop()
		cancel()
		w.ended.Wait()
		for what := range w.wrong {
			t.Error(what)
		}
		if w.statuses < len(ringNames) || w.samples < 10 || w.most == 0 {
			t.Errorf("only %d statuses and %d samples of the database were seen, %d tenants at work at most", w.statuses, w.samples, w.most)
		}
		return w
	}
}

func (w *watcher) saw(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong[fmt.Sprintf(format, args...)] = true
}

// status checks one status of the set.
func (w *watcher) status(st v1alpha1.MigrationSetStatus) {
	if st.Rollout == nil || st.Rollout.Version != fmt.Sprint(w.version) {
		return
	}
	w.mu.Lock()
	w.statuses++
	w.mu.Unlock()
	open := true
	for _, ring := range st.Rollout.Rings {
		if !open && (ring.StartedAt != nil || ring.State != v1alpha1.RingPending) {
			w.saw("ring %s was %s while one before it was not done: %+v", ring.Name, ring.State, st.Rollout.Rings)
		}
		open = open && ring.State == v1alpha1.RingDone
		if ring.Updated+ring.Failed+ring.Pending+ring.Pinned != ring.Tenants {
			w.saw("the counts of ring %s do not sum up: %+v", ring.Name, ring)
		}
	}
	allowed := *st.Rollout.FailuresAllowed
	if st.FailedTenants > allowed && st.Rollout.Stopped == nil {
		w.saw("%d tenants failed of %d that may, and the rollout was not stopped", st.FailedTenants, allowed)
	}
	if st.FailedTenants > allowed+maxInFlight {
		w.saw("%d tenants failed, with a budget of %d and %d at a time", st.FailedTenants, allowed, maxInFlight)
	}
}

func (w *watcher) cutTenant(tenant *v1alpha1.Tenant) {
	if c := conditions.Get(tenant, v1alpha1.ConditionMigrated); c != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.reasons[c.Reason] = true
	}
}

// database samples until the context ends.
func (w *watcher) database(ctx context.Context, conn *pgx.Conn) {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	for i := 0; ; i++ {
		err := w.atWork(ctx, conn)
		if i%8 == 0 {
			err = errors.Join(err, w.order(ctx, conn))
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.saw("sample: %v", err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// atWork counts the sessions that migrate. One of an operator that was killed ends when it answers to
// nobody, and is not this one's.
func (w *watcher) atWork(ctx context.Context, conn *pgx.Conn) error {
	var n int
	err := conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND state <> 'idle' AND backend_start >= $2",
		w.migrator, time.Unix(0, since.Load())).Scan(&n)
	if err != nil {
		return err
	}
	if n > maxInFlight {
		w.saw("%d tenants of the database were at work at a time, %d may be", n, maxInFlight)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.samples++
	w.most = max(w.most, n)
	return nil
}

// order checks that nobody was brought to the version before all of the rings before were, but for those
// who cannot be.
func (w *watcher) order(ctx context.Context, conn *pgx.Conn) error {
	names, err := w.at(ctx, conn)
	if err != nil {
		return err
	}
	last, example, there := 0, "", map[string]bool{}
	for _, name := range names {
		there[name] = true
		if ring := w.ringOf[name]; ring > last {
			last, example = ring, name
		}
		if slices.Contains(w.behind, name) {
			w.saw("%s came to a version that it cannot take", name)
		}
	}
	for _, ring := range w.rings[:last] {
		for _, name := range ring {
			if !there[name] && !slices.Contains(w.behind, name) {
				w.saw("%s came to the version before %s", example, name)
			}
		}
	}
	return nil
}

func containsAll(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}
