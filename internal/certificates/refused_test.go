package certificates

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// What the API server says of one order is that host's fault; what the next pass finds otherwise is nobody's.
func TestRefused(t *testing.T) {
	kind := schema.GroupResource{Group: GroupVersion.Group, Resource: "certificates"}
	webhook := &apierrors.StatusError{ErrStatus: metav1.Status{
		Code: http.StatusInternalServerError, Reason: metav1.StatusReasonInternalError, Message: `failed calling webhook "webhook.cert-manager.io"`,
	}}
	taken := fault.NewWaiting(v1alpha1.ReasonCertificateNameTaken, 0, "taken")
	for name, tt := range map[string]struct {
		over   bool
		err    error
		reason string
	}{
		"nothing":               {false, nil, ""},
		"webhook is down":       {false, webhook, v1alpha1.ReasonCertificateNotReady},
		"quota or policy":       {false, apierrors.NewForbidden(kind, "c", errors.New("exceeded quota")), v1alpha1.ReasonCertificateNotReady},
		"no answer in the time": {true, context.Canceled, v1alpha1.ReasonCertificateNotReady},
		"conflict":              {false, apierrors.NewConflict(kind, "c", errors.New("changed")), ""},
		"went meanwhile":        {false, apierrors.NewNotFound(kind, "c"), ""},
		"nobody reached":        {false, errors.New("connection refused"), ""},
		"a fault already":       {false, taken, v1alpha1.ReasonCertificateNameTaken},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.over {
				cancel()
			}
			got := refused(ctx, Order{Host: "acme.com"}, tt.err)
			if !errors.Is(got, tt.err) {
				t.Errorf("%v loses its cause", got)
			}
			if fault.ReasonOf(got) != tt.reason {
				t.Errorf("reason %q of %v, want %q", fault.ReasonOf(got), got, tt.reason)
			}
			if tt.reason == v1alpha1.ReasonCertificateNotReady {
				if m := fault.Of(got, "").Message; !strings.Contains(m, "acme.com") || !strings.Contains(m, tt.err.Error()) {
					t.Errorf("message %q names no host, or no cause", m)
				}
			}
		})
	}
}
