package migrations

import "time"

// State is how far an applied migration is.
type State string

const (
	// Running marks a migration outside a transaction that began and did not report its end.
	Running State = "running"
	// Done marks a migration whose effects are complete.
	Done State = "done"
)

// Applied is one row of a schema's ledger.
type Applied struct {
	Version  Version
	File     string
	Checksum string
	State    State
	// Finished counts the statements of a running migration whose effects are complete. InDoubt
	// says that the next one began outside of a transaction and may or may not have taken effect.
	Finished int
	InDoubt  bool
	// Prefix is a checksum over the statements that began, so that the ones behind may be mended.
	Prefix string
	// Runner names the server session at work on a running migration.
	Runner string
	At     time.Time
}

// Action is what a step does.
type Action int

const (
	// Run applies a migration that the ledger does not know.
	Run Action = iota
	// Repair continues a migration that a crash left running.
	Repair
	// Rerun applies a repeatable migration again because its text changed.
	Rerun
	// Start applies a checkpoint to an empty schema, in the place of the migrations it stands for.
	Start
)

// Step is one migration that is to run.
type Step struct {
	Action    Action
	Migration *Migration
	// Before is the ledger row that the step replaces or continues; its zero value means no row.
	Before Applied

	// covers are the migrations in whose place a checkpoint runs.
	covers []Migration
}

// rows are what the step, done as a whole, writes into the ledger.
func (s Step) rows() []Applied {
	if s.Action != Start {
		return []Applied{s.Migration.row(Done)}
	}
	rows := make([]Applied, len(s.covers))
	for i := range s.covers {
		rows[i] = s.covers[i].row(Done)
	}
	return rows
}

// Steps are run in their order.
type Steps []Step

// Current returns the schema's version: the highest that is done, "" for none.
func Current(applied []Applied) Version {
	var current Version
	for _, a := range applied {
		if a.State == Done && !a.Version.Repeatable() && a.Version.Compare(current) > 0 {
			current = a.Version
		}
	}
	return current
}

// begun is the highest version that is done or half done.
func begun(applied []Applied) Version {
	var highest Version
	for _, a := range applied {
		if !a.Version.Repeatable() && a.Version.Compare(highest) > 0 {
			highest = a.Version
		}
	}
	return highest
}

// Plan says what brings a schema with this ledger to the target, in order; the empty target means
// the set's latest. It returns no steps when nothing is to do.
//
// History must fit before anything runs. An applied file that changed, one that is gone, a pending
// file below an applied one and a target below the schema's version are typed errors, all of them
// Invalid faults. A late file is refused in every case, also below one that is half done: new tenants would run it before the newer
// files and old ones after them, and the two would no longer have one schema (golang-migrate passes
// such a file over in silence).
//
// Repeatable migrations run only when the target is the latest version, since they are written
// against the newest schema; they run again when their text changed. One that was removed from the
// set is forgotten: what it made stays.
func Plan(set *Set, applied []Applied, target Version) (Steps, error) {
	latest := set.Latest()
	if target == "" {
		target = latest
	}
	if _, ok := set.At(target); target != "" && (!ok || target.Repeatable()) {
		return nil, &UnknownVersion{Target: target, Latest: latest}
	}
	if err := checkHistory(set, applied); err != nil {
		return nil, err
	}
	current := Current(applied)
	if current.Compare(target) > 0 {
		return nil, &Downgrade{Current: current, Target: target}
	}
	return pending(set, applied, target)
}

func pending(set *Set, applied []Applied, target Version) (Steps, error) {
	var steps Steps
	current := begun(applied)
	rows := byVersion(applied)
	repeat := target.Compare(set.Latest()) >= 0
	for i := range set.Migrations {
		m := &set.Migrations[i]
		row, known := rows[m.Version.key()]
		switch {
		case m.Repeatable && !repeat, !m.Repeatable && m.Version.Compare(target) > 0:
			// One that is half done waits too: a pin below it holds it.
		case known && row.State == Running:
			steps = append(steps, Step{Action: Repair, Migration: m, Before: row})
		case known && row.Checksum == m.Checksum:
		case known:
			steps = append(steps, Step{Action: Rerun, Migration: m, Before: row})
		case m.Repeatable:
			steps = append(steps, Step{Action: Run, Migration: m})
		case m.Version.Compare(current) < 0:
			return nil, &OutOfOrder{File: m.File, Version: m.Version, Current: current}
		default:
			steps = append(steps, Step{Action: Run, Migration: m})
		}
	}
	return steps, nil
}

// checkHistory holds every applied row against the set.
func checkHistory(set *Set, applied []Applied) error {
	for _, row := range applied {
		m, known := set.At(row.Version)
		switch {
		case !known && row.Version.Repeatable() && row.State == Done:
		case !known:
			return &MigrationRemoved{File: row.File, Version: row.Version}
		case !fits(row, m):
			return &ChecksumChanged{File: m.File, Version: m.Version, Applied: row.Checksum, Now: m.Checksum}
		}
	}
	return nil
}

// fits says whether a row may have come from the migration as it is now. Repeatable ones may
// change. One that is running may change behind the statements that began, since that is how a
// migration that failed half way is mended.
func fits(row Applied, m *Migration) bool {
	if row.State == Running {
		return row.Prefix == m.prefix(row.Finished) || row.Prefix == m.prefix(row.Finished+1)
	}
	return row.Checksum == m.Checksum || m.Repeatable
}

func byVersion(applied []Applied) map[Version]Applied {
	rows := make(map[Version]Applied, len(applied))
	for _, row := range applied {
		rows[row.Version.key()] = row
	}
	return rows
}
