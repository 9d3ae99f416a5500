package tenant

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/retries"
)

// attempts remembers migrations that failed, so that one that only an edit mends is not run at every pass:
// its locks weigh on a customer who is served. After a restart each is tried once more.
type attempts struct {
	failed retries.Memory[types.UID, failedTry]
}

// failedTry is what failed, and the Job that did it, if it was one that is still there.
type failedTry struct {
	why *fault.Fault
	job types.UID
}

// last returns the failure of the same work if it is too early to try again.
func (a *attempts) last(uid types.UID, of string, now time.Time) error {
	try, due, known := a.failed.Last(uid, of)
	if !known || now.After(due) {
		return nil
	}
	again := *try.why
	again.After = due.Sub(now) + time.Second
	return &again
}

// knows says whether the failure of just this Job was noted, however long ago.
func (a *attempts) knows(uid types.UID, of string, job types.UID) bool {
	try, _, known := a.failed.Last(uid, of)
	return known && try.job == job
}

// note keeps the outcome of a try. Only what an edit mends is kept; the rest is tried again soon.
func (a *attempts) note(uid types.UID, of string, err error, now time.Time) {
	a.noteJob(uid, of, "", err, now)
}

// noteJob is note of a try by a Job.
func (a *attempts) noteJob(uid types.UID, of string, job types.UID, err error, now time.Time) {
	if f, ok := errors.AsType[*fault.Fault](err); ok && f.Kind == fault.Invalid {
		a.failed.Failed(uid, of, failedTry{f, job}, now)
		return
	}
	a.failed.Forget(uid)
}

// forget drops what is kept of a Tenant that is gone.
func (a *attempts) forget(uid types.UID) { a.failed.Forget(uid) }
