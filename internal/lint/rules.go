package lint

// Category is the kind of harm.
type Category string

// Categories, as the API names them.
const (
	Destructive Category = "Destructive"
	Lock        Category = "Lock"
	Session     Category = "Session"
	CrossSchema Category = "CrossSchema"
	Unparsed    Category = "Unparsed"
)

// Severity says how much.
type Severity string

// Severities, as the API names them.
const (
	// Danger loses data, stops an application, or leaves the tenant's own schema.
	Danger Severity = "Danger"
	// Notice is worth a look.
	Notice Severity = "Notice"
)

// Rule is something that is looked for.
type Rule struct {
	Category Category
	Severity Severity
	// Message is the harm, and what to write instead.
	Message string
}

// Rules by their names, which users write into comments and specs.
var Rules = map[string]Rule{
	"drop-table":      {Destructive, Danger, "The table and its rows go in every tenant, and nothing brings them back. Ship code that does not use it, rename it for a while, and drop it in a later version"},
	"drop-column":     {Destructive, Danger, "The column and its values go in every tenant, and code of the version before that reads it fails at once. Ship code that does not use it, and drop it in a later version"},
	"drop-schema":     {Destructive, Danger, "A whole schema goes; a tenant's own belongs to the operator. Remove the statement"},
	"drop-view":       {Destructive, Danger, "Code of the version before that reads the view fails at once, and a materialized view's rows go. Replace it (CREATE OR REPLACE), or drop it when no code uses it"},
	"drop-sequence":   {Destructive, Danger, "The counter goes: one made anew gives the same numbers again. Drop it when no table and no code uses it"},
	"drop-type":       {Destructive, Notice, "Code of the version before that names the type fails. Drop it when no code uses it"},
	"drop-routine":    {Destructive, Notice, "Code of the version before that calls the routine fails. Replace it (CREATE OR REPLACE), or drop it when no code uses it"},
	"drop-extension":  {Destructive, Danger, "An extension belongs to the database and to all tenants. Leave it to a DBA"},
	"drop-cascade":    {Destructive, Danger, "CASCADE drops whatever depends on it, which nobody has listed, and which may differ from tenant to tenant. Drop each object by its name"},
	"truncate":        {Destructive, Danger, "All rows go in every tenant. Delete by a condition, or do it by hand where it is wanted"},
	"delete-all-rows": {Destructive, Danger, "DELETE without WHERE takes all rows of every tenant. Add a condition"},
	"update-all-rows": {Destructive, Danger, "UPDATE without WHERE writes over the values of all rows, and what was there is lost. Add a condition, or write into a new column"},
	"set-unlogged":    {Destructive, Danger, "An unlogged table is empty after a crash of the server. Keep it logged"},
	"rename-table":    {Destructive, Notice, "Code of the version before fails from this moment on until it is replaced, tenant by tenant. Keep the old name as a view, or add a table and move over"},
	"rename-column":   {Destructive, Notice, "Code of the version before fails from this moment on until it is replaced, tenant by tenant. Add a column, write both, and drop the old one later"},

	"create-index":          {Lock, Danger, "Writes to the table wait until the index is built. Use CREATE INDEX CONCURRENTLY, alone in its file"},
	"reindex":               {Lock, Danger, "Writes wait, and reads that would use the index, until it is built. Use REINDEX ... CONCURRENTLY"},
	"alter-column-type":     {Lock, Danger, "The table is written anew with its indexes, and nobody reads it meanwhile. Add a column of the new type, fill it in steps, and change over"},
	"set-not-null":          {Lock, Danger, "The whole table is read while nobody else may. Add CHECK (column IS NOT NULL) NOT VALID, validate it in the next file, then SET NOT NULL needs no scan"},
	"add-not-null-column":   {Lock, Danger, "It fails in every tenant that has rows. Give it a constant DEFAULT, or add it without NOT NULL and fill it first"},
	"volatile-default":      {Lock, Danger, "Each row gets a value of its own, so the table is written anew and nobody reads it meanwhile. Add the column, set the default by ALTER COLUMN, and fill old rows in steps"},
	"generated-column":      {Lock, Danger, "A stored generated column has the table written anew, and nobody reads it meanwhile. Add a plain column, keep it by a trigger and fill it in steps, or compute it in a view"},
	"add-foreign-key":       {Lock, Danger, "Writes to both tables wait while all rows are compared. Add it NOT VALID, and VALIDATE CONSTRAINT in the next file"},
	"add-check":             {Lock, Danger, "The whole table is read while nobody else may. Add it NOT VALID, and VALIDATE CONSTRAINT in the next file"},
	"add-column-check":      {Lock, Notice, "The table is read while nobody else may, to check a column that is new. Add the CHECK apart, NOT VALID, if the table is large"},
	"add-unique":            {Lock, Danger, "Nobody reads the table until the index is built. Use CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX"},
	"add-exclusion":         {Lock, Danger, "Nobody reads the table until the index is built, and there is no other way to add it. Ship it when the table is small, or make a new table"},
	"validate-with-add":     {Lock, Danger, "The file adds the constraint too, and holds that lock while it reads the table. Put VALIDATE CONSTRAINT into the next file"},
	"backfill-behind-alter": {Lock, Danger, "The file alters the table too, so nobody reads it until all its rows are written. Put the UPDATE into the next file"},
	"backfill":              {Lock, Notice, "All rows are written in one transaction: writers of these rows wait, and the table doubles. Do it in steps if the table is large"},
	"rewrite-table":         {Lock, Danger, "The table is written anew, and nobody reads it meanwhile. Do it when the table is small, or copy it in steps"},
	"vacuum-full":           {Lock, Danger, "The table is written anew, and nobody reads it meanwhile. Use VACUUM"},
	"cluster":               {Lock, Danger, "The table is written anew, and nobody reads it meanwhile. Leave it out of migrations"},
	"lock-table":            {Lock, Danger, "Others wait for the table until the file ends. Lock rows (SELECT ... FOR UPDATE), or nothing"},
	"refresh-view":          {Lock, Danger, "Nobody reads the view until it is made. Use REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index"},
	"timeout-off":           {Lock, Danger, "Without a lock_timeout, reads queue behind a migration that waits itself. Leave it to spec.lockTimeoutMilliseconds"},

	"set-role":    {Session, Danger, "A migration runs as the schema's owner; as another role, what it makes belongs to somebody else. Remove it"},
	"search-path": {Session, Danger, "The names behind it mean objects of another schema, perhaps of another tenant. Leave search_path as it is: the tenant's schema comes first"},

	"cross-schema":  {CrossSchema, Danger, "The table is not the tenant's: each tenant's schema has its own name. Leave the schema out of the name"},
	"shared-write":  {CrossSchema, Danger, "The shared schema belongs to all tenants, and this runs once for each of them. Change it by the shared schema's own MigrationSet"},
	"foreign-name":  {CrossSchema, Notice, "The type or function is another schema's, whose owner may change it for all tenants. Leave the schema out, if it is the tenant's own or an extension's on the path"},
	"create-schema": {CrossSchema, Danger, "A tenant has one schema, which the operator makes; its owner may make no other. Remove the statement"},
	"set-schema":    {CrossSchema, Danger, "The object leaves the tenant's schema, and with it what the operator drops, dumps and guards. Remove the statement"},
	"grant":         {CrossSchema, Danger, "Others than the tenant get a right. The tenant's login has its rights by default privileges; remove the statement"},

	"unparsed":         {Unparsed, Notice, "The parser (PostgreSQL 17) does not know the statement, so nobody looked at it. If the server does not know it either, it fails in the first tenant"},
	"allow-unreasoned": {Unparsed, Notice, "The comment allows nothing: it needs the name of a rule and a reason behind it, -- tenantry:allow drop-column nobody reads it since 12"},
}
