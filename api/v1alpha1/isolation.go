package v1alpha1

// ConditionIsolated says whether the tenant's login reaches anything but its own, and whether somebody
// else was given rights on what is the tenant's. Ready does not depend on it: a customer whose data
// leak can work all the same. But a tenant that is not served yet is not published while it is False
// for IsolationBreached.
const ConditionIsolated = "Isolated"

// Reasons of Isolated.
const (
	// ReasonIsolationBreached : the tenant's login has a right that it must not have.
	ReasonIsolationBreached = "IsolationBreached"
	// ReasonForeignRights : a role that is not the operator's has rights on what is the tenant's.
	ReasonForeignRights = "ForeignRights"
	// ReasonSharedLogin : by the class, tenants share a login, which reaches all of them.
	ReasonSharedLogin = "SharedLogin"
)

// ReasonNamespaceNotWatched : something that is referred to is in a namespace into which the operator
// was not told to look.
const ReasonNamespaceNotWatched = "NamespaceNotWatched"
