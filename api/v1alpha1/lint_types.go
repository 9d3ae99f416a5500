package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LintPolicy says what follows when a new version holds SQL that can do harm.
// +kubebuilder:validation:Enum=Allow;Warn;RequireApproval
type LintPolicy string

const (
	// LintAllow does not look.
	LintAllow LintPolicy = "Allow"
	// LintWarn writes findings into the status, and lets the version go on.
	LintWarn LintPolicy = "Warn"
	// LintRequireApproval keeps a version from every tenant until somebody approved it.
	LintRequireApproval LintPolicy = "RequireApproval"
)

// LintSuppressions says what a comment in a file can do about a finding.
// +kubebuilder:validation:Enum=Honour;Ignore
type LintSuppressions string

const (
	// SuppressionsHonour lets "-- tenantry:allow <rule> <why>" take a finding away.
	SuppressionsHonour LintSuppressions = "Honour"
	// SuppressionsIgnore reports what such a comment is about as well.
	SuppressionsIgnore LintSuppressions = "Ignore"
)

// Lint says what follows when a new version holds SQL that can do harm. What is looked at are the files
// that no tenant has yet.
type Lint struct {
	// policy is what follows from a finding: Allow (nothing is looked at), Warn, or
	// RequireApproval, which keeps the version from every tenant until somebody approved it.
	// Notices need none by it.
	// +optional
	// +kubebuilder:default=Warn
	Policy LintPolicy `json:"policy,omitempty"`

	// rules are exceptions from the policy, by the name of a rule or of a category. A rule's own
	// entry goes before its category's.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Rules []LintRule `json:"rules,omitempty"`

	// suppressions says whether a comment "-- tenantry:allow <rule> <why>" on or above a
	// statement takes its findings away: Honour, or Ignore, for teams of which one writes and
	// another approves.
	// +optional
	// +kubebuilder:default=Honour
	Suppressions LintSuppressions `json:"suppressions,omitempty"`
}

// LintRuleName is a rule of the linter, or a category of rules.
// +kubebuilder:validation:Enum=Destructive;Lock;Session;CrossSchema;Unparsed;drop-table;drop-column;drop-schema;drop-view;drop-sequence;drop-type;drop-routine;drop-extension;drop-cascade;truncate;delete-all-rows;update-all-rows;set-unlogged;rename-table;rename-column;create-index;reindex;alter-column-type;set-not-null;add-not-null-column;volatile-default;generated-column;add-foreign-key;add-check;add-column-check;add-unique;add-exclusion;validate-with-add;backfill-behind-alter;backfill;rewrite-table;vacuum-full;cluster;lock-table;refresh-view;timeout-off;set-role;search-path;cross-schema;shared-write;foreign-name;create-schema;set-schema;grant;unparsed;allow-unreasoned
type LintRuleName string

// LintRule is an exception from a policy.
type LintRule struct {
	// name of a rule, like drop-table, or of a category: Destructive, Lock, Session, CrossSchema or
	// Unparsed. docs/migrations.md lists them.
	// +required
	Name LintRuleName `json:"name,omitempty"`

	// action is what follows from a finding of the rule: Allow (it is not reported), Warn or
	// RequireApproval.
	// +required
	Action LintPolicy `json:"action,omitempty"`
}

// LintCategory is the kind of harm that a finding is about.
// +kubebuilder:validation:Enum=Destructive;Lock;Session;CrossSchema;Unparsed
type LintCategory string

const (
	// LintDestructive : data or objects go.
	LintDestructive LintCategory = "Destructive"
	// LintLock : the application waits, for as long as a table is read, written anew or locked.
	LintLock LintCategory = "Lock"
	// LintSession : the role or the settings of the session change.
	LintSession LintCategory = "Session"
	// LintCrossSchema : what is not the tenant's own is touched.
	LintCrossSchema LintCategory = "CrossSchema"
	// LintUnparsed : the parser does not know the statement, so that nobody looked at it.
	LintUnparsed LintCategory = "Unparsed"
)

// LintSeverity says whether a finding can need an approval.
// +kubebuilder:validation:Enum=Danger;Notice
type LintSeverity string

const (
	// LintDanger loses data, stops an application or leaves the tenant's own schema.
	LintDanger LintSeverity = "Danger"
	// LintNotice is worth a look.
	LintNotice LintSeverity = "Notice"
)

// LintStatus is what was found in the files that were new to all tenants.
type LintStatus struct {
	MigrationSetVersion `json:",inline"`

	// checked is how many migrations were new.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Checked int32 `json:"checked"`

	// blocking is how many findings need an approval.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Blocking int32 `json:"blocking"`

	// categories count the findings. Those without any are left out.
	// +optional
	// +listType=map
	// +listMapKey=category
	// +kubebuilder:validation:MaxItems=8
	Categories []LintCategoryStatus `json:"categories,omitempty"`

	// findings are the first 20: those that need an approval, then dangers, then notices.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=20
	Findings []LintFinding `json:"findings,omitempty"`
}

// LintCategoryStatus counts the findings of a category.
type LintCategoryStatus struct {
	// category of the findings.
	// +required
	Category LintCategory `json:"category,omitempty"`

	// dangers among them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Dangers int32 `json:"dangers"`

	// notices among them.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Notices int32 `json:"notices"`

	// suppressed are those that a comment in the file took away.
	// +optional
	// +kubebuilder:validation:Minimum=0
	Suppressed int32 `json:"suppressed"`
}

// LintFinding is a statement that can do harm.
type LintFinding struct {
	// rule that found it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Rule string `json:"rule,omitempty"`

	// category of the rule.
	// +required
	Category LintCategory `json:"category,omitempty"`

	// severity is Danger or Notice.
	// +required
	Severity LintSeverity `json:"severity,omitempty"`

	// blocking : the version needs an approval because of it.
	// +optional
	Blocking bool `json:"blocking,omitempty"` //nolint:kubeapilinter // false and left out mean the same

	// file that holds the statement.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	File string `json:"file,omitempty"`

	// line of the file on which the statement begins.
	// +required
	// +kubebuilder:validation:Minimum=1
	Line int32 `json:"line,omitempty"`

	// object that it is about, such as orders.total.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=200
	Object string `json:"object,omitempty"`

	// message says what harm it can do, and what to write instead.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message,omitempty"`
}

// ProposedVersion is a version that waits for its approval. No tenant gets any of it.
type ProposedVersion struct {
	MigrationSetVersion `json:",inline"`

	// approve is the value of the annotation tenantry.dev/approve that approves just this state of
	// the files. There is none while the admission policy that guards approvals is not in force.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Approve string `json:"approve,omitempty"`
}

// ApprovalStatus is an approval that was accepted.
type ApprovalStatus struct {
	MigrationSetVersion `json:",inline"`

	// approvedBy is the user's name, as the API server knew it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	ApprovedBy string `json:"approvedBy,omitempty"`

	// approvedAt is when the operator accepted it.
	// +optional
	ApprovedAt metav1.Time `json:"approvedAt,omitzero"`
}
