package tenant

import (
	"context"
	"fmt"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// refuseLoss keeps a schema that was there and is gone from being made anew, empty, and called
// Ready: after a restore from an older backup, or a DROP by hand, somebody has to say that the data
// may be missed. The status serves as a brake only; nobody gains by forging it.
func refuseLoss(s *scope) error {
	o, uid := s.observed, s.wanted.UID
	ours := o.Registered && o.OwnerUID == uid
	why := ""
	switch {
	case ours && o.State == postgres.StateActive && !o.SchemaExists:
		why = "is gone, although the registry has it"
	case !ours && !s.fresh && s.base.Status.Schema != "":
		why = "was there, and the registry of no database of the class knows this tenant any more"
	}
	if why == "" {
		return nil
	}
	// An annotation that was obeyed once stays there, as in Git, and is no answer to the next loss.
	consent := fmt.Sprintf("%s.%d", uid, s.tenant.Status.SchemaRecreations)
	if s.tenant.Annotations[v1alpha1.AnnotationRecreate] == consent {
		s.recreates = true
		return nil
	}
	return fault.NewInvalid(v1alpha1.ReasonSchemaLost,
		"Schema %s %s. Restore it from a backup; or to begin with an empty one run: kubectl annotate --overwrite tenant %s -n %s %s=%s",
		s.wanted.Schema, why, s.tenant.Name, s.tenant.Namespace, v1alpha1.AnnotationRecreate, consent)
}

// countRecreation writes that a consent is used before it is. An operator that is killed behind it, or cannot
// write the status at the end of its pass, would find it unused at the next loss. At worst somebody is asked twice.
func (r *Reconciler) countRecreation(ctx context.Context, s *scope) error {
	if !s.recreates {
		return nil
	}
	recorded := s.base.DeepCopy()
	recorded.Status.SchemaRecreations++
	if err := r.Status.Patch(ctx, s.base, recorded); err != nil {
		return fmt.Errorf("record that a lost schema is begun anew: %w", err)
	}
	s.base = recorded
	s.tenant.ResourceVersion = recorded.ResourceVersion
	s.tenant.Status.SchemaRecreations = recorded.Status.SchemaRecreations
	return nil
}

// giveConsentBack takes the count back where nothing was made for certain: the user is told what refused, and need
// not say the same again. A server that stops may have committed before.
func giveConsentBack(s *scope, err error) {
	if s.recreates && fault.KindOf(err) != fault.Transient && fault.ReasonOf(err) != v1alpha1.ReasonServerShuttingDown {
		s.tenant.Status.SchemaRecreations--
	}
}

// forgetVersion makes the migrations of a schema that is begun anew run anew.
func (r *Reconciler) forgetVersion(ctx context.Context, s *scope) error {
	if s.observed.SchemaExists || s.observed.OwnerUID != s.wanted.UID || s.observed.Version == "" {
		return nil
	}
	_, err := s.db.SetVersion(ctx, s.wanted.UID, s.wanted.Schema, "", "")
	return err
}
