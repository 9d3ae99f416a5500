package sources

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tenantry/tenantry/internal/fault"
)

// errand is work on a registry that goes on without its callers: a registry that hangs holds a
// goroutine of its own and no worker that others wait for. One runs at a time, however many ask; what
// failed is not tried again before its time, and its error is the answer until then.
type errand[T any] struct {
	// within bounds one run.
	within time.Duration

	mu  sync.Mutex
	key string
	run *run
	// value is the last good answer, if known. It outlives failures, and changes of the key.
	value T
	known bool
	err   error
	fails int
	next  time.Time
}

// run is one piece of work under way.
type run struct {
	done  chan struct{}
	began time.Time
}

const (
	// Patience is how long callers wait for an answer, counted from the beginning of the work: a
	// registry that is well answers within it, one that is not costs a few callers so much once.
	Patience = 2 * time.Second
	// firstRetry and lastRetry are the delays after failures; each is twice the one before.
	firstRetry = 5 * time.Second
	lastRetry  = time.Minute
	never      = 100 * 365 * 24 * time.Hour
)

// answer is what an errand knows.
type answer[T any] struct {
	value T
	known bool
	// pending says that the work goes on; next is when to ask again.
	pending bool
	next    time.Time
	err     error
}

// ask returns what is known, and works for it if it is due: at once when the key is another one than
// before, then each time that `every` has passed; zero means that a good answer is good for ever.
func (e *errand[T]) ask(ctx context.Context, key string, every time.Duration, work func(context.Context) (T, error)) answer[T] {
	if r := e.begin(key, every, work); r != nil {
		timer := time.NewTimer(time.Until(r.began.Add(Patience)))
		defer timer.Stop()
		select {
		case <-r.done:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a := answer[T]{value: e.value, known: e.known, next: e.next, err: e.err}
	if e.run != nil {
		a.pending, a.next = true, time.Now().Add(Patience)
	}
	return a
}

// last returns the last good answer.
func (e *errand[T]) last() (T, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.value, e.known
}

// due is when the work is due again, zero if it was not asked for; what goes on is looked at soon.
func (e *errand[T]) due() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.run != nil {
		return time.Now().Add(Patience)
	}
	if e.next.Before(time.Now()) {
		return time.Time{}
	}
	return e.next
}

func (e *errand[T]) begin(key string, every time.Duration, work func(context.Context) (T, error)) *run {
	e.mu.Lock()
	defer e.mu.Unlock()
	if key != e.key { // What runs for the old key ends unheard.
		e.key, e.run, e.err, e.fails, e.next = key, nil, nil, 0, time.Time{}
	}
	if e.run != nil || time.Now().Before(e.next) {
		return e.run
	}
	r := &run{done: make(chan struct{}), began: time.Now()}
	e.run = r
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), e.within)
		defer cancel()
		value, err := sheltered(ctx, work)
		e.end(r, every, value, err)
	}()
	return r
}

// sheltered makes an error of a panic: what a registry serves is parsed here, in a goroutine of our own, where
// it would end the operator. A reconcile's panics are caught by controller-runtime in the same way.
func sheltered[T any](ctx context.Context, work func(context.Context) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v [recovered]", p)
			log.FromContext(ctx).Error(err, "Observed a panic", "stacktrace", string(debug.Stack()))
		}
	}()
	return work(ctx)
}

func (e *errand[T]) end(r *run, every time.Duration, value T, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	defer close(r.done)
	if e.run != r {
		return
	}
	e.run, e.err = nil, err
	if every == 0 {
		every = never
	}
	switch {
	case err == nil:
		e.value, e.known, e.fails = value, true, 0
	case fault.KindOf(err) != fault.Invalid: // What only an edit mends changes the key, or the digest.
		e.fails++
		every = min(every, lastRetry, firstRetry<<min(e.fails-1, 10))
	}
	e.next = time.Now().Add(every)
}
