package migrationset

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// checkHistory asks every database of the set which files its schemas got, one query each. A file
// that changed or went stalls the set before any tenant is touched. A database that is away cannot
// be asked; each of its tenants holds the ledger against the set once more.
func (r *Reconciler) checkHistory(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set) (had history, err error) {
	if had.databases, err = r.databases(ctx, ms); err != nil {
		return had, err
	}
	for _, tdb := range had.databases {
		if !conditions.IsTrue(tdb, v1alpha1.ConditionBootstrapped) || !conditions.IsTrue(tdb, v1alpha1.ConditionReachable) {
			continue
		}
		db, err := r.Pools.Get(ctx, tdb)
		if err != nil {
			log.FromContext(ctx).Info("Cannot compare with what is applied", "database", client.ObjectKeyFromObject(tdb), "cause", err.Error())
			continue
		}
		files, err := db.AppliedFiles(ctx, ms.Namespace+"/"+ms.Name)
		if err != nil {
			return had, err
		}
		if err := compare(set, files); err != nil {
			return had, err
		}
		had.applied = append(had.applied, files...)
	}
	return had, nil
}

// compare holds a set against the files that were applied.
func compare(set *migrations.Set, files []postgres.AppliedFile) error {
	for _, f := range files {
		m, ok := set.At(migrations.Version(f.Version))
		switch {
		case !ok:
			return fault.NewInvalid(v1alpha1.ReasonMigrationRemoved,
				"%s (version %s) was applied to tenants and is no longer in the set; put the file back", f.Name, f.Version)
		case m.Checksum != f.Checksum:
			return fault.NewInvalid(v1alpha1.ReasonChecksumChanged,
				"%s (version %s) changed after it was applied to tenants; restore its text and put the change into a new migration", m.File, m.Version)
		}
	}
	return late(set, files)
}

// late finds a file below the newest that was applied, which no schema got: those who are past it never
// would. Whoever has a version has all files up to it, so that one list speaks for all schemas.
func late(set *migrations.Set, files []postgres.AppliedFile) error {
	var newest migrations.Version
	applied := map[migrations.Version]bool{}
	for _, f := range files {
		v := migrations.Version(f.Version)
		if m, ok := set.At(v); ok {
			applied[m.Version] = true
		}
		if v.Compare(newest) > 0 {
			newest = v
		}
	}
	for i := range set.Migrations {
		if m := &set.Migrations[i]; !m.Repeatable && !applied[m.Version] && m.Version.Compare(newest) < 0 {
			return fault.NewInvalid(v1alpha1.ReasonOutOfOrder,
				"%s (version %s) is new, but version %s was applied to tenants already; give the file a version above %s", m.File, m.Version, newest, newest)
		}
	}
	return nil
}

// databases returns where the set is run: on the databases of the classes that name it, and on
// those that use it for their shared schema.
func (r *Reconciler) databases(ctx context.Context, ms *v1alpha1.MigrationSet) ([]*v1alpha1.TenantDatabase, error) {
	var list v1alpha1.TenantDatabaseList
	if err := r.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list TenantDatabases: %w", err)
	}
	named, err := r.classesOf(ctx, ms)
	if err != nil {
		return nil, err
	}
	used := map[client.ObjectKey]bool{}
	for _, class := range named {
		for _, ref := range class.Spec.Databases {
			used[client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}] = true
		}
	}
	var all []*v1alpha1.TenantDatabase
	for i := range list.Items {
		tdb := &list.Items[i]
		if shares(tdb, ms) || used[client.ObjectKeyFromObject(tdb)] {
			all = append(all, tdb)
		}
	}
	return all, nil
}

// shares says whether a database uses the set for its shared schema.
func shares(tdb *v1alpha1.TenantDatabase, ms *v1alpha1.MigrationSet) bool {
	return tdb.Spec.Shared != nil && tdb.Namespace == ms.Namespace && tdb.Spec.Shared.MigrationSetRef.Name == ms.Name
}

func (r *Reconciler) classesOf(ctx context.Context, ms *v1alpha1.MigrationSet) ([]v1alpha1.TenantClass, error) {
	var list v1alpha1.TenantClassList
	if err := r.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list TenantClasses: %w", err)
	}
	var named []v1alpha1.TenantClass
	for _, class := range list.Items {
		if ref := class.Spec.MigrationSetRef; ref != nil && ref.Namespace == ms.Namespace && ref.Name == ms.Name {
			named = append(named, class)
		}
	}
	return named, nil
}
