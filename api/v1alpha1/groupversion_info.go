// Package v1alpha1 holds the kinds of tenantry.dev: what users write and what the operator
// reports. It has types, condition types and reasons, and no logic.
//
// +kubebuilder:object:generate=true
// +groupName=tenantry.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var (
	// GroupVersion is the group and version of every kind of this package.
	GroupVersion = schema.GroupVersion{Group: "tenantry.dev", Version: "v1alpha1"}

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme registers the kinds of this package with a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Tenant{}, &TenantList{},
		&TenantClass{}, &TenantClassList{},
		&TenantDatabase{}, &TenantDatabaseList{},
		&MigrationSet{}, &MigrationSetList{},
		&DomainClaim{}, &DomainClaimList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
