package certificates

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/routing"
)

// Keeper orders certificates and takes them away.
type Keeper struct {
	// Client reads from the cache and writes. Secrets are read through it as metadata only.
	client.Client
	// Live reads from the API server itself: what is deleted is not decided on a cache's word.
	Live client.Reader

	// absent is when the cluster was last found to have no cert-manager, in nanoseconds; it keeps
	// tenants that want no certificates from asking all the time.
	absent atomic.Int64
}

// absence is for how long a cluster without cert-manager is believed to have none by those who only
// want to know whether anything is left.
const absence = 30 * time.Second

// nameOfCertificate is the annotation by which cert-manager names the Certificate of a Secret.
const nameOfCertificate = "cert-manager.io/certificate-name"

// Ensure makes the wanted Certificate and returns it as it is. The error is a fault with the reason
// CertificateAPIMissing, CertificateNameTaken or CertificateNotReady where it cannot be made. One that is there and
// cannot be changed comes back beside the fault: clients are served with it all the same.
func (k *Keeper) Ensure(ctx context.Context, order Order) (*Certificate, error) {
	wanted, is := order.certificate(), &Certificate{}
	err := k.Get(ctx, client.ObjectKeyFromObject(wanted), is)
	switch {
	case apierrors.IsNotFound(err):
		c, err := k.create(ctx, order, wanted)
		return c, refused(ctx, order, err)
	case meta.IsNoMatchError(err):
		return nil, missing(order)
	case err != nil:
		return nil, fmt.Errorf("read Certificate %s: %w", wanted.Name, err)
	case !is.belongs(order.Tenant):
		return nil, taken("Certificate", wanted)
	case !is.DeletionTimestamp.IsZero():
		return nil, fault.NewWaiting(v1alpha1.ReasonCertificateNotReady, 5*time.Second, "%s: its former Certificate is being deleted", order.Host)
	}
	return is, refused(ctx, order, k.mend(ctx, is, wanted))
}

// refused makes an answer of the API server, or none in the time that there was, a fault of this one host: a webhook
// that is down, a quota or a policy. What another pass finds otherwise at once stays as it is: conflicts,
// something that went meanwhile, and an API server that cannot be reached at all.
func refused(ctx context.Context, order Order, err error) error {
	_, answered := errors.AsType[*apierrors.StatusError](err)
	switch {
	case err == nil, fault.ReasonOf(err) != "", apierrors.IsConflict(err), apierrors.IsNotFound(err):
		return err
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return err
	case !answered && ctx.Err() == nil:
		return err
	}
	return fault.NewWaiting(v1alpha1.ReasonCertificateNotReady, 30*time.Second,
		"%s: its certificate cannot be ordered from cert-manager: %s", order.Host, clip(err.Error())).Because(err)
}

func missing(order Order) error {
	return fault.NewWaiting(v1alpha1.ReasonCertificateAPIMissing, time.Minute,
		"%s: class %q orders certificates from cert-manager (spec.routing.tls), which the cluster does not have; install it", order.Host, order.Class.Name)
}

func taken(kind string, o client.Object) error {
	return fault.NewWaiting(v1alpha1.ReasonCertificateNameTaken, time.Minute,
		"A %s named %q exists in namespace %q and belongs to somebody else; delete or rename it", kind, o.GetName(), o.GetNamespace())
}

// create looks for a Secret of somebody else first: cert-manager would overwrite it.
func (k *Keeper) create(ctx context.Context, order Order, wanted *Certificate) (*Certificate, error) {
	secret, err := k.secret(ctx, k.Live, wanted)
	if err != nil {
		return nil, err
	}
	if secret != nil && secret.Annotations[nameOfCertificate] != wanted.Name {
		return nil, taken("Secret", secret)
	}
	err = k.Create(ctx, wanted)
	switch {
	case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
		return nil, missing(order)
	case err == nil:
		return wanted, nil
	case !apierrors.IsAlreadyExists(err):
		return nil, err
	}
	// The cache was behind, or it is somebody else's.
	is := &Certificate{}
	if err := k.Live.Get(ctx, client.ObjectKeyFromObject(wanted), is); err != nil {
		return nil, err
	}
	if !is.belongs(order.Tenant) {
		return nil, taken("Certificate", wanted)
	}
	return is, nil
}

// mend changes what differs from the wanted Certificate. Whoever added to it finds that as it was.
func (k *Keeper) mend(ctx context.Context, is, wanted *Certificate) error {
	before := is.DeepCopy()
	is.Spec = wanted.Spec
	if is.Labels == nil {
		is.Labels = map[string]string{}
	}
	maps.Copy(is.Labels, wanted.Labels)
	delete(is.Annotations, annotationReleased)
	if equality.Semantic.DeepEqual(before, is) {
		return nil
	}
	return k.Patch(ctx, is, client.MergeFrom(before))
}

// secret returns the metadata of a Certificate's Secret, or nil.
func (k *Keeper) secret(ctx context.Context, by client.Reader, c *Certificate) (*metav1.PartialObjectMetadata, error) {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := by.Get(ctx, client.ObjectKey{Namespace: c.Namespace, Name: c.Name}, secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w", c.Namespace, c.Name, err)
	}
	return secret, nil
}

// Issued says whether the Certificate has a Secret, so that a listener can name it.
func (k *Keeper) Issued(ctx context.Context, c *Certificate) (bool, error) {
	if c.Report().State == v1alpha1.CertificateReady {
		return true, nil
	}
	if c.Status.NotAfter == nil {
		return false, nil // cert-manager has seen no certificate in it.
	}
	secret, err := k.secret(ctx, k.Client, c)
	return secret != nil, err
}

// Kept says whether the Secret of a Certificate that is not there, and cannot be ordered now, still is.
func (k *Keeper) Kept(ctx context.Context, order Order) (bool, error) {
	secret, err := k.secret(ctx, k.Client, order.certificate())
	return secret != nil && secret.Annotations[nameOfCertificate] == secret.Name, err
}

// OfTenant lists the Certificates that were made for a tenant, in all namespaces. A cluster without
// cert-manager has none.
func (k *Keeper) OfTenant(ctx context.Context, tenant *v1alpha1.Tenant) ([]Certificate, error) {
	if at := k.absent.Load(); at != 0 && time.Since(time.Unix(0, at)) < absence {
		return nil, nil
	}
	all, err := k.list(ctx, k.Client, client.MatchingLabels{routing.LabelTenantUID: string(tenant.UID)})
	return ofTenant(all, tenant), err
}

// LeftOf is OfTenant by the API server's own word.
func (k *Keeper) LeftOf(ctx context.Context, tenant *v1alpha1.Tenant) ([]Certificate, error) {
	all, err := k.list(ctx, k.Live, client.MatchingLabels{routing.LabelTenantUID: string(tenant.UID)})
	return ofTenant(all, tenant), err
}

func ofTenant(all []Certificate, tenant *v1alpha1.Tenant) (its []Certificate) {
	for i := range all {
		if all[i].belongs(tenant) {
			its = append(its, all[i])
		}
	}
	return its
}

// OfClass lists the Certificates of a class's tenants beside its Gateway.
func (k *Keeper) OfClass(ctx context.Context, class, namespace string) ([]Certificate, error) {
	return k.list(ctx, k.Client, client.InNamespace(namespace),
		client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, routing.LabelClass: class})
}

func (k *Keeper) list(ctx context.Context, by client.Reader, which ...client.ListOption) ([]Certificate, error) {
	var list CertificateList
	err := by.List(ctx, &list, which...)
	if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
		k.absent.Store(time.Now().UnixNano())
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list Certificates: %w", err)
	}
	k.absent.Store(0)
	return list.Items, nil
}

// Release marks a Certificate whose host is served no longer.
func (k *Keeper) Release(ctx context.Context, c *Certificate) error {
	if c.Released() {
		return nil
	}
	before := c.DeepCopy()
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[annotationReleased] = "true"
	return client.IgnoreNotFound(k.Patch(ctx, c, client.MergeFrom(before)))
}

// Remove deletes a Certificate and then its Secret: no key outlives the right to the host. The caller
// has seen that no listener names the Secret any more.
func (k *Keeper) Remove(ctx context.Context, c *Certificate) error {
	uid := c.UID
	if err := ignoreGone(k.Delete(ctx, c, client.Preconditions{UID: &uid})); err != nil {
		return fmt.Errorf("delete Certificate %s/%s: %w", c.Namespace, c.Name, err)
	}
	secret, err := k.secret(ctx, k.Live, c)
	if err != nil || secret == nil || secret.Annotations[nameOfCertificate] != c.Name {
		return err
	}
	uid = secret.UID
	if err := ignoreGone(k.Delete(ctx, secret, client.Preconditions{UID: &uid})); err != nil {
		return fmt.Errorf("delete Secret %s/%s: %w", c.Namespace, c.Name, err)
	}
	return nil
}

// ignoreGone : an object that is gone, or another one by now, needs no deletion.
func ignoreGone(err error) error {
	if meta.IsNoMatchError(err) || apierrors.IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}
