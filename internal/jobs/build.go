package jobs

import (
	"maps"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// What a Job carries beside its spec.
const (
	// tenantPrefix and a Tenant's UID are a label of the Jobs that migrate it. Its value tells tries
	// apart: a user's word asks for another one.
	tenantPrefix = "tenant.tenantry.dev/"
	// AnnotationTenants are the tenants as namespace/name, with commas between: whom a change of the Job
	// matters to.
	AnnotationTenants = "tenantry.dev/tenants"
	// AnnotationDigest is where the Job takes its tenants.
	AnnotationDigest = "tenantry.dev/digest"
	// AnnotationDatabase is the UID of the TenantDatabase on which all of them are: what a restart forgets of a
	// rollout's places is found by it.
	AnnotationDatabase = "tenantry.dev/database"
)

// Member is a tenant that a Job migrates. Work is a label's value that tells tries apart.
type Member struct{ UID, Namespace, Name, Schema, Work string }

// Wish is a Job that should be.
type Wish struct {
	Set *v1alpha1.MigrationSet
	// Database is the UID of the members' TenantDatabase.
	Database string
	Members  []Member
}

// UIDs are the members', sorted.
func (w Wish) UIDs() (uids []string) {
	for _, m := range w.Members {
		uids = append(uids, m.UID)
	}
	slices.Sort(uids)
	return uids
}

// Name is the wanted Job's.
func (w Wish) Name() string { return Name(w.Set, Digest(w.Set.Spec.Job), w.UIDs()) }

// Build returns the Job, suspended: it runs when its logins are there. Another Pod comes only when the
// one before has ended wholly (podReplacementPolicy): two would work on one schema.
func (w Wish) Build() *batchv1.Job {
	spec := w.Set.Spec.Job
	labels := map[string]string{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}
	podLabels := maps.Clone(labels)
	podLabels["app.kubernetes.io/component"] = "migration"
	var tenants []string
	for _, m := range w.Members {
		labels[tenantPrefix+m.UID] = m.Work
		tenants = append(tenants, m.Namespace+"/"+m.Name)
	}
	slices.Sort(tenants)
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Set.Namespace, Name: w.Name(), Labels: labels,
			OwnerReferences: []metav1.OwnerReference{ownerOf(w.Set, v1alpha1.GroupVersion.WithKind("MigrationSet"))},
			Annotations: map[string]string{
				AnnotationTenants: strings.Join(tenants, ","), AnnotationDigest: Digest(spec), AnnotationDatabase: w.Database,
			},
		},
		Spec: batchv1.JobSpec{
			Suspend: new(true), Parallelism: new(int32(1)), Completions: new(int32(1)),
			BackoffLimit: spec.BackoffLimit, ActiveDeadlineSeconds: new(int64(spec.ActiveDeadlineSeconds)),
			TTLSecondsAfterFinished: new(spec.TTLSecondsAfterFinished),
			PodReplacementPolicy:    new(batchv1.Failed),
			Template:                corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: podLabels}, Spec: w.pod()},
		},
	}
}

// ownerOf lets garbage collection follow an owner, and does not block the owner's deletion, which would take
// a right on its finalizers (OwnerReferencesPermissionEnforcement).
func ownerOf(owner metav1.Object, kind schema.GroupVersionKind) metav1.OwnerReference {
	ref := *metav1.NewControllerRef(owner, kind)
	ref.BlockOwnerDeletion = nil
	return ref
}

// pod meets the Pod Security Standard restricted and has no token of the API server.
func (w Wish) pod() corev1.PodSpec {
	t := w.Set.Spec.Job.Template
	p := corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever, AutomountServiceAccountToken: new(false), EnableServiceLinks: new(false),
		ServiceAccountName: t.ServiceAccountName, NodeSelector: t.NodeSelector,
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: new(true), RunAsUser: t.RunAsUser,
			SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		Containers: []corev1.Container{{
			Name: "migrate", Image: t.Image, ImagePullPolicy: corev1.PullPolicy(t.ImagePullPolicy), Command: t.Command, Args: t.Args,
			Env: append(w.ownEnv(), env(t.Env)...), Resources: resources(t.Resources),
			TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: new(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		}},
	}
	for _, ref := range t.ImagePullSecrets {
		p.ImagePullSecrets = append(p.ImagePullSecrets, corev1.LocalObjectReference{Name: ref.Name})
	}
	for _, tol := range t.Tolerations {
		p.Tolerations = append(p.Tolerations, corev1.Toleration{
			Key: tol.Key, Operator: corev1.TolerationOperator(tol.Operator), Value: tol.Value, Effect: corev1.TaintEffect(tol.Effect),
		})
	}
	return p
}

// ownEnv comes before the product's, which may refer to it.
func (w Wish) ownEnv() []corev1.EnvVar {
	vars := []corev1.EnvVar{{Name: "TENANTRY_VERSION", Value: w.Set.Spec.Job.Version}}
	keys := batchKeys
	if w.Set.Spec.Job.BatchSize <= 1 && len(w.Members) == 1 {
		keys = singleKeys
		m := w.Members[0]
		vars = append(vars, corev1.EnvVar{Name: "TENANTRY_SCHEMA", Value: m.Schema}, corev1.EnvVar{Name: "TENANTRY_TENANT", Value: m.Namespace + "/" + m.Name})
	}
	for _, key := range keys {
		vars = append(vars, corev1.EnvVar{Name: key, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: w.Name()}, Key: key,
		}}})
	}
	return vars
}

func env(wanted []v1alpha1.JobVariable) (vars []corev1.EnvVar) {
	for _, v := range wanted {
		e := corev1.EnvVar{Name: v.Name}
		switch {
		case v.SecretKeyRef != nil:
			e.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: v.SecretKeyRef.Name}, Key: v.SecretKeyRef.Key,
			}}
		case v.ConfigMapKeyRef != nil:
			e.ValueFrom = &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: v.ConfigMapKeyRef.Name}, Key: v.ConfigMapKeyRef.Key,
			}}
		case v.Value != nil:
			e.Value = *v.Value
		}
		vars = append(vars, e)
	}
	return vars
}

func resources(r *v1alpha1.JobResources) (wanted corev1.ResourceRequirements) {
	if r == nil {
		return wanted
	}
	list := func(from map[string]resource.Quantity) corev1.ResourceList {
		if len(from) == 0 {
			return nil
		}
		to := corev1.ResourceList{}
		for name, quantity := range from {
			to[corev1.ResourceName(name)] = quantity
		}
		return to
	}
	return corev1.ResourceRequirements{Requests: list(r.Requests), Limits: list(r.Limits)}
}
