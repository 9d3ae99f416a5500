package migrations

import (
	"regexp"
	"slices"
	"strings"
)

// Checkpoint is one file that makes what all migrations up to a version make. A new schema may start
// from it, once somebody has seen that it does.
type Checkpoint struct {
	Version Version
	File    string
	// Checksum is a SHA-256 in hex over the checkpoint and the migrations that it stands for: who verified
	// it verified both.
	Checksum string

	// body holds the statements, as a migration of the version.
	body Migration
	// covers is how many of the set's migrations it stands for.
	covers int
}

// Statements are what the checkpoint runs.
func (c *Checkpoint) Statements() []Statement { return c.body.Statements }

// checkpointName does not end in .sql, so that no other tool takes a checkpoint for a migration: goose
// reads every *.sql, golang-migrate and Flyway what their patterns fit.
var checkpointName = regexp.MustCompile(`^checkpoint_([0-9]+(?:[._][0-9]+)*)\.pgsql$`)

// takeCheckpoints parts the checkpoints from the other files.
func takeCheckpoints(files []File) (checkpoints, others []File, err error) {
	for _, f := range files {
		switch {
		case checkpointName.MatchString(f.Name):
			checkpoints = append(checkpoints, f)
		case strings.HasSuffix(f.Name, ".pgsql"):
			return nil, nil, invalid(f.Name, 0, "the name fits no checkpoint; use checkpoint_0018.pgsql for all migrations up to version 18")
		default:
			others = append(others, f)
		}
	}
	return checkpoints, others, nil
}

// loadCheckpoints reads the checkpoints of a set that is complete otherwise, the newest first.
func (s *Set) loadCheckpoints(files []File) error {
	for _, f := range files {
		c, err := s.loadCheckpoint(f)
		if err != nil {
			return err
		}
		for i := range s.Checkpoints {
			if other := &s.Checkpoints[i]; other.Version == c.Version {
				return invalid(f.Name, 0, "has the same version (%s) as %s; keep one", c.Version, other.File)
			}
		}
		s.Checkpoints = append(s.Checkpoints, *c)
	}
	slices.SortFunc(s.Checkpoints, func(a, b Checkpoint) int { return b.Version.Compare(a.Version) })
	return nil
}

func (s *Set) loadCheckpoint(f File) (*Checkpoint, error) {
	version := normalVersion(checkpointName.FindStringSubmatch(f.Name)[1], "._")
	m, ok := s.At(version)
	switch {
	case !ok:
		return nil, invalid(f.Name, 0, "there is no migration of version %s that it could stand for", version)
	case s.Migrations[len(s.Migrations)-1].Repeatable:
		return nil, invalid(f.Name, 0, "a set with repeatable migrations (R__) takes no checkpoints: what they make changes without a version")
	}
	text, err := decode(f, Plain)
	if err != nil {
		return nil, err
	}
	src := source{file: f.Name, text: text}
	statements, err := read(src)
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Version: m.Version, File: f.Name, covers: s.index[m.Version.key()] + 1}
	c.body = Migration{Version: m.Version, Name: "checkpoint", File: f.Name, Checksum: checksum(strings.TrimRight(text, " \t\n"))}
	if err := c.body.arrange(src, statements, false); err != nil {
		return nil, err
	}
	if !c.body.Transactional {
		return nil, invalid(f.Name, 0, "a checkpoint takes effect as a whole or not at all; take out BEGIN, COMMIT and what cannot run in a transaction")
	}
	c.Checksum = checksum(digest(s.Migrations[:c.covers]) + c.body.Checksum)
	return c, nil
}

// shorten puts a checkpoint in the place of the migrations that it stands for: the newest at or below
// the target that was verified. The steps are a schema's that has no ledger.
func (s *Set) shorten(steps Steps, verified []string) Steps {
	for i := range s.Checkpoints {
		c := &s.Checkpoints[i]
		if c.covers <= len(steps) && slices.Contains(verified, c.Checksum) {
			start := Step{Action: Start, Migration: &c.body, covers: s.Migrations[:c.covers]}
			return append(Steps{start}, steps[c.covers:]...)
		}
	}
	return steps
}

// empty fails unless nothing is in the schema: what is there already a checkpoint would stumble over, or
// take for its own. It looks by the dependency that each object has on its schema, which is an index.
func (t Target) empty() string {
	return `SELECT 1 / CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid
	WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND n.nspname = ` + literal(t.Schema) + `) THEN 0 ELSE 1 END`
}
