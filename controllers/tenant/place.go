package tenant

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/consent"
	"github.com/tenantry/tenantry/internal/databases"
	"github.com/tenantry/tenantry/internal/fault"
)

// place finds the tenant's database: the one it has, the one whose registry knows it, or the one
// of the class with the most room. A place once taken is kept.
func (r *Reconciler) place(ctx context.Context, s *scope) (outcome, error) {
	tdb, err := r.placed(ctx, s)
	if err != nil {
		return outcome{}, err
	}
	isNew := tdb == nil
	if isNew {
		if tdb, err = r.choose(ctx, s); err != nil {
			known, findErr := r.ask(ctx, s)
			if findErr != nil || known == nil {
				return outcome{}, cmp.Or(findErr, err)
			}
			tdb, isNew = known, false
		}
	}
	if s.db, err = r.Pools.Get(ctx, tdb); err != nil {
		return outcome{}, err
	}
	if isNew && !beginsWithSecret(s) {
		if err := r.recordPlace(ctx, s, tdb); err != nil {
			return outcome{}, err
		}
	}
	return settle(s, tdb), nil
}

func settle(s *scope, tdb *v1alpha1.TenantDatabase) outcome {
	s.tdb = tdb
	s.tenant.Status.Database = &v1alpha1.NamespacedReference{Namespace: tdb.Namespace, Name: tdb.Name}
	return done(fmt.Sprintf("Placed on TenantDatabase %s/%s", tdb.Namespace, tdb.Name))
}

// placed returns the database on which the tenant lives, nil if it has none yet.
func (r *Reconciler) placed(ctx context.Context, s *scope) (*v1alpha1.TenantDatabase, error) {
	ref := s.tenant.Status.Database
	if ref == nil && !s.fresh && s.first && len(s.class.Spec.Databases) == 1 {
		// Most likely nothing was made for it yet. Provision asks the one registry that could know it, as it tells it.
		s.fresh, s.guessed = true, true
		return nil, nil
	}
	if ref == nil {
		return r.find(ctx, s)
	}
	tdb, err := r.database(ctx, *ref)
	if err != nil {
		return nil, err
	}
	if tdb == nil {
		return nil, fault.NewWaiting(v1alpha1.ReasonDatabaseNotFound, recheck,
			"TenantDatabase %s/%s, on which the tenant lives, does not exist; restore it", ref.Namespace, ref.Name)
	}
	if err := reachable(tdb); err != nil {
		return nil, err
	}
	return r.confirm(ctx, s, tdb)
}

// confirm takes the status's word for a place only as far as the class and the database agree to
// it: who may write a Tenant's status must not choose databases. A place that was agreed to once
// stays, by the registry's word.
func (r *Reconciler) confirm(ctx context.Context, s *scope, tdb *v1alpha1.TenantDatabase) (*v1alpha1.TenantDatabase, error) {
	allowed, err := consent.Allows(ctx, r, tdb.Spec.AllowedNamespaces, tdb.Namespace, s.tenant.Namespace)
	if err != nil {
		return nil, err
	}
	if allowed && slices.Contains(s.class.Spec.Databases, v1alpha1.NamespacedReference{Namespace: tdb.Namespace, Name: tdb.Name}) {
		if elsewhere, err := r.adoptedElsewhere(ctx, s, tdb); err != nil || elsewhere {
			return nil, err
		}
		return tdb, nil
	}
	if _, found, err := r.registered(ctx, tdb, s.tenant); err != nil || found {
		return tdb, err
	}
	return nil, nil
}

// find asks the registries of the class's databases for the tenant: a pass may have ended between
// the registry's row and the status. A database that does not answer could be the one, unless nothing
// was made for the tenant anywhere. A first pass cannot know that, and leaves a status by which the next one does.
func (r *Reconciler) find(ctx context.Context, s *scope) (*v1alpha1.TenantDatabase, error) {
	if s.fresh {
		return nil, nil
	}
	for _, ref := range s.class.Spec.Databases {
		tdb, err := r.database(ctx, ref)
		if err != nil {
			return nil, err
		}
		if tdb == nil || tdb.Status.Identity == nil {
			continue // Never bootstrapped: its registry cannot know anybody.
		}
		found, away := r.knows(ctx, s, tdb)
		if found {
			return tdb, nil
		}
		if away == nil {
			continue
		}
		if conditions.IsTrue(tdb, v1alpha1.ConditionReady) { // Its status is behind, and would have tenants placed on it.
			return nil, soonAfter(s.first, away)
		}
		if unmade, err := r.unmade(ctx, s); err != nil || !unmade {
			return nil, cmp.Or(err, soonAfter(s.first, away))
		}
	}
	s.fresh = s.first
	return nil, nil
}

// ask asks what was only guessed.
func (r *Reconciler) ask(ctx context.Context, s *scope) (*v1alpha1.TenantDatabase, error) {
	if !s.guessed {
		return nil, nil
	}
	s.fresh, s.guessed = false, false
	return r.find(ctx, s)
}

// knows asks a database's registry for the tenant, unless it was seen there a moment ago. An error says that it
// cannot be asked.
func (r *Reconciler) knows(ctx context.Context, s *scope, tdb *v1alpha1.TenantDatabase) (found bool, away error) {
	if away := reachable(tdb); away != nil {
		return false, away
	}
	if db, err := r.Pools.Get(ctx, tdb); err == nil && db.Knows(schemaName(s.tenant), string(s.tenant.UID), r.RecallWithin) {
		return true, nil
	}
	_, found, err := r.registered(ctx, tdb, s.tenant)
	return found, err
}

// soonAfter lets a Tenant without a status wait no longer than until it has one.
func soonAfter(first bool, err error) error {
	f, ok := errors.AsType[*fault.Fault](err)
	if !ok || !first {
		return err
	}
	soon := *f
	soon.Kind, soon.After = fault.Waiting, time.Second
	return &soon
}

// choose places a new tenant.
func (r *Reconciler) choose(ctx context.Context, s *scope) (*v1alpha1.TenantDatabase, error) {
	var why []*fault.Fault
	var candidates []databases.Candidate
	var byIndex []*v1alpha1.TenantDatabase
	for _, ref := range s.class.Spec.Databases {
		tdb, err := r.database(ctx, ref)
		if err != nil {
			return nil, err
		}
		if no, err := r.unfit(ctx, s, ref, tdb); err != nil {
			return nil, err
		} else if no != nil {
			why = append(why, no)
			continue
		}
		limit := -1
		if tdb.Spec.MaxTenants != nil {
			limit = int(*tdb.Spec.MaxTenants)
		}
		candidates = append(candidates, databases.Candidate{UID: tdb.UID, Max: limit, Registered: int(tdb.Status.Tenants)})
		byIndex = append(byIndex, tdb)
	}
	if tdb, err := r.namesake(ctx, s); err != nil || tdb != nil {
		return tdb, err
	}
	if tdb, err := r.adopting(ctx, s); err != nil || tdb != nil {
		return tdb, err
	}
	if len(candidates) == 0 {
		return nil, noneFits(s.class.Name, why)
	}
	uid, ok := r.Placement.Choose(s.tenant.UID, candidates)
	if !ok {
		return nil, fault.NewWaiting(v1alpha1.ReasonDatabaseFull, time.Minute,
			"No database of class %q has room; raise spec.maxTenants of a TenantDatabase or add one to the class", s.class.Name)
	}
	for _, tdb := range byIndex {
		if tdb.UID == uid {
			return tdb, nil
		}
	}
	return nil, fmt.Errorf("placement chose an unknown database %s", uid)
}

// unfit says why a database can take no new tenant, or nil.
func (r *Reconciler) unfit(ctx context.Context, s *scope, ref v1alpha1.NamespacedReference, tdb *v1alpha1.TenantDatabase) (*fault.Fault, error) {
	name := ref.Namespace + "/" + ref.Name
	switch {
	case tdb == nil:
		return fault.NewWaiting(v1alpha1.ReasonDatabaseNotFound, time.Minute, "%s does not exist", name), nil
	case !tdb.DeletionTimestamp.IsZero():
		return fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, time.Minute, "%s is being deleted", name), nil
	case !conditions.IsTrue(tdb, v1alpha1.ConditionReady):
		return fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, time.Minute, "%s is not Ready%s", name, because(tdb)), nil
	}
	allowed, err := consent.Allows(ctx, r, tdb.Spec.AllowedNamespaces, tdb.Namespace, s.tenant.Namespace)
	if err == nil && !allowed {
		return fault.NewInvalid(v1alpha1.ReasonNamespaceNotAllowed, "%s does not allow namespace %q (spec.allowedNamespaces)", name, s.tenant.Namespace), nil
	}
	return nil, err
}

// mustFit is unfit for the one database that will do: the tenant waits for it, and is told why by what stands
// before the reason.
func (r *Reconciler) mustFit(ctx context.Context, s *scope, ref v1alpha1.NamespacedReference, tdb *v1alpha1.TenantDatabase, why string) error {
	no, err := r.unfit(ctx, s, ref, tdb)
	if err != nil || no == nil {
		return err
	}
	return &fault.Fault{Kind: no.Kind, Reason: no.Reason, After: no.After, Message: why + no.Message}
}

// noneFits makes one fault of all databases' reasons. A reason that they share is the tenant's too.
func noneFits(class string, why []*fault.Fault) *fault.Fault {
	all := *merge(why)
	for _, f := range why {
		if f.Reason != all.Reason {
			all.Kind, all.Reason, all.After = fault.Waiting, v1alpha1.ReasonDatabaseNotReady, time.Minute
		}
	}
	all.Message = fmt.Sprintf("No database of class %q can take the tenant: %s", class, all.Message)
	return &all
}

// reachable spares the server the log-ins of a thousand tenants while it is known to be away.
func reachable(tdb *v1alpha1.TenantDatabase) error {
	if c := conditions.Get(tdb, v1alpha1.ConditionReachable); c != nil && c.Status == "False" {
		return fault.NewWaiting(v1alpha1.ReasonDatabaseNotReady, time.Minute,
			"TenantDatabase %s/%s is not reachable%s", tdb.Namespace, tdb.Name, because(tdb))
	}
	return nil
}

func because(tdb *v1alpha1.TenantDatabase) string {
	if c := conditions.Get(tdb, v1alpha1.ConditionReady); c != nil {
		return " (" + c.Reason + ")"
	}
	return ""
}

// database returns nil where there is none.
func (r *Reconciler) database(ctx context.Context, ref v1alpha1.NamespacedReference) (*v1alpha1.TenantDatabase, error) {
	tdb := &v1alpha1.TenantDatabase{}
	err := r.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, tdb)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read TenantDatabase %s/%s: %w", ref.Namespace, ref.Name, err)
	}
	return tdb, nil
}
