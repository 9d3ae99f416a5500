package v1alpha1

const (
	// Finalizer holds an object until the operator has taken back what it made for it.
	Finalizer = "tenantry.dev/finalizer"

	// LabelTenant carries the name of the Tenant for which an object was made.
	LabelTenant = "tenantry.dev/tenant"
	// LabelManagedBy is the recommended label of Kubernetes for the tool that owns an object.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the operator's value of LabelManagedBy.
	ManagedBy = "tenantry"

	// AnnotationAdopt on a Tenant takes over the schema of an earlier Tenant of its name, which was
	// deleted and retained, or whose deletion stopped, or that was lost with its cluster: its value is that
	// one's UID, as the condition SchemaReady names it.
	AnnotationAdopt = "tenantry.dev/adopt"
	// AnnotationRecreate on a Tenant begins anew with an empty schema where the old one is lost: its
	// value is the Tenant's own UID and how often that was begun before, as the condition SchemaReady
	// names it.
	AnnotationRecreate = "tenantry.dev/recreate-schema"
	// AnnotationAcceptIdentity on a TenantDatabase accepts that the server or database was replaced, or
	// that another TenantDatabase wrote its registry: its value is as the condition Bootstrapped names
	// it, another one each time.
	AnnotationAcceptIdentity = "tenantry.dev/accept-identity"
	// AnnotationRetry on a MigrationSet tries all tenants again that failed on their way to its
	// version; the value is free, and each new one is one more try.
	AnnotationRetry = "tenantry.dev/retry-failed"
	// AnnotationResume on a MigrationSet lets a rollout go on whose failure budget is spent: its
	// value names version, digest and number of the stop, as the condition RolledOut says.
	AnnotationResume = "tenantry.dev/resume-rollout"
	// AnnotationApprove on a MigrationSet approves the version that waits for it: its value is that
	// of status.proposed.approve, which names one state of the files.
	AnnotationApprove = "tenantry.dev/approve"
	// AnnotationApprovedBy on a MigrationSet is the name of the user who set AnnotationApprove. An
	// admission policy holds it to the name that the API server knows.
	AnnotationApprovedBy = "tenantry.dev/approved-by"
	// AnnotationRotate on a Tenant asks for a new login in its Secret, once for each new value; on a
	// TenantClass, for new shared logins.
	AnnotationRotate = "tenantry.dev/rotate-credentials"
	// AnnotationLoginSince on a tenant's Secret is when its login came into it.
	AnnotationLoginSince = "tenantry.dev/login-since"
	// AnnotationRotated on a tenant's Secret is the last value of AnnotationRotate that was met.
	AnnotationRotated = "tenantry.dev/rotated"
	// AnnotationLoginMode on a tenant's Secret is the mode of logins that it was last written for.
	AnnotationLoginMode = "tenantry.dev/login-mode"
	// AnnotationExtraKeys on a Secret lists the keys that were made from the class's templates.
	AnnotationExtraKeys = "tenantry.dev/extra-keys"
	// AnnotationDatabase on the Secret of a shared login is its TenantDatabase, as namespace/name.
	AnnotationDatabase = "tenantry.dev/database"
	// AnnotationReconcile on any kind asks for a reconcile now; the value is free.
	AnnotationReconcile = "tenantry.dev/reconcile-at"
)
