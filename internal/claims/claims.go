// Package claims takes and gives up DomainClaims. The name of a claim is the lock: of two that
// create it, the API server lets one. What a name cannot say, that a wildcard and a host below it
// exclude each other, is decided here: nobody creates a wildcard while anybody creates a host, and
// should two operators ever do so at once, both see the same claim as the older one.
package claims

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/stored"
)

// Keeper takes and gives up claims.
type Keeper struct {
	// Client reads from the cache and writes.
	client.Client
	// Live reads from the API server itself: who came first is not decided on a cache's word.
	Live client.Reader
	// Stored reads what Client's cache holds; nil where that is not in one place.
	Stored *stored.Reader

	// wild is held for reading by whoever claims a host and for writing by whoever claims a
	// wildcard, so that each sees the other's claim.
	wild sync.RWMutex
}

var byHolder = stored.Index[*v1alpha1.DomainClaim]{
	Kind: &v1alpha1.DomainClaim{}, Name: "tenantry-holder", Keys: func(c *v1alpha1.DomainClaim) []string { return []string{c.Spec.Holder.UID} },
}

// Of returns the claims of a holder, which nobody may change, by the cache's word.
func (k *Keeper) Of(ctx context.Context, holder types.UID) ([]*v1alpha1.DomainClaim, error) {
	if held, ok, err := byHolder.By(ctx, k.Stored, string(holder)); ok || err != nil {
		return held, err
	}
	var list v1alpha1.DomainClaimList
	if err := k.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("list claims: %w", err)
	}
	var held []*v1alpha1.DomainClaim
	for i := range list.Items {
		if c := &list.Items[i]; c.Spec.Holder.UID == string(holder) {
			held = append(held, c)
		}
	}
	return held, nil
}

// LabelClaim tells claims on values of shared hosts, by ClaimOnValue, from those on hosts, which do
// not have it.
const (
	LabelClaim   = "tenantry.dev/claim"
	ClaimOnValue = "value"
)

// seen bounds how long the cache may take to show a wildcard's claim.
const seen = 10 * time.Second

// pageSize bounds one answer of the API server.
const pageSize = 500

// Name returns the name of the claim that a spec asks for.
func Name(spec v1alpha1.DomainClaimSpec) string {
	if spec.Value != "" {
		return domains.ValueClaimName(spec.Host, spec.Value)
	}
	return domains.ClaimName(spec.Host)
}

// Hold makes sure that the claim on spec's host, or on its value there, is the holder's, and returns
// it. Hosts of a class may be held by any class that declares them in the same role. The error is a
// fault with the reason DomainTaken where another holds it, or a wildcard over it, or a host below it;
// then the claim is the other's.
func (k *Keeper) Hold(ctx context.Context, spec v1alpha1.DomainClaimSpec, labels map[string]string) (*v1alpha1.DomainClaim, error) {
	claim := &v1alpha1.DomainClaim{}
	err := k.Get(ctx, client.ObjectKey{Name: Name(spec)}, claim)
	if apierrors.IsNotFound(err) {
		claim, err = k.create(ctx, spec, labels)
	} else if err == nil && isHolders(claim, spec) {
		claim, err = k.undisputed(ctx, claim)
	}
	switch {
	case err != nil:
		return claim, err
	case !isHolders(claim, spec):
		return claim, taken(spec, claim)
	case !claim.DeletionTimestamp.IsZero():
		return claim, fault.NewWaiting(v1alpha1.ReasonDomainTaken, 5*time.Second, "%s: the claim on it is being released", spec.Host)
	}
	return claim, nil
}

func isHolders(claim *v1alpha1.DomainClaim, spec v1alpha1.DomainClaimSpec) bool {
	if claim.Spec.Role != spec.Role {
		return false
	}
	return spec.Role != v1alpha1.HostTenant || claim.Spec.Holder.UID == spec.Holder.UID
}

// taken names no holder: who may write Tenants in one namespace need not see those of another.
func taken(spec v1alpha1.DomainClaimSpec, by *v1alpha1.DomainClaim) error {
	switch {
	case by.Spec.Role != v1alpha1.HostTenant:
		return fault.NewInvalid(v1alpha1.ReasonDomainTaken, "%s is a %s host of the platform, and a host has one role in the cluster; use another", by.Spec.Host, by.Spec.Role)
	case spec.Value != "":
		return fault.NewInvalid(v1alpha1.ReasonDomainTaken, "%q on the shared host %s is another tenant's; it can be had when that one is gone, or with another name", spec.Value, spec.Host)
	case by.Spec.Host != spec.Host && domains.IsWildcard(by.Spec.Host):
		return fault.NewInvalid(v1alpha1.ReasonDomainTaken, "%s lies under %s, which another tenant holds; remove it here, or let the holder give it up", spec.Host, by.Spec.Host)
	case by.Spec.Host != spec.Host:
		return fault.NewInvalid(v1alpha1.ReasonDomainTaken, "%s covers %s, which another tenant holds; remove it here, or let the holder give it up", spec.Host, by.Spec.Host)
	}
	return fault.NewInvalid(v1alpha1.ReasonDomainTaken, "%s is held by another tenant; remove it here, or let the holder give it up", spec.Host)
}

func (k *Keeper) create(ctx context.Context, spec v1alpha1.DomainClaimSpec, labels map[string]string) (*v1alpha1.DomainClaim, error) {
	if domains.IsWildcard(spec.Host) {
		k.wild.Lock()
		defer k.wild.Unlock()
	} else {
		k.wild.RLock()
		defer k.wild.RUnlock()
	}
	rival, err := k.rivals(ctx, spec, k.eachLive, nil)
	if err != nil {
		return nil, err
	}
	if rival != nil {
		return rival, taken(spec, rival)
	}
	return k.write(ctx, spec, labels)
}

// awaitSeen keeps the lock until whoever claims a host next finds the wildcard in the cache.
func (k *Keeper) awaitSeen(ctx context.Context, name string) error {
	return wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, seen, true, func(ctx context.Context) (bool, error) {
		err := k.Get(ctx, client.ObjectKey{Name: name}, &v1alpha1.DomainClaim{})
		return err == nil, client.IgnoreNotFound(err)
	})
}

// undisputed returns the claim, or an older one that excludes it, with a fault. There can only be one if
// two operators worked at once; both then see the same.
func (k *Keeper) undisputed(ctx context.Context, claim *v1alpha1.DomainClaim) (*v1alpha1.DomainClaim, error) {
	rival, err := k.rivals(ctx, claim.Spec, k.eachCached, claim)
	if err != nil || rival == nil {
		return claim, err
	}
	return rival, taken(claim.Spec, rival)
}

// rivals returns a claim of another holder that excludes the wanted one, or nil; where a claim is
// given, only such as are older. Claims below a wildcard are shown by the given function, wildcards are read
// from the cache, which has all that were made by this process.
func (k *Keeper) rivals(ctx context.Context, spec v1alpha1.DomainClaimSpec, each func(context.Context, visitor) error, than *v1alpha1.DomainClaim) (*v1alpha1.DomainClaim, error) {
	if spec.Value != "" {
		return nil, nil
	}
	excludes := func(c *v1alpha1.DomainClaim) bool {
		return c.Spec.Value == "" && !isHolders(c, spec) && (than == nil || older(c, than))
	}
	for _, above := range domains.Above(spec.Host) {
		c := &v1alpha1.DomainClaim{}
		err := k.Get(ctx, client.ObjectKey{Name: domains.ClaimName(above)}, c)
		if client.IgnoreNotFound(err) != nil {
			return nil, err
		}
		if err == nil && excludes(c) {
			return c, nil
		}
	}
	if !domains.IsWildcard(spec.Host) {
		return nil, nil
	}
	var rival *v1alpha1.DomainClaim
	err := each(ctx, func(c *v1alpha1.DomainClaim) bool {
		if domains.Covers(spec.Host, c.Spec.Host) && excludes(c) {
			rival = c
		}
		return rival == nil
	})
	return rival, err
}

func older(a, b *v1alpha1.DomainClaim) bool {
	at, bt := claimedAt(a), claimedAt(b)
	if at.Equal(bt) {
		return a.UID < b.UID
	}
	return at.Before(bt)
}

func claimedAt(c *v1alpha1.DomainClaim) time.Time {
	if c.Spec.ClaimedAt != nil {
		return c.Spec.ClaimedAt.Time
	}
	return c.CreationTimestamp.Time
}

// Release gives a claim up, unless it has become another object. Who asks has seen that no route
// serves its host any more.
func (k *Keeper) Release(ctx context.Context, claim *v1alpha1.DomainClaim) error {
	err := k.Delete(ctx, claim, client.Preconditions{UID: &claim.UID})
	if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("release claim %s: %w", claim.Name, err)
	}
	return nil
}
