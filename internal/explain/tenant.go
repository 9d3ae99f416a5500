package explain

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// ofTenant answers for a host of one tenant.
func (in *inquiry) ofTenant(ctx context.Context) error {
	if in.tenant == nil {
		if err := in.readHolder(ctx, in.claim); err != nil {
			return err
		}
	}
	if in.answer.Verdict != "" {
		return nil // The holder is gone.
	}
	if in.tenant == nil {
		in.judgeByState()
		return nil
	}
	if err := in.describeTenant(ctx); err != nil {
		return err
	}
	if err := in.readRoutes(ctx, in.tenant.Namespace); err != nil {
		return err
	}
	return in.routed(ctx)
}

// routed follows the tenant's routes and judges.
func (in *inquiry) routed(ctx context.Context) error {
	own := ownedBy(in.tenant.UID)
	if err := in.describeRoutes(ctx, own); err != nil {
		return err
	}
	in.shadows(in.mates(own), in.heldHost(), in.class)
	in.judgeTenant(choose(in.routes.rules(own), in.query))
	return nil
}

// heldHost is the host as the tenant holds it: a wildcard where that is what covers the host.
func (in *inquiry) heldHost() string {
	if in.claim != nil {
		return in.claim.Spec.Host
	}
	for _, d := range in.tenant.Status.Domains {
		if in.held(d) {
			return d.Host
		}
	}
	return in.query.Host
}

// readHolder reads the Tenant that holds a claim. The UID is what counts.
func (in *inquiry) readHolder(ctx context.Context, claim *v1alpha1.DomainClaim) error {
	h := claim.Spec.Holder
	key := client.ObjectKey{Namespace: h.Namespace, Name: h.Name}
	t := &v1alpha1.Tenant{}
	is, err := in.get(ctx, key, t, "Tenant "+key.String())
	if err != nil {
		return err
	}
	in.answer.Tenant = &Tenant{Namespace: h.Namespace, Name: h.Name}
	in.describeByClaim(claim)
	switch {
	case is == refused:
	case is == absent || t.UID != types.UID(h.UID):
		in.answer.Tenant = &Tenant{Namespace: h.Namespace, Name: h.Name, Deleting: true}
		in.say(Deleting, in.subject()+" is not served: the Tenant that held it is gone",
			"Wait: the claim "+claim.Name+" is released when the last route of that Tenant is gone; if it stays, see what holds the route")
	default:
		in.tenant = t
	}
	return nil
}

// describeByClaim tells what a claim says of its Tenant, which may not be the caller's to read.
func (in *inquiry) describeByClaim(claim *v1alpha1.DomainClaim) {
	if s := claim.Status.Serving; s != nil {
		t := in.answer.Tenant
		t.State, t.Database, t.Schema, t.Version, t.Secret = s.State, s.Database, s.Schema, s.Version, s.Secret
	}
}

// describeTenant tells of the tenant, its class and its login.
func (in *inquiry) describeTenant(ctx context.Context) error {
	t := in.tenant
	state := in.answer.Tenant.State // of a value on a shared host, which only its claim has
	said := in.answer.Tenant
	*said = Tenant{
		Namespace: t.Namespace, Name: t.Name, Suspended: t.Spec.Suspended, Deleting: !t.DeletionTimestamp.IsZero(),
		Database: t.Status.Database, Schema: t.Status.Schema, Version: t.Status.Version,
	}
	if ready := conditionOf(t, v1alpha1.ConditionReady); ready != nil {
		said.Ready, said.Reason, said.Message = string(ready.Status), ready.Reason, ready.Message
	}
	if d := in.domain(); d != nil {
		said.State, said.Certificate, in.answer.Record = d.State, d.Certificate, d.Record
	} else {
		said.State = state
	}
	if t.Status.Binding != nil {
		said.Secret = t.Status.Binding.Name
	}
	in.answer.Class = t.Spec.ClassName
	class := &v1alpha1.TenantClass{}
	is, err := in.get(ctx, client.ObjectKey{Name: t.Spec.ClassName}, class, "TenantClass "+t.Spec.ClassName+": its Gateways, public paths and holding backend")
	if err != nil {
		return err
	}
	if is == found {
		in.class = class
	}
	return in.readRole(ctx, said)
}

// readRole reads the name of the role whose rights programs have, and nothing else, from the tenant's Secret.
func (in *inquiry) readRole(ctx context.Context, t *Tenant) error {
	if t.Secret == "" {
		return nil
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: t.Namespace, Name: t.Secret}
	if _, err := in.get(ctx, key, secret, "Secret "+key.String()+": the login's name"); err != nil {
		return err
	}
	if t.Role = string(secret.Data[corev1.BasicAuthUsernameKey]); t.Role == "" {
		t.Role = string(secret.Data["role"]) // of a class whose tenants share a login
	}
	return nil
}

// domain returns what the Tenant's status says of the host; nil for a value on a shared host, and where
// the operator has not got to it.
func (in *inquiry) domain() *v1alpha1.TenantDomainStatus {
	held := in.heldHost()
	for i, d := range in.tenant.Status.Domains {
		if d.Host == held {
			return &in.tenant.Status.Domains[i]
		}
	}
	return nil
}

func conditionOf(t *v1alpha1.Tenant, kind string) *metav1.Condition {
	return meta.FindStatusCondition(t.Status.Conditions, kind)
}
