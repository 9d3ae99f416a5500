package certificates

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// maxMessage bounds the issuer's words, in bytes (the API's bound).
const maxMessage = 512

// Conditions of a Certificate (cert-manager's API, types_certificate.go): Issuing is there only while
// an issuance runs, and stays with False when it failed.
const (
	conditionReady   = "Ready"
	conditionIssuing = "Issuing"
)

// Report says how far a certificate came, in the words of whoever issues it.
func (c *Certificate) Report() v1alpha1.CertificateStatus {
	report := v1alpha1.CertificateStatus{State: v1alpha1.CertificatePending, NotAfter: c.Status.NotAfter}
	ready := meta.FindStatusCondition(c.Status.Conditions, conditionReady)
	issuing := meta.FindStatusCondition(c.Status.Conditions, conditionIssuing)
	switch {
	case ready != nil && ready.Status == metav1.ConditionTrue:
		report.State, report.Message = v1alpha1.CertificateReady, clip(ready.Message)
	case issuing != nil && issuing.Status == metav1.ConditionFalse:
		report.State, report.Message = v1alpha1.CertificateFailed, clip(issuing.Message)
	case issuing != nil:
		report.Message = clip(issuing.Message)
	case ready != nil:
		report.Message = clip(ready.Message)
	default:
		report.Message = "cert-manager has not looked at the Certificate yet; does it run?"
	}
	return report
}

// Good says whether clients can be served with the certificate: one that is being replaced still can.
func (c *Certificate) Good(now time.Time) bool {
	if c.Report().State == v1alpha1.CertificateReady {
		return true
	}
	return c.Status.NotAfter != nil && now.Before(c.Status.NotAfter.Time)
}

func clip(text string) string {
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "")
	}
	return text
}
