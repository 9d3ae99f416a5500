package postgres

import (
	"context"
	_ "embed" // for the query
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
)

//go:embed shared.sql
var sharedSQL string

// sharedState is what shared.sql returns.
type sharedState struct {
	VersionNum  int     `json:"versionNum"`
	Registered  bool    `json:"registered"`
	RegOwner    *string `json:"regOwner"`
	RegSet      *string `json:"regSet"`
	RegVersion  string  `json:"regVersion"`
	IsTenants   bool    `json:"isTenants"`
	HasOwner    bool    `json:"hasOwner"`
	CanAct      bool    `json:"canAct"`
	SchemaOwner *string `json:"schemaOwner"`
	GroupUses   bool    `json:"groupUses"`
	MigratorIn  bool    `json:"migratorIn"`
	// Others are logins of other sets that may act as the owner.
	Others []sharedMember `json:"others"`
}

// sharedMember may act as the owner. Since 16, who granted that takes it, or who has the rights of that role.
type sharedMember struct {
	Name    string `json:"name"`
	Grantor string `json:"grantor"`
	MayTake bool   `json:"mayTake"`
}

func validateShared(schema string) error {
	if err := validateAnySchema(schema); err != nil {
		return err
	}
	if schema == "public" {
		return fault.NewInvalid(ReasonInvalidSchemaName, "schema public belongs to PostgreSQL; name another shared schema")
	}
	return nil
}

// Shared is the shared schema as EnsureShared left it.
type Shared struct {
	// Owner is its role.
	Owner string
	// Version is what RecordShared last said of it, "" for a schema that was made since.
	Version string
	// Foreign are logins of other sets that may act as the owner by somebody else's grant.
	Foreign []Excess
}

// EnsureShared makes the schema that all tenants of the database see, owned by a NOLOGIN role of
// its own, and returns that role. Tenants get USAGE by the group role, and nothing on its tables
// but what SetSharedGrants gives. With a set, that MigrationSet's login may act as the owner, and
// no other's; EnsureMigrator must have been called for it. When all is there it writes nothing.
func (db *DB) EnsureShared(ctx context.Context, schema, set string) (shared Shared, changed bool, err error) {
	if err := validateShared(schema); err != nil {
		return Shared{}, false, err
	}
	shared, changed, err = db.ensureShared(ctx, schema, set)
	return shared, changed, failed(err, "cannot prepare the shared schema "+schema)
}

func (db *DB) ensureShared(ctx context.Context, schema, set string) (shared Shared, changed bool, err error) {
	read := func(q querier) (s sharedState, todo []string, err error) {
		s, err = db.readShared(ctx, q, schema, set)
		if err != nil {
			return s, nil, err
		}
		shared = Shared{Owner: SharedOwnerRole(db.config.Database(), schema)}
		if s.RegOwner != nil {
			shared.Owner = *s.RegOwner
		}
		if set != "" {
			shared.Foreign = s.foreign(shared.Owner)
		}
		if s.SchemaOwner != nil {
			shared.Version = s.RegVersion
		}
		return s, s.statements(db.config.Database(), schema, shared.Owner, set), s.mayHave(schema, shared.Owner)
	}
	s, todo, err := read(db.pool)
	if err != nil || len(todo) == 0 && s.recorded(set) {
		return shared, false, err
	}
	return shared, true, db.inTx(ctx, func(tx pgx.Tx) error {
		_, todo, err := read(tx)
		if err != nil {
			return err
		}
		if err := script(ctx, tx, todo...); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tenantry.shared_schema (schema_name, owner_role, migration_set) VALUES ($1, $2, $3)
			ON CONFLICT (schema_name) DO UPDATE SET migration_set = coalesce(nullif(excluded.migration_set, ''), shared_schema.migration_set), version = $4`,
			schema, shared.Owner, set, shared.Version)
		return err
	})
}

// RecordShared keeps the version that the shared schema's ledger has, so that a ledger that is lost later is not taken
// for that of a new schema. Where it is known already, nothing is written.
func (db *DB) RecordShared(ctx context.Context, schema, version string) error {
	_, err := db.pool.Exec(ctx, `UPDATE tenantry.shared_schema SET version = $2 WHERE schema_name = $1 AND version <> $2`, schema, version)
	return failed(err, "cannot record the version of the shared schema "+schema)
}

func (db *DB) readShared(ctx context.Context, q querier, schema, set string) (s sharedState, err error) {
	database, migrator := db.config.Database(), ""
	if set != "" {
		migrator = MigratorRole(database, set)
	}
	err = q.QueryRow(ctx, sharedSQL, schema, SharedOwnerRole(database, schema), GroupRole(database), migrator).Scan(&s)
	return s, err
}

func (s *sharedState) recorded(set string) bool {
	return s.RegOwner != nil && (set == "" || *s.RegSet == set)
}

// mayHave refuses a schema that was there before, as Provision does.
func (s *sharedState) mayHave(schema, owner string) error {
	switch {
	case s.IsTenants:
		return fault.NewInvalid(ReasonSchemaNameTaken, "schema %q is a tenant's; name another shared schema", schema)
	case s.RegOwner == nil && (s.SchemaOwner != nil || s.HasOwner):
		return fault.NewInvalid(ReasonSchemaNameTaken,
			"schema %q or its role %s exists and was not made by Tenantry; name another shared schema, or drop them", schema, owner)
	}
	return nil
}

// revoke names the grantor where a membership is taken from nobody else's hand: by an operator whose login has changed,
// it would otherwise be taken from none, with a warning only.
func (s *sharedState) revoke(owner string, m sharedMember) string {
	sql := "REVOKE " + ident(owner) + " FROM " + ident(m.Name)
	if s.VersionNum >= version16 {
		sql += " GRANTED BY " + ident(m.Grantor)
	}
	return sql
}

func (s *sharedState) foreign(owner string) []Excess {
	var found []Excess
	for _, m := range s.Others {
		if !m.MayTake {
			found = append(found, Excess{What: fmt.Sprintf("role %s is a member of %s", m.Name, owner), Mend: s.revoke(owner, m)})
		}
	}
	return found
}

func (s *sharedState) statements(database, schema, owner, set string) []string {
	var todo []string
	add := func(when bool, sql string) {
		if when {
			todo = append(todo, sql)
		}
	}
	add(!s.HasOwner, "CREATE ROLE "+ident(owner)+" NOLOGIN")
	add(!s.CanAct, "GRANT "+ident(owner)+" TO CURRENT_USER"+actOptions(s.VersionNum))
	add(s.SchemaOwner == nil, "CREATE SCHEMA "+ident(schema)+" AUTHORIZATION "+ident(owner))
	add(s.SchemaOwner != nil && *s.SchemaOwner != owner, "ALTER SCHEMA "+ident(schema)+" OWNER TO "+ident(owner))
	if set != "" {
		for _, other := range s.Others {
			add(other.MayTake, s.revoke(owner, other))
		}
		add(!s.MigratorIn, "GRANT "+ident(owner)+" TO "+ident(MigratorRole(database, set))+actOptions(s.VersionNum))
	}
	if !s.GroupUses {
		todo = append(todo, "SET LOCAL ROLE "+ident(owner),
			"GRANT USAGE ON SCHEMA "+ident(schema)+" TO "+ident(GroupRole(database)), "RESET ROLE")
	}
	return todo
}
