package claims

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
)

// Take claims a host for a holder that has proved its right to it, over claims whose holders have not:
// one on the host itself, on a wildcard over it, or on hosts below it. yields is asked about each of
// them, as the API server has it; if one does not yield, all stay, and the error is a fault with the
// reason DomainTaken. Nobody in this process claims anything meanwhile.
func (k *Keeper) Take(ctx context.Context, spec v1alpha1.DomainClaimSpec, labels map[string]string, yields func(*v1alpha1.DomainClaim) (bool, error)) (*v1alpha1.DomainClaim, error) {
	k.wild.Lock()
	defer k.wild.Unlock()
	inTheWay, err := k.inTheWay(ctx, spec)
	if err != nil {
		return nil, err
	}
	for i := range inTheWay {
		ok, err := yields(&inTheWay[i])
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, taken(spec, &inTheWay[i])
		}
	}
	for i := range inTheWay {
		if err := k.evict(ctx, &inTheWay[i]); err != nil {
			return nil, err
		}
	}
	claim, err := k.write(ctx, spec, labels)
	if err == nil && !isHolders(claim, spec) {
		err = taken(spec, claim)
	}
	return claim, err
}

// inTheWay reads all claims of others that exclude the wanted one, from the API server itself.
func (k *Keeper) inTheWay(ctx context.Context, spec v1alpha1.DomainClaimSpec) ([]v1alpha1.DomainClaim, error) {
	var claims []v1alpha1.DomainClaim
	for _, host := range append([]string{spec.Host}, domains.Above(spec.Host)...) {
		c := v1alpha1.DomainClaim{}
		err := k.Live.Get(ctx, client.ObjectKey{Name: domains.ClaimName(host)}, &c)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read the claim on %s: %w", host, err)
		}
		if err == nil && !isHolders(&c, spec) {
			claims = append(claims, c)
		}
	}
	if !domains.IsWildcard(spec.Host) {
		return claims, nil
	}
	err := k.eachLive(ctx, func(c *v1alpha1.DomainClaim) bool {
		if c.Spec.Value == "" && domains.Covers(spec.Host, c.Spec.Host) && !isHolders(c, spec) {
			claims = append(claims, *c)
		}
		return true
	})
	return claims, err
}

// evict gives a claim up in the state in which it was judged.
func (k *Keeper) evict(ctx context.Context, claim *v1alpha1.DomainClaim) error {
	err := k.Delete(ctx, claim, client.Preconditions{UID: &claim.UID, ResourceVersion: &claim.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("release claim %s: %w", claim.Name, err)
	}
	return nil
}

// write creates a claim, or returns the one of its name that is there. The caller holds the lock.
func (k *Keeper) write(ctx context.Context, spec v1alpha1.DomainClaimSpec, labels map[string]string) (*v1alpha1.DomainClaim, error) {
	spec.ClaimedAt = new(metav1.NowMicro())
	claim := &v1alpha1.DomainClaim{ObjectMeta: metav1.ObjectMeta{Name: Name(spec), Labels: labelled(spec, labels)}, Spec: spec}
	err := k.Create(ctx, claim)
	if apierrors.IsAlreadyExists(err) {
		// The cache was behind, or another came first.
		err = k.Live.Get(ctx, client.ObjectKey{Name: claim.Name}, claim)
	}
	if err != nil {
		return nil, fmt.Errorf("claim %s: %w", spec.Host, err)
	}
	if domains.IsWildcard(spec.Host) {
		return claim, k.awaitSeen(ctx, claim.Name)
	}
	return claim, nil
}

// visitor is shown one claim after the other until it has seen enough.
type visitor func(*v1alpha1.DomainClaim) (more bool)

// eachLive shows all claims as the API server has them, which it is asked for in pages.
func (k *Keeper) eachLive(ctx context.Context, visit visitor) error {
	next, err := eachOf(ctx, k.Live, visit, client.Limit(pageSize))
	for next != "" && err == nil {
		next, err = eachOf(ctx, k.Live, visit, client.Limit(pageSize), client.Continue(next))
	}
	return err
}

// eachCached shows all claims that the cache has. It knows no pages.
func (k *Keeper) eachCached(ctx context.Context, visit visitor) error {
	_, err := eachOf(ctx, k.Client, visit)
	return err
}

// eachOf shows one page, and returns where the next one begins if it is to be shown too.
func eachOf(ctx context.Context, reader client.Reader, visit visitor, options ...client.ListOption) (next string, err error) {
	var page v1alpha1.DomainClaimList
	if err := reader.List(ctx, &page, options...); err != nil {
		return "", fmt.Errorf("list claims: %w", err)
	}
	for i := range page.Items {
		if !visit(&page.Items[i]) {
			return "", nil
		}
	}
	return page.Continue, nil
}

// labelled marks claims on values, which config/policy leaves out: the claim on the host itself
// guards it, and admission asks every claim that is not left out.
func labelled(spec v1alpha1.DomainClaimSpec, labels map[string]string) map[string]string {
	if spec.Value == "" {
		return labels
	}
	labels = maps.Clone(labels)
	labels[LabelClaim] = ClaimOnValue
	return labels
}
