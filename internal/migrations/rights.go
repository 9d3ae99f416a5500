package migrations

import (
	"encoding/json"
	"slices"
)

// Most migrations change tables that are there. What the application's login may do with its schema is the same
// before and behind these, so that whoever knew it before need not ask again.

// KeepsRights says that the migration makes nothing on which rights are needed, and changes no rights and no owner,
// by PostgreSQL's own grammar. What functions do by themselves that its statements call is not looked at.
func (m *Migration) KeepsRights() bool {
	return !slices.ContainsFunc(m.Statements, func(st Statement) bool { return !st.keepsRights })
}

// KeepRights says it of all that may run from one version to another: the migrations above the one and up to the
// other, and all that are repeatable.
func (s *Set) KeepRights(above, upto Version) bool {
	for i := range s.Migrations {
		m := &s.Migrations[i]
		if between := m.Version.Compare(above) > 0 && m.Version.Compare(upto) <= 0; (m.Repeatable || between) && !m.KeepsRights() {
			return false
		}
	}
	return true
}

// KeptRights says that what was known of the rights at a version holds: the ledger stood at just that before, with
// nothing in it that the set does not know, and all that ran keeps rights. A migration that had begun before, or
// a repeatable one, may have run with another text.
func (r Result) KeptRights(s *Set, known Version) bool {
	if r.From != known {
		return false
	}
	for _, row := range r.Before {
		m, known := s.At(row.Version)
		if !known || row.State == Running || m.Repeatable && m.Checksum != row.Checksum {
			return false
		}
	}
	return !slices.ContainsFunc(r.Applied, func(v Version) bool {
		m, known := s.At(v)
		return !known || !m.KeepsRights()
	})
}

// tree is what is needed of the grammar's answer.
type tree struct {
	Stmts []struct {
		Stmt struct {
			Index   *struct{} `json:"IndexStmt"`
			Comment *struct{} `json:"CommentStmt"`
			Drop    *struct {
				What string `json:"removeType"`
			} `json:"DropStmt"`
			Rename *struct {
				What string `json:"renameType"`
			} `json:"RenameStmt"`
			Alter *struct {
				What     string `json:"objtype"`
				Commands []struct {
					Command alteration `json:"AlterTableCmd"`
				} `json:"cmds"`
			} `json:"AlterTableStmt"`
		} `json:"stmt"`
	} `json:"stmts"`
}

// alteration is one action of ALTER TABLE.
type alteration struct {
	Kind       string `json:"subtype"`
	Definition struct {
		Column struct {
			Type struct {
				Names []struct {
					String struct {
						Value string `json:"sval"`
					} `json:"String"`
				} `json:"names"`
			} `json:"typeName"`
			Constraints []struct {
				Constraint struct {
					Kind string `json:"contype"`
				} `json:"Constraint"`
			} `json:"constraints"`
		} `json:"ColumnDef"`
	} `json:"def"`
}

// columnChanges are the actions of ALTER TABLE that concern columns and constraints.
var columnChanges = []string{
	"AT_AddColumn", "AT_DropColumn", "AT_ColumnDefault", "AT_SetNotNull", "AT_DropNotNull", "AT_AlterColumnType", "AT_SetStatistics",
	"AT_SetStorage", "AT_SetCompression", "AT_SetExpression", "AT_DropExpression", "AT_AddConstraint", "AT_ValidateConstraint",
	"AT_AlterConstraint", "AT_DropConstraint", "AT_SetRelOptions", "AT_ResetRelOptions",
}

// renames are what may get another name.
var renames = []string{"OBJECT_COLUMN", "OBJECT_TABCONSTRAINT", "OBJECT_INDEX"}

// serials are the types that come with a sequence, on which rights are needed.
var serials = []string{"serial", "serial2", "serial4", "serial8", "bigserial", "smallserial"}

// keepsRights judges one statement by the grammar's answer, "" where there is none.
func keepsRights(answer string) bool {
	var t tree
	if json.Unmarshal([]byte(answer), &t) != nil || len(t.Stmts) != 1 {
		return false
	}
	st := t.Stmts[0].Stmt
	switch {
	case st.Index != nil, st.Comment != nil:
		return true
	case st.Drop != nil:
		return st.Drop.What == "OBJECT_INDEX"
	case st.Rename != nil:
		return slices.Contains(renames, st.Rename.What)
	case st.Alter != nil && st.Alter.What == "OBJECT_TABLE":
		for _, c := range st.Alter.Commands {
			if !c.Command.keepsRights() {
				return false
			}
		}
		return true
	}
	return false
}

func (a alteration) keepsRights() bool {
	for _, name := range a.Definition.Column.Type.Names {
		if slices.Contains(serials, name.String.Value) {
			return false
		}
	}
	for _, c := range a.Definition.Column.Constraints {
		if c.Constraint.Kind == "CONSTR_IDENTITY" {
			return false
		}
	}
	return slices.Contains(columnChanges, a.Kind)
}
