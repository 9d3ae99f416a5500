package tenant

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// A tenant comes back when its login is to be tried again, unless it has something to do before; and not at
// once, over and over, where the login could not be tried.
func TestNextPass(t *testing.T) {
	for name, tt := range map[string]struct {
		due, again, wantLeast, wantMost time.Duration
	}{
		"at the proof's end":           {due: 12 * time.Minute, wantLeast: 11 * time.Minute, wantMost: 12 * time.Minute},
		"something before":             {due: 12 * time.Minute, again: time.Minute, wantLeast: time.Minute, wantMost: time.Minute},
		"the proof's end comes before": {due: 30 * time.Second, again: time.Minute, wantLeast: 29 * time.Second, wantMost: 30 * time.Second},
		"overdue":                      {due: -time.Hour, wantLeast: recheck, wantMost: recheck},
		"overdue, something before":    {due: -time.Hour, again: time.Minute, wantLeast: time.Minute, wantMost: time.Minute},
	} {
		r, s := &Reconciler{}, &scope{tenant: &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{UID: "uid"}}, again: tt.again}
		r.checked.Store(s.tenant.UID, proof{at: time.Now().Add(tt.due - proofAge - share(s.tenant, proofSpread))})
		if got := r.again(s); got < tt.wantLeast || got > tt.wantMost {
			t.Errorf("%s: %s, want %s to %s", name, got, tt.wantLeast, tt.wantMost)
		}
	}
	if got := (&Reconciler{}).again(&scope{tenant: &v1alpha1.Tenant{}}); got != recheck {
		t.Errorf("without a proof: %s", got)
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
