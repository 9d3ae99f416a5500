package v1alpha1

// Condition types of every kind (kstatus: Ready is always there once touched, Reconciling and
// Stalled only while true).
const (
	// ConditionReady says whether the object does what it is for. For a Tenant: whether the
	// customer can work.
	ConditionReady = "Ready"
	// ConditionReconciling is there while the operator works towards the spec.
	ConditionReconciling = "Reconciling"
	// ConditionStalled is there while only an edit helps.
	ConditionStalled = "Stalled"
)

// Condition types of a Tenant, one for each step, in the order of the steps.
const (
	// ConditionDomainsClaimed says that the tenant holds every domain it wants.
	ConditionDomainsClaimed = "DomainsClaimed"
	// ConditionDatabaseReady says that the tenant has a place on a database that works.
	ConditionDatabaseReady = "DatabaseReady"
	// ConditionSchemaReady says that schema, roles and grants are as wanted.
	ConditionSchemaReady = "SchemaReady"
	// ConditionCredentialsReady says that the login in the Secret works.
	ConditionCredentialsReady = "CredentialsReady"
	// ConditionMigrated says that the schema stands at the wanted version.
	ConditionMigrated = "Migrated"
	// ConditionVerified says that the tenant's own login can use its own tables; of a DomainClaim, that
	// its holder may have the host.
	ConditionVerified = "Verified"
	// ConditionRouted says that the data plane accepted the tenant's routes.
	ConditionRouted = "Routed"
)

// Condition types of a Tenant that do not decide whether it is Ready. They are there only where the
// class or the Tenant asks for what they are about.
const (
	// ConditionReaderReady says that the tenant's login that can only read works.
	ConditionReaderReady = "ReaderReady"
	// ConditionWithinQuota says that the tenant's schema is no larger than it may be.
	ConditionWithinQuota = "WithinQuota"
)

// Condition types of a TenantDatabase.
const (
	// ConditionReachable says that the operator can log in; of a Tenant, that its hosts answer through
	// the data plane.
	ConditionReachable = "Reachable"
	// ConditionPrivileged says that the operator's login has the rights it needs.
	ConditionPrivileged = "Privileged"
	// ConditionBootstrapped says that the registry is there and is this TenantDatabase's.
	ConditionBootstrapped = "Bootstrapped"
	// ConditionSharedMigrated says that the shared schema stands at the wanted version.
	ConditionSharedMigrated = "SharedMigrated"
)

// Condition types of a MigrationSet.
const (
	// ConditionRolledOut says that the set's version reached its tenants.
	ConditionRolledOut = "RolledOut"
	// ConditionApproved says that the version that the files hold may go to tenants. It is there
	// while the set asks for approvals (spec.lint.policy).
	ConditionApproved = "Approved"
	// ConditionCheckpointsVerified says that the set's checkpoints make what its migrations make.
	ConditionCheckpointsVerified = "CheckpointsVerified"
	// ConditionSourceCurrent says that the registry was asked lately what the source's tag means.
	ConditionSourceCurrent = "SourceCurrent"
)

// Reasons of conditions that are as they should be.
const (
	// ReasonReady : everything is as the spec wants it.
	ReasonReady = "Ready"
	// ReasonSucceeded : this step is done.
	ReasonSucceeded = "Succeeded"
	// ReasonNotRequested : the spec asks for nothing here.
	ReasonNotRequested = "NotRequested"
	// ReasonPinned : the step is done; the schema stays at the version it is pinned to.
	ReasonPinned = "Pinned"
)

// Reasons of work under way.
const (
	// ReasonProgressing : the operator works on it.
	ReasonProgressing = "Progressing"
	// ReasonPending : an earlier step is not done yet.
	ReasonPending = "Pending"
	// ReasonDeleting : the object is being deleted.
	ReasonDeleting = "Deleting"
	// ReasonRetrying : an unexpected error is being retried.
	ReasonRetrying = "Retrying"
)

// Reasons for a Tenant's class and its use.
const (
	// ReasonClassNotFound : spec.className names no TenantClass.
	ReasonClassNotFound = "ClassNotFound"
	// ReasonNamespaceNotAllowed : the class, database or MigrationSet does not allow the
	// Tenant's namespace.
	ReasonNamespaceNotAllowed = "NamespaceNotAllowed"
)

// Reasons of DomainsClaimed.
const (
	// ReasonInvalidDomain : an entry of spec.domains is no host name.
	ReasonInvalidDomain = "InvalidDomain"
	// ReasonDomainTaken : another tenant holds the host.
	ReasonDomainTaken = "DomainTaken"
	// ReasonDomainNotAllowed : the class does not offer this host to this tenant.
	ReasonDomainNotAllowed = "DomainNotAllowed"
	// ReasonDomainUnverified : the tenant has not proved yet that it controls the host.
	ReasonDomainUnverified = "DomainUnverified"
	// ReasonRecordMissing : the DNS record that had proved control is gone; a grace runs.
	ReasonRecordMissing = "RecordMissing"
)

// Reasons of a Tenant that is not served on purpose, and of Reachable.
const (
	// ReasonSuspended : spec.suspended is set.
	ReasonSuspended = "Suspended"
	// ReasonProbeFailed : a host does not answer through the data plane as it should.
	ReasonProbeFailed = "ProbeFailed"
	// ReasonHostShadowed : a route that is not the tenant's asks for the same host, or is on its listener.
	ReasonHostShadowed = "HostShadowed"
)

// Reasons of DatabaseReady.
const (
	// ReasonDatabaseNotFound : the TenantDatabase does not exist.
	ReasonDatabaseNotFound = "DatabaseNotFound"
	// ReasonDatabaseNotReady : the TenantDatabase is not Ready.
	ReasonDatabaseNotReady = "DatabaseNotReady"
	// ReasonDatabaseFull : no database of the class has room.
	ReasonDatabaseFull = "DatabaseFull"
)

// Reasons of SchemaReady.
const (
	// ReasonInvalidSchemaName : the schema name is reserved or malformed.
	ReasonInvalidSchemaName = "InvalidSchemaName"
	// ReasonSchemaNameTaken : the schema exists and belongs to somebody else.
	ReasonSchemaNameTaken = "SchemaNameTaken"
	// ReasonSchemaLost : the tenant's schema was there and is gone; nothing is made anew unasked.
	ReasonSchemaLost = "SchemaLost"
	// ReasonSchemaRetained : the schema was kept when a Tenant of this name was deleted, or is that of one
	// that was lost with its cluster or whose deletion stopped; adopt it.
	ReasonSchemaRetained = "SchemaRetained"
	// ReasonAdoptionBlocked : the schema that the tenant is to take over cannot be taken over yet.
	ReasonAdoptionBlocked = "AdoptionBlocked"
	// ReasonInvalidAdoption : the entry of the database's spec.adoptions does not fit the tenant.
	ReasonInvalidAdoption = "InvalidAdoption"
	// ReasonBaselineRequired : nobody said at which version an adopted schema stands.
	ReasonBaselineRequired = "BaselineRequired"
)

// Reasons of CredentialsReady.
const (
	// ReasonSecretNameTaken : a Secret of the wanted name is not the operator's.
	ReasonSecretNameTaken = "SecretNameTaken"
	// ReasonLoginFailed : the login in the Secret does not work.
	ReasonLoginFailed = "LoginFailed"
	// ReasonSharedLoginNotReady : the class's shared login on the tenant's database does not work yet.
	ReasonSharedLoginNotReady = "SharedLoginNotReady"
	// ReasonInvalidTemplate : a template of spec.credentials.extraKeys of the class cannot be used.
	ReasonInvalidTemplate = "InvalidTemplate"
)

// Reasons of ReaderReady and WithinQuota.
const (
	// ReasonReaderNotOffered : the Tenant asks for a reader, and its class offers none.
	ReasonReaderNotOffered = "ReaderNotOffered"
	// ReasonQuotaExceeded : the tenant's schema is larger than its class allows.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonInsertRevoked : the same, and its login can add no rows until it is smaller again.
	ReasonInsertRevoked = "InsertRevoked"
	// ReasonNotMeasured : how large the tenant's schema is could not be found out, for longer than a sample may fail.
	ReasonNotMeasured = "NotMeasured"
)

// Reasons of Migrated and of a MigrationSet.
const (
	// ReasonMigrationSetNotFound : the MigrationSet does not exist.
	ReasonMigrationSetNotFound = "MigrationSetNotFound"
	// ReasonMigrationSetNotReady : the MigrationSet is not Ready.
	ReasonMigrationSetNotReady = "MigrationSetNotReady"
	// ReasonMigrationFailed : a migration failed; the schema stays at the version before it.
	ReasonMigrationFailed = "MigrationFailed"
	// ReasonUnknownVersion : spec.migrations.targetVersion is not in the set.
	ReasonUnknownVersion = "UnknownVersion"
	// ReasonDowngradeRefused : the wanted version is older than the schema's.
	ReasonDowngradeRefused = "DowngradeRefused"
	// ReasonChecksumChanged : a migration that was applied has other content now.
	ReasonChecksumChanged = "ChecksumChanged"
	// ReasonSourceNotFound : a ConfigMap, key, Secret or artifact of the source does not exist.
	ReasonSourceNotFound = "SourceNotFound"
	// ReasonSourceUnavailable : the registry of the source does not answer as it should; it is asked again.
	ReasonSourceUnavailable = "SourceUnavailable"
	// ReasonSourceUnauthorized : the registry of the source refuses the login, or wants one.
	ReasonSourceUnauthorized = "SourceUnauthorized"
	// ReasonSourceInvalid : the artifact, or a Secret or ConfigMap by which it is fetched, cannot be used.
	ReasonSourceInvalid = "SourceInvalid"
	// ReasonInvalidMigration : a file cannot be used as a migration.
	ReasonInvalidMigration = "InvalidMigration"
	// ReasonMigrationRemoved : a migration that was applied is no longer in the set.
	ReasonMigrationRemoved = "MigrationRemoved"
	// ReasonOutOfOrder : a migration that is not applied is older than one that is.
	ReasonOutOfOrder = "OutOfOrder"
	// ReasonMigrationLocked : a lock that a migration needs stayed taken; it is tried again.
	ReasonMigrationLocked = "MigrationLocked"
	// ReasonMigrationBusy : another runner migrates the same schema.
	ReasonMigrationBusy = "MigrationBusy"
	// ReasonMigrationInterrupted : the connection broke in a migration; it is continued.
	ReasonMigrationInterrupted = "MigrationInterrupted"
	// ReasonMigrationDecisionNeeded : a crash, or an error of one that commits by itself, left a statement of unknown outcome.
	ReasonMigrationDecisionNeeded = "MigrationDecisionNeeded"
	// ReasonLedgerUnusable : tenantry_migrations is not the table that the operator made, or is gone from a
	// schema that was migrated.
	ReasonLedgerUnusable = "LedgerUnusable"
	// ReasonJobFailed : the Job that migrates the tenant failed, or went before it had ended.
	ReasonJobFailed = "JobFailed"
	// ReasonJobIncomplete : the Job ended well, and the framework's table lacks what is expected.
	ReasonJobIncomplete = "JobIncomplete"
	// ReasonNoRoomForJob : a quota of the set's namespace lets no Job in that migrates the tenant.
	ReasonNoRoomForJob = "NoRoomForJob"
	// ReasonSharedNotMigrated : the shared schema is not at its version yet.
	ReasonSharedNotMigrated = "SharedNotMigrated"
)

// Reasons of a new version's way to its first tenant.
const (
	// ReasonDryRunFailed : the version does not run on a scratch schema.
	ReasonDryRunFailed = "DryRunFailed"
	// ReasonDryRunPending : the version waits for a database on which it can be tried.
	ReasonDryRunPending = "DryRunPending"
	// ReasonCheckpointRefused : a checkpoint makes something else than its migrations.
	ReasonCheckpointRefused = "CheckpointRefused"
)

// Reasons of a rollout.
const (
	// ReasonTenantsFailed : the rollout is completed; some tenants failed, within the budget.
	ReasonTenantsFailed = "TenantsFailed"
	// ReasonSoaking : a ring is done, and the next one waits for its soak time.
	ReasonSoaking = "Soaking"
	// ReasonTenantsNotReady : a ring waits for tenants that are not Ready.
	ReasonTenantsNotReady = "TenantsNotReady"
	// ReasonRolloutPaused : spec.rollout.paused is set.
	ReasonRolloutPaused = "RolloutPaused"
	// ReasonFailureBudgetSpent : more tenants failed than spec.rollout.failureBudget allows.
	ReasonFailureBudgetSpent = "FailureBudgetSpent"
	// ReasonInvalidRollout : a selector of spec.rollout cannot be used.
	ReasonInvalidRollout = "InvalidRollout"
	// ReasonRolloutPending : a new tenant cannot have the version yet, nor the one before it.
	ReasonRolloutPending = "RolloutPending"
)

// Reasons of an approval.
const (
	// ReasonApproved : somebody approved the version.
	ReasonApproved = "Approved"
	// ReasonApprovalRequired : the version can do harm and waits until somebody approves it.
	ReasonApprovalRequired = "ApprovalRequired"
	// ReasonApprovalUnguarded : approvals cannot be trusted, since the admission policy that
	// guards them is not in force.
	ReasonApprovalUnguarded = "ApprovalUnguarded"
)

// Reasons of Verified.
const (
	// ReasonVerificationFailed : the tenant's login cannot use the tenant's tables.
	ReasonVerificationFailed = "VerificationFailed"
)

// Reasons of Routed.
const (
	// ReasonRouteNameTaken : a route of the wanted name is not the operator's.
	ReasonRouteNameTaken = "RouteNameTaken"
	// ReasonRouteNotAccepted : the data plane has not accepted the route, or refused it.
	ReasonRouteNotAccepted = "RouteNotAccepted"
	// ReasonRouteAPIMissing : the cluster has no Gateway API.
	ReasonRouteAPIMissing = "RouteAPIMissing"
	// ReasonBackendNotFound : the backend Service does not exist.
	ReasonBackendNotFound = "BackendNotFound"
	// ReasonReferenceNotPermitted : no ReferenceGrant allows the backend in another namespace.
	ReasonReferenceNotPermitted = "ReferenceNotPermitted"
)

// Reasons of Routed, and of a TenantClass, that are about certificates and listeners.
const (
	// ReasonCertificateAPIMissing : the cluster has no cert-manager.
	ReasonCertificateAPIMissing = "CertificateAPIMissing"
	// ReasonCertificateNotReady : the certificate of a host is not there, or no longer good.
	ReasonCertificateNotReady = "CertificateNotReady"
	// ReasonCertificateNameTaken : a Certificate or Secret of the wanted name is not the operator's.
	ReasonCertificateNameTaken = "CertificateNameTaken"
	// ReasonListenerNotFound : the class's Gateway has no such listener, or none for a host.
	ReasonListenerNotFound = "ListenerNotFound"
	// ReasonListenerNotAllowed : the class's Gateway takes no ListenerSets.
	ReasonListenerNotAllowed = "ListenerNotAllowed"
	// ReasonListenerNameTaken : a Gateway or ListenerSet of the wanted name is not the operator's.
	ReasonListenerNameTaken = "ListenerNameTaken"
	// ReasonAddressDiffers : custom domains have listeners at another address than the class's
	// Gateway.
	ReasonAddressDiffers = "AddressDiffers"
)

// Reasons of a TenantDatabase.
const (
	// ReasonSecretNotFound : the connection Secret does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonInvalidConnection : the connection Secret cannot be read as a connection.
	ReasonInvalidConnection = "InvalidConnection"
	// ReasonMissingPrivileges : the operator's login lacks rights.
	ReasonMissingPrivileges = "MissingPrivileges"
	// ReasonUnsupportedVersion : the server is older than PostgreSQL 15.
	ReasonUnsupportedVersion = "UnsupportedVersion"
	// ReasonIdentityChanged : the server is not the one that was there before.
	ReasonIdentityChanged = "IdentityChanged"
	// ReasonInvalidGrant : spec.shared.grants names a table or a right that cannot be granted.
	ReasonInvalidGrant = "InvalidGrant"
	// ReasonInUse : tenants still live on the database, or name the class.
	ReasonInUse = "InUse"
)

// Reasons by which a server or the network refuses; see package postgres for their SQLSTATEs.
const (
	ReasonAuthenticationFailed  = "AuthenticationFailed"
	ReasonUnreachable           = "Unreachable"
	ReasonReadOnly              = "ReadOnly"
	ReasonInsufficientPrivilege = "InsufficientPrivilege"
	ReasonTooManyConnections    = "TooManyConnections"
	ReasonDiskFull              = "DiskFull"
	ReasonOutOfMemory           = "OutOfMemory"
	ReasonTLSFailed             = "TLSFailed"
	ReasonLockTimeout           = "LockTimeout"
	ReasonStatementTimeout      = "StatementTimeout"
	ReasonServerShuttingDown    = "ServerShuttingDown"
	ReasonConnectionLost        = "ConnectionLost"
	ReasonConflict              = "Conflict"
	ReasonDependentObjects      = "DependentObjects"
	ReasonUndefinedObject       = "UndefinedObject"
	ReasonCanceled              = "Canceled"
	ReasonDatabaseError         = "DatabaseError"
)

// Reasons of the registry.
const (
	// ReasonNotOwner : the registry names another owner.
	ReasonNotOwner = "NotOwner"
	// ReasonNotProvisioned : the registry does not know the schema.
	ReasonNotProvisioned = "NotProvisioned"
	// ReasonPartlyDropped : the schema of a deleted tenant cannot be kept or adopted for its data, some of its
	// tables are dropped.
	ReasonPartlyDropped = "PartlyDropped"
	// ReasonSessionsRemain : sessions of the login of a deleted tenant do not end.
	ReasonSessionsRemain = "SessionsRemain"
	// ReasonNotBootstrapped : the database has no registry yet.
	ReasonNotBootstrapped = "NotBootstrapped"
	// ReasonIdentityMismatch : the registry was written on another server.
	ReasonIdentityMismatch = "IdentityMismatch"
)

// Reasons of a DomainClaim.
const (
	// ReasonHolderGone : the Tenant is gone, or no class declares the host, and the claim is being released.
	ReasonHolderGone = "HolderGone"
	// ReasonDNSUnanswered : no DNS server can say whether control is proved; what was known stays.
	ReasonDNSUnanswered = "DNSUnanswered"
)
