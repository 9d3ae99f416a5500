package tenant

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A tenant comes back when its login is to be tried again, unless it has something to do before; and not at
// once, over and over, where the login could not be tried.
func TestNextPass(t *testing.T) {
	for name, tt := range map[string]struct {
		due, took, again, wantLeast, wantMost time.Duration
	}{
		"at the proof's end":           {due: 12 * time.Minute, wantLeast: 11 * time.Minute, wantMost: 12 * time.Minute},
		"something before":             {due: 12 * time.Minute, again: time.Minute, wantLeast: time.Minute, wantMost: time.Minute},
		"the proof's end comes before": {due: 30 * time.Second, again: time.Minute, wantLeast: 29 * time.Second, wantMost: 30 * time.Second},
		"due during the pass":          {due: -time.Minute, took: time.Hour, wantLeast: time.Second, wantMost: time.Second},
		"overdue":                      {due: -time.Hour, wantLeast: recheck, wantMost: recheck},
		"overdue, something before":    {due: -time.Hour, again: time.Minute, wantLeast: time.Minute, wantMost: time.Minute},
	} {
		r, s := &Reconciler{}, &scope{tenant: &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}, again: tt.again, started: time.Now().Add(-tt.took)}
		r.checked.Store(s.tenant.UID, proof{at: time.Now().Add(tt.due - proofAge - share(s.tenant, proofSpread))})
		if got := r.again(s); got < tt.wantLeast || got > tt.wantMost {
			t.Errorf("%s: %s, want %s to %s", name, got, tt.wantLeast, tt.wantMost)
		}
	}
	if got := (&Reconciler{}).again(&scope{tenant: &v1alpha1.Tenant{}}); got != recheck {
		t.Errorf("without a proof: %s", got)
	}
}

// While tenants are being made or migrated, logins are tried at the end of their time, and not beyond it.
func TestProofsWaitWhileTenantsAreMigrated(t *testing.T) {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}
	own, latest := proofAge+share(tenant, proofSpread), proofAge+proofSpread
	if latest-own < 30*time.Second {
		t.Fatalf("a share of %s tells nothing", own-proofAge)
	}
	for name, tt := range map[string]struct {
		age      time.Duration
		busy     bool
		want     bool          // it is believed
		comesFor time.Duration // the pass behind
	}{
		"not yet":       {age: own - time.Minute, want: true, comesFor: time.Minute},
		"due":           {age: own + time.Second, comesFor: recheck}, // where it could not be tried
		"busy, not yet": {age: own - time.Minute, busy: true, want: true, comesFor: latest - own + time.Minute},
		"busy, due":     {age: own + time.Second, busy: true, want: true, comesFor: latest - own - time.Second},
		"busy, overdue": {age: latest + time.Second, busy: true, comesFor: recheck},
	} {
		r, s := &Reconciler{}, &scope{tenant: tenant, secretVersion: "1", started: time.Now(), busy: tt.busy}
		s.observed.Roles.App, s.observed.AppCanLogin, s.db = "app", true, &postgres.DB{}
		s.tdb, s.class = &v1alpha1.TenantDatabase{}, &v1alpha1.TenantClass{}
		p := proof{secretVersion: "1", user: "app", login: loginKey(s), at: s.started.Add(-tt.age)}
		r.checked.Store(tenant.UID, p)
		for range 2 { // Nothing that comes in between makes the pass change its mind.
			if got := r.proved(s); got != tt.want {
				t.Errorf("%s: believed %v, want %v", name, got, tt.want)
			}
			r.work(s)
		}
		r.rest(s)
		if got := r.newProof(s).at; got.Equal(p.at) != tt.want {
			t.Errorf("%s: tried %s ago by what is remembered, and %s by what was before", name, time.Since(got), tt.age)
		}
		if got := r.again(s); got > tt.comesFor || got < tt.comesFor-time.Second {
			t.Errorf("%s: the next pass comes in %s, want %s", name, got, tt.comesFor)
		}
	}
}

// Tenants that were made together are not tried together for ever.
func TestSharesSpread(t *testing.T) {
	const n = 1000
	tenths := map[time.Duration]int{}
	for i := range n {
		tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprintf("4f0c1b52-%04d-4d4e-9c1f-0123456789ab", i))}}
		got := share(tenant, time.Hour)
		if got != share(tenant, time.Hour) || got < 0 || got >= time.Hour {
			t.Fatalf("share %s", got)
		}
		tenths[got/(6*time.Minute)]++
	}
	for tenth := range time.Duration(10) {
		if got := tenths[tenth]; got < n/20 || got > n/5 {
			t.Errorf("%d of %d tenants have their share in tenth %d", got, n, tenth)
		}
	}
}

// A migration that failed waits up to an hour for its next try; the customer's login does not.
func TestWhoFailedIsLookedAt(t *testing.T) {
	for name, c := range map[string]struct{ again, after, want time.Duration }{
		"a migration's hour": {after: time.Hour, want: recheck},
		"sooner":             {after: time.Minute, want: time.Minute},
		"a step's own":       {again: time.Second, after: time.Hour, want: time.Second},
		"no time":            {},
		"only a step's own":  {again: time.Minute, want: time.Minute},
	} {
		if got := (&scope{again: c.again}).soonest(c.after); got != c.want {
			t.Errorf("%s: comes back in %s, want %s", name, got, c.want)
		}
	}
}
