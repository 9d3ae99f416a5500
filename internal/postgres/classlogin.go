package postgres

import (
	"context"
	_ "embed" // for the query
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

// A class login is shared by all tenants of a class on one database. It owns nothing, and its rights
// are those of the tenants' app roles that Provision makes it a member of: at once, or by SET ROLE
// only. The registry's row with the class's UID is its fence. Like a tenant's, it has a second one that
// takes turns with it.

//go:embed classlogin.sql
var classLoginSQL string

// ClassLogin is what the shared login of a class should be. UID and Class are required.
type ClassLogin struct {
	// UID is the class's: only calls with the UID that the registry holds change anything.
	UID, Class string
	// All: it has the rights of all tenants at once, not by SET ROLE only.
	All bool
	// ConnectionLimit bounds each login's sessions; 0 for no bound.
	ConnectionLimit int
	// The timeouts are defaults that sessions can change; 0 for none.
	StatementTimeout, LockTimeout, IdleInTransactionTimeout time.Duration
	// SharedSchema is in the search_path; "" for none. No tenant's is.
	SharedSchema string
}

// ClassLoginState is what there is of a class login.
type ClassLoginState struct {
	First, Second                 string
	FirstCanLogin, SecondCanLogin bool
	// Tenants is of how many app roles it is a member.
	Tenants int
}

type classCatalog struct {
	VersionNum    int
	Operator      string
	Database      string
	Row           *classRow
	First, Second *classRole
	Chained       bool
	Tenants       int
}

type classRow struct {
	Role string `json:"role_name"`
	UID  string `json:"class_uid"`
}

type classRole struct {
	role

	Connects bool     `json:"connects"`
	Settings []string `json:"settings"`
}

// ClassLoginRole returns the name of the login's role on this database.
func (db *DB) ClassLoginRole(l ClassLogin) string {
	return ClassLoginRole(db.config.Database(), l.Class, l.UID, l.All)
}

// EnsureClassLogin makes the login, without a password, and mends what differs. It returns what there
// is then; when nothing differs it writes nothing.
func (db *DB) EnsureClassLogin(ctx context.Context, l ClassLogin) (ClassLoginState, error) {
	if l.SharedSchema != "" {
		if err := validateShared(l.SharedSchema); err != nil {
			return ClassLoginState{}, err
		}
	}
	state, err := db.ensureClassLogin(ctx, l)
	return state, failed(err, "cannot prepare the shared login of class "+l.Class)
}

func (db *DB) ensureClassLogin(ctx context.Context, l ClassLogin) (ClassLoginState, error) {
	login := db.ClassLoginRole(l)
	c, err := readClassLogin(ctx, db.pool, login, l.UID)
	if err != nil {
		return ClassLoginState{}, err
	}
	if c.Row != nil && len(l.statements(login, c)) == 0 {
		return c.state(login), nil
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO tenantry.login (role_name, class_uid, class_name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			login, l.UID, l.Class); err != nil {
			return err
		}
		if err := lockClassLogin(ctx, tx, login, l.UID); err != nil {
			return err
		}
		if c, err = readClassLogin(ctx, tx, login, l.UID); err != nil {
			return err
		}
		if err := script(ctx, tx, l.statements(login, c)...); err != nil {
			return err
		}
		c, err = readClassLogin(ctx, tx, login, l.UID)
		return err
	})
	return c.state(login), err
}

func readClassLogin(ctx context.Context, q querier, login, uid string) (c classCatalog, err error) {
	if err := q.QueryRow(ctx, classLoginSQL, login).Scan(&c); err != nil {
		return c, err
	}
	if c.Row != nil && c.Row.UID != uid || c.Row == nil && (c.First != nil || c.Second != nil) {
		return c, notOurLogin(login)
	}
	return c, nil
}

func notOurLogin(login string) error {
	return fault.NewInvalid(ReasonNotOwner, "login %s exists and is not this class's by the registry's word", login).Because(ErrNotOwner)
}

// lockClassLogin is the fence of a class login.
func lockClassLogin(ctx context.Context, tx pgx.Tx, login, uid string) error {
	var owner string
	err := tx.QueryRow(ctx, `SELECT class_uid FROM tenantry.login WHERE role_name = $1 FOR UPDATE`, login).Scan(&owner)
	if err == nil && (owner != uid || uid == "") {
		return notOurLogin(login)
	}
	return err
}

func (c *classCatalog) state(login string) ClassLoginState {
	return ClassLoginState{
		First: login, Second: SecondClassLogin(login),
		FirstCanLogin: c.First != nil && c.First.Login, SecondCanLogin: c.Second != nil && c.Second.Login,
		Tenants: c.Tenants,
	}
}

// statements make of what is there what should be. On 15 a role inherits all or nothing, so that a login
// that has no rights of its own is NOINHERIT.
func (l ClassLogin) statements(login string, c classCatalog) []string {
	inherit := "NOINHERIT"
	if l.All {
		inherit = "INHERIT"
	}
	limit := -1
	if l.ConnectionLimit > 0 {
		limit = l.ConnectionLimit
	}
	var s []string
	one := func(name string, r *classRole) {
		if r == nil {
			s = append(s, "CREATE ROLE "+ident(name)+" NOLOGIN "+inherit+" CONNECTION LIMIT "+strconv.Itoa(limit))
			r = &classRole{role: role{Inherit: l.All, Limit: limit}}
		}
		if r.Inherit != l.All || r.Limit != limit {
			s = append(s, "ALTER ROLE "+ident(name)+" "+inherit+" CONNECTION LIMIT "+strconv.Itoa(limit))
		}
		if !r.Connects {
			s = append(s, "GRANT CONNECT ON DATABASE "+ident(c.Database)+" TO "+ident(name))
		}
		s = append(s, l.settings(name, c.Database, r.Settings)...)
	}
	one(login, c.First)
	if c.Second == nil {
		return s
	}
	one(SecondClassLogin(login), c.Second)
	if !c.Chained {
		options := ""
		if c.VersionNum >= version16 {
			options = " WITH INHERIT TRUE, SET TRUE"
		}
		s = append(s, "GRANT "+ident(login)+" TO "+ident(SecondClassLogin(login))+options)
	}
	return s
}

// settings are as a tenant's, but that no tenant's schema is in the search_path.
func (l ClassLogin) settings(name, database string, have []string) []string {
	path := "pg_catalog"
	if l.SharedSchema != "" {
		path = l.SharedSchema
	}
	wanted := Tenant{
		StatementTimeout: l.StatementTimeout, LockTimeout: l.LockTimeout, IdleInTransactionTimeout: l.IdleInTransactionTimeout,
	}.settings(path)
	on := "ALTER ROLE " + ident(name) + " IN DATABASE " + ident(database)
	var s []string
	for _, key := range ownSettings {
		now, found := setting(have, key)
		switch want, isWanted := wanted[key]; {
		case isWanted && now != want && key == "search_path":
			s = append(s, on+" SET search_path = "+ident(path))
		case isWanted && now != want:
			s = append(s, on+" SET "+key+" = "+literal(want))
		case !isWanted && found:
			s = append(s, on+" RESET "+key)
		}
	}
	return s
}

// SetClassLogin gives the login, or its second, a password as a SCRAM verifier, and lets it log in.
// The second is made where it is missing; EnsureClassLogin gives it its rights.
func (db *DB) SetClassLogin(ctx context.Context, l ClassLogin, name, verifier string) error {
	what := "cannot set the password of login " + name
	if !isVerifier(verifier) {
		return fault.NewInvalid(ReasonInvalidConnection, "%s: it is no SCRAM verifier", what)
	}
	return failed(db.changeClassLogin(ctx, l, name, func(exists bool) string {
		verb := "CREATE"
		if exists {
			verb = "ALTER"
		}
		return verb + " ROLE " + ident(name) + logsIn(verifier)
	}), what)
}

// RetireClassLogin takes LOGIN and the password from one of the two. Sessions that are open stay.
func (db *DB) RetireClassLogin(ctx context.Context, l ClassLogin, name string) error {
	return failed(db.changeClassLogin(ctx, l, name, func(exists bool) string {
		if !exists {
			return ""
		}
		return "ALTER ROLE " + ident(name) + " NOLOGIN PASSWORD NULL"
	}), "cannot retire login "+name)
}

func (db *DB) changeClassLogin(ctx context.Context, l ClassLogin, name string, sql func(exists bool) string) error {
	login := db.ClassLoginRole(l)
	if name != login && name != SecondClassLogin(login) {
		return fault.NewInvalid(ReasonNotOwner, "role %q is no login of class %q", name, l.Class)
	}
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := lockClassLogin(ctx, tx, login, l.UID); err != nil {
			return err
		}
		var exists bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, name).Scan(&exists); err != nil {
			return err
		}
		if s := sql(exists); s != "" {
			return script(ctx, tx, s)
		}
		return nil
	})
}

// ClassLogins returns the logins that the registry has for a class, with what they are. A database
// without a registry has none.
func (db *DB) ClassLogins(ctx context.Context, uid string) ([]ClassLoginState, error) {
	states, err := db.classLogins(ctx, uid)
	if err = failed(err, "cannot read the shared logins"); fault.ReasonOf(err) == ReasonNotBootstrapped {
		return nil, nil
	}
	return states, err
}

func (db *DB) classLogins(ctx context.Context, uid string) ([]ClassLoginState, error) {
	rows, err := db.pool.Query(ctx, `SELECT role_name FROM tenantry.login WHERE class_uid = $1 ORDER BY role_name`, uid)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var states []ClassLoginState
	for _, name := range names {
		c, err := readClassLogin(ctx, db.pool, name, uid)
		if err != nil {
			return nil, err
		}
		states = append(states, c.state(name))
	}
	return states, nil
}
