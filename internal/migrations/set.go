package migrations

// File is one file of a source: its name without a folder, and its text.
type File struct {
	Name    string
	Content []byte
}

// Format is how a product names and writes its migration files.
type Format string

const (
	// Auto finds the format from the files' names and annotations.
	Auto Format = ""
	// Plain files are called NNN_name.sql and hold SQL alone.
	Plain Format = "Plain"
	// Goose files are called NNN_name.sql and hold "-- +goose" annotations.
	Goose Format = "Goose"
	// GolangMigrate files are called N_name.up.sql and N_name.down.sql; the down files never run.
	GolangMigrate Format = "GolangMigrate"
	// Flyway files are called V1_2__name.sql and R__name.sql; undo files (U) never run.
	Flyway Format = "Flyway"
)

// Limits on what Load accepts. A file's text is kept in memory once per set and sent as it is.
const (
	// MaxFileBytes bounds one file: four times what a whole ConfigMap holds, for sets from artifacts.
	MaxFileBytes = 4 << 20
	// MaxSetBytes bounds the files of a set together.
	MaxSetBytes = 32 << 20
	// MaxFiles bounds the number of files, down and ignored ones included.
	MaxFiles = 10000
)

// Statement is one SQL statement of a migration.
type Statement struct {
	// SQL is the text as written, without the semicolon that ends it.
	SQL string
	// Line is the 1-based line of the file on which the statement starts.
	Line int
	// Unparsed is the parser's complaint about a statement it does not know, or "". Such a statement
	// is left to the server, whose grammar may be newer than the parser's (PostgreSQL 17).
	Unparsed string
	// Notes are the comments for those who judge it.
	Notes []Note

	class class
	// sets is what a session statement sets or resets, "all" for everything.
	sets string
	// index is what a createsIndex or dropsIndex statement is about.
	index indexName
	// leaks says that the statement may leave something in the session.
	leaks bool
	// keepsRights: see Migration.KeepsRights.
	keepsRights bool
}

// Migration is one step of a set: the statements of one file.
type Migration struct {
	Version Version
	// Name is the file name's description: "create_orders" of 0007_create_orders.sql.
	Name string
	File string
	// Checksum is the SHA-256 in hex of the text that runs. Line ends, a byte order mark and
	// the parts that never run (goose's Down section) do not count.
	Checksum string
	// Transactional says that the whole migration runs in one transaction with its ledger row.
	Transactional bool
	// Repeatable migrations run again whenever their checksum changes, behind all versions.
	Repeatable bool
	// NeedsShared is the version at which the shared schema must stand before, "" if it does not matter.
	NeedsShared Version
	Statements  []Statement

	// units are the transactions, and the statements outside of any, of a migration that is not
	// transactional as a whole.
	units []unit
}

// unit is a range of statements that take effect together.
type unit struct {
	from, to int // Statements[from:to]
	// alone statements run outside of a transaction; such a unit is one statement.
	alone bool
}

// Set is a product's migrations in the order in which they run, repeatable ones last.
type Set struct {
	Format     Format
	Migrations []Migration
	// Digest is a SHA-256 in hex over versions and checksums: equal digests mean equal migrations.
	// Checkpoints do not count, since they change no schema that is there.
	Digest string
	// Checkpoints are the newest first.
	Checkpoints []Checkpoint

	// index finds a version's place in Migrations.
	index map[Version]int
}

// At returns the migration of a version, which may be written with leading zeros.
func (s *Set) At(v Version) (*Migration, bool) {
	i, ok := s.index[v.key()]
	if !ok {
		return nil, false
	}
	return &s.Migrations[i], true
}

// Latest returns the highest version of the set, "" if it holds repeatable migrations only.
func (s *Set) Latest() Version {
	var latest Version
	for i := range s.Migrations {
		if !s.Migrations[i].Repeatable {
			latest = s.Migrations[i].Version
		}
	}
	return latest
}

// Numbered returns the version of the migration that compares equal to one, as the set writes it. Repeatable
// migrations have none.
func (s *Set) Numbered(version Version) (Version, bool) {
	for i := range s.Migrations {
		if m := &s.Migrations[i]; !m.Repeatable && m.Version.Compare(version) == 0 {
			return m.Version, true
		}
	}
	return "", false
}
