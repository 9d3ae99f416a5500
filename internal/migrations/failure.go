package migrations

import (
	"errors"
	"fmt"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// PartialError says which migration failed, where, and how far the schema came. Its text is for
// users: "0007_orders.sql line 12: relation "foo" does not exist (42P01); the schema stays at
// version 6". The server's details, which may quote rows, are in the error's chain alone.
type PartialError struct {
	// Applied are the versions that this call applied before.
	Applied []Version
	// Current is the version at which the schema stays; "" if no migration is applied.
	Current Version
	Failed  Version
	File    string
	// Line is the 1-based line of the file, 0 if it is not known.
	Line int
	// Finished counts the file's statements that took effect, if it does not run in a transaction.
	Finished int
	// SQLState and Message are the server's; SQLState is empty if the error is not the server's.
	SQLState, Message string
	// Err is the cause.
	Err error

	kind   fault.Kind
	reason string
	after  time.Duration
	// question is what a person has to decide before a next try; "" for nothing.
	question string
}

func (e *PartialError) Error() string {
	text := e.Brief()
	if e.Finished > 0 {
		text += fmt.Sprintf("; the file's first %d statements took effect", e.Finished)
	}
	if e.Current == "" {
		text += "; no migration is applied"
	} else {
		text += "; the schema stays at version " + string(e.Current)
	}
	if e.question != "" {
		text += "; the statement commits by itself, and " + e.question
	}
	return text
}

// Brief is the text without what became of the schema.
func (e *PartialError) Brief() string {
	text := e.File
	if e.Line > 0 {
		text += fmt.Sprintf(" line %d", e.Line)
	}
	if text += ": " + e.Message; e.SQLState != "" {
		text += " (" + e.SQLState + ")"
	}
	return text
}

// Unwrap returns the fault that says what the error means, and the cause.
func (e *PartialError) Unwrap() []error {
	return []error{&fault.Fault{Kind: e.kind, Reason: e.reason, Message: e.Error(), After: e.after}, e.Err}
}

// stepError is the failure of a step before it is explained.
type stepError struct {
	step     Step
	finished int
	// question is not empty if only a person can say how much of the statement took effect.
	question string
	*failure
}

// busyFor is the delay to the next look at a schema where another runner is at work.
const busyFor = 5 * time.Second

// retryable says whether the same call may succeed after a pause, and which reason to show if the
// tries are used up.
func (r *runner) retryable(err error) (again bool, reason string) {
	if errors.Is(err, errStale) {
		return true, ReasonBusy
	}
	failed, ok := errors.AsType[*stepError](err)
	if !ok || failed.server() == nil || failed.question != "" {
		return false, ""
	}
	switch postgres.CauseOf(failed.err) {
	case postgres.LockTimeout:
		if failed.claims {
			return true, ReasonBusy
		}
		return true, ReasonLocked
	case postgres.Conflict:
		return true, ReasonLocked
	}
	return false, ""
}

// explain turns an error of a pass into what Apply returns.
func (r *runner) explain(err error, reason string) error {
	if reason == ReasonBusy {
		return r.busy(err)
	}
	failed, ok := errors.AsType[*stepError](err)
	if !ok {
		return err
	}
	if failed.body == nil && !failed.commits && failed.server() != nil && reason == "" {
		return postgres.Fault(failed.err, fmt.Sprintf("cannot migrate schema %q as role %q", r.target.Schema, r.target.Owner))
	}
	e := &PartialError{
		Applied: r.result.Applied, Current: r.result.To,
		Failed: failed.step.Migration.Version, File: failed.step.Migration.File, Line: failed.line,
		Finished: failed.finished, Err: failed.err, question: failed.question,
	}
	if pg := failed.server(); pg != nil {
		e.SQLState, e.Message = pg.Code, pg.Message
		if failed.commits {
			e.Message = "at COMMIT: " + e.Message // of what was put off until then
		}
	}
	e.judge(failed.err, reason)
	return e
}

// judge decides what the failure means for the one who waits.
func (e *PartialError) judge(err error, reason string) {
	e.kind, e.reason = fault.Transient, reason
	if e.question != "" {
		e.kind, e.reason = fault.Invalid, ReasonDecisionNeeded
		return
	}
	if reason != "" {
		if postgres.CauseOf(err) == postgres.LockTimeout {
			e.Message = "another session holds a lock that the statement needs; it is tried again"
		}
		return
	}
	switch cause := postgres.CauseOf(err); cause {
	case postgres.ConnectionLost, postgres.ServerShuttingDown, postgres.Canceled, postgres.Unreachable:
		// The ledger tells the next call what was committed.
		e.reason, e.Message, e.Line = ReasonConnectionLost, "the session ended before the server answered; what was committed is kept", 0
	case postgres.DiskFull, postgres.OutOfMemory, postgres.ReadOnly, postgres.TooManyConnections:
		f := postgres.Fault(err, "")
		e.kind, e.reason, e.after = f.Kind, f.Reason, f.After
	default:
		e.kind, e.reason = fault.Invalid, ReasonMigrationFailed
	}
	if e.Message == "" {
		e.Message = err.Error()
	}
}

func (r *runner) busy(err error) error {
	return fault.NewWaiting(ReasonBusy, busyFor, "another runner migrates schema %q; waiting for it", r.target.Schema).Because(err)
}
