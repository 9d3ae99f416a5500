package tenantclass

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/logins"
)

// dropLogins takes all shared logins of a class away that is deleted and has no tenants any more. On a
// database that is gone, or that goes and cannot be reached, they are left as they are, and an event
// says so: nothing could ever end the deletion otherwise.
func (r *Reconciler) dropLogins(ctx context.Context, class *v1alpha1.TenantClass) error {
	if mode(class) == v1alpha1.LoginDedicated && len(class.Status.Logins) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, loginsLimit)
	defer cancel()
	for _, ref := range loginHomes(class) {
		tdb := &v1alpha1.TenantDatabase{}
		err := r.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, tdb)
		if apierrors.IsNotFound(err) || isElsewhere(err) && loginOn(class, ref) == nil {
			continue
		}
		if err != nil {
			return fmt.Errorf("read TenantDatabase %s/%s: %w", ref.Namespace, ref.Name, err)
		}
		if tdb.Status.Identity == nil {
			continue // Its registry knows nobody.
		}
		if err := r.dropLoginOn(ctx, class, tdb); err != nil {
			return err
		}
		r.proofs.Delete(loginKey{class.UID, tdb.UID})
		if mode(class) != v1alpha1.LoginDedicated {
			// A Secret where the operator does not look goes with its owner, the class.
			if err := r.Logins.Remove(ctx, logins.SharedKey(class, tdb), logins.ClassOwner(class)); err != nil && !isElsewhere(err) {
				return err
			}
		}
	}
	return nil
}

func (r *Reconciler) dropLoginOn(ctx context.Context, class *v1alpha1.TenantClass, tdb *v1alpha1.TenantDatabase) error {
	db, err := r.Pools.Get(ctx, tdb)
	if err == nil {
		l := &login{r: r, class: class, tdb: tdb, db: db, before: loginOn(class, v1alpha1.NamespacedReference{Namespace: tdb.Namespace, Name: tdb.Name})}
		_, _, err = l.leave(ctx)
	}
	if err == nil || tdb.DeletionTimestamp.IsZero() || fault.ReasonOf(err) == "" {
		return err
	}
	secret := &corev1.Secret{}
	getErr := r.Logins.Live.Get(ctx, client.ObjectKey{Namespace: tdb.Namespace, Name: tdb.Spec.ConnectionSecretRef.Name}, secret)
	if !apierrors.IsNotFound(getErr) {
		return err
	}
	if r.Status.Recorder != nil {
		r.Status.Recorder.Eventf(class, nil, corev1.EventTypeWarning, fault.ReasonOf(err), "Delete",
			"TenantDatabase %s/%s is being deleted and its Secret is gone: the class's shared login there is left as it is", tdb.Namespace, tdb.Name)
	}
	return nil
}
