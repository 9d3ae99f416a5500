package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// Reasons of faults of Provision and Adopt.
const (
	// ReasonSchemaNameTaken : another tenant has the schema, or it was there before.
	ReasonSchemaNameTaken = "SchemaNameTaken"
	// ReasonSchemaRetained : the schema holds the data of an earlier Tenant of the same name.
	ReasonSchemaRetained = "SchemaRetained"
	// ReasonDatabaseFull : the database holds as many schemas as it may.
	ReasonDatabaseFull = "DatabaseFull"
)

// waitForRoom is the delay to the next look at a full database.
const waitForRoom = time.Minute

// Provision makes schema, roles and rights what t says, in one transaction, and returns whether it
// changed anything. A tenant that is as it should be costs one query and no write. The app role
// gets no LOGIN here: SetPassword gives it. Faults besides the server's own: SchemaNameTaken,
// SchemaRetained and PartlyDropped (Invalid), DatabaseFull (Waiting).
func (db *DB) Provision(ctx context.Context, t Tenant) (changed bool, err error) {
	if err := t.validate(); err != nil {
		return false, err
	}
	changed, err = db.provision(ctx, t)
	return changed, failed(err, "cannot provision schema "+t.Schema)
}

func (db *DB) provision(ctx context.Context, t Tenant) (changed bool, err error) {
	c, err := readCatalog(ctx, db.pool, db.config.Database(), t)
	if err != nil {
		return false, err
	}
	if err := c.mayProvision(t); err != nil {
		return false, err
	}
	if p := c.plan(t); c.Row != nil && p.empty() && c.setRecorded(t) {
		return false, nil
	}
	defer db.recent.changed(t.Schema)
	return true, db.inTx(ctx, func(tx pgx.Tx) error { return db.mend(ctx, tx, t) })
}

// mend registers the tenant, which is its fence, and carries out the plan made under the row's lock.
func (db *DB) mend(ctx context.Context, tx pgx.Tx, t Tenant) error {
	fresh, err := register(ctx, tx, db.config.Database(), t)
	if err != nil {
		return err
	}
	row, err := lockRow(ctx, tx, t.UID, t.Schema)
	if err != nil && row != nil {
		return row.refusal(t)
	}
	if err != nil {
		return err
	}
	if row == nil { // the UID stands in another row
		return fault.NewInvalid(ReasonSchemaNameTaken, "the Tenant already has another schema in this database")
	}
	c, err := readCatalog(ctx, tx, db.config.Database(), t)
	if err != nil {
		return err
	}
	if fresh {
		err = c.mayBegin(t)
	} else {
		err = c.mayProvision(t)
	}
	if err != nil {
		return err
	}
	p := c.plan(t)
	if err := script(ctx, tx, p.statements(c)...); err != nil {
		return err
	}
	if fresh {
		return nil
	}
	if !c.setRecorded(t) {
		if _, err := tx.Exec(ctx, setMigrationSetSQL, t.Schema, t.MigrationSet); err != nil {
			return err
		}
	}
	return confirm(ctx, tx, db.config.Database(), t)
}

const setMigrationSetSQL = `UPDATE tenantry.tenant SET migration_set = $2 WHERE schema_name = $1`

// confirm looks whether what was mended is mended. PostgreSQL lets a REVOKE pass that revokes
// nothing, with no more than a warning, and the same would be tried for ever.
func confirm(ctx context.Context, tx pgx.Tx, database string, t Tenant) error {
	c, err := readCatalog(ctx, tx, database, t)
	if err != nil {
		return err
	}
	if p := c.plan(t); !p.empty() {
		return fault.NewWaiting(string(InsufficientPrivilege), waitForMend,
			"the operator cannot mend schema %q: %s", t.Schema, strings.Join(p.drift(), "; "))
	}
	return nil
}

// setRecorded tells whether the registry names the wanted migration set.
func (c *catalog) setRecorded(t Tenant) bool {
	return t.MigrationSet == "" || c.Row != nil && c.Row.MigrationSet == t.MigrationSet
}

// register inserts the row of a new tenant, within the bound of the database. Counting is only
// true while nobody else inserts, so tenants of a bounded database begin one after the other.
func register(ctx context.Context, tx pgx.Tx, database string, t Tenant) (fresh bool, err error) {
	names := TenantRoles(database, t.Schema)
	if t.MaxTenants > 0 {
		if _, err := tx.Exec(ctx, `SELECT FROM tenantry.identity FOR UPDATE`); err != nil {
			return false, err
		}
	}
	tag, err := tx.Exec(ctx, `INSERT INTO tenantry.tenant (schema_name, tenant_uid, namespace, name, owner_role, app_role, keeper_role, migration_set)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		t.Schema, t.UID, t.Namespace, t.Name, names.Owner, names.App, KeeperRole(database, t.Schema), t.MigrationSet)
	if err != nil || tag.RowsAffected() == 0 || t.MaxTenants == 0 {
		return err == nil && tag.RowsAffected() == 1, err
	}
	var count int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM tenantry.tenant`).Scan(&count); err != nil {
		return false, err
	}
	if count > t.MaxTenants {
		return false, fault.NewWaiting(ReasonDatabaseFull, waitForRoom,
			"database %s holds %d of at most %d schemas, retained ones included", database, count-1, t.MaxTenants)
	}
	return true, nil
}

// mayProvision refuses what is another's. Without a row the schema must not be there at all.
func (c *catalog) mayProvision(t Tenant) error {
	if c.Row == nil {
		return c.mayBegin(t)
	}
	if c.Row.UID != t.UID || c.Row.State != StateActive {
		return c.Row.refusal(t)
	}
	return c.migratorExists(t)
}

// mayBegin refuses a schema or roles that were there before the registry knew of them: they are
// somebody's, and Provision would take them over.
func (c *catalog) mayBegin(t Tenant) error {
	switch {
	case c.SchemaOwner != nil || c.SharedName:
		return fault.NewInvalid(ReasonSchemaNameTaken, "schema %q exists and is no Tenant's; choose another schemaName", t.Schema)
	case c.Owner != nil || c.App != nil || c.Second != nil || c.Reader != nil || c.SecondReader != nil:
		return fault.NewInvalid(ReasonSchemaNameTaken,
			"the roles %s and %s of schema %q are left from something else; drop them or choose another schemaName", c.names.Owner, c.names.App, t.Schema)
	}
	return c.migratorExists(t)
}

func (c *catalog) migratorExists(t Tenant) error {
	if c.Migrator == "" || c.HasMigrator {
		return nil
	}
	return fault.NewWaiting(ReasonNotProvisioned, waitForServer, "the login of MigrationSet %s does not exist yet", t.MigrationSet)
}

// refusal says why a row is not t's to provision. It names the holder only to its own namesake.
func (r *registered) refusal(t Tenant) error {
	own, namesake := r.UID == t.UID, r.Namespace == t.Namespace && r.Name == t.Name
	var whose string
	switch {
	case !own && !namesake:
		return fault.NewInvalid(ReasonSchemaNameTaken, "schema %q is taken; choose another schemaName", r.Schema).Because(ErrNotOwner)
	case r.State == StateDropping && own:
		return fault.NewInvalid(ReasonPartlyDropped,
			"part of schema %q is dropped already; set deletionPolicy to Delete and delete the Tenant for the rest of it to go", r.Schema)
	case r.State == StateDropping:
		return fault.NewInvalid(ReasonPartlyDropped,
			"part of schema %q of the Tenant with UID %s, which is gone, is dropped already; adopt it for the rest to be dropped, or choose another schemaName", r.Schema, r.UID)
	case r.State == StateRetained:
		whose = "retained from the deleted Tenant with UID " + r.UID
	case r.State == StateDeleting:
		whose = "of the Tenant with UID " + r.UID + ", whose deletion did not end"
	default: // Two Tenants of one name there cannot be, so that one is no more.
		whose = "of the Tenant with UID " + r.UID + ", which went without the operator"
	}
	return fault.NewInvalid(ReasonSchemaRetained, "schema %q holds the data %s; adopt it or choose another schemaName", r.Schema, whose)
}

// Adopt gives a schema to the Tenant that came back: same namespace and name, new UID, or its old one where the
// cluster was restored. It was retained, or its deletion stopped before anything was dropped, or its Tenant was lost
// with its cluster or had its finalizer taken off: an API server has one Tenant of a name, and a registry one
// TenantDatabase. First the logins and sessions of before end. fromUID is the UID that the caller was told to
// adopt from; if the registry names another one, nothing happens. Adopting what is t's already is success. Provision
// must follow. It refuses a schema that is dropped in part (PartlyDropped), which is adopted only for Drop to go on.
func (db *DB) Adopt(ctx context.Context, t Tenant, fromUID string) error {
	if err := t.validate(); err != nil {
		return err
	}
	defer db.recent.changed(t.Schema)
	err := db.closeLeft(ctx, t, fromUID)
	if err == nil {
		err = db.inTx(ctx, func(tx pgx.Tx) error { return takeRow(ctx, tx, t, fromUID) })
	}
	return failed(err, "cannot adopt schema "+t.Schema)
}

const leftSQL = `SELECT state FROM tenantry.tenant WHERE schema_name = $1 AND tenant_uid = $2 AND namespace = $3 AND name = $4`

// closeLeft ends the logins and sessions of an earlier Tenant of t's name, whatever the registry says was done
// before: who retained the schema may have been stopped before its sessions had ended, and they still write.
func (db *DB) closeLeft(ctx context.Context, t Tenant, uid string) error {
	var state string
	err := db.pool.QueryRow(ctx, leftSQL, t.Schema, uid, t.Namespace, t.Name).Scan(&state)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && uid == t.UID && state == StateActive:
		return nil
	case err != nil:
		return err
	case state == StateDropping:
		return db.retire(ctx, uid, t.Schema, "") // It cannot be retained any more.
	}
	return db.retire(ctx, uid, t.Schema, StateRetained)
}

const takeRowSQL = `UPDATE tenantry.tenant SET tenant_uid = $2, state = CASE state WHEN 'dropping' THEN state ELSE 'active' END
WHERE schema_name = $1`

// takeRow writes the new UID under the lock of a row that has the old one.
func takeRow(ctx context.Context, tx pgx.Tx, t Tenant, fromUID string) error {
	row, err := lockRow(ctx, tx, fromUID, t.Schema)
	if row == nil {
		if err == nil {
			err = notProvisioned(t.Schema)
		}
		return err
	}
	closed := row.State == StateRetained || row.State == StateDropping
	switch {
	case row.UID == t.UID && (row.State == StateActive || row.State == StateDropping):
		return nil
	case err != nil, !closed, row.Namespace != t.Namespace, row.Name != t.Name:
		return row.refusal(t)
	}
	_, err = tx.Exec(ctx, takeRowSQL, t.Schema, t.UID)
	return err
}
