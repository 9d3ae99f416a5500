package v1alpha1

// DryRunMode says whether a new version is tried on a scratch schema before any tenant gets it.
// +kubebuilder:validation:Enum=Enabled;Disabled
type DryRunMode string

const (
	// DryRunEnabled tries each new version on a scratch schema first.
	DryRunEnabled DryRunMode = "Enabled"
	// DryRunDisabled lets the first tenant find out.
	DryRunDisabled DryRunMode = "Disabled"
)

// DryRunResult is how a dry run ended.
// +kubebuilder:validation:Enum=Passed;Failed;Inconclusive;Skipped
type DryRunResult string

const (
	// DryRunPassed : every file ran on an empty schema.
	DryRunPassed DryRunResult = "Passed"
	// DryRunFailed : the server refused a statement. No tenant gets the version.
	DryRunFailed DryRunResult = "Failed"
	// DryRunInconclusive : the time was up before there was a verdict. Tenants go on without one.
	DryRunInconclusive DryRunResult = "Inconclusive"
	// DryRunSkipped : there was no database to ask, and no tenant that could be harmed.
	DryRunSkipped DryRunResult = "Skipped"
)

// DryRunStatus is the last dry run: what a version does to a schema, found out where it harms nobody.
type DryRunStatus struct {
	// digest is of the migrations that were tried.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest,omitempty"`

	// result is Passed, Failed, Inconclusive or Skipped.
	// +required
	Result DryRunResult `json:"result,omitempty"`

	// message says why, if the result is not Passed.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// databases are those that were asked: one for each major version of PostgreSQL that the set is
	// used on.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Databases []DryRunDatabase `json:"databases,omitempty"`

	// plan is what the version brings to schemas at the version that was published before it: its new
	// files, in order; the first 50.
	// +optional
	// +listType=map
	// +listMapKey=version
	// +kubebuilder:validation:MaxItems=50
	Plan []PlannedMigration `json:"plan,omitempty"`

	// planned is how many files the plan has in all.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Planned int32 `json:"planned"`
}

// DryRunDatabase is a database that was asked.
type DryRunDatabase struct {
	// namespace of the TenantDatabase.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// name of the TenantDatabase.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// serverVersion is PostgreSQL's major version there.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=16
	ServerVersion string `json:"serverVersion,omitempty"`
}

// PlannedMigration is one file that a schema gets.
type PlannedMigration struct {
	// version of the file; R__name for a repeatable one.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Version string `json:"version,omitempty"`

	// file is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	File string `json:"file,omitempty"`

	// transactional says that it takes effect as a whole or not at all.
	// +optional
	Transactional bool `json:"transactional"` //nolint:kubeapilinter // false is said, for people who read the plan

	// statements is how many SQL statements it has.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Statements int32 `json:"statements"` //nolint:kubeapilinter // zero is said, for people who read the plan
}

// CheckpointState says whether new tenants may start from a checkpoint.
// +kubebuilder:validation:Enum=Verified;Refused;Pending
type CheckpointState string

const (
	// CheckpointVerified : it makes what its migrations make. New tenants start from it.
	CheckpointVerified CheckpointState = "Verified"
	// CheckpointRefused : it does not. New tenants get the migrations themselves.
	CheckpointRefused CheckpointState = "Refused"
	// CheckpointPending : no database could be asked yet.
	CheckpointPending CheckpointState = "Pending"
)

// CheckpointStatus is one checkpoint of a set: a file that equals all migrations up to a version.
type CheckpointStatus struct {
	// version up to which the checkpoint stands for the migrations.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// file is its name.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	File string `json:"file,omitempty"`

	// checksum is the SHA-256 over the checkpoint and the migrations that it stands for.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Checksum string `json:"checksum,omitempty"`

	// state is Verified, Refused or Pending.
	// +required
	State CheckpointState `json:"state,omitempty"`

	// message names the first differences of a refused checkpoint.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
