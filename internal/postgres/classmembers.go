package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
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
	options := ""
	if c.VersionNum >= version16 {
		options = fmt.Sprintf(" WITH INHERIT %t, SET TRUE", t.ClassLoginInherits)
	}
	p.asKeeper("the class's shared login may not act for the tenant", "GRANT %s TO %s%s", ident(c.names.App), ident(t.ClassLogin), options)
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
