package v1alpha1

// Routing says how tenants' domains reach the product.
// +kubebuilder:validation:XValidation:rule="has(self.gateway) != has(self.ingress)",message="set exactly one of gateway and ingress"
// +kubebuilder:validation:XValidation:rule="!has(self.ingress) || !has(self.sharedHosts) || self.sharedHosts.all(h, !has(h.header))",message="the Ingress API cannot tell requests apart by a header: use pathPrefix for sharedHosts, or a gateway"
// +kubebuilder:validation:XValidation:rule="!has(self.sharedHosts) || !has(self.publicHosts) || self.sharedHosts.all(s, self.publicHosts.all(p, p.host != s.host))",message="a host is either shared or public"
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || !has(self.tls.secretName) || has(self.ingress) && self.tls.certificates != 'External'",message="tls.secretName is for an ingress with certificates Shared or CertManager: the listener of a Gateway names its own Secret"
// +kubebuilder:validation:XValidation:rule="!has(self.tls) || !has(self.tls.httpSectionName) || has(self.gateway) && self.gateway.parentRefs.all(p, has(p.sectionName) && p.sectionName != self.tls.httpSectionName)",message="tls.httpSectionName needs a gateway, and another listener in sectionName of each of its parentRefs: the one for https"
type Routing struct {
	// gateway attaches HTTPRoutes for each tenant to these Gateways.
	// +optional
	Gateway *GatewayRouting `json:"gateway,omitempty"`

	// ingress makes Ingresses for each tenant.
	// +optional
	Ingress *IngressRouting `json:"ingress,omitempty"`

	// backend is the Service that serves all tenants of the class that name none of their own.
	// +required
	Backend ServiceBackend `json:"backend,omitzero"`

	// tls says how tenants' hosts are served by TLS. Left out, that is the Gateways' or the Ingress
	// controller's alone.
	// +optional
	TLS *RoutingTLS `json:"tls,omitempty"`

	// tenantHeader is the request header that tells the backend which tenant a request is for,
	// as "<namespace>/<name>". It is always overwritten, never appended to. Gateway only: the
	// Ingress API cannot set headers.
	// +optional
	// +kubebuilder:default="X-Tenantry-Tenant"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$`
	TenantHeader string `json:"tenantHeader,omitempty"`

	// headers are more request headers that are set for the backend, overwritten like
	// tenantHeader. Gateway only.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=7
	Headers []TenantRequestHeader `json:"headers,omitempty"`

	// holding is the Service that answers on the hosts of tenants that are not served: not ready
	// yet, suspended, or being deleted. It gets no tenant header. Left out, such hosts have no
	// route.
	// +optional
	Holding *ServiceBackend `json:"holding,omitempty"`

	// publicPaths are paths on every tenant's hosts that need no tenant, like health checks.
	// +optional
	// +listType=map
	// +listMapKey=path
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	PublicPaths []PublicPath `json:"publicPaths,omitempty"`

	// publicHosts are hosts that need no tenant, like the marketing site or the sign-up.
	// +optional
	// +listType=map
	// +listMapKey=host
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	PublicHosts []PublicHost `json:"publicHosts,omitempty"`

	// sharedHosts are hosts that all tenants of the class have in common, besides their own: each
	// request names its tenant by a header or by the beginning of its path.
	// +optional
	// +listType=map
	// +listMapKey=host
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	SharedHosts []SharedHost `json:"sharedHosts,omitempty"`

	// probe asks for a request on each host through the data plane; a tenant is Ready only while
	// its hosts answer. Left out, Routed goes by the data plane's word alone.
	// +optional
	Probe *ReachabilityProbe `json:"probe,omitempty"`
}

// TenantRequestHeader is a request header that is set for the backend.
type TenantRequestHeader struct {
	// name of the header.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$`
	Name string `json:"name,omitempty"`

	// value of the header; {namespace}, {name}, {uid} and {schema} stand for the tenant's.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^([-A-Za-z0-9_./:=]|\{namespace\}|\{name\}|\{uid\}|\{schema\})+$`
	Value string `json:"value,omitempty"`
}

// PathMatch says how a path is compared.
// +kubebuilder:validation:Enum=Prefix;Exact
type PathMatch string

const (
	// PathPrefix matches the path and everything below it.
	PathPrefix PathMatch = "Prefix"
	// PathExact matches the path alone.
	PathExact PathMatch = "Exact"
)

// PublicPath is a path that needs no tenant.
type PublicPath struct {
	// path on every tenant's hosts.
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^(/[-A-Za-z0-9_.~]+)+$`
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|/)[.][.]?(/|$)')",message="a path has no segments . and .."
	Path string `json:"path,omitempty"`

	// match is Prefix (the path and everything below it) or Exact. Left out, it is Prefix.
	// +optional
	Match PathMatch `json:"match,omitempty"`

	// backend is the Service that answers. Left out, it is the class's backend. No tenant header
	// reaches it, not even a client's own.
	// +optional
	Backend *ServiceBackend `json:"backend,omitempty"`
}

// PublicHost is a host that needs no tenant.
type PublicHost struct {
	// host name, in lower case and punycode.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=180
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Host string `json:"host,omitempty"`

	// backend is the Service that answers; its route is made in the Service's namespace. No
	// tenant header reaches it.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.__namespace__)",message="backend.namespace is required: a TenantClass has no namespace of its own"
	Backend ServiceBackend `json:"backend,omitzero"`
}

// SharedHost is one host for all tenants of a class.
// +kubebuilder:validation:XValidation:rule="has(self.header) != has(self.pathPrefix)",message="set exactly one of header and pathPrefix"
type SharedHost struct {
	// host name, in lower case and punycode.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=180
	// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Host string `json:"host,omitempty"`

	// header tells tenants apart by the exact value of a request header.
	// +optional
	Header *SharedHeader `json:"header,omitempty"`

	// pathPrefix tells tenants apart by the beginning of the path.
	// +optional
	PathPrefix *SharedPathPrefix `json:"pathPrefix,omitempty"`

	// fallback is the Service that answers requests that name no tenant, or none that is served:
	// it should say so with a status of 400 or 404. Its route is made in the Service's namespace.
	// No tenant header reaches it.
	// +required
	// +kubebuilder:validation:XValidation:rule="has(self.__namespace__)",message="fallback.namespace is required: a TenantClass has no namespace of its own"
	Fallback ServiceBackend `json:"fallback,omitzero"`
}

// SharedHeader names the tenant by a request header.
type SharedHeader struct {
	// name of the header, as clients send it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$`
	Name string `json:"name,omitempty"`

	// value that names a tenant; {namespace} and {name} stand for the Tenant's. Two Tenants
	// cannot have the same: the first keeps it. Left out, it is {namespace}/{name}.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^([-A-Za-z0-9_./]|\{namespace\}|\{name\})+$`
	// +kubebuilder:validation:XValidation:rule="self.contains('{name}')",message="the value must contain {name}, or all tenants would have the same"
	Value string `json:"value,omitempty"`
}

// SharedPathPrefix names the tenant by the beginning of the path.
type SharedPathPrefix struct {
	// value is the path that names a tenant; {namespace} and {name} stand for the Tenant's. Two
	// Tenants cannot have the same: the first keeps it. Left out, it is /{namespace}/{name}.
	// +optional
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^(/([-A-Za-z0-9_]|\{namespace\}|\{name\})+)+$`
	// +kubebuilder:validation:XValidation:rule="self.contains('{name}')",message="the value must contain {name}, or all tenants would have the same"
	Value string `json:"value,omitempty"`

	// strip takes the prefix off before the backend sees the path. Gateway only.
	// +optional
	Strip bool `json:"strip,omitempty"` //nolint:kubeapilinter // false and left out mean the same
}

// ReachabilityProbe is a request on each host of a tenant through the data plane.
type ReachabilityProbe struct {
	// path of the request.
	// +optional
	// +kubebuilder:default="/"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^/[-A-Za-z0-9_.~/]*$`
	Path string `json:"path,omitempty"`

	// expectedStatus is the status with which the primary domain answers.
	// +optional
	// +kubebuilder:default=200
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=599
	ExpectedStatus int32 `json:"expectedStatus,omitempty"`

	// intervalSeconds is the time between two requests to a host that answers: what the condition
	// Reachable says is at most two intervals old.
	// +optional
	// +kubebuilder:default=60
	// +kubebuilder:validation:Minimum=5
	// +kubebuilder:validation:Maximum=3600
	IntervalSeconds int32 `json:"intervalSeconds,omitempty"`

	// timeoutSeconds bounds one request.
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=30
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`
}

// GatewayRouting routes by Gateway API.
type GatewayRouting struct {
	// parentRefs are the Gateways to which the tenants' HTTPRoutes attach.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	ParentRefs []GatewayReference `json:"parentRefs,omitempty"`
}

// GatewayReference names a Gateway, and a listener of it if need be.
type GatewayReference struct {
	NamespacedReference `json:",inline"`

	// sectionName is the listener of the Gateway. Left out, the route attaches to every
	// listener that allows it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	SectionName string `json:"sectionName,omitempty"`
}

// IngressRouting routes by Ingress.
type IngressRouting struct {
	// className names the IngressClass.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	ClassName string `json:"className,omitempty"`

	// port on which the Ingress controller serves HTTP, for probes: an Ingress' status has an
	// address, and no port.
	// +optional
	// +kubebuilder:default=80
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`

	// annotations of every Ingress of the class, for what the Ingress API itself cannot say:
	// middlewares, certificates, DNS records.
	// +optional
	// +kubebuilder:validation:MinProperties=1
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, size(k) <= 253 && size(self[k]) <= 4096)",message="an annotation has a key of at most 253 and a value of at most 4096 characters"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ServiceBackend names a port of a Service.
type ServiceBackend struct {
	// name of the Service.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name,omitempty"`

	// namespace of the Service. Left out, it is the Tenant's own. Another namespace must allow
	// it by a ReferenceGrant; the Ingress API cannot cross namespaces.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`

	// port of the Service.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port,omitempty"`
}
