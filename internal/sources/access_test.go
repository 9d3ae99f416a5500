package sources

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// Without the flag any registry may be asked; with it, only those it names, port included.
func TestMayAsk(t *testing.T) {
	t.Parallel()
	only := &Loader{Registries: []string{"ghcr.io", "*.tools.svc:5000"}}
	for repository, want := range map[string]bool{
		"ghcr.io/a": true, "GHCR.io/a": true, "r.tools.svc:5000/a/b": true,
		"r.tools.svc/a": false, "ghcr.io.evil.example/a": false, "evil.example/ghcr.io": false, "169.254.169.254/a": false,
	} {
		oci := &v1alpha1.OCISource{Repository: repository}
		if err := only.mayAsk(oci); (err == nil) != want || err != nil && fault.ReasonOf(err) != v1alpha1.ReasonSourceInvalid {
			t.Errorf("%s: %v, want it allowed: %v", repository, err, want)
		}
		if err := (&Loader{}).mayAsk(oci); err != nil {
			t.Errorf("%s, without the flag: %v", repository, err)
		}
	}
}

// A set is looked at again when what it names changes.
func TestNames(t *testing.T) {
	t.Parallel()
	ref := v1alpha1.LocalReference{Name: "login"}
	files := &v1alpha1.MigrationSet{}
	files.Spec.Source.ConfigMaps = []v1alpha1.ConfigMapSource{{LocalReference: ref}}
	artifact := &v1alpha1.MigrationSet{}
	artifact.Spec.Source.OCI = &v1alpha1.OCISource{
		PullSecretRef:        &ref,
		CertificateAuthority: &v1alpha1.CertificateAuthority{ConfigMap: &v1alpha1.KeyReference{LocalReference: v1alpha1.LocalReference{Name: "trust"}}},
	}
	for _, tt := range []struct {
		set        *v1alpha1.MigrationSet
		kind, name string
		want       bool
	}{
		{files, "ConfigMap", "login", true},
		{files, "Secret", "login", false},
		{artifact, "Secret", "login", true},
		{artifact, "ConfigMap", "login", false},
		{artifact, "ConfigMap", "trust", true},
		{artifact, "Secret", "trust", false},
	} {
		if got := Names(tt.set, tt.kind, tt.name); got != tt.want {
			t.Errorf("%s %s: %v, want %v", tt.kind, tt.name, got, tt.want)
		}
	}
}

// A Secret of an unknown type is refused without a word of what is in it.
func TestLoginOfOtherTypes(t *testing.T) {
	t.Parallel()
	_, err := loginOf(&corev1.Secret{Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"password": []byte("s3cret")}}, "ghcr.io/a")
	if fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != v1alpha1.ReasonSourceInvalid {
		t.Error(err)
	}
}
