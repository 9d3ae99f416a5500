package sources

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

// ask asks and returns how long it took, too.
func ask(t *testing.T, e *errand[string], key string, every time.Duration, work func(context.Context) (string, error)) (answer[string], time.Duration) {
	t.Helper()
	began := time.Now()
	return e.ask(t.Context(), key, every, work), time.Since(began)
}

// Work that hangs costs its callers their patience once, all together; its answer comes when it comes.
func TestErrandHangs(t *testing.T) {
	t.Parallel()
	e := &errand[string]{within: time.Minute}
	release := make(chan struct{})
	runs := 0
	work := func(context.Context) (string, error) { runs++; <-release; return "done", nil }
	if a, took := ask(t, e, "k", 0, work); !a.pending || a.known || took < Patience/2 {
		t.Errorf("the first got %+v after %s", a, took)
	}
	for range 3 {
		if a, took := ask(t, e, "k", 0, work); !a.pending || took > Patience/2 {
			t.Errorf("a later one got %+v after %s", a, took)
		}
	}
	run := e.begin("k", 0, work)
	close(release)
	<-run.done
	if a, _ := ask(t, e, "k", 0, work); a.pending || a.value != "done" || runs != 1 {
		t.Errorf("afterwards %+v, by %d runs", a, runs)
	}
}

// A panic in the work is an error, and ends nobody else's.
func TestErrandPanics(t *testing.T) {
	t.Parallel()
	e := &errand[string]{within: time.Minute}
	a, _ := ask(t, e, "k", time.Minute, func(context.Context) (string, error) { panic("a layer of minus one byte") })
	if a.pending || a.known || a.err == nil || !strings.Contains(a.err.Error(), "a layer of minus one byte") {
		t.Errorf("a panic comes to %+v", a)
	}
	if wait := time.Until(e.due()); wait > firstRetry || wait < firstRetry/2 {
		t.Errorf("the next run is in %s", wait)
	}
}

// What failed is not tried before its time, what only an edit mends not at all, another key at once. The
// last good answer outlives failures.
func TestErrandFails(t *testing.T) {
	t.Parallel()
	e := &errand[string]{within: time.Minute}
	runs := 0
	fails := func(err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { runs++; return "", err }
	}
	works := func(context.Context) (string, error) { runs++; return "good", nil }
	ask(t, e, "a", time.Minute, works)
	for _, key := range []string{"a", "b", "b", "b"} {
		a, _ := ask(t, e, key, time.Minute, fails(errors.New("away")))
		if !a.known || a.value != "good" || (key == "b") != (a.err != nil) {
			t.Errorf("%s: %+v", key, a)
		}
	}
	if wait := time.Until(e.due()); runs != 2 || wait > firstRetry || wait < firstRetry/2 {
		t.Errorf("%d runs, the next in %s", runs, wait)
	}
	ask(t, e, "c", 0, fails(fault.NewInvalid("Invalid", "no")))
	if wait := time.Until(e.due()); runs != 3 || wait < never/2 {
		t.Errorf("%d runs, the next in %s", runs, wait)
	}
	if a, _ := ask(t, e, "d", 0, works); a.err != nil || runs != 4 {
		t.Errorf("%+v after %d runs", a, runs)
	}
}

// An answer for a key that nobody asks for any more is not heard.
func TestErrandOvertaken(t *testing.T) {
	t.Parallel()
	e := &errand[string]{within: time.Minute}
	release := make(chan struct{})
	old := e.begin("old", 0, func(context.Context) (string, error) { <-release; return "old", nil })
	ask(t, e, "new", 0, func(context.Context) (string, error) { return "new", nil })
	close(release)
	<-old.done
	if value, known := e.last(); !known || value != "new" {
		t.Errorf("the answer is %q", value)
	}
}
