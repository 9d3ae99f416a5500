package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// classLogin lets the class's shared login have the app role's rights, or take them. One that does not
// exist yet keeps nobody from working: a later pass finds it.
func (p *plan) classLogin(c *catalog, t Tenant) {
	if t.ClassLogin == "" || !c.HasClassLogin {
		return
	}
	suits := func(m membership) bool {
		return c.VersionNum < version16 || m.Set && m.Inherit == t.ClassLoginInherits
	}
	if c.isMember(c.names.App, t.ClassLogin, suits) {
		return
	}
	p.asKeeper("the class's shared login may not act for the tenant", "GRANT %s TO %s%s",
		ident(c.names.App), ident(t.ClassLogin), classOptions(c.VersionNum, t.ClassLoginInherits))
}

func (c *catalog) classLogins() []string {
	var names []string
	for _, m := range c.Members {
		if m.Role == c.names.App && isClassLogin(m.Member) {
			names = append(names, m.Member)
		}
	}
	return names
}

// ClassTenant is a schema for which a shared login can act, and its Tenant by the registry's word. That Tenant may be
// no more: who went without the operator is not taken out.
type ClassTenant struct{ Schema, UID, Namespace, Name string }

const classTenantsSQL = `SELECT t.schema_name, t.tenant_uid, t.namespace, t.name
	FROM tenantry.tenant t JOIN pg_catalog.pg_roles a ON a.rolname = t.app_role
	WHERE EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = a.oid AND pg_get_userbyid(m.member) = ANY ($1))
		AND NOT EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = a.oid AND pg_get_userbyid(m.member) = $2)
	ORDER BY t.schema_name`

// ClassTenants returns the schemas for which some of the logins can act.
func (db *DB) ClassTenants(ctx context.Context, logins ...string) ([]ClassTenant, error) {
	return db.classTenants(ctx, logins, "")
}

// OnlyIn returns the schemas that one class login can reach and another one cannot yet.
func (db *DB) OnlyIn(ctx context.Context, one, other string) ([]ClassTenant, error) {
	return db.classTenants(ctx, []string{one}, other)
}

func (db *DB) classTenants(ctx context.Context, logins []string, but string) ([]ClassTenant, error) {
	const what = "cannot read for whom the shared logins act"
	rows, err := db.pool.Query(ctx, classTenantsSQL, logins, but)
	if err != nil {
		return nil, failed(err, what)
	}
	tenants, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ClassTenant])
	return tenants, failed(err, what)
}

// JoinClassLogin lets a login of a class act for the tenant beside the one that Provision lets in: programs log in
// with it as long as the class has not come to another one. Of a login that is gone there is nothing to do.
func (db *DB) JoinClassLogin(ctx context.Context, uid, schema string, l ClassLogin) error {
	login := db.ClassLoginRole(l)
	defer db.recent.changed(schema)
	return failed(db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		if row.State != StateActive {
			return fault.NewInvalid(ReasonSchemaRetained, "the schema is %s", row.State)
		}
		switch err := lockClassLogin(ctx, tx, login, l.UID); {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		var version int
		if err := tx.QueryRow(ctx, `SELECT current_setting('server_version_num')::int`).Scan(&version); err != nil {
			return err
		}
		return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper),
			"GRANT "+ident(row.App)+" TO "+ident(login)+classOptions(version, l.All), "RESET ROLE")
	}), "cannot let login "+login+" act for schema "+schema)
}

// classOptions let a class login have a tenant's rights at once, or by SET ROLE only.
func classOptions(versionNum int, inherits bool) string {
	if versionNum < version16 {
		return ""
	}
	return fmt.Sprintf(" WITH INHERIT %t, SET TRUE", inherits)
}

// LeaveClassLogins takes the tenant's rights from every class's shared login.
func (db *DB) LeaveClassLogins(ctx context.Context, uid, schema string) error {
	return failed(db.inTx(ctx, func(tx pgx.Tx) error {
		row, err := lockOwn(ctx, tx, uid, schema)
		if err != nil {
			return err
		}
		return leaveClassLogins(ctx, tx, row)
	}), "cannot take schema "+schema+" from shared logins")
}

func leaveClassLogins(ctx context.Context, tx pgx.Tx, row *registered) error {
	rows, err := tx.Query(ctx, `SELECT pg_get_userbyid(m.member) FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles r ON r.oid = m.roleid
		WHERE r.rolname = $1`, row.App)
	if err != nil {
		return err
	}
	members, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	members = slices.DeleteFunc(members, func(name string) bool { return !isClassLogin(name) })
	if len(members) == 0 {
		return nil
	}
	return script(ctx, tx, "SET LOCAL ROLE "+ident(row.Keeper), "REVOKE "+ident(row.App)+" FROM "+idents(members), "RESET ROLE")
}
