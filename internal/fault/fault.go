// Package fault says what an error means for the one who waits: Invalid errors end only by an
// edit of the object or something it names, Waiting errors end when something else happens, and
// every other error is transient and retried with back-off. A fault carries the reason and the
// message that a user reads in the condition; neither may hold a secret.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is what a reconciler does about an error.
type Kind int

const (
	// Transient errors are retried with back-off. It is the kind of every error that is no Fault.
	Transient Kind = iota
	// Waiting errors are looked at again after a while, without back-off: something else moves.
	Waiting
	// Invalid errors stall the object: only an edit helps. They are still re-checked slowly,
	// since nothing tells us that a DBA mended a server.
	Invalid
)

// RecheckInvalid is how long a stalled object rests before it is looked at again.
const RecheckInvalid = 2 * time.Minute

// Fault is an error with a meaning.
type Fault struct {
	Kind Kind
	// Reason is the CamelCase reason of the condition that reports the fault.
	Reason string
	// Message is written for the user: what is wrong, in which field, and what to do.
	Message string
	// After is the delay to the next look; zero leaves it to the kind.
	After time.Duration
	err   error
}

// Error returns the user's message, with the cause behind it if there is one.
func (f *Fault) Error() string {
	if f.err == nil {
		return f.Message
	}
	return f.Message + ": " + f.err.Error()
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.err }

// NewInvalid returns a fault that only an edit ends.
func NewInvalid(reason, format string, args ...any) *Fault {
	return &Fault{Kind: Invalid, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// NewWaiting returns a fault that ends by itself; the object is looked at again after the delay.
func NewWaiting(reason string, after time.Duration, format string, args ...any) *Fault {
	return &Fault{Kind: Waiting, Reason: reason, After: after, Message: fmt.Sprintf(format, args...)}
}

// NewTransient returns a fault that is retried with back-off and shows the given reason meanwhile.
func NewTransient(reason string, err error, format string, args ...any) *Fault {
	return &Fault{Kind: Transient, Reason: reason, Message: fmt.Sprintf(format, args...), err: err}
}

// Because returns a copy of the fault with err as its cause. The cause goes to logs only.
func (f *Fault) Because(err error) *Fault {
	c := *f
	c.err = err
	return &c
}

// Of returns the fault in err's chain. An error that is no fault comes back as a transient one
// with the given reason and its own text as message; nil comes back as nil.
func Of(err error, reason string) *Fault {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](err); ok {
		return f
	}
	return &Fault{Kind: Transient, Reason: reason, Message: err.Error()}
}

// KindOf returns the kind of the fault in err's chain, Transient when there is none.
func KindOf(err error) Kind { return Of(err, "").kind() }

// ReasonOf returns the reason of the fault in err's chain, or "" when there is none.
func ReasonOf(err error) string {
	if f, ok := errors.AsType[*Fault](err); ok {
		return f.Reason
	}
	return ""
}

func (f *Fault) kind() Kind {
	if f == nil {
		return Transient
	}
	return f.Kind
}
