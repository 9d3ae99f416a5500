package domainclaim

import (
	"fmt"
	"hash/fnv"
	"maps"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

// How often DNS is asked. Somebody waits for a claim that is young, or was asked for: it is asked after 5,
// 10, 20 ... seconds, which is to say, when it is twice as old.
const (
	firstPause = 5 * time.Second
	longPause  = 5 * time.Minute
	// young is how long somebody is taken to wait.
	young = 24 * time.Hour
	// slowPause is for claims that nobody proves, and for those whose record is missing.
	slowPause = 15 * time.Minute
	// safePause is for claims that are verified.
	safePause = time.Hour
	// leastPause keeps a Tenant that is changed without end from asking without end.
	leastPause = 2 * time.Second
	// handOverAgain is how long one waits whose host cannot be handed over yet.
	handOverAgain = 15 * time.Second
)

// memory is what was learned of one claim. One pass at a time uses it.
type memory struct {
	// claim tells whose memory this is: names come again.
	claim types.UID
	// seen is what holder and rivals were like; who changed is fresh until DNS was asked.
	seen  map[types.UID]string
	fresh map[types.UID]bool
	// since is when somebody last began to wait.
	since time.Time
	// answer is what DNS said last, at the time asked.
	answer *answer
	asked  time.Time
	// due is when DNS is to be asked.
	due time.Time
	// turn counts the questions, so that all rivals have theirs.
	turn int
}

// recall returns the memory of a claim. A new one asks at once, and about what was verified before the
// operator started in the course of an hour: a restart is no reason to ask about a thousand hosts.
func (r *Reconciler) recall(claim *v1alpha1.DomainClaim, now time.Time) *memory {
	if known, ok := r.known.Load(claim.Name); ok && known.(*memory).claim == claim.UID {
		return known.(*memory)
	}
	m := &memory{claim: claim.UID, fresh: map[types.UID]bool{}, since: claim.CreationTimestamp.Time, due: now}
	if v := claim.Status.Verification; safe(claim) && v != nil && (v.Method == v1alpha1.VerifiedTXT || v.Method == v1alpha1.VerifiedCNAME) {
		m.due = now.Add(spread(safePause, claim.UID))
	}
	r.known.Store(claim.Name, m)
	return m
}

// askAgain moves the next question of a claim.
func (r *Reconciler) askAgain(claim *v1alpha1.DomainClaim, after time.Duration) {
	if known, ok := r.known.Load(claim.Name); ok {
		known.(*memory).due = r.now().Add(after)
	}
}

// heed lets a Tenant have DNS asked soon, again and again: by a change of its spec, or of the annotation
// that asks for a reconcile. Who is new waits too.
func (m *memory) heed(holder *party, rivals []rival, safe bool, now time.Time) {
	seen := map[types.UID]string{holder.tenant.UID: wish(holder.tenant)}
	for _, c := range rivals {
		seen[c.tenant.UID] = wish(c.tenant)
	}
	first := m.seen == nil
	for uid, wish := range seen {
		if first || safe || m.seen[uid] == wish {
			continue
		}
		m.fresh[uid] = true
		m.since = now
		if soon := m.asked.Add(leastPause); soon.Before(m.due) {
			m.due = soon
		}
	}
	maps.DeleteFunc(m.fresh, func(uid types.UID, _ bool) bool { return seen[uid] == "" })
	m.seen = seen
}

func wish(t *v1alpha1.Tenant) string {
	return fmt.Sprint(t.Generation, "/", t.Annotations[v1alpha1.AnnotationReconcile])
}

// pause is the time from the last question to the next.
func pause(claim *v1alpha1.DomainClaim, m *memory) time.Duration {
	switch {
	case len(m.fresh) > 0:
		return leastPause
	case safe(claim):
		return safePause
	case conditions.IsTrue(claim, v1alpha1.ConditionVerified):
		return slowPause
	}
	age := m.asked.Sub(m.since)
	if age > young {
		return slowPause
	}
	return min(max(age, 0)+firstPause, longPause)
}

// spread returns a time below d, the same for the same object.
func spread(d time.Duration, uid types.UID) time.Duration {
	h := fnv.New32a()
	_, _ = h.Write([]byte(uid)) // it never fails
	return time.Duration(h.Sum32()%1000) * d / 1000
}

// Of the passes at work, so many may wait for DNS, and the others find a worker: name servers that do
// not answer hold nobody up but those who need them.
const (
	workers  = 16
	maxSlots = 12
	// noSlot is when one looks again that found no slot.
	noSlot = time.Second
)

// slots bounds how many ask at a time. Its zero value is ready for use.
type slots struct{ taken atomic.Int32 }

func (s *slots) take() bool {
	if s.taken.Add(1) <= maxSlots {
		return true
	}
	s.taken.Add(-1)
	return false
}

func (s *slots) give() { s.taken.Add(-1) }
