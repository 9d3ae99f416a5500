package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MigrationFormat is the convention by which migration files are named and read.
// +kubebuilder:validation:Enum=Auto;Plain;Goose;GolangMigrate;Flyway
type MigrationFormat string

const (
	// FormatAuto finds the format from the file names and contents.
	FormatAuto MigrationFormat = "Auto"
	// FormatPlain is NNN_name.sql.
	FormatPlain MigrationFormat = "Plain"
	// FormatGoose is goose's: one file with -- +goose annotations.
	FormatGoose MigrationFormat = "Goose"
	// FormatGolangMigrate is golang-migrate's: N_name.up.sql and N_name.down.sql.
	FormatGolangMigrate MigrationFormat = "GolangMigrate"
	// FormatFlyway is Flyway's: V1_2__name.sql and R__name.sql.
	FormatFlyway MigrationFormat = "Flyway"
)

// MigrationSetSpec says where versioned SQL comes from, or which program migrates, and how a version
// goes to tenants.
// +kubebuilder:validation:XValidation:rule="has(self.source) != has(self.job)",message="a set has one of source (SQL files that the operator runs) and job (a program of the product that migrates)"
type MigrationSetSpec struct {
	// source is where the files are.
	// +optional
	Source MigrationSource `json:"source,omitzero"` //nolint:kubeapilinter // a rule of the type says when it may be left out

	// job migrates by the product's own program, instead of files: Django, Rails, Flyway, Prisma and
	// others. What is said of files (format, lint, dry run, checkpoints) is nothing to it.
	// +optional
	Job *MigrationJob `json:"job,omitempty"`

	// format is the convention of the files: Auto, Plain, Goose, GolangMigrate or Flyway.
	// +optional
	// +kubebuilder:default=Auto
	Format MigrationFormat `json:"format,omitempty"`

	// allowedNamespaces says from which namespaces Tenants may be migrated by this set.
	// +optional
	// +kubebuilder:default={from: Same}
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// lockTimeoutMilliseconds is how long a migration waits for a lock before it gives way
	// and is tried again; an application's reads never wait longer behind it.
	// +optional
	// +kubebuilder:default=2000
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=600000
	LockTimeoutMilliseconds int32 `json:"lockTimeoutMilliseconds,omitempty"`

	// statementTimeoutSeconds ends a migration whose single statement runs longer.
	// +optional
	// +kubebuilder:default=900
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	StatementTimeoutSeconds int32 `json:"statementTimeoutSeconds,omitempty"`

	// sharedGrants are the rights of tenants on this set's tables where a TenantDatabase uses the set
	// for its shared schema. What it lists in spec.shared.grants is added; every other right is
	// taken away.
	// +optional
	// +listType=map
	// +listMapKey=table
	// +kubebuilder:validation:MaxItems=128
	SharedGrants []SharedGrant `json:"sharedGrants,omitempty"`

	// rollout says how a new version reaches the tenants. Left out, it goes to all of them at once.
	// +optional
	Rollout *Rollout `json:"rollout,omitempty"`

	// lint says what follows when a new version holds SQL that can do harm. Left out, findings are
	// reported and hold nothing up.
	// +optional
	Lint *Lint `json:"lint,omitempty"`

	// dryRun says whether a new version is tried on a scratch schema of the tenants' database before
	// any tenant gets it: Enabled or Disabled.
	// +optional
	// +kubebuilder:default=Enabled
	DryRun DryRunMode `json:"dryRun,omitempty"`
}

// MigrationSource is where migration files are.
// +kubebuilder:validation:XValidation:rule="has(self.configMaps) != has(self.oci)",message="name exactly one source: configMaps or oci"
type MigrationSource struct {
	// configMaps of this namespace whose keys are file names and whose values are the files.
	// They are read together as one folder.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	ConfigMaps []ConfigMapSource `json:"configMaps,omitempty"`

	// oci is an artifact in a registry.
	// +optional
	OCI *OCISource `json:"oci,omitempty"`
}

// ConfigMapSource names a ConfigMap, and keys of it if not all are meant.
type ConfigMapSource struct {
	LocalReference `json:",inline"`

	// keys are the files to read. Left out, all keys are read.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1024
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	Keys []string `json:"keys,omitempty"`
}

// MigrationSetStatus is what the operator read and how far the tenants are.
type MigrationSetStatus struct {
	// conditions say whether the set can be run.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +patchStrategy=merge
	// +patchMergeKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty" patchStrategy:"merge" patchMergeKey:"type"`

	// observedGeneration is the newest generation of the spec on which there is a verdict.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// version is the newest version that the set holds and tenants are taken to.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// digest is the SHA-256 over all migrations of that version.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest,omitempty"`

	// previous is the last version before it whose rollout was completed. New tenants start
	// there as long as their ring is not open.
	// +optional
	Previous *MigrationSetVersion `json:"previous,omitempty"`

	// source is the artifact that was published, if the source is one.
	// +optional
	Source *SourceStatus `json:"source,omitempty"`

	// format is the convention by which the files were read.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Format string `json:"format,omitempty"`

	// migrations is how many migrations the set holds.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Migrations int32 `json:"migrations"`

	// tenants is how many tenants are migrated by this set. Those that are being deleted do not
	// count.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Tenants int32 `json:"tenants"`

	// updatedTenants is how many of them stand at the version.
	// +optional
	// +kubebuilder:validation:Minimum=0
	UpdatedTenants int32 `json:"updatedTenants"`

	// failedTenants is how many of them failed on their way to the version.
	// +optional
	// +kubebuilder:validation:Minimum=0
	FailedTenants int32 `json:"failedTenants"`

	// pendingTenants is how many of them are not there yet.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PendingTenants int32 `json:"pendingTenants"`

	// pinnedTenants is how many of them stay where spec.migrations of the Tenant pins them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	PinnedTenants int32 `json:"pinnedTenants"`

	// progress is for people: updated tenants of those that are not pinned, like 412/1000.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Progress string `json:"progress,omitempty"`

	// rollout is how the version reaches the tenants.
	// +optional
	Rollout *RolloutStatus `json:"rollout,omitempty"`

	// failures are tenants that failed, ring by ring; the first 20.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	Failures []FailedTenant `json:"failures,omitempty"`

	// lint is what was found in the files that were new to all tenants, when the newest version was
	// looked at.
	// +optional
	Lint *LintStatus `json:"lint,omitempty"`

	// proposed is the version that the files hold and that waits for its approval.
	// +optional
	Proposed *ProposedVersion `json:"proposed,omitempty"`

	// approval is the last that was accepted.
	// +optional
	Approval *ApprovalStatus `json:"approval,omitempty"`

	// dryRun is the last try of a version on a scratch schema.
	// +optional
	DryRun *DryRunStatus `json:"dryRun,omitempty"`

	// checkpoints are the set's, the newest first.
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MaxItems=8
	Checkpoints []CheckpointStatus `json:"checkpoints,omitempty"`
}

// MigrationSet is versioned SQL of a product team and the way it reaches tenants.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=ms,categories=tenantry
// +kubebuilder:printcolumn:name="Version",type=string,JSONPath=`.status.version`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Updated",type=string,JSONPath=`.status.progress`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.failedTenants`
// +kubebuilder:printcolumn:name="Ring",type=string,JSONPath=`.status.rollout.position`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Previous",type=string,priority=1,JSONPath=`.status.previous.version`
// +kubebuilder:printcolumn:name="Pinned",type=integer,priority=1,JSONPath=`.status.pinnedTenants`
// +kubebuilder:printcolumn:name="Estimate",type=string,priority=1,JSONPath=`.status.rollout.estimatedCompletion`
// +kubebuilder:printcolumn:name="Format",type=string,priority=1,JSONPath=`.status.format`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type MigrationSet struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says where the SQL comes from and how it is run.
	// +required
	Spec MigrationSetSpec `json:"spec,omitzero"` //nolint:kubeapilinter // a rule of the type wants source or job in it

	// status is what the operator read and how far the tenants are.
	// +optional
	// +kubebuilder:default={observedGeneration:-1}
	Status MigrationSetStatus `json:"status,omitzero"`
}

// MigrationSetList is a list of MigrationSets.
//
// +kubebuilder:object:root=true
type MigrationSetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []MigrationSet `json:"items"`
}

// GetConditions returns the conditions; it serves the code that all kinds share.
func (m *MigrationSet) GetConditions() *[]metav1.Condition { return &m.Status.Conditions }

// SetObservedGeneration records that there is a verdict on a generation of the spec.
func (m *MigrationSet) SetObservedGeneration(generation int64) {
	m.Status.ObservedGeneration = generation
}
