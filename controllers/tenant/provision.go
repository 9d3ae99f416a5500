package tenant

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// provision makes the schema, its roles and grants, and mends what differs from the spec. What it
// may touch is decided by the UID in the registry, inside the same transaction.
func (r *Reconciler) provision(ctx context.Context, s *scope) (outcome, error) {
	if err := r.findClassSecret(ctx, s); err != nil {
		return outcome{}, err
	}
	s.wanted = wanted(s)
	if err := postgres.ValidateSchemaName(s.wanted.Schema); err != nil {
		return outcome{}, err
	}
	if err := r.begin(ctx, s); err != nil {
		return outcome{}, err
	}
	if !s.begun {
		s.fresh = s.fresh && !s.guessed
		if err := r.lookAndMend(ctx, s); err != nil {
			return outcome{}, err
		}
	}
	s.tenant.Status.Schema = s.wanted.Schema
	return done(fmt.Sprintf("Schema %s belongs to role %s; login %s", s.wanted.Schema, s.observed.Roles.Owner, s.observed.Roles.App) + adopted(s.observed)), nil
}

// begin makes what a Tenant needs that this pass was the first to touch, without a look before: most likely
// there is nothing. If there is, nothing was made, and who looks finds the words for it.
func (r *Reconciler) begin(ctx context.Context, s *scope) (err error) {
	if !s.fresh || !s.wanted.Plain() || isListed(s) {
		return nil
	}
	if err := r.ensureMigrator(ctx, s); err != nil {
		return err
	}
	r.work(s)
	observed, begun, err := s.db.Begin(ctx, s.wanted, func(roles postgres.RoleNames) (string, error) { return r.firstSecret(ctx, s, roles) })
	if begun {
		s.observed, s.begun = observed, true
	} else if err == nil {
		return r.dropFirstSecret(ctx, s)
	}
	if fault.KindOf(err) == fault.Transient {
		return err
	}
	return nil
}

func (r *Reconciler) lookAndMend(ctx context.Context, s *scope) error {
	if err := r.look(ctx, s); err != nil {
		return err
	}
	if s.guessed && s.observed.OwnerUID == s.wanted.UID { // The registry counts it, and needs no promise.
		r.Placement.Release(s.tenant.UID)
	}
	if err := refuseLoss(s); err != nil {
		return err
	}
	if provisioned(s) {
		return nil
	}
	return r.provisionNow(ctx, s)
}

// look recalls what was seen of the tenant lately, unless the user asks for a look, or there seems to be
// something to do: what is acted on is what there is now.
func (r *Reconciler) look(ctx context.Context, s *scope) (err error) {
	if s.fresh || r.RecallWithin == 0 || r.asksAnew(s) {
		return r.observe(ctx, s)
	}
	if s.observed, err = s.db.Recall(ctx, s.wanted, r.recallWithin(s)); err != nil || provisioned(s) && s.observed.SchemaExists {
		return err
	}
	return r.observe(ctx, s)
}

// troubledWithin is RecallWithin for a tenant that is not well: less than the time until its next pass, which
// comes to see whether somebody has mended it.
const troubledWithin = 30 * time.Second

func (r *Reconciler) recallWithin(s *scope) time.Duration {
	if isolated := conditions.Get(s.base, v1alpha1.ConditionIsolated); conditions.IsTrue(s.base, v1alpha1.ConditionReady) &&
		(isolated == nil || isolated.Status != "False") {
		return r.RecallWithin
	}
	return min(r.RecallWithin, troubledWithin)
}

// observe looks at what the database has of the tenant. Where the registry does not know it under the
// wanted name, it may have another one from an earlier version of the operator, or live elsewhere:
// nothing is made anew before that is known.
func (r *Reconciler) observe(ctx context.Context, s *scope) (err error) {
	if s.observed, err = s.db.Observe(ctx, s.wanted); err != nil || s.fresh || s.observed.OwnerUID == s.wanted.UID {
		return err
	}
	schema, found, err := s.db.FindTenant(ctx, s.wanted.UID)
	if err == nil && !found {
		schema, found, err = r.findElsewhere(ctx, s)
	}
	if err != nil || !found {
		return err
	}
	s.wanted.Schema = schema
	s.observed, err = s.db.Observe(ctx, s.wanted)
	return err
}

// findElsewhere goes to the database whose registry knows the tenant, if that is not the one that the
// status names.
func (r *Reconciler) findElsewhere(ctx context.Context, s *scope) (schema string, found bool, err error) {
	tdb, err := r.find(ctx, s)
	if err != nil || tdb == nil {
		return "", false, err
	}
	if s.db, err = r.Pools.Get(ctx, tdb); err != nil {
		return "", false, err
	}
	if err := r.findClassSecret(ctx, s); err != nil {
		return "", false, err
	}
	placed := settle(s, tdb)
	conditions.True(s.tenant, v1alpha1.ConditionDatabaseReady, placed.reason, placed.message)
	s.wanted = wanted(s)
	return s.db.FindTenant(ctx, s.wanted.UID)
}

func (r *Reconciler) provisionNow(ctx context.Context, s *scope) error {
	if err := r.recordPlace(ctx, s, s.tdb); err != nil {
		return err
	}
	if err := r.ensureMigrator(ctx, s); err != nil {
		return err
	}
	if err := r.forgetVersion(ctx, s); err != nil {
		return err
	}
	r.work(s)
	if err := r.adopt(ctx, s); err != nil {
		return err
	}
	if err := r.countRecreation(ctx, s); err != nil {
		return err
	}
	err := provisionOrAdopt(ctx, s)
	giveConsentBack(s, err)
	if fault.ReasonOf(err) == v1alpha1.ReasonDatabaseFull && !s.observed.Registered {
		// Others took the room since it was counted; the next pass may find another database.
		s.tenant.Status.Database = nil
		r.Placement.Release(s.tenant.UID)
	}
	if err != nil {
		return err
	}
	s.observed, err = s.db.Observe(ctx, s.wanted)
	return err
}

// provisionOrAdopt takes over what an earlier Tenant of the name left, if the user says whose it was. What was
// dropped in part already is taken over too, and not provisioned: its new Tenant's deletion drops the rest.
func provisionOrAdopt(ctx context.Context, s *scope) error {
	_, err := s.db.Provision(ctx, s.wanted)
	if !isLeft(s, err) {
		return err
	}
	if from := s.tenant.Annotations[v1alpha1.AnnotationAdopt]; from != "" {
		if err = s.db.Adopt(ctx, s.wanted, from); err == nil {
			_, err = s.db.Provision(ctx, s.wanted)
			return err
		}
	}
	if s.observed.Registered && isLeft(s, err) {
		return adoptable(s)
	}
	return err
}

// isLeft : Provision met what can be adopted.
func isLeft(s *scope, err error) bool {
	reason := fault.ReasonOf(err)
	return reason == v1alpha1.ReasonSchemaRetained || reason == v1alpha1.ReasonPartlyDropped && s.observed.OwnerUID != s.wanted.UID
}

// adoptable tells a Tenant that came back how it gets its data again, or gets rid of them.
func adoptable(s *scope) error {
	uid, schema := s.observed.OwnerUID, s.wanted.Schema
	command := fmt.Sprintf("kubectl annotate --overwrite tenant %s -n %s %s=%s", s.tenant.Name, s.tenant.Namespace, v1alpha1.AnnotationAdopt, uid)
	whose := "retained from the deleted Tenant with UID " + uid
	switch s.observed.State {
	case postgres.StateDropping:
		return fault.NewInvalid(v1alpha1.ReasonPartlyDropped,
			"Part of schema %s of the Tenant with UID %s, which is gone, is dropped already. For the rest of it to be dropped run: %s; then delete this Tenant with spec.deletionPolicy: Delete. Or choose another spec.schemaName",
			schema, uid, command)
	case postgres.StateDeleting:
		whose = "of the Tenant with UID " + uid + ", whose deletion stopped before anything was dropped"
	case postgres.StateActive:
		whose = "of the Tenant with UID " + uid + ", which was lost with its cluster or went without the operator"
	}
	return fault.NewInvalid(v1alpha1.ReasonSchemaRetained,
		"Schema %s holds the data %s. To take it over run: %s; or choose another spec.schemaName", schema, whose, command)
}

// ensureMigrator makes the login that will run the class's migrations, which must be there before
// the tenant's owner role is granted to it.
func (r *Reconciler) ensureMigrator(ctx context.Context, s *scope) error {
	if s.wanted.MigrationSet == "" {
		return nil
	}
	_, err := r.Pools.Migrator(ctx, s.tdb, s.wanted.MigrationSet)
	return err
}

func provisioned(s *scope) bool {
	o := s.observed
	return o.Registered && o.OwnerUID == s.wanted.UID && o.State == postgres.StateActive && len(o.Drift) == 0
}

func wanted(s *scope) postgres.Tenant {
	t := postgres.Tenant{
		UID:       string(s.tenant.UID),
		Namespace: s.tenant.Namespace,
		Name:      s.tenant.Name,
		Schema:    schemaName(s.tenant),
	}
	if ref := s.class.Spec.MigrationSetRef; ref != nil {
		t.MigrationSet = ref.Namespace + "/" + ref.Name
	}
	if shared := s.tdb.Spec.Shared; shared != nil {
		t.SharedSchema = shared.SchemaName
	}
	if l := s.class.Spec.Limits; l != nil {
		t.ConnectionLimit = int(l.Connections)
		t.LockTimeout = time.Duration(l.LockTimeoutMilliseconds) * time.Millisecond
		t.StatementTimeout = time.Duration(l.StatementTimeoutSeconds) * time.Second
		t.IdleInTransactionTimeout = time.Duration(l.IdleInTransactionTimeoutSeconds) * time.Second
	}
	if mode := s.classMode(); mode != v1alpha1.LoginDedicated {
		t.ClassLogin, t.ClassLoginInherits = s.classLogin(mode), mode == v1alpha1.LoginShared
	}
	t.Reader = wantedReader(s)
	if limit := s.tdb.Spec.MaxTenants; limit != nil {
		t.MaxTenants = int(*limit)
	}
	return t
}

// schemaName is the spec's, or <namespace>__<name>. Names that could meet another pair's after the
// change of characters, or are too long, get a hash of the pair. The status has no say in it.
func schemaName(t *v1alpha1.Tenant) string {
	if t.Spec.SchemaName != "" {
		return t.Spec.SchemaName
	}
	plain := strings.ReplaceAll(t.Namespace+"__"+t.Name, "-", "_")
	ambiguous := strings.Contains(t.Namespace, "--") || strings.ContainsAny(t.Name, ".") || strings.Contains(t.Name, "--")
	if !ambiguous && len(plain) <= postgres.MaxSchemaNameLength && postgres.ValidateSchemaName(plain) == nil {
		return plain
	}
	const hashLength = 12
	sum := sha256.Sum256([]byte(t.Namespace + "/" + t.Name))
	cut := strings.NewReplacer("-", "_", ".", "_").Replace(t.Name)
	if room := postgres.MaxSchemaNameLength - len("t__") - hashLength; len(cut) > room {
		cut = cut[:room]
	}
	return "t_" + cut + "_" + hex.EncodeToString(sum[:])[:hashLength]
}
