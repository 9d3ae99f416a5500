package migrations

import (
	"slices"
	"time"
)

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
	// Finished counts the statements of a running migration whose effects are complete.
	Finished int
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
)

// Step is one migration that is to run.
type Step struct {
	Action    Action
	Migration *Migration
	// Before is the ledger row that the step replaces or continues; its zero value means no row.
	Before Applied
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

// Plan says what brings a schema with this ledger to the target, in order; the empty target means
// the set's latest. It returns no steps when nothing is to do.
//
// History must fit before anything runs. An applied file that changed, one that is gone, a pending
// file below an applied one and a target below the schema's version are typed errors, all of them
// Invalid faults. A late file is refused in every case: new tenants would run it before the newer
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
	return pending(set, applied, current, target)
}

func pending(set *Set, applied []Applied, current, target Version) (Steps, error) {
	var steps Steps
	for i := range set.Migrations {
		m := &set.Migrations[i]
		row, known := find(applied, m.Version)
		switch {
		case m.Repeatable && target.Compare(set.Latest()) < 0:
		case known && row.State == Running:
			steps = append(steps, Step{Action: Repair, Migration: m, Before: row})
		case known && row.Checksum == m.Checksum:
		case known:
			steps = append(steps, Step{Action: Rerun, Migration: m, Before: row})
		case m.Repeatable:
			steps = append(steps, Step{Action: Run, Migration: m})
		case m.Version.Compare(target) > 0:
		case m.Version.Compare(current) < 0:
			return nil, &OutOfOrder{File: m.File, Version: m.Version, Current: current}
		default:
			steps = append(steps, Step{Action: Run, Migration: m})
		}
	}
	return steps, nil
}

// checkHistory holds every applied row against the set. A running row is held to its checksum too:
// its statements are counted, and another text would be continued in the wrong place.
func checkHistory(set *Set, applied []Applied) error {
	for _, a := range applied {
		m, ok := set.At(a.Version)
		repeatable := a.Version.Repeatable()
		switch {
		case !ok && repeatable && a.State == Done:
		case !ok:
			return &MigrationRemoved{File: a.File, Version: a.Version}
		case m.Checksum != a.Checksum && (!repeatable || a.State == Running):
			return &ChecksumChanged{File: m.File, Version: m.Version, Applied: a.Checksum, Now: m.Checksum}
		}
	}
	return nil
}

func find(applied []Applied, v Version) (Applied, bool) {
	i := slices.IndexFunc(applied, func(a Applied) bool { return a.Version.Compare(v) == 0 })
	if i < 0 {
		return Applied{}, false
	}
	return applied[i], true
}
