package migrations

import "regexp"

// commitsItself finds the opaque statements that may end their transaction: all procedures, and DO
// blocks that say so. A false find costs nothing but the certainty about the outcome after a crash.
var commitsItself = regexp.MustCompile(`(?i)^call\b|\b(commit|rollback)\b`)

// arrange decides how the statements of a file run. A BEGIN and COMMIT around the whole file are
// dropped, since the migration runs in the engine's transaction, unless something in between cannot. Transaction control anywhere else, a
// statement that cannot run in a transaction, or the file's own word (asked) make it run in units.
func (m *Migration) arrange(s source, all []Statement, asked bool) error {
	if n := len(all); n > 1 && !asked && all[0].class == begins && all[n-1].class == commits && !controls(all[1:n-1]) && !anyOutside(all[1:n-1]) {
		all = all[1 : n-1]
	}
	blocks, kept, err := findBlocks(s, all)
	if err != nil {
		return err
	}
	m.Statements = kept
	m.Transactional = !asked && !anyOutside(kept) && len(kept) == len(all)
	if m.Transactional {
		return nil
	}
	return m.makeUnits(s, blocks)
}

func controls(statements []Statement) bool {
	for _, st := range statements {
		if st.class == begins || st.class == commits {
			return true
		}
	}
	return false
}

func anyOutside(statements []Statement) bool {
	for _, st := range statements {
		if st.class.outside() {
			return true
		}
	}
	return false
}

// findBlocks takes the transaction control out and numbers, for each statement that is left, the
// BEGIN ... COMMIT pair around it; 0 is none.
func findBlocks(s source, all []Statement) (blocks []int, kept []Statement, err error) {
	block, open, line := 0, false, 0
	for _, st := range all {
		switch {
		case st.class == begins && open:
			return nil, nil, invalid(s.file, st.Line, "BEGIN inside of the transaction of line %d; end that first", line)
		case st.class == begins:
			block, open, line = block+1, true, st.Line
		case st.class == commits && !open:
			return nil, nil, invalid(s.file, st.Line, "COMMIT without BEGIN; remove it, every migration has its own transaction")
		case st.class == commits:
			open = false
		case open && st.class.outside():
			return nil, nil, invalid(s.file, st.Line, "the statement cannot run in a transaction (BEGIN in line %d); move it out", line)
		case open:
			blocks, kept = append(blocks, block), append(kept, st)
		default:
			blocks, kept = append(blocks, 0), append(kept, st)
		}
	}
	if open {
		return nil, nil, invalid(s.file, line, "BEGIN without COMMIT; add it, or remove BEGIN")
	}
	return blocks, kept, nil
}

// makeUnits makes a unit of each block and of each statement outside of one.
func (m *Migration) makeUnits(s source, blocks []int) error {
	for i := range m.Statements {
		st := &m.Statements[i]
		if st.class == temporary {
			return invalid(s.file, st.Line, "a temporary table does not survive if this migration is continued on another connection; "+
				"use a plain table, or a file without statements that cannot run in a transaction")
		}
		if last := len(m.units) - 1; blocks[i] > 0 && i > 0 && blocks[i] == blocks[i-1] {
			m.units[last].to++
			continue
		}
		if st.class == opaque && blocks[i] == 0 && commitsItself.MatchString(st.SQL) {
			st.class = batches
		}
		m.units = append(m.units, unit{from: i, to: i + 1, alone: st.class.outside()})
	}
	return nil
}
