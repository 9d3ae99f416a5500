package postgres

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// plan is what separates a tenant from what it should be. It is made from a catalog by pure
// functions; Observe reports it and Provision carries it out.
type plan struct {
	keeper  []fix // what concerns the roles, done as their keeper
	admin   []fix // what the operator does as itself
	owner   []fix // what concerns the schema's inside, done as the tenant's owner
	foreign []Excess
}

// fix is one difference and the statement that ends it.
type fix struct{ what, sql string }

// version16 is the first whose memberships have options of their own.
const version16 = 160000

func (c *catalog) plan(t Tenant) plan {
	var p plan
	p.roles(c, t)
	p.memberships(c, t)
	p.settings(c, t)
	p.schema(c, t.Schema)
	p.schemaRights(c, t)
	for _, d := range defaultRights {
		p.defaultRights(c, t, d)
	}
	p.strangers(c)
	return p
}

func (p *plan) empty() bool { return len(p.keeper)+len(p.admin)+len(p.owner) == 0 }

func (p *plan) drift() []string {
	var what []string
	for _, f := range slices.Concat(p.keeper, p.admin, p.owner) {
		what = append(what, f.what)
	}
	return what
}

// statements are one script for one transaction.
func (p *plan) statements(c *catalog) []string {
	if p.empty() {
		return nil
	}
	asKeeper := sqlOf(p.keeper)
	if len(p.admin)+len(p.owner) == 0 {
		return slices.Concat([]string{"SET LOCAL ROLE " + ident(c.keeper)}, asKeeper, []string{"RESET ROLE"})
	}
	inside := sqlOf(p.admin)
	if len(p.owner) > 0 {
		inside = append(append(inside, "SET LOCAL ROLE "+ident(c.names.Owner)), sqlOf(p.owner)...)
	}
	return actingAs(c.keeper, c.VersionNum, c.names.Owner, asKeeper, inside...)
}

func sqlOf(fixes []fix) []string {
	sql := make([]string, len(fixes))
	for i, f := range fixes {
		sql[i] = f.sql
	}
	return sql
}

// actingAs lets the operator SET ROLE to one that a keeper made, for the statements inside; before
// them the keeper has statements of its own. The keeper is a member for that long only: at rest
// nobody but migrators may act as a tenant's role. PostgreSQL walks all memberships anew at the
// first SET ROLE after one changed, hence no more of them than must be.
func actingAs(keeper string, versionNum int, role string, first []string, inside ...string) []string {
	return slices.Concat(
		[]string{"SET LOCAL ROLE " + ident(keeper)}, first,
		[]string{"GRANT " + ident(role) + " TO " + ident(keeper) + actOptions(versionNum), "RESET ROLE"}, inside,
		[]string{"SET LOCAL ROLE " + ident(keeper), "REVOKE " + ident(role) + " FROM " + ident(keeper), "RESET ROLE"})
}

func (p *plan) asKeeper(what, format string, args ...any) {
	p.keeper = append(p.keeper, fix{what, fmt.Sprintf(format, args...)})
}

func (p *plan) asAdmin(what, format string, args ...any) {
	p.admin = append(p.admin, fix{what, fmt.Sprintf(format, args...)})
}

func (p *plan) asOwner(what, format string, args ...any) {
	p.owner = append(p.owner, fix{what, fmt.Sprintf(format, args...)})
}

// roles: nobody logs in as owner; the app role gets LOGIN with its password, not before.
func (p *plan) roles(c *catalog, t Tenant) {
	limit := -1
	if t.ConnectionLimit > 0 {
		limit = t.ConnectionLimit
	}
	owner, app := ident(c.names.Owner), ident(c.names.App)
	switch {
	case c.Owner == nil:
		p.asKeeper("the owner role is missing", "CREATE ROLE %s NOLOGIN INHERIT", owner)
	case c.Owner.Login:
		p.asKeeper("the owner role may log in", "ALTER ROLE %s NOLOGIN", owner)
	case !c.Owner.Inherit:
		p.asKeeper("the owner role is NOINHERIT", "ALTER ROLE %s INHERIT", owner)
	}
	switch {
	case c.App != nil:
		p.login(*c.App, "app role", limit)
	case c.verifier != "":
		p.asKeeper("the app role is missing", "CREATE ROLE %s INHERIT CONNECTION LIMIT %d%s", app, limit, logsIn(c.verifier))
	default:
		p.asKeeper("the app role is missing", "CREATE ROLE %s NOLOGIN INHERIT CONNECTION LIMIT %d", app, limit)
	}
	if c.Second != nil {
		p.login(*c.Second, "second login", limit)
	}
	p.readerRoles(c, t)
}

func (p *plan) login(r role, what string, limit int) {
	if r.Limit != limit {
		p.asKeeper("the "+what+"'s connection limit is "+strconv.Itoa(r.Limit), "ALTER ROLE %s CONNECTION LIMIT %d", ident(r.Name), limit)
	}
	if !r.Inherit {
		p.asKeeper("the "+what+" is NOINHERIT", "ALTER ROLE %s INHERIT", ident(r.Name))
	}
}

// memberships: both roles have what the group has and cannot become it; the migrator may act as
// owner.
func (p *plan) memberships(c *catalog, t Tenant) {
	asGroup := ""
	if c.VersionNum >= version16 {
		asGroup = " WITH INHERIT TRUE, SET FALSE"
	}
	var outside []string
	for _, name := range []string{c.names.Owner, c.names.App} {
		if !c.isMember(c.Group, name, func(m membership) bool { return m.Inherit }) {
			outside = append(outside, name)
		}
	}
	if len(outside) > 0 {
		p.asKeeper(strings.Join(outside, " and ")+" lacks the group's rights", "GRANT %s TO %s%s", ident(c.Group), idents(outside), asGroup)
	}
	if c.Second != nil && !c.isMember(c.names.App, c.names.Second(), func(m membership) bool { return m.Inherit }) {
		p.asKeeper("the second login lacks the app role's rights", "GRANT %s TO %s%s", ident(c.names.App), ident(c.names.Second()), asGroup)
	}
	p.readerMemberships(c, asGroup)
	p.classLogin(c, t)
	p.migrator(c)
}

// migrator lets one migration set's login act as the owner, and no other set's.
func (p *plan) migrator(c *catalog) {
	if c.Migrator == "" {
		return
	}
	if !c.isMember(c.names.Owner, c.Migrator, func(m membership) bool { return m.Set && !(m.Inherit && c.VersionNum >= version16) }) {
		p.asKeeper("the migration set's login may not act as owner", "GRANT %s TO %s%s", ident(c.names.Owner), ident(c.Migrator), actOptions(c.VersionNum))
	}
	for _, m := range c.Members {
		if c.isOtherMigrator(m) && c.mayTake(m) {
			p.asKeeper("another migration set's login may act as owner", "REVOKE %s FROM %s", ident(c.names.Owner), ident(m.Member))
		}
	}
}

// actOptions let a member SET ROLE without having the role's rights before it does. Older servers
// know no such membership.
func actOptions(versionNum int) string {
	if versionNum < version16 {
		return ""
	}
	return " WITH INHERIT FALSE, SET TRUE"
}

func (c *catalog) isMember(role, member string, suits func(membership) bool) bool {
	return slices.ContainsFunc(c.Members, func(m membership) bool {
		return m.Role == role && m.Member == member && suits(m)
	})
}

// ownSettings are the settings of the app role in this database that belong to the operator. The
// tenant can set them for all databases, where they count less, and for its sessions.
var ownSettings = []string{"search_path", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", readOnlySetting, "role"}

// readOnlySetting is on for readers. A login that set it for itself could not work.
const readOnlySetting = "default_transaction_read_only"

func (p *plan) settings(c *catalog, t Tenant) {
	p.settingsOf(c, t, c.names.App, c.Settings, t.settings(c.WantPath))
	if c.Second != nil {
		p.settingsOf(c, t, c.names.Second(), c.SecondSettings, t.settings(c.WantPath))
	}
	if t.Reader != nil {
		p.settingsOf(c, t, c.names.Reader(), c.ReaderSettings, t.readerSettings(c.WantPath))
		if c.SecondReader != nil {
			p.settingsOf(c, t, c.names.SecondReader(), c.SecondReaderSettings, t.readerSettings(c.WantPath))
		}
	}
}

func (p *plan) settingsOf(c *catalog, t Tenant, login string, settings []string, wanted map[string]string) {
	on := fmt.Sprintf("ALTER ROLE %s IN DATABASE %s", ident(login), ident(c.Database))
	for _, key := range ownSettings {
		have, found := setting(settings, key)
		switch want, isWanted := wanted[key]; {
		case isWanted && have != want && key == "search_path":
			p.asKeeper("the login's search_path differs", "%s SET search_path = %s", on, idents(t.searchPath()))
		case isWanted && have != want:
			p.asKeeper("the login's "+key+" differs", "%s SET %s = %s", on, key, literal(want))
		case !isWanted && found:
			p.asKeeper("the login has a "+key, "%s RESET %s", on, key)
		}
	}
}

func (p *plan) schema(c *catalog, schema string) {
	switch {
	case c.SchemaOwner == nil:
		p.asAdmin("the schema is missing", "CREATE SCHEMA %s AUTHORIZATION %s", ident(schema), ident(c.names.Owner))
	case *c.SchemaOwner != c.names.Owner:
		p.asAdmin("the schema belongs to "+*c.SchemaOwner, "ALTER SCHEMA %s OWNER TO %s", ident(schema), ident(c.names.Owner))
	}
}

func (p *plan) schemaRights(c *catalog, t Tenant) {
	on := "ON SCHEMA " + ident(t.Schema)
	wanted := map[string][]string{c.names.App: {"USAGE"}}
	if c.hasReader(t) {
		wanted[c.names.Reader()] = []string{"USAGE"}
	}
	if c.SchemaOwner != nil { // a new schema's owner has all rights
		wanted[c.names.Owner] = []string{"CREATE", "USAGE"}
	}
	for _, grantee := range slices.Sorted(maps.Keys(grantedTo(c.SchemaACL, ""))) {
		extra := without(grantees(c.SchemaACL, "", grantee), wanted[grantee])
		if len(extra) > 0 {
			p.revoke(grantee, extra, on)
		}
	}
	for _, grantee := range slices.Sorted(maps.Keys(wanted)) {
		if missing := without(wanted[grantee], grantees(c.SchemaACL, "", grantee)); len(missing) > 0 {
			list := strings.Join(missing, ", ")
			p.asOwner(grantee+" lacks "+list+" on the schema", "GRANT %s %s TO %s", list, on, ident(grantee))
		}
	}
}

// revoke takes rights from PUBLIC and from the operator's own roles, and reports others'.
func (p *plan) revoke(grantee string, privileges []string, on string) {
	list := strings.Join(privileges, ", ")
	switch {
	case grantee == "":
		p.asOwner("everybody has "+list+" "+on, "REVOKE %s %s FROM PUBLIC", list, on)
	case isOurs(grantee):
		p.asOwner(grantee+" has "+list+" "+on, "REVOKE %s %s FROM %s", list, on, ident(grantee))
	default:
		p.foreign = append(p.foreign, Excess{
			What: fmt.Sprintf("role %s has %s %s", grantee, list, on), Mend: fmt.Sprintf("REVOKE %s %s FROM %s", list, on, ident(grantee)),
		})
	}
}

// defaultRight is one kind of object, by pg_default_acl's code and by SQL's name.
type defaultRight struct {
	code, objects string
	app           []string
	public        []string // PostgreSQL's own default
}

// defaultRights are what the app role gets on every object that the owner makes. PostgreSQL gives
// PUBLIC rights on functions and types unless told otherwise, and only the form without IN SCHEMA
// can take them.
var defaultRights = []defaultRight{
	{"r", "TABLES", []string{"DELETE", "INSERT", "SELECT", "UPDATE"}, nil},
	{"S", "SEQUENCES", []string{"SELECT", "UPDATE", "USAGE"}, nil},
	{"f", "FUNCTIONS", []string{"EXECUTE"}, []string{"EXECUTE"}},
	{"T", "TYPES", []string{"USAGE"}, []string{"USAGE"}},
}

func (p *plan) defaultRights(c *catalog, t Tenant, d defaultRight) {
	have := c.DefaultACL
	if !slices.ContainsFunc(have, func(g grant) bool { return g.Type == d.code }) {
		for _, privilege := range d.public {
			have = append(slices.Clone(have), grant{Type: d.code, Privilege: privilege})
		}
	}
	const alter = "ALTER DEFAULT PRIVILEGES "
	for _, grantee := range slices.Sorted(maps.Keys(grantedTo(have, d.code))) {
		var wanted []string
		switch grantee {
		case c.names.Owner:
			continue
		case c.names.App:
			wanted = d.app
		case c.names.Reader():
			wanted = d.reader(c, t)
		}
		extra := without(grantees(have, d.code, grantee), wanted)
		if len(extra) == 0 {
			continue
		}
		owned, reported := len(p.owner), len(p.foreign)
		p.revoke(grantee, extra, "ON "+d.objects)
		for i := owned; i < len(p.owner); i++ {
			p.owner[i] = fix{p.owner[i].what + " to come", alter + p.owner[i].sql}
		}
		for i := reported; i < len(p.foreign); i++ {
			p.foreign[i].What += " to come"
			p.foreign[i].Mend = alter + "FOR ROLE " + ident(c.names.Owner) + " " + p.foreign[i].Mend
		}
	}
	if missing := without(d.app, grantees(have, d.code, c.names.App)); len(missing) > 0 {
		list := strings.Join(missing, ", ")
		p.asOwner("the app role lacks "+list+" on "+d.objects+" to come",
			alter+"GRANT %s ON %s TO %s", list, d.objects, ident(c.names.App))
	}
	p.readerRights(c, t, d)
}

// strangers are members and powers that the operator did not give and does not take.
func (p *plan) strangers(c *catalog) {
	for _, r := range []*role{c.Owner, c.App, c.Second, c.Reader, c.SecondReader} {
		if r == nil {
			continue
		}
		for _, power := range r.Powers {
			p.foreign = append(p.foreign, Excess{
				What: fmt.Sprintf("role %s is %s", r.Name, power), Mend: fmt.Sprintf("ALTER ROLE %s NO%s", ident(r.Name), power), Outward: true,
			})
		}
	}
	for _, m := range c.Members {
		switch {
		case m.Member == c.keeper && !m.Inherit && !m.Set: // since 16: who made a role has ADMIN on it
		case m.Role == c.names.App && (m.Member == c.names.Second() || isClassLogin(m.Member)):
		case m.Role == c.names.Reader() && m.Member == c.names.SecondReader():
		case c.isJob(m):
		case m.Role == c.Group, c.isMigrator(m) && !c.isOtherMigrator(m), c.isOtherMigrator(m) && c.mayTake(m):
		default:
			p.foreign = append(p.foreign, c.stranger(m))
		}
	}
}

// stranger reports a membership: one of the tenant's roles in somebody else's, or the other way round.
func (c *catalog) stranger(m membership) Excess {
	e := Excess{
		What:    fmt.Sprintf("role %s is a member of %s", m.Member, m.Role),
		Mend:    fmt.Sprintf("REVOKE %s FROM %s", ident(m.Role), ident(m.Member)),
		Outward: m.Role != c.names.Owner && m.Role != c.names.App && m.Role != c.names.Second() && m.Role != c.names.Reader(),
	}
	if c.VersionNum >= version16 { // where a membership is only taken by who gave it
		e.Mend += " GRANTED BY " + ident(m.Grantor)
	}
	return e
}

func (c *catalog) isJob(m membership) bool {
	return m.Role == c.names.Owner && m.Member == c.names.Job()
}

func (c *catalog) isMigrator(m membership) bool {
	return m.Role == c.names.Owner && strings.HasPrefix(m.Member, "tenantry_mig_")
}

func (c *catalog) isOtherMigrator(m membership) bool {
	return c.isMigrator(m) && c.Migrator != "" && m.Member != c.Migrator
}

// mayTake: since 16, a membership is only taken by the role that granted it.
func (c *catalog) mayTake(m membership) bool {
	return m.Grantor == c.keeper || c.VersionNum < version16
}

func grantedTo(acl []grant, objectType string) map[string]bool {
	to := map[string]bool{}
	for _, g := range acl {
		if g.Type == objectType {
			to[g.Grantee] = true
		}
	}
	return to
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(some, s) })
}
