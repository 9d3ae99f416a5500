package sources

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/artifacts"
	"github.com/tenantry/tenantry/internal/fault"
)

// mayAsk holds a registry against those from which the operator may read.
func (l *Loader) mayAsk(oci *v1alpha1.OCISource) error {
	if len(l.Registries) == 0 {
		return nil
	}
	host, _, _ := strings.Cut(oci.Repository, "/")
	for _, pattern := range l.Registries {
		if ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(host)); ok && err == nil {
			return nil
		}
	}
	return fault.NewInvalid(v1alpha1.ReasonSourceInvalid,
		"spec.source.oci.repository: this operator does not read from the registry %s; it does from %s (its flag --oci-registries)", host, strings.Join(l.Registries, ", "))
}

// accessState names all by which a registry is asked: another state is worth another try at once.
func (l *Loader) accessState(ctx context.Context, ms *v1alpha1.MigrationSet) (string, error) {
	oci := ms.Spec.Source.OCI
	if err := l.mayAsk(oci); err != nil {
		return "", err
	}
	state := []string{fmt.Sprint(ms.Generation), ms.Annotations[v1alpha1.AnnotationReconcile]}
	for _, o := range objectsOf(ms) {
		seen := &metav1.PartialObjectMetadata{}
		seen.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(o.kind))
		if err := l.metadata.Get(ctx, client.ObjectKey{Namespace: ms.Namespace, Name: o.name}, seen); err != nil {
			return "", o.missing(ms, err)
		}
		state = append(state, string(seen.UID)+"/"+seen.ResourceVersion)
	}
	return strings.Join(state, ","), nil
}

// object is a Secret or ConfigMap by which a registry is asked.
type object struct{ kind, name, field string }

func objectsOf(ms *v1alpha1.MigrationSet) (list []object) {
	oci := ms.Spec.Source.OCI
	if oci.PullSecretRef != nil {
		list = append(list, object{"Secret", oci.PullSecretRef.Name, "pullSecretRef"})
	}
	if ca := oci.CertificateAuthority; ca != nil && ca.ConfigMap != nil {
		list = append(list, object{"ConfigMap", ca.ConfigMap.Name, "certificateAuthority.configMap"})
	} else if ca != nil && ca.Secret != nil {
		list = append(list, object{"Secret", ca.Secret.Name, "certificateAuthority.secret"})
	}
	return list
}

// Names says whether the set's source names a Secret or ConfigMap: for its files, or to fetch them.
func Names(ms *v1alpha1.MigrationSet, kind, name string) bool {
	if ms.Spec.Source.OCI == nil {
		return kind == "ConfigMap" && slices.ContainsFunc(ms.Spec.Source.ConfigMaps, func(s v1alpha1.ConfigMapSource) bool { return s.Name == name })
	}
	for _, o := range objectsOf(ms) {
		if o.kind == kind && o.name == name {
			return true
		}
	}
	return false
}

func (o object) missing(ms *v1alpha1.MigrationSet, err error) error {
	if apierrors.IsNotFound(err) {
		return fault.NewWaiting(v1alpha1.ReasonSourceNotFound, 0,
			"%s %q does not exist in namespace %q; spec.source.oci.%s names it", o.kind, o.name, ms.Namespace, o.field)
	}
	return fmt.Errorf("read %s %s/%s: %w", o.kind, ms.Namespace, o.name, err)
}

// open reads login and authorities as they are now and prepares the way to the repository.
func (l *Loader) open(ctx context.Context, ms *v1alpha1.MigrationSet) (*artifacts.Repository, error) {
	oci := ms.Spec.Source.OCI
	access := artifacts.Access{Repository: oci.Repository, PlainHTTP: oci.PlainHTTP}
	if oci.PullSecretRef != nil {
		secret := &corev1.Secret{}
		if err := l.live.Get(ctx, client.ObjectKey{Namespace: ms.Namespace, Name: oci.PullSecretRef.Name}, secret); err != nil {
			return nil, object{"Secret", oci.PullSecretRef.Name, "pullSecretRef"}.missing(ms, err)
		}
		login, err := loginOf(secret, oci.Repository)
		if err != nil {
			return nil, err
		}
		access.Login = login
	}
	var err error
	if access.Authorities, err = l.authorities(ctx, ms); err != nil {
		return nil, err
	}
	return artifacts.Open(access)
}

func loginOf(secret *corev1.Secret, repository string) (artifacts.Login, error) {
	name := fmt.Sprintf("spec.source.oci.pullSecretRef: Secret %q", secret.Name)
	switch secret.Type {
	case corev1.SecretTypeBasicAuth:
		return artifacts.Login{
			Username: string(secret.Data[corev1.BasicAuthUsernameKey]), Password: string(secret.Data[corev1.BasicAuthPasswordKey]),
		}, nil
	case corev1.SecretTypeDockerConfigJson:
		host, _, _ := strings.Cut(repository, "/")
		login, err := artifacts.LoginOf(secret.Data[corev1.DockerConfigJsonKey], host)
		if f := fault.Of(err, ""); f != nil {
			named := *f
			named.Message = name + ": " + f.Message
			return login, &named
		}
		return login, nil
	}
	return artifacts.Login{}, fault.NewInvalid(v1alpha1.ReasonSourceInvalid,
		"%s is of the type %q; make it with `kubectl create secret docker-registry` (%s), or of the type %s",
		name, secret.Type, corev1.SecretTypeDockerConfigJson, corev1.SecretTypeBasicAuth)
}

// authorities returns the certificates that the spec names, nil if it names none.
func (l *Loader) authorities(ctx context.Context, ms *v1alpha1.MigrationSet) ([]byte, error) {
	ca := ms.Spec.Source.OCI.CertificateAuthority
	switch {
	case ca == nil:
		return nil, nil
	case ca.ConfigMap != nil:
		o, cm := object{"ConfigMap", ca.ConfigMap.Name, "certificateAuthority.configMap"}, &corev1.ConfigMap{}
		if err := l.live.Get(ctx, client.ObjectKey{Namespace: ms.Namespace, Name: o.name}, cm); err != nil {
			return nil, o.missing(ms, err)
		}
		return o.key([]byte(cm.Data[ca.ConfigMap.Key]), ca.ConfigMap.Key)
	default:
		o, secret := object{"Secret", ca.Secret.Name, "certificateAuthority.secret"}, &corev1.Secret{}
		if err := l.live.Get(ctx, client.ObjectKey{Namespace: ms.Namespace, Name: o.name}, secret); err != nil {
			return nil, o.missing(ms, err)
		}
		return o.key(secret.Data[ca.Secret.Key], ca.Secret.Key)
	}
}

func (o object) key(value []byte, key string) ([]byte, error) {
	if len(value) == 0 {
		return nil, fault.NewWaiting(v1alpha1.ReasonSourceNotFound, 0, "%s %q has no key %q, which spec.source.oci.%s names", o.kind, o.name, key, o.field)
	}
	return value, nil
}
