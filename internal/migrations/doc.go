// Package migrations brings one tenant's schema to a version. Load reads the files of a product as
// they are (plain numbers, goose, golang-migrate, Flyway) and tells their statements apart with
// PostgreSQL's own parser. Plan decides, without a database, what a ledger lacks. Apply runs that
// plan as the schema's owner and leaves every effect exactly once, wherever it is killed: the ledger
// row of a transactional migration is written in the migration's own transaction, and one that
// cannot run in a transaction records how far it came and is repaired after a crash.
//
// The package needs a pool of a migrator login: a member of the owners that inherits nothing from
// them. Migrations are foreign SQL; they never meet a session that has rights of its own. Sessions
// start with search_path = pg_catalog, pg_temp, and every name the engine itself uses is qualified.
//
// Errors are faults (see package fault): what only an edit ends is Invalid, another runner at work is
// Waiting, locks that stay and lost connections are transient. Their messages are for users and hold
// no row's data; what the server said beyond that is in the error's chain.
package migrations
