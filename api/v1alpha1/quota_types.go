package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// QuotaAction says what becomes of a tenant whose schema is larger than it may be.
// +kubebuilder:validation:Enum=Report;RevokeInsert
type QuotaAction string

const (
	// QuotaReport says so in the condition WithinQuota, and does no more.
	QuotaReport QuotaAction = "Report"
	// QuotaRevokeInsert takes INSERT on the tenant's tables from its login as well, until the schema is
	// well below its bound again.
	QuotaRevokeInsert QuotaAction = "RevokeInsert"
)

// SchemaQuota bounds the size of a tenant's schema on disk.
type SchemaQuota struct {
	// size of all tables with their indexes and TOAST, such as 2Gi. It is looked at every few
	// minutes: a bound on what is normal, not a wall.
	// +required
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isGreaterThan(quantity('0'))",message="size is more than nothing, such as 500Mi or 2Gi"
	Size *resource.Quantity `json:"size,omitempty"`

	// whenExceeded says what happens above it. Report: the condition WithinQuota is False, and the
	// tenant stays Ready. RevokeInsert: its login can also add no more rows, until the schema is
	// below nine tenths of the size; it can still read, change and delete.
	// +optional
	// +kubebuilder:default=Report
	WhenExceeded QuotaAction `json:"whenExceeded,omitempty"`
}
