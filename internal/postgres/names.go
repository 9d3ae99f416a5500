package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"regexp"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/fault"
)

// maxIdentifier is PostgreSQL's NAMEDATALEN-1, in bytes. Longer names are cut by the server with
// no more than a notice, so none may be sent.
const maxIdentifier = 63

// MaxSchemaNameLength is the greatest length of a tenant's schema name, in bytes. It is short of
// PostgreSQL's 63 so that names made from it by the operator stay below that.
const MaxSchemaNameLength = 50

// ReasonInvalidSchemaName : the schema name is malformed or reserved.
const ReasonInvalidSchemaName = "InvalidSchemaName"

// RegistrySchema holds the registry. Only the operator has rights on it.
const RegistrySchema = "tenantry"

var schemaName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// reserved are the schemas of PostgreSQL and of the operator, and words that a session would
// understand otherwise in a search_path.
var reserved = []string{"public", "information_schema", RegistrySchema, "shared", "default", "none", "postgres"}

// ValidateSchemaName returns a fault.Invalid that says what is wrong with a tenant's schema name.
func ValidateSchemaName(name string) error {
	if err := validateAnySchema(name); err != nil {
		return err
	}
	if slices.Contains(reserved, name) {
		return fault.NewInvalid(ReasonInvalidSchemaName, "schema name %q is reserved; choose another", name)
	}
	return nil
}

// validateAnySchema holds for tenants' schemas and for shared ones.
func validateAnySchema(name string) error {
	switch {
	case len(name) > MaxSchemaNameLength:
		return fault.NewInvalid(ReasonInvalidSchemaName, "schema name has %d characters; at most %d are allowed", len(name), MaxSchemaNameLength)
	case !schemaName.MatchString(name):
		return fault.NewInvalid(ReasonInvalidSchemaName, "schema name %q must begin with a letter and hold only lower case letters, digits and _", name)
	case strings.HasPrefix(name, "pg_"), name == RegistrySchema, name == "information_schema":
		return fault.NewInvalid(ReasonInvalidSchemaName, "schema name %q belongs to PostgreSQL or Tenantry; choose another", name)
	}
	return nil
}

// RoleNames are the roles of one tenant. Owner owns schema and objects and cannot log in; App has
// the tenant's rights and is its login, but while Second is, which has App's rights as its member.
type RoleNames struct{ Owner, App string }

// Second is the login that takes turns with App, so that a new password does not end the old one at
// once. It is only made when the first rotation asks for it.
func (n RoleNames) Second() string { return n.App + secondSuffix }

// Reader is the login that can only read, SecondReader the one that takes turns with it.
func (n RoleNames) Reader() string { return strings.TrimSuffix(n.App, appSuffix) + readerSuffix }

// SecondReader is to Reader what Second is to App.
func (n RoleNames) SecondReader() string { return n.Reader() + secondSuffix }

// The suffixes of a tenant's roles. None is longer than that of the owner, for which names leave room.
const (
	ownerSuffix  = "_owner"
	appSuffix    = "_app"
	readerSuffix = "_ro"
	secondSuffix = "_b"
)

// TenantRoles returns the names of a tenant's roles. Roles belong to the whole server, so the
// database is in the name. Different pairs give different names: a plain name holds "__" first at
// the joint, because its database neither holds "__" nor ends in "_"; all other pairs are told
// apart by a hash in a name without "__".
func TenantRoles(database, schema string) RoleNames {
	stem := joinedName("tn_", database, schema, len(ownerSuffix))
	return RoleNames{Owner: stem + ownerSuffix, App: stem + appSuffix}
}

// SharedOwnerRole returns the role that owns a shared schema.
func SharedOwnerRole(database, schema string) string {
	return joinedName("tenantry_shared_", database, schema, len("_owner")) + "_owner"
}

// GroupRole returns the role that carries what all tenants of a database may do: connect and use
// the shared schema. One for the whole server would let tenants of one database into another.
func GroupRole(database string) string {
	const prefix = "tenantry_tenants_"
	if isPlain(database) && !strings.Contains(database, "__") && len(prefix+database) <= maxIdentifier {
		return prefix + database
	}
	return prefix + cutName(database, maxIdentifier-len(prefix)-2-hashLength) + "__" + hashOf(database)
}

// keepers is the number of keeper roles of a database. PostgreSQL walks the memberships of a role
// whenever it checks what that role may do to others, and since 16 every role is a member of those
// it made: provisioning took 2 ms a tenant with 32 keepers and 47 ms with one role that made all,
// each with 1,500 tenants there (measured on 18.4).
const keepers = 32

// KeeperRole returns the role that makes and manages a tenant's roles. It cannot log in; the
// operator acts as it.
func KeeperRole(database, schema string) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(schema)) // never fails
	return keeperRole(database, int(h.Sum32()%keepers))
}

// KeeperRoles returns all keepers of a database.
func KeeperRoles(database string) []string {
	names := make([]string, keepers)
	for i := range names {
		names[i] = keeperRole(database, i)
	}
	return names
}

func keeperRole(database string, i int) string {
	const prefix, suffix = "tenantry_keeper_", len("_00")
	stem := prefix + database
	if !isPlain(database) || strings.Contains(database, "__") || len(stem)+suffix > maxIdentifier {
		stem = prefix + cutName(database, maxIdentifier-len(prefix)-2-hashLength-suffix) + "__" + hashOf(database)
	}
	return fmt.Sprintf("%s_%02d", stem, i)
}

// MigratorRole returns the login that runs a migration set's SQL on a database. The set is named
// as "namespace/name".
func MigratorRole(database, set string) string {
	const prefix = "tenantry_mig_"
	return prefix + cutName(set, maxIdentifier-len(prefix)-1-hashLength) + "_" + hashOf(database, set)
}

// The logins that all tenants of a class share, by what they can do without SET ROLE: nothing, or all.
const (
	setLoginPrefix = "tenantry_set_"
	allLoginPrefix = "tenantry_all_"
)

// ClassLoginRole returns the login that the tenants of a class share on a database; all says whether it
// has their rights at once, or by SET ROLE only. Another one, with secondSuffix, takes turns with it.
func ClassLoginRole(database, class, uid string, all bool) string {
	prefix := setLoginPrefix
	if all {
		prefix = allLoginPrefix
	}
	return prefix + cutName(class, maxIdentifier-len(prefix)-1-hashLength-len(secondSuffix)) + "_" + hashOf(database, class, uid)
}

func isClassLogin(name string) bool {
	return strings.HasPrefix(name, setLoginPrefix) || strings.HasPrefix(name, allLoginPrefix)
}

// SecondClassLogin returns the login that takes turns with a class's.
func SecondClassLogin(login string) string { return login + secondSuffix }

// hashLength is in hexadecimal digits: 64 bits, so that nobody finds a schema name whose roles
// have another tenant's names.
const hashLength = 16

func hashOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:hashLength]
}

// joinedName leaves room for a suffix of the given length.
func joinedName(prefix, database, schema string, suffix int) string {
	plain := prefix + database + "__" + schema
	if isPlain(database) && isPlain(schema) && len(plain)+suffix <= maxIdentifier &&
		!strings.Contains(database, "__") && !strings.HasSuffix(database, "_") {
		return plain
	}
	room := maxIdentifier - len(prefix) - 1 - hashLength - suffix
	return prefix + cutName(schema, room) + "_" + hashOf(database, schema)
}

var plain = regexp.MustCompile(`^[a-z0-9_]+$`)

func isPlain(name string) bool { return plain.MatchString(name) }

func fitsName(name string) bool { return len(name) <= maxIdentifier }

var notPlain = regexp.MustCompile(`[^a-z0-9]+`)

// cutName returns a readable remainder of a name for people's eyes: it is never empty, holds no
// "__" and does not begin or end with "_".
func cutName(name string, room int) string {
	name = strings.Trim(notPlain.ReplaceAllString(strings.ToLower(name), "_"), "_")
	if len(name) > room {
		name = strings.TrimRight(name[:room], "_")
	}
	if name == "" {
		return "x"
	}
	return name
}
