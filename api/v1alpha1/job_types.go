package v1alpha1

import "k8s.io/apimachinery/pkg/api/resource"

// MigrationFramework is who writes the table that says which migrations a schema has.
// +kubebuilder:validation:Enum=Django;Rails;Flyway;Prisma;Alembic;Goose;GolangMigrate
type MigrationFramework string

const (
	// FrameworkDjango records app and name in django_migrations.
	FrameworkDjango MigrationFramework = "Django"
	// FrameworkRails records versions in schema_migrations.
	FrameworkRails MigrationFramework = "Rails"
	// FrameworkFlyway records versions and their success in flyway_schema_history.
	FrameworkFlyway MigrationFramework = "Flyway"
	// FrameworkPrisma records names, with begin and end, in _prisma_migrations.
	FrameworkPrisma MigrationFramework = "Prisma"
	// FrameworkAlembic records the heads alone in alembic_version.
	FrameworkAlembic MigrationFramework = "Alembic"
	// FrameworkGoose records versions, applied and taken back, in goose_db_version.
	FrameworkGoose MigrationFramework = "Goose"
	// FrameworkGolangMigrate records the newest version alone in schema_migrations.
	FrameworkGolangMigrate MigrationFramework = "GolangMigrate"
)

// MigrationJob migrates tenants by the product's own program: a Job for each tenant that is behind, or
// for a batch of them, in the namespace of the MigrationSet. The program gets a login that may act as
// the owner of just these tenants' schemas, for as long as the Job runs: PGHOST, PGPORT, PGDATABASE,
// PGUSER, PGPASSWORD, PGOPTIONS, DATABASE_URL, TENANTRY_SCHEMA, TENANTRY_TENANT and TENANTRY_VERSION;
// a batch gets TENANTRY_TENANTS instead. The Job's word counts for nothing: a tenant is at the version
// when the framework's own table says so.
// +kubebuilder:validation:XValidation:rule="self.framework != 'Django' || self.expect.all(e, e.matches('^[^. ]+[.][^ ]+$'))",message="expect names Django's migrations as app.name, like billing.0007_invoice; see manage.py showmigrations"
// +kubebuilder:validation:XValidation:rule="!(self.framework in ['Rails', 'Goose', 'GolangMigrate']) || self.expect.all(e, e.matches('^[0-9]+$'))",message="expect names versions of this framework by their digits, like 20241103120000"
// +kubebuilder:validation:XValidation:rule="self.framework != 'GolangMigrate' || size(self.expect) == 1",message="golang-migrate records its newest version alone; expect names just that one"
type MigrationJob struct {
	// framework says in which table the schema's migrations are recorded, and how that is read.
	// +required
	Framework MigrationFramework `json:"framework,omitempty"`

	// version is what status shows for tenants that have all that is expected, such as the release.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9._+-]*[A-Za-z0-9])?$`
	Version string `json:"version,omitempty"`

	// expect is what the framework's table must hold for a tenant to be at the version. A tenant that has
	// it all gets no Job. Django: app.name of each app's newest migration. Rails, Goose: versions;
	// the newest will do. Flyway: versions. Prisma: names of migration folders. Alembic: the heads.
	// GolangMigrate: the version, or any above it.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	Expect []string `json:"expect,omitempty"`

	// template is the container that migrates.
	// +required
	Template JobTemplate `json:"template,omitzero"`

	// batchSize is how many tenants of one database a Job gets. With 1, each has a Job of its own, and
	// the environment has one tenant's login. With more, TENANTRY_TENANTS has a line for each: schema,
	// namespace/name and URL, with a space between.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	BatchSize int32 `json:"batchSize,omitempty"`

	// activeDeadlineSeconds ends a Job that runs longer, with its login.
	// +optional
	// +kubebuilder:default=1800
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ActiveDeadlineSeconds int32 `json:"activeDeadlineSeconds,omitempty"`

	// backoffLimit is how often a Job starts its program again before it has failed.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	BackoffLimit *int32 `json:"backoffLimit,omitempty"`

	// ttlSecondsAfterFinished is how long a Job that has ended stays for people to look at, with its
	// Pods' logs. Its login ends before.
	// +optional
	// +kubebuilder:default=86400
	// +kubebuilder:validation:Minimum=60
	// +kubebuilder:validation:Maximum=2592000
	TTLSecondsAfterFinished int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// JobTemplate is the one container of a migration's Pod. What is not here cannot be asked for: the Pod
// has no token of the API server, no volumes, no privileges, and meets the Pod Security Standard
// restricted.
type JobTemplate struct {
	// image that holds the migrations and the program that runs them.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Image string `json:"image,omitempty"`

	// imagePullPolicy is Always, IfNotPresent or Never. Left out, it is as for every Pod.
	// +optional
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy string `json:"imagePullPolicy,omitempty"`

	// command to run instead of the image's entry point.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=8192
	Command []string `json:"command,omitempty"`

	// args of the command. $(NAME) stands for a variable of the environment.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=8192
	Args []string `json:"args,omitempty"`

	// env of the program, beside what the operator sets. $(NAME) in a value stands for a variable before
	// it, also one of the operator's: jdbc:postgresql://$(PGHOST):$(PGPORT)/$(PGDATABASE).
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Env []JobVariable `json:"env,omitempty"`

	// resources that the container asks for and may use.
	// +optional
	Resources *JobResources `json:"resources,omitempty"`

	// runAsUser is the user ID of the program, if the image names none. It is never root.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=2147483647
	RunAsUser *int64 `json:"runAsUser,omitempty"`

	// serviceAccountName of the Pod. It gets no token.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ServiceAccountName string `json:"serviceAccountName,omitempty"`

	// imagePullSecrets of this namespace.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []LocalReference `json:"imagePullSecrets,omitempty"`

	// nodeSelector are labels that the Pod's node must have.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=16
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 317 && size(self[k]) <= 63)",message="a label has a key of at most 317 and a value of at most 63 characters"
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// tolerations let the Pod onto nodes with these taints.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Tolerations []JobToleration `json:"tolerations,omitempty"` //nolint:kubeapilinter // as a Pod has them, where none is required
}

// JobVariable is a variable of the environment: a value, or a key of a Secret or ConfigMap of the set's
// namespace.
// +kubebuilder:validation:XValidation:rule="!(self.name in ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGPASSWORD', 'PGOPTIONS', 'PGSSLMODE', 'DATABASE_URL']) && !self.name.startsWith('TENANTRY_')",message="the operator sets PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGOPTIONS, PGSSLMODE, DATABASE_URL and what begins with TENANTRY_; choose another name, and refer to them by $(NAME)"
// +kubebuilder:validation:XValidation:rule="(has(self.value) ? 1 : 0) + (has(self.secretKeyRef) ? 1 : 0) + (has(self.configMapKeyRef) ? 1 : 0) == 1",message="a variable has one of value, secretKeyRef and configMapKeyRef"
type JobVariable struct {
	// name of the variable.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[A-Za-z_][A-Za-z0-9_]*$`
	Name string `json:"name,omitempty"`

	// value of the variable.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	Value *string `json:"value,omitempty"`

	// secretKeyRef takes the value from a Secret.
	// +optional
	SecretKeyRef *JobKeyReference `json:"secretKeyRef,omitempty"`

	// configMapKeyRef takes the value from a ConfigMap.
	// +optional
	ConfigMapKeyRef *JobKeyReference `json:"configMapKeyRef,omitempty"`
}

// JobKeyReference names a key of a Secret or ConfigMap of the set's namespace.
type JobKeyReference struct {
	LocalReference `json:",inline"`

	// key whose value is taken.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// JobResources are a container's, by resource name: cpu, memory, ephemeral-storage.
type JobResources struct {
	// requests is what the node must have free.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253)",message="a resource has a name of at most 253 characters"
	Requests map[string]resource.Quantity `json:"requests,omitempty"` //nolint:kubeapilinter // as a container has them

	// limits is what the container may use.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=8
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253)",message="a resource has a name of at most 253 characters"
	Limits map[string]resource.Quantity `json:"limits,omitempty"` //nolint:kubeapilinter // as a container has them
}

// JobToleration lets a Pod onto nodes with a taint.
type JobToleration struct {
	// key of the taint. Left out, with the operator Exists, it is every key.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=316
	Key string `json:"key,omitempty"`

	// operator is Equal or Exists. Left out, it is Equal.
	// +optional
	// +kubebuilder:validation:Enum=Equal;Exists
	Operator string `json:"operator,omitempty"`

	// value of the taint.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Value string `json:"value,omitempty"`

	// effect of the taint: NoSchedule, PreferNoSchedule or NoExecute. Left out, it is every effect.
	// +optional
	// +kubebuilder:validation:Enum=NoSchedule;PreferNoSchedule;NoExecute
	Effect string `json:"effect,omitempty"`
}
