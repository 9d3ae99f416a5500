package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// DomainHolder is a schema whose tenant the registry names for hosts that another one wants.
type DomainHolder struct {
	// Schema, and the UID, namespace and name of its Tenant.
	Schema, UID, Namespace, Name string
	Hosts                        []string
}

// DomainHolders returns the other schemas that have some of the hosts, in no particular order.
func (db *DB) DomainHolders(ctx context.Context, schema string, hosts []string) ([]DomainHolder, error) {
	const what = "cannot read whose domains they are"
	rows, err := db.pool.Query(ctx, `SELECT t.schema_name, t.tenant_uid, t.namespace, t.name, array_agg(d.host ORDER BY d.host)
		FROM tenantry.domain d JOIN tenantry.tenant t USING (schema_name)
		WHERE d.host = ANY ($2) AND d.schema_name <> $1 GROUP BY t.schema_name`, schema, hosts)
	if err != nil {
		return nil, failed(err, what)
	}
	holders, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DomainHolder])
	return holders, failed(err, what)
}

// ReleaseDomains takes hosts off a schema in the registry, if it still is of the Tenant that the holder names. It
// is for Tenants that are no more and that nobody retired; the schema itself is left as it is.
func (db *DB) ReleaseDomains(ctx context.Context, h DomainHolder) error {
	defer db.recent.changed(h.Schema)
	return failed(db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := lockOwn(ctx, tx, h.UID, h.Schema); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM tenantry.domain WHERE schema_name = $1 AND host = ANY ($2)`, h.Schema, h.Hosts)
		return err
	}), "cannot take domains off schema "+h.Schema)
}
