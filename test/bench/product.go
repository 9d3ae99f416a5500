package bench

import (
	"fmt"
	"strings"
)

// The product: 15 tables with 25 indexes besides those of keys, in 20 files.
const (
	tables = 15
	steps  = 20
)

// product returns the first files of a product of usual size: a table a file, each with a reference to the
// one before, and at last five that change what is there.
func product(steps int) map[string]string {
	files := map[string]string{}
	for i := 1; i <= steps; i++ {
		files[fmt.Sprintf("%04d_step.sql", i)] = productStep(i)
	}
	return files
}

func productStep(i int) string {
	if i > tables {
		return strings.ReplaceAll(`ALTER TABLE entity_NN ADD COLUMN remark text NOT NULL DEFAULT '';
ALTER TABLE entity_NN ADD CONSTRAINT entity_NN_remark_length CHECK (length(remark) <= 2000);
`+remarkIndex, "NN", fmt.Sprintf("%02d", i-tables))
	}
	return table(i, "") + indexes(i)
}

const remarkIndex = "CREATE INDEX entity_NN_remark ON entity_NN (remark);\n"

// table makes the i-th table, with more columns behind the usual ones.
func table(i int, more string) string {
	reference := ""
	if i > 1 {
		reference = fmt.Sprintf(",\n\tparent_id bigint NOT NULL REFERENCES entity_%02d (id) ON DELETE CASCADE", i-1)
	}
	return strings.ReplaceAll(`CREATE TABLE entity_NN (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL CHECK (name <> ''),
	state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done')),
	details jsonb NOT NULL DEFAULT '{}',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz`+reference+more+`
);
`, "NN", fmt.Sprintf("%02d", i))
}

func indexes(i int) string {
	sql := "CREATE INDEX entity_NN_name ON entity_NN (name);\n"
	if i > 1 && i <= 6 {
		sql += "CREATE INDEX entity_NN_parent ON entity_NN (parent_id, created_at);\n"
	}
	return strings.ReplaceAll(sql, "NN", fmt.Sprintf("%02d", i))
}

// checkpoint is one file that makes what all files make, as somebody would who writes it by hand.
func checkpoint() string {
	var sql strings.Builder
	for i := 1; i <= tables; i++ {
		more, last := "", ""
		if i <= steps-tables {
			n := fmt.Sprintf("%02d", i)
			more = strings.ReplaceAll(",\n\tremark text NOT NULL DEFAULT '' CONSTRAINT entity_NN_remark_length CHECK (length(remark) <= 2000)", "NN", n)
			last = strings.ReplaceAll(remarkIndex, "NN", n)
		}
		sql.WriteString(table(i, more) + indexes(i) + last)
	}
	return sql.String()
}

// upgrade is the migration of the n-th new version of a fleet.
func upgrade(n int) string {
	return fmt.Sprintf("ALTER TABLE entity_01 ADD COLUMN upgraded_%d integer;\nCREATE INDEX entity_01_upgraded_%d ON entity_01 (upgraded_%d);\n", n, n, n)
}
