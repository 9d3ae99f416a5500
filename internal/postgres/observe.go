package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Observe reads one tenant's state in one query and compares it with what t wants. It never
// writes. A schema that the registry does not know is no error: Registered is false then.
func (db *DB) Observe(ctx context.Context, t Tenant) (Observation, error) {
	if err := t.validate(); err != nil {
		return Observation{}, err
	}
	began := time.Now()
	c, err := readCatalog(ctx, db.pool, db.config.Database(), t)
	if err != nil {
		return Observation{}, failed(err, "cannot look at schema "+t.Schema)
	}
	db.recent.saw(t, c, began)
	return c.observation(t), nil
}

func (c *catalog) observation(t Tenant) Observation {
	var p plan
	if !c.plainly(t) {
		p = c.plan(t)
	}
	o := Observation{
		Roles:           c.names,
		SchemaExists:    c.SchemaOwner != nil,
		OwnerRoleExists: c.Owner != nil,
		AppRoleExists:   c.App != nil,
		AppCanLogin:     c.App != nil && c.App.Login,
		SecondCanLogin:  c.Second != nil && c.Second.Login,
		ReaderExists:    c.Reader != nil || c.SecondReader != nil,
		ReaderCanLogin:  c.Reader != nil && c.Reader.Login,
		ClassLogins:     c.classLogins(),

		SecondReaderCanLogin: c.SecondReader != nil && c.SecondReader.Login,

		Drift:    p.drift(),
		Foreign:  p.foreign,
		Domains:  c.Domains,
		JobLogin: slices.ContainsFunc(c.Members, c.isJob),
	}
	if c.App != nil {
		o.AppOID = c.App.OID
	}
	if c.Second != nil {
		o.SecondOID = c.Second.OID
	}
	o.SchemaOwnedByOwner = o.SchemaExists && *c.SchemaOwner == c.names.Owner
	if row := c.Row; row != nil {
		o.Registered = true
		o.OwnerUID, o.OwnerNamespace, o.OwnerName = row.UID, row.Namespace, row.Name
		o.State, o.Version, o.Digest, o.MigrationSet = row.State, row.Version, row.Digest, row.MigrationSet
		o.Proof, o.Adopted, o.Baseline = row.Proof, row.Adopted != "", row.Baseline
	}
	return o
}

// FindTenant returns the schema that the registry holds for a UID.
func (db *DB) FindTenant(ctx context.Context, uid string) (schema string, found bool, err error) {
	err = db.pool.QueryRow(ctx, `SELECT schema_name FROM tenantry.tenant WHERE tenant_uid = $1`, uid).Scan(&schema)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return schema, err == nil, failed(err, "cannot look up the Tenant")
}

// KnowsName tells whether the registry has a schema of a Tenant of that name, whatever its UID.
func (db *DB) KnowsName(ctx context.Context, namespace, name string) (found bool, err error) {
	err = db.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM tenantry.tenant WHERE namespace = $1 AND name = $2)`, namespace, name).Scan(&found)
	return found, failed(err, "cannot look up the Tenant")
}

// RegistryRow is one schema by the registry's word.
type RegistryRow struct {
	Schema, UID, Namespace, Name string
	Roles                        RoleNames
	State, Version, Digest       string
	MigrationSet                 string
	Domains                      []string // the primary one first
}

const tenantsSQL = `SELECT t.schema_name, t.tenant_uid, t.namespace, t.name, t.owner_role, t.app_role, t.state,
	t.version, t.digest, t.migration_set,
	ARRAY(SELECT d.host FROM tenantry.domain d WHERE d.schema_name = t.schema_name ORDER BY d.position)
FROM tenantry.tenant t ORDER BY t.schema_name`

// Tenants returns all schemas of the database in one query, ordered by name.
func (db *DB) Tenants(ctx context.Context) ([]RegistryRow, error) {
	rows, err := db.pool.Query(ctx, tenantsSQL)
	if err != nil {
		return nil, failed(err, "cannot read the registry")
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r RegistryRow, err error) {
		err = row.Scan(&r.Schema, &r.UID, &r.Namespace, &r.Name, &r.Roles.Owner, &r.Roles.App, &r.State,
			&r.Version, &r.Digest, &r.MigrationSet, &r.Domains)
		return r, err
	})
	return all, failed(err, "cannot read the registry")
}
