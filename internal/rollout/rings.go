package rollout

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// Rings are the rings of a spec, the rest last.
type Rings []Ring

// Ring is a ring of a spec.
type Ring struct {
	Name     string
	selector labels.Selector
	soak     int32 // seconds
}

// Compile reads the rings of a spec; nil stands for a rollout to everybody at once. Its error is an
// Invalid fault (InvalidRollout) that names the ring.
func Compile(spec *v1alpha1.Rollout) (Rings, error) {
	var rings Rings
	if spec != nil {
		for i, ring := range spec.Rings {
			selector, err := metav1.LabelSelectorAsSelector(ring.Selector)
			if err != nil {
				return nil, fault.NewInvalid(v1alpha1.ReasonInvalidRollout, "spec.rollout.rings[%d] (%s): selector: %s", i, ring.Name, err)
			}
			rings = append(rings, Ring{ring.Name, selector, ring.SoakSeconds})
		}
	}
	return append(rings, Ring{Name: v1alpha1.RestRing, selector: labels.Everything()}), nil
}

// Of returns the place of the ring that a tenant with these labels is in: the first that selects it.
func (r Rings) Of(tenant map[string]string) int {
	for i := range r {
		if r[i].selector.Matches(labels.Set(tenant)) {
			return i
		}
	}
	return len(r) - 1
}

// isOpen says whether a status lets tenants of a ring begin: every ring before it is done.
func (r Rings) isOpen(i int, st *v1alpha1.RolloutStatus) bool {
	if st.CompletedAt != nil {
		return true
	}
	for _, before := range r[:i] {
		if ring := find(st.Rings, before.Name); ring == nil || ring.State != v1alpha1.RingDone {
			return false
		}
	}
	return true
}

func find(rings []v1alpha1.RingStatus, name string) *v1alpha1.RingStatus {
	for i := range rings {
		if rings[i].Name == name {
			return &rings[i]
		}
	}
	return nil
}

// May says whether a tenant may begin to migrate to the digest now, by the rollout's spec and its
// status as they were published. What has begun goes on. While the budget is spent only those who
// failed may try again, for which the operator has its own pauses and users an annotation. A pause of a rollout
// that is completed keeps no new tenant from the version that all others have.
func May(spec *v1alpha1.Rollout, st *v1alpha1.RolloutStatus, digest string, t Tenant) bool {
	if t.Begun {
		return true
	}
	if st == nil || st.Digest != digest {
		return spec == nil
	}
	rings, err := Compile(spec)
	if err != nil || spec != nil && spec.Paused && (st.CompletedAt == nil || t.Version != "") {
		return false
	}
	return rings.isOpen(rings.Of(t.Labels), st) && (st.Stopped == nil || t.Failure != nil)
}

// position is for people: the ring at work and what holds it.
func position(ring, hold string) string {
	if hold == "" {
		return ring
	}
	return fmt.Sprintf("%s (%s)", ring, hold)
}
