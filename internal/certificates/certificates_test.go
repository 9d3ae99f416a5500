package certificates

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func TestNamesAreValidAndDiffer(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 60)+".", 4) + "example"
	seen := map[string]bool{}
	for _, host := range []string{"acme.com", "*.acme.com", long, "b" + long[1:]} {
		for _, uid := range []types.UID{"one", "two"} {
			name := Name(host, uid)
			if len(name) > maxName || strings.ContainsAny(name, "*_") || strings.HasPrefix(name, "-") {
				t.Errorf("%s has the name %q", host, name)
			}
			if seen[name] {
				t.Errorf("%q twice", name)
			}
			seen[name] = true
		}
	}
}

// Statuses as cert-manager writes them.
func TestReport(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		status string
		want   v1alpha1.CertificateState
		says   string
		good   bool
	}{
		"nothing yet": {`{}`, v1alpha1.CertificatePending, "does it run?", false},
		"issuing": {
			`{"conditions": [{"type": "Issuing", "status": "True", "message": "Issuing certificate as Secret does not exist"}, {"type": "Ready", "status": "False", "message": "x"}]}`,
			v1alpha1.CertificatePending, "Issuing certificate as Secret does not exist", false,
		},
		"failed": {
			`{"conditions": [{"type": "Ready", "status": "False", "message": "x"}, {"type": "Issuing", "status": "False", "reason": "Failed", "message": "The certificate request has failed"}]}`,
			v1alpha1.CertificateFailed, "The certificate request has failed", false,
		},
		"ready": {
			`{"conditions": [{"type": "Ready", "status": "True", "message": "Certificate is up to date and has not expired"}], "notAfter": "2026-06-01T00:00:00Z"}`,
			v1alpha1.CertificateReady, "up to date", true,
		},
		"renewal failed, still good": {
			`{"conditions": [{"type": "Ready", "status": "True", "message": "Certificate is up to date"}, {"type": "Issuing", "status": "False", "message": "no"}], "notAfter": "2026-06-01T00:00:00Z"}`,
			v1alpha1.CertificateReady, "up to date", true,
		},
		"issuer changed, still good": {
			`{"conditions": [{"type": "Ready", "status": "False", "message": "another issuer"}], "notAfter": "2026-06-01T00:00:00Z"}`,
			v1alpha1.CertificatePending, "another issuer", true,
		},
		"expired": {
			`{"conditions": [{"type": "Ready", "status": "False", "message": "Certificate expired"}, {"type": "Issuing", "status": "False", "message": "no such host"}], "notAfter": "2026-04-01T00:00:00Z"}`,
			v1alpha1.CertificateFailed, "no such host", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Certificate{}
			if err := json.Unmarshal([]byte(tt.status), &c.Status); err != nil {
				t.Fatal(err)
			}
			got := c.Report()
			if got.State != tt.want || !strings.Contains(got.Message, tt.says) || c.Good(now) != tt.good {
				t.Errorf("got %+v, good %t; want %s, %q, good %t", got, c.Good(now), tt.want, tt.says, tt.good)
			}
		})
	}
}

func TestMessagesAreBounded(t *testing.T) {
	c := &Certificate{Status: Status{Conditions: []metav1.Condition{{Type: "Ready", Status: "False", Message: strings.Repeat("ü", 1000)}}}}
	if got := c.Report().Message; len(got) > maxMessage || !strings.HasPrefix(got, "ü") || strings.Contains(got, "�") {
		t.Errorf("message of %d bytes: %q", len(got), got)
	}
}

func TestOrder(t *testing.T) {
	tenant := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "acme", UID: "u-1"}}
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "std"}}
	class.Spec.Routing = &v1alpha1.Routing{TLS: &v1alpha1.RoutingTLS{IssuerRef: &v1alpha1.IssuerReference{Name: "ca"}}}
	beside := Order{Host: "*.acme.com", Tenant: tenant, Class: class, Namespace: "gw"}.certificate()
	if diff := cmp.Diff([]string{"*.acme.com"}, beside.Spec.DNSNames); diff != "" {
		t.Error(diff)
	}
	if want := (IssuerRef{Name: "ca", Kind: "ClusterIssuer", Group: "cert-manager.io"}); beside.Spec.IssuerRef != want {
		t.Errorf("issuer %v, want %v", beside.Spec.IssuerRef, want)
	}
	if len(beside.OwnerReferences) != 0 || !beside.belongs(tenant) {
		t.Errorf("owners %v; a Tenant cannot own across namespaces", beside.OwnerReferences)
	}
	home := Order{Host: "acme.com", Tenant: tenant, Class: class, Namespace: "shop"}.certificate()
	if !home.belongs(tenant) {
		t.Error("the Certificate beside its Tenant is not owned by it")
	}
	home.OwnerReferences = nil
	if home.belongs(tenant) {
		t.Error("labels prove something in a tenant's namespace")
	}
	other := tenant.DeepCopy()
	other.UID = "u-2"
	if beside.belongs(other) {
		t.Error("a Tenant made anew owns its predecessor's Certificate")
	}
	if diff := cmp.Diff(beside, beside.DeepCopy()); diff != "" {
		t.Errorf("a copy differs:\n%s", diff)
	}
}
