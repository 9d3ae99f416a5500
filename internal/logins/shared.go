package logins

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// SharedKey is the Secret with the login that the tenants of a class share on a database.
func SharedKey(class *v1alpha1.TenantClass, tdb *v1alpha1.TenantDatabase) client.ObjectKey {
	ref := class.Spec.Logins.SecretRef
	return client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name + "-" + tdb.Name}
}

// DatabaseName names a TenantDatabase in the annotation of a shared login's Secret.
func DatabaseName(tdb *v1alpha1.TenantDatabase) string { return tdb.Namespace + "/" + tdb.Name }

// IsShared says whether a Secret is there, and is the one with a class's shared login of just this database.
func IsShared(meta metav1.Object, class *v1alpha1.TenantClass, tdb *v1alpha1.TenantDatabase) bool {
	return meta.GetUID() != "" && OwnedBy(meta, ClassOwner(class)) && meta.GetAnnotations()[v1alpha1.AnnotationDatabase] == DatabaseName(tdb)
}

// ClassOwner is the reference by which a class controls the Secrets of its logins.
func ClassOwner(class *v1alpha1.TenantClass) metav1.OwnerReference {
	return *metav1.NewControllerRef(class, v1alpha1.GroupVersion.WithKind("TenantClass"))
}
