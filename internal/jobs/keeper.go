package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// Keeper keeps the Jobs in the cluster.
type Keeper struct {
	// Client reads from the cache and writes.
	client.Client
	// Live reads from the API server itself.
	Live client.Reader

	// preparing has a lock for each Job: two of its tenants' passes may want to prepare it.
	preparing sync.Map // types.UID -> *sync.Mutex
	recalled  recalled
}

// Find returns a set's Jobs for a tenant, as the cache has them. A label alone says nothing: whoever may
// make Jobs somewhere could name any tenant. The set itself must be the controller, in its namespace.
func (k *Keeper) Find(ctx context.Context, ms *v1alpha1.MigrationSet, uid string) ([]batchv1.Job, error) {
	return find(ctx, k.Client, uid, client.InNamespace(ms.Namespace), ownedBy(ms))
}

// FindLive is Find by the API server's own word: before a Job is made, and before one is taken for gone.
func (k *Keeper) FindLive(ctx context.Context, ms *v1alpha1.MigrationSet, uid string) ([]batchv1.Job, error) {
	return find(ctx, k.Live, uid, client.InNamespace(ms.Namespace), ownedBy(ms))
}

// FindAll returns all that name the tenant and are any set's: for a tenant that goes.
func (k *Keeper) FindAll(ctx context.Context, uid string) ([]batchv1.Job, error) {
	return find(ctx, k.Client, uid, client.InNamespace(""), func(job *batchv1.Job) bool {
		owner := metav1.GetControllerOf(job)
		return owner != nil && owner.Kind == "MigrationSet" && job.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy
	})
}

func ownedBy(ms *v1alpha1.MigrationSet) func(*batchv1.Job) bool {
	return func(job *batchv1.Job) bool { return metav1.IsControlledBy(job, ms) }
}

func find(ctx context.Context, reader client.Reader, uid string, in client.ListOption, ours func(*batchv1.Job) bool) ([]batchv1.Job, error) {
	var list batchv1.JobList
	if err := reader.List(ctx, &list, in, client.HasLabels{tenantPrefix + uid}); err != nil {
		return nil, fmt.Errorf("list Jobs: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(job batchv1.Job) bool { return !ours(&job) }), nil
}

// Create makes the wanted Job, suspended. One that is there already is left alone: the API server's
// uniqueness of names is the lock.
func (k *Keeper) Create(ctx context.Context, w Wish) (*batchv1.Job, error) {
	job := w.Build()
	err := k.Client.Create(ctx, job)
	switch {
	case apierrors.IsAlreadyExists(err):
		return nil, fault.NewWaiting(v1alpha1.ReasonProgressing, 2*time.Second, "Job %s/%s is there already", job.Namespace, job.Name)
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return nil, fault.NewWaiting(v1alpha1.ReasonNoRoomForJob, time.Minute, "Job %s/%s waits for room: %s", job.Namespace, job.Name, err)
	case apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err):
		return nil, fault.NewInvalid(v1alpha1.ReasonJobFailed, "the API server refuses the Job that spec.job.template describes: %s", err)
	case err != nil:
		return nil, fmt.Errorf("create Job %s/%s: %w", job.Namespace, job.Name, err)
	}
	return job, nil
}

// Prepare gives a suspended Job what it needs and lets it run: a login for each of its tenants, in its
// Secret. A tenant that is gone by now gets none, nor one that is not this set's by the registry's word. It can be called again after a failure at any point:
// passwords are made anew as long as nothing runs.
func (k *Keeper) Prepare(ctx context.Context, job *batchv1.Job, db *postgres.DB, terms postgres.JobTerms) error {
	lock, _ := k.preparing.LoadOrStore(job.UID, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	fresh := &batchv1.Job{}
	if err := k.Live.Get(ctx, client.ObjectKeyFromObject(job), fresh); err != nil {
		return client.IgnoreNotFound(err)
	}
	if fresh.UID != job.UID || StateOf(fresh) != Preparing {
		return nil
	}
	var logins []postgres.JobLogin
	for _, uid := range Members(fresh) {
		login, err := db.EnableJobLogin(ctx, uid, terms)
		if gone(err) {
			continue
		}
		if err != nil {
			return err
		}
		logins = append(logins, login)
	}
	if len(logins) == 0 {
		return k.Delete(ctx, fresh)
	}
	if err := k.write(ctx, secretOf(fresh, logins)); err != nil {
		return err
	}
	started := fresh.DeepCopy()
	started.Spec.Suspend = new(false)
	if err := k.Patch(ctx, started, client.MergeFrom(fresh)); err != nil {
		return fmt.Errorf("start Job %s/%s: %w", fresh.Namespace, fresh.Name, err)
	}
	return nil
}

func gone(err error) bool {
	switch fault.ReasonOf(err) {
	case postgres.ReasonNotProvisioned, postgres.ReasonSchemaRetained, postgres.ReasonNotOwner:
		return true
	}
	return errors.Is(err, postgres.ErrNotOwner)
}

// write creates the Secret, or writes that of an earlier try anew.
func (k *Keeper) write(ctx context.Context, secret *corev1.Secret) error {
	err := k.Client.Create(ctx, secret.DeepCopy())
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	there := &corev1.Secret{}
	if err := k.Live.Get(ctx, client.ObjectKeyFromObject(secret), there); err != nil {
		return err
	}
	owner, wanted := metav1.GetControllerOf(there), metav1.GetControllerOf(secret)
	switch {
	case owner != nil && owner.UID == wanted.UID:
		there.Data = secret.Data
		return k.Update(ctx, there)
	case owner != nil && owner.Kind == wanted.Kind && owner.Name == wanted.Name:
		// That of an earlier Job of this name: garbage collection has not come to it yet.
		if err := k.deleteSecret(ctx, there); err != nil {
			return err
		}
		return fault.NewWaiting(v1alpha1.ReasonProgressing, time.Second, "Secret %s/%s of an earlier Job goes first", secret.Namespace, secret.Name)
	}
	return fault.NewWaiting(v1alpha1.ReasonSecretNameTaken, time.Minute,
		"Secret %s/%s exists and is not the Job's of this name; delete or rename it", secret.Namespace, secret.Name)
}

// End takes the Secret of a Job that has ended. Its logins are the caller's part.
func (k *Keeper) End(ctx context.Context, job *batchv1.Job) error {
	k.preparing.Delete(job.UID)
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if err := k.Get(ctx, client.ObjectKeyFromObject(job), secret); err != nil {
		return client.IgnoreNotFound(err)
	}
	if !metav1.IsControlledBy(secret, job) {
		return nil
	}
	return k.deleteSecret(ctx, secret)
}

func (k *Keeper) deleteSecret(ctx context.Context, secret client.Object) error {
	uid := secret.GetUID()
	err := k.Client.Delete(ctx, secret, client.Preconditions{UID: &uid})
	if apierrors.IsConflict(err) {
		return nil
	}
	return client.IgnoreNotFound(err)
}

// Delete deletes a Job; it is there until its Pods have ended.
func (k *Keeper) Delete(ctx context.Context, job *batchv1.Job) error {
	k.preparing.Delete(job.UID)
	err := k.Client.Delete(ctx, job, client.Preconditions{UID: &job.UID}, client.PropagationPolicy(metav1.DeletePropagationForeground))
	if apierrors.IsConflict(err) {
		return nil // It is another one by now.
	}
	return client.IgnoreNotFound(err)
}
