package postgres

import (
	"context"
	_ "embed" // for the query
	"slices"
	"strings"
	"time"
)

//go:embed observe.sql
var observeSQL string

// catalog is what observe.sql returns: the facts that Observe reports and Provision compares.
type catalog struct {
	VersionNum int         `json:"versionNum"`
	Login      string      `json:"login"`
	Database   string      `json:"database"`
	Row        *registered `json:"row"`
	Domains    []string    `json:"domains"`
	SharedName bool        `json:"sharedName"`
	Owner      *role       `json:"owner"`
	App        *role       `json:"app"`
	Second     *role       `json:"second"`
	Reader     *role       `json:"reader"`
	// SecondReader takes turns with Reader.
	SecondReader *role `json:"secondReader"`
	HasMigrator  bool  `json:"hasMigrator"`
	// HasClassLogin: the wanted class login exists.
	HasClassLogin bool     `json:"hasClassLogin"`
	SchemaOwner   *string  `json:"schemaOwner"`
	SchemaACL     []grant  `json:"schemaACL"`
	DefaultACL    []grant  `json:"defaultACL"`
	Settings      []string `json:"settings"`
	// SecondSettings are Settings of the second login.
	SecondSettings       []string     `json:"secondSettings"`
	ReaderSettings       []string     `json:"readerSettings"`
	SecondReaderSettings []string     `json:"secondReaderSettings"`
	WantPath             string       `json:"wantPath"`
	Members              []membership `json:"members"`
	Group                string       `json:"group"`
	Migrator             string       `json:"migrator"`

	names  RoleNames
	keeper string
	// made is the tenant that was begun, where the catalog was not read but follows from that.
	made *Tenant
	// verifier is that of the password with which the app role is made; "" makes it without LOGIN.
	verifier string
}

type role struct {
	Name    string   `json:"name"`
	OID     uint32   `json:"oid"`
	Login   bool     `json:"login"`
	Inherit bool     `json:"inherit"`
	Limit   int      `json:"limit"`
	Powers  []string `json:"powers"`
}

// grant is one right of one grantee; "" is PUBLIC. Type is pg_default_acl's.
type grant struct {
	Type      string `json:"type"`
	Grantee   string `json:"grantee"`
	Privilege string `json:"privilege"`
}

type membership struct {
	Role    string `json:"role"`
	Member  string `json:"member"`
	Grantor string `json:"grantor"`
	Inherit bool   `json:"inherit"`
	Set     bool   `json:"set"`
}

// readCatalog runs the one query. The registry's role names win over those that would be made
// today: they are the ones that exist.
func readCatalog(ctx context.Context, q querier, database string, t Tenant) (*catalog, error) {
	names := TenantRoles(database, t.Schema)
	migrator := ""
	if t.MigrationSet != "" {
		migrator = MigratorRole(database, t.MigrationSet)
	}
	var c catalog
	err := q.QueryRow(ctx, observeSQL, t.Schema, names.Owner, names.App, t.searchPath(), GroupRole(database), migrator, t.ClassLogin).Scan(&c)
	if err != nil {
		return nil, err
	}
	if c.names, c.keeper = names, KeeperRole(database, t.Schema); c.Row != nil {
		c.names, c.keeper = RoleNames{Owner: c.Row.Owner, App: c.Row.App}, c.Row.Keeper
	}
	return &c, nil
}

func (t Tenant) searchPath() []string {
	path := []string{t.Schema}
	if t.SharedSchema != "" {
		path = append(path, t.SharedSchema)
	}
	return path
}

// readerSettings are settings of the reader: its transactions only read, unless it says otherwise,
// and then its rights are what keeps it from writing.
func (t Tenant) readerSettings(path string) map[string]string {
	if t.Reader != nil && t.Reader.StatementTimeout > 0 {
		t.StatementTimeout = t.Reader.StatementTimeout
	}
	wanted := t.settings(path)
	wanted[readOnlySetting] = "on"
	return wanted
}

// settings are the app role's defaults in this database, as the server stores them.
func (t Tenant) settings(path string) map[string]string {
	wanted := map[string]string{"search_path": path}
	set := func(key string, d time.Duration) {
		if d > 0 {
			wanted[key] = milliseconds(d) + "ms"
		}
	}
	set("statement_timeout", t.StatementTimeout)
	set("lock_timeout", t.LockTimeout)
	set("idle_in_transaction_session_timeout", t.IdleInTransactionTimeout)
	return wanted
}

// setting finds a value in what pg_db_role_setting has of a login.
func setting(settings []string, key string) (value string, found bool) {
	for _, s := range settings {
		if value, found = strings.CutPrefix(s, key+"="); found {
			return value, true
		}
	}
	return "", false
}

// grantees returns the rights that one grantee has of one type of object.
func grantees(acl []grant, objectType, grantee string) []string {
	var privileges []string
	for _, g := range acl {
		if g.Type == objectType && g.Grantee == grantee {
			privileges = append(privileges, g.Privilege)
		}
	}
	slices.Sort(privileges)
	return privileges
}

// isOurs tells whether a role was made by the operator, for this or another tenant. What such roles
// have in a tenant's schema is the operator's to take; what other roles have is only reported.
func isOurs(name string) bool {
	return strings.HasPrefix(name, "tn_") || strings.HasPrefix(name, "tenantry_")
}
