package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// RestRing is the name of the last ring: the tenants that no other ring selects.
const RestRing = "rest"

// Rollout says how a new version of a MigrationSet reaches its tenants: ring by ring, so that what is
// wrong with it meets few customers.
type Rollout struct {
	// rings are the groups of tenants that get a new version one after another. A tenant is in
	// the first ring that selects it; those that none selects are the last ring, named rest. A ring
	// opens when those before it are done: every tenant at the version and Ready, or failed
	// within the failure budget, and the soak time over.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Rings []RolloutRing `json:"rings,omitempty"`

	// maxInFlight is how many tenants of one database are upgraded at a time. Left out, it is
	// as many as the operator works on (--tenant-workers). New tenants do not count.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxInFlight int32 `json:"maxInFlight,omitempty"`

	// failureBudget is how many tenants may fail, as a number or as a percentage (rounded down) of
	// the tenants that are not pinned. One more, and the rollout stops until somebody lets it
	// go on.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? int(self) >= 0 && int(self) <= 1000000 : string(self).matches('^(100|[0-9]{1,2})%$')",message="failureBudget is a number of tenants from 0 to 1000000, like 5, or a percentage of them, like 5%"
	FailureBudget *intstr.IntOrString `json:"failureBudget,omitempty"`

	// progressDeadlineSeconds is how long a tenant of an open ring may be without success, or at
	// the version and not Ready, before it counts as failed. A migration that the server refuses
	// counts at once. It does not run on while the rollout is paused, and begins anew when that ends.
	// +optional
	// +kubebuilder:default=600
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ProgressDeadlineSeconds int32 `json:"progressDeadlineSeconds,omitempty"`

	// paused keeps every tenant that has not begun at the version it has. Those at work finish.
	// +optional
	Paused bool `json:"paused,omitempty"` //nolint:kubeapilinter // false and left out mean the same
}

// RolloutRing is a group of tenants that get a new version together.
type RolloutRing struct {
	// name of the ring, as status shows it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:XValidation:rule="self != 'rest'",message="rest is the ring of the tenants that no other ring selects; choose another name"
	Name string `json:"name,omitempty"`

	// selector picks Tenants by their labels.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) && size(self.matchLabels) > 0 || has(self.matchExpressions) && size(self.matchExpressions) > 0",message="an empty selector selects every tenant and leaves none to the rings behind it; name labels, or leave the ring out: who is in no ring comes last"
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// soakSeconds is how long the next ring waits when this one is done.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2592000
	SoakSeconds int32 `json:"soakSeconds,omitempty"` //nolint:kubeapilinter // zero and left out mean the same
}

// MigrationSetVersion names a state of a set's files.
type MigrationSetVersion struct {
	// version is the newest version that the set held.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// digest is the SHA-256 over all migrations of that version.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest,omitempty"`
}

// RolloutStatus is how far a version came. It is begun anew for each digest.
type RolloutStatus struct {
	MigrationSetVersion `json:",inline"`

	// startedAt is when the version was found good.
	// +optional
	StartedAt metav1.Time `json:"startedAt,omitzero"`

	// completedAt is when every tenant had it, or had failed within the budget. From then on the
	// version is open to every tenant.
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`

	// pausedAt is when the last pause began; the first one's beginning, where they followed each
	// other in less than spec.rollout.progressDeadlineSeconds.
	// +optional
	PausedAt *metav1.Time `json:"pausedAt,omitempty"`

	// resumedAt is when it ended; not there while the rollout is paused. A tenant that is not well has the whole of
	// spec.rollout.progressDeadlineSeconds from then on: in a pause it could not try again.
	// +optional
	ResumedAt *metav1.Time `json:"resumedAt,omitempty"`

	// position is for people: the ring that is at work, and in brackets what holds it. It is
	// gone when the rollout is completed.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Position string `json:"position,omitempty"`

	// rings are those of the spec, and rest.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=17
	Rings []RingStatus `json:"rings,omitempty"`

	// failuresAllowed is the failure budget as a number of tenants, with what was forgiven. There
	// is none without spec.rollout.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailuresAllowed *int32 `json:"failuresAllowed,omitempty"`

	// forgiven is how many tenants had failed when somebody let a stopped rollout go on, without
	// those who are well again.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Forgiven int32 `json:"forgiven,omitempty"`

	// stops is how often the budget was spent.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Stops int32 `json:"stops,omitempty"`

	// stopped is there while the rollout stands still because the budget is spent.
	// +optional
	Stopped *RolloutStop `json:"stopped,omitempty"`

	// pace is how fast tenants are updated, as measured.
	// +optional
	Pace *RolloutPaceStatus `json:"pace,omitempty"`

	// estimatedCompletion is when the rollout ends at this pace with the soak times ahead, rounded
	// up. There is none while the pace is unknown or the rollout stands still.
	// +optional
	EstimatedCompletion *metav1.Time `json:"estimatedCompletion,omitempty"`
}

// RolloutPaceStatus is a measurement of a rollout's pace, begun anew with each ring.
type RolloutPaceStatus struct {
	// since is when it began. It is gone while the rollout stands still.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`

	// updated is how many tenants were updated then.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Updated int32 `json:"updated"`

	// tenantsPerMinute is the last pace that was measured, rounded to two digits.
	// +optional
	// +kubebuilder:validation:Minimum=0
	TenantsPerMinute int32 `json:"tenantsPerMinute,omitempty"`
}

// RolloutStop is a rollout whose failure budget is spent.
type RolloutStop struct {
	// resume is the value of the annotation tenantry.dev/resume-rollout that lets this rollout go
	// on.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Resume string `json:"resume,omitempty"`

	// failureBudget is the budget that was spent; another one that suffices lets the rollout go on.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	FailureBudget string `json:"failureBudget,omitempty"`
}

// RingState is how far a ring came.
// +kubebuilder:validation:Enum=Pending;Progressing;Soaking;Done
type RingState string

const (
	// RingPending waits for the rings before it.
	RingPending RingState = "Pending"
	// RingProgressing is open; some of its tenants are not done.
	RingProgressing RingState = "Progressing"
	// RingSoaking has its tenants done and waits for its soak time.
	RingSoaking RingState = "Soaking"
	// RingDone has let the next ring begin.
	RingDone RingState = "Done"
)

// RingStatus is how far a ring came. Its tenants are updated, failed, pending or pinned.
type RingStatus struct {
	// name of the ring.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Name string `json:"name,omitempty"`

	// state of the ring: Pending, Progressing, Soaking or Done.
	// +required
	State RingState `json:"state,omitempty"`

	// tenants in the ring.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants int32 `json:"tenants"`

	// updated tenants stand at the version.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Updated int32 `json:"updated"`

	// failed tenants failed on their way, or are at the version and were not Ready for too long.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Failed int32 `json:"failed"`

	// pending tenants are not there yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pending int32 `json:"pending"`

	// pinned tenants stay where they are pinned.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Pinned int32 `json:"pinned"`

	// startedAt is when the ring was opened.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// settledAt is when its tenants were done for the first time.
	// +optional
	SettledAt *metav1.Time `json:"settledAt,omitempty"`

	// soakUntil is when the soak time ends.
	// +optional
	SoakUntil *metav1.Time `json:"soakUntil,omitempty"`
}

// FailedTenant is a tenant that did not come to the version.
type FailedTenant struct {
	// namespace of the Tenant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name of the Tenant.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// ring that the tenant is in.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=32
	Ring string `json:"ring,omitempty"`

	// version at which the tenant stands.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// reason is that of the Tenant's condition.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`

	// message is the beginning of that of the Tenant's condition.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Message string `json:"message,omitempty"`
}
