package tenant

import (
	"context"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/frameworks"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// baseline brings the version of an adopted schema into its ledger and the registry before any migration is
// thought of: from then on the tenant is one of those that are at a version, also to the rollout. It has
// nothing to do once the registry has a version. A pass that ends in between is made good by the next one:
// the registry holds what was said of the version, and without a ledger nothing runs on the schema.
func (r *Reconciler) baseline(ctx context.Context, s *scope, ms *v1alpha1.MigrationSet, set *migrations.Set) error {
	if !s.observed.Adopted || s.version != "" || s.digest != "" {
		return nil
	}
	migrator, err := r.Pools.Migrator(ctx, s.tdb, s.wanted.MigrationSet)
	if err != nil {
		return err
	}
	version, err := recordedBaseline(s, ms, set)
	if err == nil && version == "" {
		version, err = toldBaseline(ctx, s, migrator, set)
	}
	if err != nil {
		return err
	}
	at, err := migrations.Baseline(ctx, migrator.Pool(), schemaOf(s, ms), set, migrations.Version(version))
	switch {
	case fault.ReasonOf(err) == v1alpha1.ReasonBaselineRequired:
		return baselineRequired(s, ms)
	case fault.ReasonOf(err) == v1alpha1.ReasonAuthenticationFailed:
		r.Pools.ForgetMigrator(s.tdb.UID, s.wanted.MigrationSet)
		return err
	case err != nil || at == "":
		return err
	}
	if err := r.record(ctx, s, set, known(set, at, migrations.Result{}, nil)); err != nil {
		return err
	}
	digest := partDigest(set, at)
	if _, err := s.db.SetVersion(ctx, s.wanted.UID, s.wanted.Schema, string(at), digest); err != nil {
		return err
	}
	s.version, s.digest = string(at), digest
	s.tenant.Status.Version, s.tenant.Status.Digest = s.version, s.digest
	return nil
}

// recordedBaseline is what the registry took from the database's entry when the schema was adopted; if the
// class had no MigrationSet then, what the entry says now.
func recordedBaseline(s *scope, ms *v1alpha1.MigrationSet, set *migrations.Set) (string, error) {
	if s.observed.Baseline != "" {
		return s.observed.Baseline, nil
	}
	entry, err := adoptionOf(s.tdb, s.tenant, s.wanted.Schema)
	if err != nil || entry == nil || entry.BaselineVersion == "" {
		return "", nil //nolint:nilerr // An entry for another schema says nothing of this one.
	}
	return listedVersion(s, ms, set, entry)
}

// toldBaseline is the version that the record of the tool says by whose format the set is written, if the
// schema was migrated by that tool.
func toldBaseline(ctx context.Context, s *scope, migrator *postgres.DB, set *migrations.Set) (string, error) {
	framework := frameworks.Of(set.Format)
	if framework == "" {
		return "", nil
	}
	ledger, err := frameworks.Read(ctx, migrator.Pool(), framework, s.wanted.Schema, s.observed.Roles.Owner)
	if err != nil {
		return "", err
	}
	var versions, repeatables []string
	for i := range set.Migrations {
		if m := &set.Migrations[i]; m.Repeatable {
			repeatables = append(repeatables, string(m.Version))
		} else {
			versions = append(versions, string(m.Version))
		}
	}
	version, err := ledger.Baseline(versions, repeatables)
	if err != nil {
		return "", fault.NewInvalid(v1alpha1.ReasonBaselineRequired,
			"Schema %s: %s. Set baselineVersion of %s in spec.adoptions of TenantDatabase %s/%s to the version at which the schema stands",
			s.wanted.Schema, err, s.wanted.Schema, s.tdb.Namespace, s.tdb.Name)
	}
	return version, nil
}

// unrecorded refuses to run a program's migrations from the first on a schema that was adopted with tables, and
// of which its framework knows nothing.
func (j *jobRun) unrecorded(ctx context.Context, ledger frameworks.Ledger, tried bool) error {
	if !j.observed.Adopted || j.version != "" || tried || !ledger.Empty() {
		return nil
	}
	found, err := j.db.FindSchema(ctx, j.wanted.Schema)
	if err != nil || found.Empty {
		return err
	}
	return baselineRequired(j.scope, j.ms)
}
