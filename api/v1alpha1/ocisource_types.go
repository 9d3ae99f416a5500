package v1alpha1

// OCISource is an artifact in a registry: one manifest whose layers are the files, or archives of
// them, as `oras push` and `flux push artifact` make it.
// +kubebuilder:validation:XValidation:rule="has(self.tag) != has(self.digest)",message="name exactly one: tag (followed when it moves) or digest (never changes)"
type OCISource struct {
	// repository is registry and path, without a scheme, tag or digest, like
	// ghcr.io/tasklane/migrations or registry.tools.svc:5000/migrations.
	// +required
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:XValidation:rule="self.matches('^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|[[][0-9a-fA-F:.]+[]])(:[0-9]{1,5})?/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*$')",message="repository is registry/path without a scheme, tag or digest, like ghcr.io/tasklane/migrations; the path is in lower case"
	Repository string `json:"repository,omitempty"`

	// tag of the artifact. When somebody moves it, that is a new version, which is rolled out.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9_][a-zA-Z0-9._-]*$`
	Tag string `json:"tag,omitempty"`

	// digest of the artifact's manifest, sha256: and 64 hexadecimal digits. The registry is not asked
	// again as long as the operator runs.
	// +optional
	// +kubebuilder:validation:MinLength=71
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	Digest string `json:"digest,omitempty"`

	// path is the folder of the artifact in which the files are. Left out, they are at its top.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.endsWith('/') && self.split('/').all(p, p != '' && p != '.' && p != '..')",message="path is a folder inside of the artifact, like db/migrations, without ., .. or a slash at either end"
	Path string `json:"path,omitempty"`

	// pullSecretRef names a Secret of this namespace with the registry's login, of type
	// kubernetes.io/dockerconfigjson or kubernetes.io/basic-auth.
	// +optional
	PullSecretRef *LocalReference `json:"pullSecretRef,omitempty"`

	// certificateAuthority has the certificates by which the registry's is verified, in place of
	// the system's.
	// +optional
	CertificateAuthority *CertificateAuthority `json:"certificateAuthority,omitempty"`

	// plainHTTP speaks HTTP without TLS. Whoever is on the way can then read the pull Secret and
	// choose what the tag means, which is the SQL that runs in every tenant's schema.
	// +optional
	PlainHTTP bool `json:"plainHTTP,omitempty"` //nolint:kubeapilinter // false and left out mean the same

	// pollIntervalSeconds is how often the registry is asked what the tag means: so long it takes at
	// most until a moved tag is seen. The annotation tenantry.dev/reconcile-at asks at once.
	// +optional
	// +kubebuilder:default=300
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=86400
	PollIntervalSeconds int32 `json:"pollIntervalSeconds,omitempty"`
}

// CertificateAuthority says where PEM certificates are.
// +kubebuilder:validation:XValidation:rule="has(self.configMap) != has(self.secret)",message="name exactly one: configMap or secret"
type CertificateAuthority struct {
	// configMap of this namespace, and its key.
	// +optional
	ConfigMap *KeyReference `json:"configMap,omitempty"`

	// secret of this namespace, and its key.
	// +optional
	Secret *KeyReference `json:"secret,omitempty"`
}

// KeyReference names a key of an object in the same namespace.
type KeyReference struct {
	LocalReference `json:",inline"`

	// key whose value is meant.
	// +optional
	// +kubebuilder:default="ca.crt"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[-._a-zA-Z0-9]+$`
	Key string `json:"key,omitempty"`
}

// SourceStatus is the artifact whose files are the published version. Tenants get exactly this digest, ring
// by ring, whatever the tag means by then.
type SourceStatus struct {
	// reference is what the spec named: repository and tag, or repository and digest.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=450
	Reference string `json:"reference,omitempty"` //nolint:kubeapilinter // it names no object; registries call it so

	// digest of the artifact's manifest.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Digest string `json:"digest,omitempty"`
}
