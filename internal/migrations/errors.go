package migrations

import (
	"fmt"

	"github.com/tenantry/tenantry/internal/fault"
)

// Reasons of the faults this package returns. They are CamelCase condition reasons.
const (
	// ReasonInvalidMigration: a file cannot be used as it is. Load only.
	ReasonInvalidMigration = "InvalidMigration"
	// ReasonChecksumChanged: a file that is applied has changed since.
	ReasonChecksumChanged = "ChecksumChanged"
	// ReasonMigrationRemoved: a file that is applied is no longer in the set.
	ReasonMigrationRemoved = "MigrationRemoved"
	// ReasonOutOfOrder: a pending file is older than one that is applied.
	ReasonOutOfOrder = "OutOfOrder"
	// ReasonDowngrade: the target is below the schema's version.
	ReasonDowngrade = "DowngradeRefused"
	// ReasonUnknownVersion: the target is not in the set.
	ReasonUnknownVersion = "UnknownVersion"
	// ReasonMigrationFailed: the server refused a statement of a migration.
	ReasonMigrationFailed = "MigrationFailed"
	// ReasonLocked: a lock that a migration needs stayed taken (transient).
	ReasonLocked = "MigrationLocked"
	// ReasonBusy: another runner is at work in the same schema (waiting).
	ReasonBusy = "MigrationBusy"
	// ReasonConnectionLost: the server or the network ended the session (transient).
	ReasonConnectionLost = "MigrationInterrupted"
	// ReasonDecisionNeeded: a crash, or an error of one that commits by itself, left a statement of unknown
	// outcome that only a person can judge.
	ReasonDecisionNeeded = "MigrationDecisionNeeded"
	// ReasonLedgerUnusable: tenantry_migrations in the schema is not the table that the engine made, or is
	// gone from a schema that was migrated.
	ReasonLedgerUnusable = "LedgerUnusable"
)

// ChecksumChanged says that the set's file differs from what was applied.
type ChecksumChanged struct {
	File    string
	Version Version
	// Applied and Now are the checksums in the ledger and in the set.
	Applied, Now string
}

func (e *ChecksumChanged) Error() string {
	return fmt.Sprintf("%s (version %s) changed after it was applied; restore its text and put the change into a new migration", e.File, e.Version)
}

// Unwrap makes the error an Invalid fault.
func (e *ChecksumChanged) Unwrap() error { return fault.NewInvalid(ReasonChecksumChanged, "%s", e) }

// MigrationRemoved says that an applied migration is not in the set.
type MigrationRemoved struct {
	File    string
	Version Version
}

func (e *MigrationRemoved) Error() string {
	return fmt.Sprintf("%s (version %s) is applied but no longer in the set; put the file back", e.File, e.Version)
}

// Unwrap makes the error an Invalid fault.
func (e *MigrationRemoved) Unwrap() error { return fault.NewInvalid(ReasonMigrationRemoved, "%s", e) }

// OutOfOrder says that a migration came late: newer ones are applied.
type OutOfOrder struct {
	File    string
	Version Version
	// Current is the schema's version.
	Current Version
}

func (e *OutOfOrder) Error() string {
	return fmt.Sprintf("%s (version %s) is not applied, but the schema is already at version %s; give the file a version above %s",
		e.File, e.Version, e.Current, e.Current)
}

// Unwrap makes the error an Invalid fault.
func (e *OutOfOrder) Unwrap() error { return fault.NewInvalid(ReasonOutOfOrder, "%s", e) }

// Downgrade says that the target is below the schema's version. Nothing runs backwards.
type Downgrade struct{ Current, Target Version }

func (e *Downgrade) Error() string {
	return fmt.Sprintf("the schema is at version %s and cannot go back to %s; write a new migration that undoes the change", e.Current, e.Target)
}

// Unwrap makes the error an Invalid fault.
func (e *Downgrade) Unwrap() error { return fault.NewInvalid(ReasonDowngrade, "%s", e) }

// UnknownVersion says that the target is not in the set.
type UnknownVersion struct{ Target, Latest Version }

func (e *UnknownVersion) Error() string {
	return fmt.Sprintf("the set has no version %s; its latest is %s", e.Target, e.Latest)
}

// Unwrap makes the error an Invalid fault.
func (e *UnknownVersion) Unwrap() error { return fault.NewInvalid(ReasonUnknownVersion, "%s", e) }

// invalid returns an Invalid fault about a line of a file; line 0 is the file as a whole.
func invalid(file string, line int, format string, args ...any) *fault.Fault {
	where := file
	if line > 0 {
		where = fmt.Sprintf("%s line %d", file, line)
	}
	return fault.NewInvalid(ReasonInvalidMigration, "%s: %s", where, fmt.Sprintf(format, args...))
}
