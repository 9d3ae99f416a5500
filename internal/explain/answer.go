package explain

import "github.com/tenantry/tenantry/api/v1alpha1"

// Verdict is the answer in one word.
type Verdict string

const (
	// Served : the tenant's backend answers.
	Served Verdict = "Served"
	// Redirected : the host is an alias; clients are sent to the primary domain.
	Redirected Verdict = "Redirected"
	// Public : a backend answers that needs no tenant.
	Public Verdict = "Public"
	// Fallback : the request names no tenant on a shared host, and the host's fallback answers.
	Fallback Verdict = "Fallback"
	// Holding : the class's holding backend answers in the place of the tenant's.
	Holding Verdict = "Holding"
	// Suspended : the tenant is suspended, and nothing answers in its place.
	Suspended Verdict = "Suspended"
	// Deleting : the tenant is going, or gone, and nothing answers in its place.
	Deleting Verdict = "Deleting"
	// NotReady : the tenant is not as far yet that it is routed.
	NotReady Verdict = "NotReady"
	// Unverified : nobody has proved yet that the tenant controls the host.
	Unverified Verdict = "Unverified"
	// Unclaimed : no tenant and no class holds the host.
	Unclaimed Verdict = "Unclaimed"
	// Shadowed : somebody else's route asks for the host, and either may win.
	Shadowed Verdict = "Shadowed"
	// RouteMissing : there is no route for the host.
	RouteMissing Verdict = "RouteMissing"
	// RouteNotAccepted : the data plane did not take the route, or not for this host.
	RouteNotAccepted Verdict = "RouteNotAccepted"
	// Unreachable : the route is accepted, and the operator's probe got another answer than it should.
	Unreachable Verdict = "Unreachable"
	// Unknown : what decides may not be read.
	Unknown Verdict = "Unknown"
)

// Answers says whether requests get to something that is meant to answer them.
func (v Verdict) Answers() bool {
	switch v {
	case Served, Redirected, Public, Fallback, Holding:
		return true
	}
	return false
}

// Answer is what is known about a request.
type Answer struct {
	// Host in its canonical form: lower case, punycode, no port, no trailing dot.
	Host string `json:"host"`
	// Path of the request.
	Path string `json:"path"`
	// Headers of the request.
	Headers map[string]string `json:"headers,omitempty"`

	// Verdict in one word, Summary in one sentence.
	Verdict Verdict `json:"verdict"`
	Summary string  `json:"summary"`
	// Advice says what to do.
	Advice string `json:"advice"`

	// Role of the host in the cluster; none if nobody holds it.
	Role v1alpha1.HostRole `json:"role,omitempty"`
	// Claim that holds the host.
	Claim *Claim `json:"claim,omitempty"`
	// Shared says how a shared host tells tenants apart.
	Shared *Shared `json:"shared,omitempty"`
	// Tenant that the request is for.
	Tenant *Tenant `json:"tenant,omitempty"`
	// Class that declares the host, or of the tenant.
	Class string `json:"class,omitempty"`
	// PublicPath is the path of the class's publicPaths to which the request goes.
	PublicPath string `json:"publicPath,omitempty"`
	// Location is the host to which clients are redirected.
	Location string `json:"location,omitempty"`
	// Record is the DNS record to create.
	Record *v1alpha1.DNSRecord `json:"record,omitempty"`
	// Backend is the Service to which the request goes.
	Backend *v1alpha1.ServiceBackend `json:"backend,omitempty"`
	// Routes for the host that are the operator's.
	Routes []Route `json:"routes,omitempty"`
	// Others are routes for the host that are not the operator's.
	Others []Other `json:"others,omitempty"`
	// Wanted lists Tenants that want the host and do not have it, where nobody has.
	Wanted []Wanted `json:"wanted,omitempty"`
	// NotRead says what could not be read for want of rights, and is missing here.
	NotRead []string `json:"notRead,omitempty"`
}

// Claim is the DomainClaim that holds a host.
type Claim struct {
	Name string `json:"name"`
	// Host of the claim: a wildcard where that is what covers the host.
	Host string `json:"host"`
	// Holder is a Tenant or a TenantClass, as <kind> [<namespace>/]<name>.
	Holder   string                      `json:"holder"`
	Verified v1alpha1.VerificationMethod `json:"verified,omitempty"`
}

// Shared says how a shared host tells tenants apart.
type Shared struct {
	// Header whose value names the tenant; empty where the path does.
	Header string `json:"header,omitempty"`
	// Value that the request has, header or path; empty if it has none that could be a tenant's.
	Value string `json:"value,omitempty"`
	// Values that tenants hold, at most ten of them, and how many more there are. They are listed where the
	// request names no tenant.
	Values []string `json:"values,omitempty"`
	More   int      `json:"more,omitempty"`
}

// Tenant is the tenant that a request is for, with all that answers in its place.
type Tenant struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Ready is the status of the condition, Reason and Message are its own.
	Ready   string `json:"ready,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	// State of the host in the Tenant's status.
	State v1alpha1.DomainState `json:"state,omitempty"`
	// Certificate of the host, as far as the class says who looks after it.
	Certificate *v1alpha1.CertificateStatus `json:"certificate,omitempty"`

	Suspended bool `json:"suspended,omitempty"`
	Deleting  bool `json:"deleting,omitempty"`
	// Database, Schema and Version are where the tenant's data are.
	Database *v1alpha1.NamespacedReference `json:"database,omitempty"`
	Schema   string                        `json:"schema,omitempty"`
	Version  string                        `json:"version,omitempty"`
	// Secret holds the tenant's login; Role is the login's name, if the caller may read the Secret.
	Secret string `json:"secret,omitempty"`
	Role   string `json:"role,omitempty"`
}

// Route is a route of the operator that names the host.
type Route struct {
	// Kind is HTTPRoute or Ingress.
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Parents take the route on, or do not.
	Parents []Parent `json:"parents"`
}

// Parent is a Gateway, a ListenerSet or an IngressClass.
type Parent struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	// Accepted says that requests for this host come to the route; Message why not.
	Accepted bool   `json:"accepted"`
	Message  string `json:"message,omitempty"`
	// Listeners that let requests for this host through to the route.
	Listeners []string `json:"listeners,omitempty"`
	// Addresses at which the parent is reached, as its status says.
	Addresses []string `json:"addresses,omitempty"`

	// forOther says that its listeners are for single other hosts of the route.
	forOther bool
}

// Other is somebody else's route for a host.
type Other struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Host as the route names it; empty for a route that takes every host.
	Host string `json:"host,omitempty"`
}

// Wanted is a Tenant that wants a host and does not have it.
type Wanted struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// State of the host in the Tenant's status; empty if the operator has not got to it.
	State   v1alpha1.DomainState `json:"state,omitempty"`
	Message string               `json:"message,omitempty"`
}
