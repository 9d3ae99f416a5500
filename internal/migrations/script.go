package migrations

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// script is several statements that go to the server in one message of the simple protocol. The
// server parses the whole message first, then runs statement by statement up to the first error, and
// answers each: from the number of answers and the error's position a failure is found again.
type script struct {
	text     strings.Builder
	segments []segment
}

// segment is one statement of a script.
type segment struct {
	from, to int // text[from:to]
	// step is the index of the step that the statement is part of.
	step int
	// body is the statement of the migration, nil for one of the engine's own.
	body *Statement
	// claims marks the statements that make the ledger and write its row, commits the end of a transaction.
	claims, commits bool
	// guards marks the statement that finds a schema not empty, compares those that compare the ledger with what
	// was believed, asks the question behind all steps.
	guards, compares, asks bool
}

func (s *script) add(seg segment, sql string) {
	seg.from = s.text.Len()
	s.text.WriteString(sql)
	seg.to = s.text.Len()
	s.text.WriteString(";\n")
	s.segments = append(s.segments, seg)
}

// own adds statements of the engine.
func (s *script) own(step int, sql ...string) {
	for _, q := range sql {
		s.add(segment{step: step}, q)
	}
}

func (s *script) claim(step int, sql ...string) {
	for _, q := range sql {
		s.add(segment{step: step, claims: true}, q)
	}
}

func (s *script) guard(step int, sql string) { s.add(segment{step: step, guards: true}, sql) }
func (s *script) compare(step int, sql ...string) {
	for _, q := range sql {
		s.add(segment{step: step, compares: true}, q)
	}
}
func (s *script) ask(step int, sql string) { s.add(segment{step: step, asks: true}, sql) }
func (s *script) commit(step int)          { s.add(segment{step: step, commits: true}, "COMMIT") }
func (s *script) body(step int, st *Statement) {
	s.add(segment{step: step, body: st}, st.SQL)
}

// failure is an error of a script and where it happened.
type failure struct {
	segment
	// line is the line of the migration's file, 0 if the statement is the engine's.
	line int
	// done counts the statements that were answered before.
	done int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// server returns the server's error, nil if the failure is none.
func (f *failure) server() *pgconn.PgError {
	pg, _ := errors.AsType[*pgconn.PgError](f.err)
	return pg
}

// alreadyThere are the answers to one of two runners that make the ledger, or a row of it, at the same time.
var alreadyThere = []string{"23505", "42710", "42P07"}

// met says that another runner made the ledger, or wrote the same row, in the meantime.
func (f *failure) met() bool {
	return f.claims && f.server() != nil && slices.Contains(alreadyThere, f.server().Code)
}

// actsForAnother says that the ledger refused a row because the owner's role was given up by what ran before, as a
// function may.
func (f *failure) actsForAnother() bool {
	return f.claims && f.server() != nil && slices.Contains([]string{"42501", "22012"}, f.server().Code)
}

var errRolledBack = errors.New("the server rolled the transaction back at COMMIT")

// run sends the script and returns the results of its statements. An error is a *failure.
func (s *script) run(ctx context.Context, conn *pgconn.PgConn) ([]*pgconn.Result, error) {
	results := make([]*pgconn.Result, 0, len(s.segments))
	reader := conn.Exec(ctx, s.text.String())
	var rolledBack *failure
	for reader.NextResult() {
		result := s.read(reader.ResultReader(), len(results))
		if result.Err != nil {
			break // it failed behind its first answer, the description of its rows
		}
		if i := len(results); rolledBack == nil && i < len(s.segments) && s.segments[i].commits && result.CommandTag.String() != "COMMIT" {
			rolledBack = &failure{segment: s.segments[i], done: i, err: errRolledBack}
		}
		results = append(results, result)
	}
	err := reader.Close()
	switch {
	case rolledBack != nil:
		return results, rolledBack
	case err != nil:
		return results, s.locate(err, len(results))
	}
	return results, nil
}

// read drains a result; the rows of a migration's own queries are not kept.
func (s *script) read(reader *pgconn.ResultReader, i int) *pgconn.Result {
	if i < len(s.segments) && s.segments[i].body == nil {
		return reader.Read()
	}
	tag, err := reader.Close()
	return &pgconn.Result{CommandTag: tag, Err: err}
}

// locate finds the statement and line of an error.
func (s *script) locate(err error, done int) *failure {
	f := &failure{done: done, err: err}
	i := min(done, len(s.segments)-1)
	pg := f.server()
	at := -1
	// A prepared question's position is one in its own text.
	if pg != nil && pg.Position > 0 && !s.segments[i].asks {
		at = byteOffset(s.text.String(), int(pg.Position))
		for j, seg := range s.segments {
			if seg.from <= at && at <= seg.to {
				i = j
			}
		}
	}
	f.segment = s.segments[i]
	if f.body == nil {
		return f
	}
	f.line = f.body.Line
	if at > f.from {
		f.line += strings.Count(f.body.SQL[:min(at-f.from, len(f.body.SQL))], "\n")
	} else if pg != nil {
		f.line += blockLine(f.body.SQL, pg.Where)
	}
	return f
}

// blockLine returns how far below a DO statement's first line an error inside of it is.
func blockLine(sql, where string) int {
	const frame = "PL/pgSQL function inline_code_block line "
	at := strings.LastIndex(where, frame)
	open := strings.IndexAny(sql, "$'")
	if at < 0 || open < 0 {
		return 0
	}
	var line int
	if _, err := fmt.Sscanf(where[at+len(frame):], "%d", &line); err != nil {
		return 0
	}
	return strings.Count(sql[:open], "\n") + line - 1
}

// ident quotes a name.
func ident(parts ...string) string { return pgx.Identifier(parts).Sanitize() }

// literal quotes a text so that it means the same whatever standard_conforming_strings is. Texts come
// from files without NUL bytes.
func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(strings.ReplaceAll(text, `\`, `\\`), "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + quoted
	}
	return quoted
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }
