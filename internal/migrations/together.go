package migrations

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// A schema that was only just made is nobody's yet: nothing is in it, and no program knows it. There its first
// migrations share transactions, each with its row in the ledger, since a commit costs the server more than most
// migrations do (ADR 0045). It is done where it can be told to make no difference, and what is refused in company is
// taken back and runs alone.

// maxTogether bounds the statements of one transaction. Each holds locks until its end, on what it made, and
// the server has room for some thousands in all.
const maxTogether = 100

// errApart asks for another pass, with a transaction for each migration.
var errApart = errors.New("migrations that shared a transaction were refused")

// kinship is what a statement has to do with those that share its transaction.
type kinship struct {
	// joins says that it takes the same effect whether or not there was a commit before it and will be one
	// behind it.
	joins bool
	// changesRows says that it does if nothing defers or adds what a change of rows calls for, as triggers may.
	changesRows bool
	// makes is the table that it makes by a name without a schema, refers those that its foreign keys lock.
	makes  string
	refers []string
	// loses says that a table may have another name behind it, or none.
	loses bool
}

// joining are the statements of the grammar that define what a commit does not change: the names of enumerations
// cannot be used in the transaction that adds them, and functions and triggers run statements of their own.
var joining = []string{"CreateStmt", "IndexStmt", "AlterTableStmt", "CommentStmt", "CreateSeqStmt", "CreateEnumStmt", "ViewStmt"}

// droppable are the things that may be dropped, or get another name, in company.
var droppable = []string{"OBJECT_TABLE", "OBJECT_INDEX", "OBJECT_VIEW", "OBJECT_SEQUENCE", "OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"}

// deferring is what a tree has of constraints that are checked at the commit.
var deferring = []string{`"deferrable":true`, `"initdeferred":true`}

var changing = []string{"InsertStmt", "UpdateStmt", "DeleteStmt"}

// kin judges one statement by the grammar's answer, "" where there is none.
func kin(answer string) (k kinship) {
	var t struct {
		Stmts []struct {
			Stmt map[string]map[string]any `json:"stmt"`
		} `json:"stmts"`
	}
	if json.Unmarshal([]byte(answer), &t) != nil || len(t.Stmts) != 1 {
		return k
	}
	if strings.Contains(answer, `"set_config"`) {
		return k
	}
	for name, statement := range t.Stmts[0].Stmt {
		switch {
		case name == "DropStmt" || name == "RenameStmt":
			kind := cmp.Or(text(statement["removeType"]), text(statement["renameType"]))
			k.joins, k.loses = slices.Contains(droppable, kind), kind == "OBJECT_TABLE"
		case slices.Contains(changing, name):
			k.joins, k.changesRows = true, true
		case slices.Contains(joining, name):
			k.joins = !slices.ContainsFunc(deferring, func(what string) bool { return strings.Contains(answer, what) })
			k.refers = references(statement, nil)
			if made, ok := statement["relation"].(map[string]any); ok && name == "CreateStmt" {
				k.makes = tableName(made)
			}
		}
	}
	return k
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

// references appends the tables to which foreign keys in a part of a tree refer.
func references(part any, tables []string) []string {
	switch part := part.(type) {
	case []any:
		for _, inner := range part {
			tables = references(inner, tables)
		}
	case map[string]any:
		if table, ok := part["pktable"].(map[string]any); ok {
			tables = append(tables, tableName(table))
		}
		for _, inner := range part {
			tables = references(inner, tables)
		}
	}
	return tables
}

// tableName is one without a schema, or "".
func tableName(table map[string]any) string {
	if table["schemaname"] != nil {
		return ""
	}
	return text(table["relname"])
}

// place is where a step stands among those that share its transaction.
type place struct {
	// last is the index of the last of them, first says that the step is the first one.
	last  int
	first bool
	// strange says that those before it may have changed the session's settings.
	strange bool
}

// together parts steps into those that share a transaction.
func (r *runner) together(steps Steps) []place {
	places := make([]place, len(steps))
	own := kindred{shared: r.target.SharedSchema != "", tables: map[string]bool{}}
	joined, statements, from := true, 0, 0
	for i, step := range steps {
		n := len(step.Migration.Statements)
		places[i].strange = own.strange
		joins := r.newborn && own.join(step)
		if statements += n; i > 0 && (!joins || !joined || statements > maxTogether) {
			statements, from = n, i
		}
		joined = joins
		places[from].first = true
		for j := from; j <= i; j++ {
			places[j].last = i
		}
	}
	return places
}

// kindred is what is known of a new schema behind the steps that were looked at.
type kindred struct {
	// strange says that there may be triggers, functions, or what is deferred: a statement may call for more.
	strange bool
	// tables are those that the schema has for certain, where names may be those of a shared one.
	shared bool
	tables map[string]bool
}

// join says whether a step may share its transaction. What refers to shared tables locks them, and does so no longer
// than it has to.
func (k *kindred) join(step Step) bool {
	joins := step.Action == Run && !step.Migration.leaks()
	for _, st := range step.Migration.Statements {
		if st.kin.makes != "" {
			k.tables[st.kin.makes] = true
		}
		foreign := k.shared && slices.ContainsFunc(st.kin.refers, func(table string) bool { return !k.tables[table] })
		joins = joins && st.kin.joins && !foreign && (!st.kin.changesRows || !k.strange)
		if st.kin.loses {
			clear(k.tables)
		}
	}
	k.strange = k.strange || !joins
	return joins
}

// inCompany says of a refusal that it met a transaction of several migrations. They run apart then: what each of them
// means, and what it fails by, is what it would in any other schema.
func (s *script) inCompany(f *failure) bool {
	refused := f.server() != nil && (f.body != nil || f.commits) || errors.Is(f.err, errRolledBack)
	at := s.places[f.step]
	return refused && (at.last > f.step || !at.first)
}
