// Package consent says whether an object may be used from a namespace that is not its own, by the
// word of the object itself.
package consent

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
)

// Allows says whether an object of the namespace home may be used from another namespace, whose
// labels it reads where a selector asks for them. No word means: from its own namespace only. A
// cluster-wide object has no home.
func Allows(ctx context.Context, reader client.Reader, consent *v1alpha1.AllowedNamespaces, home, namespace string) (bool, error) {
	if consent == nil {
		return home == "" || home == namespace, nil
	}
	switch consent.From {
	case v1alpha1.NamespacesAll:
		return true, nil
	case v1alpha1.NamespacesSame:
		return home == namespace, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(consent.Selector)
	if err != nil {
		return false, fault.NewInvalid(v1alpha1.ReasonNamespaceNotAllowed, "allowedNamespaces.selector: %s", err)
	}
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := reader.Get(ctx, client.ObjectKey{Name: namespace}, ns); err != nil {
		return false, fmt.Errorf("read namespace %s: %w", namespace, err)
	}
	return selector.Matches(labels.Set(ns.Labels)), nil
}
