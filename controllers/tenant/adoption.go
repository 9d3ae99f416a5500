package tenant

import (
	"context"
	"fmt"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/frameworks"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A schema that was there before Tenantry is nobody's, and no Tenant gets it by naming it. The database's own
// object says whose it is (spec.adoptions): who may write that answers for the database. The consent is asked
// for as long as the registry does not know the tenant, and never again.

// adoptionOf finds the entry by which a database says that one of its schemas is the tenant's. One that names
// the tenant and another schema than the tenant's is an error: the tenant would get an empty schema instead.
func adoptionOf(tdb *v1alpha1.TenantDatabase, t *v1alpha1.Tenant, schema string) (*v1alpha1.SchemaAdoption, error) {
	other := ""
	for i := range tdb.Spec.Adoptions {
		a := &tdb.Spec.Adoptions[i]
		if a.TenantRef.Namespace != t.Namespace || a.TenantRef.Name != t.Name {
			continue
		}
		if a.SchemaName == schema {
			return a, nil
		}
		other = a.SchemaName
	}
	if other == "" {
		return nil, nil
	}
	return nil, fault.NewInvalid(v1alpha1.ReasonInvalidAdoption,
		"TenantDatabase %s/%s says that schema %q is this Tenant's (spec.adoptions), but the Tenant's schema is %q. Create the Tenant anew with spec.schemaName: %s, or correct the entry",
		tdb.Namespace, tdb.Name, other, schema, other)
}

// isListed : the tenant's database has a schema for it by its own word, so that none may be made.
func isListed(s *scope) bool {
	entry, err := adoptionOf(s.tdb, s.tenant, s.wanted.Schema)
	return entry != nil || err != nil
}

// adopting returns the database of the class that has the tenant's schema already by its own word. The tenant
// waits for it, rather than get an empty schema on another one.
func (r *Reconciler) adopting(ctx context.Context, s *scope) (*v1alpha1.TenantDatabase, error) {
	for _, ref := range s.class.Spec.Databases {
		tdb, err := r.database(ctx, ref)
		if err != nil {
			return nil, err
		}
		if tdb == nil {
			continue
		}
		entry, err := adoptionOf(tdb, s.tenant, schemaName(s.tenant))
		if err != nil {
			return nil, err
		}
		if entry == nil {
			continue
		}
		return tdb, r.mustFit(ctx, s, ref, tdb, "The tenant's schema is there already (spec.adoptions), but ")
	}
	return nil, nil
}

// adoptedElsewhere : the tenant has nothing yet on the database on which it was placed, and another one has its
// schema.
func (r *Reconciler) adoptedElsewhere(ctx context.Context, s *scope, placed *v1alpha1.TenantDatabase) (bool, error) {
	if s.base.Status.Schema != "" || len(s.class.Spec.Databases) < 2 {
		return false, nil
	}
	tdb, err := r.adopting(ctx, s)
	if err != nil || tdb == nil || tdb.UID == placed.UID {
		return false, err
	}
	_, found, err := r.registered(ctx, placed, s.tenant)
	return !found, err
}

// adopt takes over the tenant's schema if the database says that it is there. What can be known before is
// asked before: nothing is changed while the version of the schema is not certain.
func (r *Reconciler) adopt(ctx context.Context, s *scope) error {
	if s.observed.Registered {
		return nil
	}
	entry, err := adoptionOf(s.tdb, s.tenant, s.wanted.Schema)
	if err != nil || entry == nil {
		return err
	}
	found, err := s.db.FindSchema(ctx, entry.SchemaName)
	if err != nil {
		return err
	}
	if !found.Exists {
		return fault.NewWaiting(v1alpha1.ReasonAdoptionBlocked, 30*time.Second,
			"TenantDatabase %s/%s says that schema %q is there already (spec.adoptions), and there is none of this name. Restore it; or take the entry out to begin with an empty one",
			s.tdb.Namespace, s.tdb.Name, entry.SchemaName)
	}
	baseline, err := r.baselineOf(ctx, s, entry, found)
	if err != nil {
		return err
	}
	return s.db.TakeOver(ctx, s.wanted, baseline)
}

// baselineOf is the version that the entry gives, in the set's words, "" where the schema tells it itself.
func (r *Reconciler) baselineOf(ctx context.Context, s *scope, entry *v1alpha1.SchemaAdoption, found postgres.Found) (string, error) {
	if s.wanted.MigrationSet == "" {
		if entry.BaselineVersion != "" {
			return "", pointless(s, entry, "class "+s.class.Name+" names no MigrationSet")
		}
		return "", nil
	}
	ms, set, err := r.migrationSet(ctx, s)
	if err != nil {
		return "", err
	}
	table, told := postgres.LedgerTable, false
	if ms.Spec.Job != nil {
		table = frameworks.Table(frameworks.Framework(ms.Spec.Job.Framework))
	} else if tool := frameworks.Of(set.Format); tool != "" {
		told = found.HasTable(frameworks.Table(tool))
	}
	switch has := found.HasTable(table); {
	case entry.BaselineVersion == "" && !has && !told && !found.Empty:
		return "", baselineRequired(s, ms)
	case entry.BaselineVersion == "":
		return "", nil
	case ms.Spec.Job != nil:
		return "", pointless(s, entry, fmt.Sprintf("MigrationSet %s runs a Job, whose framework has a record of its own (%s)", ms.Name, table))
	case has:
		return "", pointless(s, entry, fmt.Sprintf("the schema has a record of its own (%s)", table))
	case found.Empty:
		return "", pointless(s, entry, "the schema is empty")
	}
	return listedVersion(s, ms, set, entry)
}

// listedVersion is the entry's version as the set writes it.
func listedVersion(s *scope, ms *v1alpha1.MigrationSet, set *migrations.Set, entry *v1alpha1.SchemaAdoption) (string, error) {
	if version, known := set.Numbered(migrations.Written(entry.BaselineVersion)); known {
		return string(version), nil
	}
	return "", fault.NewInvalid(v1alpha1.ReasonUnknownVersion,
		"baselineVersion of schema %q in spec.adoptions of TenantDatabase %s/%s: MigrationSet %q has no version %s; its newest is %s",
		entry.SchemaName, s.tdb.Namespace, s.tdb.Name, ms.Name, entry.BaselineVersion, set.Latest())
}

func pointless(s *scope, entry *v1alpha1.SchemaAdoption, why string) error {
	return fault.NewInvalid(v1alpha1.ReasonInvalidAdoption,
		"baselineVersion of schema %q in spec.adoptions of TenantDatabase %s/%s cannot count: %s. Take it out",
		entry.SchemaName, s.tdb.Namespace, s.tdb.Name, why)
}

// baselineRequired says how the version of a schema is told that has no record of it.
func baselineRequired(s *scope, ms *v1alpha1.MigrationSet) error {
	if ms.Spec.Job != nil {
		return fault.NewInvalid(v1alpha1.ReasonBaselineRequired,
			"Schema %s has tables, and the record of %s (%s) is not there or empty: its program would begin with the first migration. Have the framework record what the schema has, without running it (Django: migrate --fake; Flyway: baseline; Prisma: migrate resolve --applied; Alembic: stamp)",
			s.wanted.Schema, ms.Spec.Job.Framework, frameworks.Table(frameworks.Framework(ms.Spec.Job.Framework)))
	}
	return fault.NewInvalid(v1alpha1.ReasonBaselineRequired,
		"Schema %s has tables and no record of its migrations. Set baselineVersion of %s in spec.adoptions of TenantDatabase %s/%s to the version of MigrationSet %s/%s at which the schema stands: that and all before it are recorded and never run on it",
		s.wanted.Schema, s.wanted.Schema, s.tdb.Namespace, s.tdb.Name, ms.Namespace, ms.Name)
}

// adopted is what SchemaReady adds of a schema that was there before.
func adopted(o postgres.Observation) string {
	switch {
	case !o.Adopted:
		return ""
	case o.Baseline == "":
		return "; adopted with what was in it"
	}
	return "; adopted with what was in it, baseline " + o.Baseline
}
