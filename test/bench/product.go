package bench

import (
	"fmt"
	"strings"
)

// The product: 15 tables with 25 indexes besides those of keys, in 20 files, half of which change what others
// made. That is what checkpoints are for.
const (
	tables = 15
	steps  = 20
)

// history is what a product of usual size did in its first twenty versions: tables come, get columns, another
// index, another type or name for a column, another check, and one table goes again.
func history() []string {
	return []string{
		table(1) + table(2),
		table(3),
		`ALTER TABLE entity_01 ADD COLUMN email text;
CREATE INDEX entity_01_email ON entity_01 (email);
`,
		table(4) + table(5),
		`CREATE TABLE setting (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name varchar(50) NOT NULL UNIQUE, value text);
CREATE INDEX setting_value ON setting (value);
`,
		table(6),
		`ALTER TABLE entity_02 ALTER COLUMN name TYPE varchar(200);
ALTER TABLE entity_02 ADD COLUMN owner text NOT NULL DEFAULT '';
`,
		table(7) + table(8),
		`DROP INDEX entity_03_parent;
CREATE INDEX entity_03_parent_state ON entity_03 (parent_id, state, created_at);
ALTER TABLE entity_03 ADD COLUMN closed_at timestamptz;
`,
		table(9) + table(10),
		`ALTER TABLE entity_04 DROP CONSTRAINT entity_04_state_check;
ALTER TABLE entity_04 ADD CONSTRAINT entity_04_state_check CHECK (state IN ('open', 'done', 'kept'));
UPDATE entity_04 SET state = 'kept' WHERE state = 'done' AND updated_at IS NULL;
`,
		table(11),
		`ALTER TABLE entity_05 ADD COLUMN reviewer_id bigint REFERENCES entity_01 (id);
CREATE INDEX entity_05_reviewer ON entity_05 (reviewer_id);
`,
		table(12) + table(13),
		`ALTER TABLE entity_06 RENAME COLUMN details TO attributes;
CREATE INDEX entity_06_attributes ON entity_06 USING gin (attributes);
`,
		table(14),
		`INSERT INTO entity_01 (name, details) SELECT name, jsonb_build_object('value', value) FROM setting;
DROP TABLE setting;
`,
		`ALTER TABLE entity_07 ALTER COLUMN name TYPE varchar(500);
ALTER TABLE entity_08 ADD COLUMN priority integer NOT NULL DEFAULT 0;
CREATE INDEX entity_08_priority ON entity_08 (priority, created_at);
`,
		table(15),
		`ALTER TABLE entity_09 ADD COLUMN remark text NOT NULL DEFAULT '';
ALTER TABLE entity_09 ADD CONSTRAINT entity_09_remark_length CHECK (length(remark) <= 2000);
CREATE INDEX entity_09_remark ON entity_09 (remark);
`,
	}
}

// product returns the first files of the product.
func product(steps int) map[string]string {
	files := map[string]string{}
	for i, text := range history()[:steps] {
		files[fmt.Sprintf("%04d_step.sql", i+1)] = text
	}
	return files
}

// table makes the i-th table, which refers to the one before, and its indexes.
func table(i int) string {
	reference, indexes := "", "CREATE INDEX entity_NN_name ON entity_NN (name);\n"
	if i > 1 {
		reference = fmt.Sprintf(",\n\tparent_id bigint NOT NULL REFERENCES entity_%02d (id) ON DELETE CASCADE", i-1)
	}
	if i > 1 && i <= 6 {
		indexes += "CREATE INDEX entity_NN_parent ON entity_NN (parent_id, created_at);\n"
	}
	return strings.ReplaceAll(`CREATE TABLE entity_NN (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL CHECK (name <> ''),
	state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
	details jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz`+reference+`
);
`+indexes, "NN", fmt.Sprintf("%02d", i))
}

// changes are what became of some tables: what their first text has, and what a text has that makes them as they
// are now.
var changes = map[int][]string{
	1: {"\n);", ",\n\temail text\n);\nCREATE INDEX entity_01_email ON entity_01 (email);"},
	2: {"name text", "name varchar(200)", "\n);", ",\n\towner text NOT NULL DEFAULT ''\n);"},
	3: {
		"\n);", ",\n\tclosed_at timestamptz\n);",
		"INDEX entity_03_parent ON entity_03 (parent_id, created_at)", "INDEX entity_03_parent_state ON entity_03 (parent_id, state, created_at)",
	},
	4: {"'done')", "'done', 'kept')"},
	5: {"\n);", ",\n\treviewer_id bigint REFERENCES entity_01 (id)\n);\nCREATE INDEX entity_05_reviewer ON entity_05 (reviewer_id);"},
	// PostgreSQL 18 names what is NOT NULL, and a column's new name is not its constraint's.
	6: {
		"details jsonb NOT NULL", "attributes jsonb CONSTRAINT entity_06_details_not_null NOT NULL",
		"\n);", "\n);\nCREATE INDEX entity_06_attributes ON entity_06 USING gin (attributes);",
	},
	7: {"name text", "name varchar(500)"},
	8: {"\n);", ",\n\tpriority integer NOT NULL DEFAULT 0\n);\nCREATE INDEX entity_08_priority ON entity_08 (priority, created_at);"},
	9: {"\n);", `,
	remark text NOT NULL DEFAULT '' CONSTRAINT entity_09_remark_length CHECK (length(remark) <= 2000)
);
CREATE INDEX entity_09_remark ON entity_09 (remark);`},
}

// checkpointFile is the checkpoint's name among the files.
var checkpointFile = fmt.Sprintf("checkpoint_%d.pgsql", steps)

// checkpoint is one file that makes what all files make, as somebody would who writes it by hand. The operator
// compares the two.
func checkpoint() string {
	var sql strings.Builder
	for i := 1; i <= tables; i++ {
		sql.WriteString(strings.NewReplacer(changes[i]...).Replace(table(i)))
	}
	return sql.String()
}

// upgrade is the migration of the n-th new version of a fleet.
func upgrade(n int) string {
	return fmt.Sprintf("ALTER TABLE entity_01 ADD COLUMN upgraded_%d integer;\nCREATE INDEX entity_01_upgraded_%d ON entity_01 (upgraded_%d);\n", n, n, n)
}
