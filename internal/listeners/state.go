package listeners

import (
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// maxMessage bounds the data plane's words, in bytes (the API's bound).
const maxMessage = 512

// state is what the data plane says of a Gateway's listener. Data planes without Listener.Programmed say
// so by Accepted; which generation it is of does not matter, since a Gateway changes with every route.
func state(gateway *gatewayv1.Gateway, listener gatewayv1.SectionName) v1alpha1.CertificateStatus {
	at := slices.IndexFunc(gateway.Status.Listeners, func(l gatewayv1.ListenerStatus) bool { return l.Name == listener })
	if at < 0 {
		return v1alpha1.CertificateStatus{State: v1alpha1.CertificatePending, Message: "The data plane has not looked at the listener yet"}
	}
	conditions := gateway.Status.Listeners[at].Conditions
	for _, kind := range []gatewayv1.ListenerConditionType{gatewayv1.ListenerConditionResolvedRefs, gatewayv1.ListenerConditionAccepted} {
		if c := meta.FindStatusCondition(conditions, string(kind)); c != nil && c.Status == metav1.ConditionFalse {
			return v1alpha1.CertificateStatus{State: v1alpha1.CertificateFailed, Message: clip("Listener " + string(listener) + ": " + c.Message)}
		}
	}
	if c := meta.FindStatusCondition(conditions, string(gatewayv1.ListenerConditionProgrammed)); c != nil && c.Status != metav1.ConditionTrue {
		return v1alpha1.CertificateStatus{State: v1alpha1.CertificatePending, Message: clip("Listener " + string(listener) + ": " + c.Message)}
	}
	return v1alpha1.CertificateStatus{State: v1alpha1.CertificateReady}
}

func clip(text string) string {
	if len(text) > maxMessage {
		text = strings.ToValidUTF8(text[:maxMessage], "")
	}
	return text
}

// absent says whether an object, or its kind, does not exist.
func absent(err error) bool { return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) }
