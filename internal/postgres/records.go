package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/fault"
)

// ReasonDomainTaken : another schema of the database still has the host.
const ReasonDomainTaken = "DomainTaken"

// The comparison, the fence and the update are one statement; where nothing differs it writes
// nothing.
const setVersionSQL = `WITH changed AS (
	UPDATE tenantry.tenant SET version = $3, digest = $4
	WHERE schema_name = $1 AND tenant_uid = $2 AND (version, digest) IS DISTINCT FROM ($3, $4)
	RETURNING 1)
SELECT to_jsonb(t), EXISTS (SELECT FROM changed) FROM tenantry.tenant t WHERE schema_name = $1`

// SetVersion copies the schema's version, and the digest of the migrations that led to it, from the
// schema's ledger to the registry, where one query reads them for all tenants.
func (db *DB) SetVersion(ctx context.Context, uid, schema, version, digest string) (changed bool, err error) {
	changed, err = db.record(ctx, uid, setVersionSQL, schema, uid, version, digest)
	db.recent.amended(schema, err, func(c *catalog) { c.Row.Version, c.Row.Digest = version, digest })
	return changed, failed(err, "cannot record the version of schema "+schema)
}

// The row need not be on disk before anything else is: a schema's ledger is read again where the registry is
// behind it, and a login without a proof is tried once more.
const recordSQL = `WITH later AS MATERIALIZED (SELECT set_config('synchronous_commit', 'off', true)), changed AS (
	UPDATE tenantry.tenant SET version = $3, digest = $4, login_proof = $5 FROM later
	WHERE schema_name = $1 AND tenant_uid = $2 AND (version, digest, login_proof) IS DISTINCT FROM ($3, $4, $5)
	RETURNING 1)
SELECT to_jsonb(t), EXISTS (SELECT FROM changed) FROM tenantry.tenant t WHERE schema_name = $1`

// Record is SetVersion, and remembers, beyond a restart, that the tenant's login was seen to work under
// circumstances that the proof stands for. Observe returns it. What a crash of the server takes away is found
// again.
func (db *DB) Record(ctx context.Context, uid, schema, version, digest, proof string) (changed bool, err error) {
	changed, err = db.record(ctx, uid, recordSQL, schema, uid, version, digest, proof)
	db.recent.amended(schema, err, func(c *catalog) { c.Row.Version, c.Row.Digest, c.Row.Proof = version, digest, proof })
	return changed, failed(err, "cannot record the version of schema "+schema)
}

// recordFirstSQL is Record and SetDomains for a schema that has no domains yet.
const recordFirstSQL = `WITH own AS (
	UPDATE tenantry.tenant t SET version = $3, digest = $4, login_proof = $5
	WHERE schema_name = $1 AND tenant_uid = $2 AND NOT EXISTS (SELECT FROM tenantry.domain d WHERE d.schema_name = t.schema_name)
	RETURNING schema_name)
INSERT INTO tenantry.domain (host, schema_name, position)
SELECT h, own.schema_name, i - 1 FROM own, unnest($6::text[]) WITH ORDINALITY u (h, i)`

// RecordFirst is Record and SetDomains in one statement, for a tenant that was only just made. Where it changes nothing,
// done is false: the two have the words for why.
func (db *DB) RecordFirst(ctx context.Context, uid, schema, version, digest, proof string, hosts []string) (done bool) {
	tag, err := db.pool.Exec(ctx, recordFirstSQL, schema, uid, version, digest, proof, hosts)
	if err != nil || tag.RowsAffected() == 0 {
		db.recent.changed(schema)
		return false
	}
	db.recent.amended(schema, nil, func(c *catalog) {
		c.Row.Version, c.Row.Digest, c.Row.Proof, c.Domains = version, digest, proof, slices.Clone(hosts)
	})
	return true
}

// record runs one of the statements above, whose first argument is the schema.
func (db *DB) record(ctx context.Context, uid, sql string, args ...any) (changed bool, err error) {
	var row registered
	err = db.pool.QueryRow(ctx, sql, args...).Scan(&row, &changed)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, notProvisioned(args[0].(string))
	}
	if err == nil {
		err = row.ownedBy(uid)
	}
	return changed, err
}

const domainsSQL = `SELECT to_jsonb(t), ARRAY(SELECT host FROM tenantry.domain d WHERE d.schema_name = t.schema_name ORDER BY position)
FROM tenantry.tenant t WHERE schema_name = $1`

// SetDomains makes hosts the schema's domains, the first its primary one. Where they are already,
// it writes nothing. A host that another schema has is fault.Waiting (DomainTaken) and changes
// nothing: the claims on domains are decided elsewhere, and the other schema will let go.
func (db *DB) SetDomains(ctx context.Context, uid, schema string, hosts []string) (changed bool, err error) {
	changed, err = db.setDomains(ctx, uid, schema, hosts)
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.ConstraintName == "domain_pkey" {
		return false, fault.NewWaiting(ReasonDomainTaken, 5*time.Second,
			"one of the domains of schema %q still belongs to another schema", schema).Because(err)
	}
	return changed, failed(err, "cannot record the domains of schema "+schema)
}

// firstDomainsSQL gives hosts to a schema that has none, under the lock of its row.
const firstDomainsSQL = `WITH own AS MATERIALIZED (
	SELECT schema_name FROM tenantry.tenant t WHERE schema_name = $1 AND tenant_uid = $2
		AND NOT EXISTS (SELECT FROM tenantry.domain d WHERE d.schema_name = t.schema_name) FOR UPDATE)
INSERT INTO tenantry.domain (host, schema_name, position)
SELECT h, own.schema_name, i - 1 FROM own, unnest($3::text[]) WITH ORDINALITY u (h, i)`

func (db *DB) setDomains(ctx context.Context, uid, schema string, hosts []string) (changed bool, err error) {
	// Most schemas get theirs once. Where that is not so, nothing is written or locked.
	if tag, err := db.pool.Exec(ctx, firstDomainsSQL, schema, uid, hosts); err == nil && tag.RowsAffected() > 0 {
		db.recent.amended(schema, nil, func(c *catalog) { c.Domains = slices.Clone(hosts) })
		return true, nil
	}
	var row registered
	var have []string
	err = db.pool.QueryRow(ctx, domainsSQL, schema).Scan(&row, &have)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, notProvisioned(schema)
	}
	if err != nil {
		return false, err
	}
	if err := row.ownedBy(uid); err != nil || slices.Equal(have, hosts) {
		return false, err
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOwn(ctx, tx, uid, schema); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM tenantry.domain WHERE schema_name = $1`, schema); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO tenantry.domain (host, schema_name, position)
			SELECT h, $1, i - 1 FROM unnest($2::text[]) WITH ORDINALITY u (h, i)`, schema, hosts)
		return err
	})
	db.recent.amended(schema, err, func(c *catalog) { c.Domains = slices.Clone(hosts) })
	return true, err
}

// AppliedFile is a migration file as it was when first applied to any schema of the database.
type AppliedFile struct{ Version, Name, Checksum string }

// AppliedFiles returns the files of a migration set, ordered by version as text.
func (db *DB) AppliedFiles(ctx context.Context, set string) ([]AppliedFile, error) {
	rows, err := db.pool.Query(ctx, `SELECT version, name, checksum FROM tenantry.migration_file WHERE set_name = $1 ORDER BY version`, set)
	if err != nil {
		return nil, failed(err, "cannot read the applied files of "+set)
	}
	files, err := pgx.CollectRows(rows, pgx.RowToStructByPos[AppliedFile])
	return files, failed(err, "cannot read the applied files of "+set)
}

const recordFilesSQL = `INSERT INTO tenantry.migration_file (set_name, version, name, checksum)
SELECT $1, v, n, c FROM unnest($2::text[], $3::text[], $4::text[]) f (v, n, c)
WHERE NOT EXISTS (SELECT FROM tenantry.migration_file m WHERE m.set_name = $1 AND m.version = f.v)
ON CONFLICT DO NOTHING`

// RecordFiles remembers files that were applied. A version that is there already keeps what it
// has: the caller compares before it applies.
func (db *DB) RecordFiles(ctx context.Context, set string, files []AppliedFile) (changed bool, err error) {
	var versions, names, checksums []string
	for _, f := range files {
		versions, names, checksums = append(versions, f.Version), append(names, f.Name), append(checksums, f.Checksum)
	}
	tag, err := db.pool.Exec(ctx, recordFilesSQL, set, versions, names, checksums)
	return tag.RowsAffected() > 0, failed(err, "cannot record the applied files of "+set)
}
