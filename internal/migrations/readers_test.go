package migrations

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

// reader is what one reader of acme.t3 saw.
type reader struct {
	reads, waited int
	longest       time.Duration
	err           error
}

// reading reads until it is told to stop; the server ends it when it waits longer than bound and slack.
func (db *database) reading(ctx, stop context.Context, bound, slack time.Duration) (r reader) {
	conn, err := db.admin.Acquire(ctx)
	if err != nil {
		return reader{err: err}
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, fmt.Sprintf("SET lock_timeout = %d", (bound+slack).Milliseconds())); err != nil {
		return reader{err: err}
	}
	for stop.Err() == nil && r.err == nil {
		began := time.Now()
		_, r.err = conn.Exec(ctx, "SELECT count(*) FROM acme.t3")
		took := time.Since(began)
		if r.reads++; took > bound/4 {
			r.waited++
		}
		r.longest = max(r.longest, took)
	}
	return r
}

// An application's reads never wait longer than the migration's lock_timeout behind an ALTER that is queued
// behind somebody's long transaction, in any of its tries. The server itself measures: a reader that waits
// longer is ended by a lock_timeout of its own, which has some slack for a busy machine.
func TestReadersWaitNoLongerThanTheLockTimeout(t *testing.T) {
	onServers(t, func(t *testing.T, db *database) {
		set := mustLoad(t, twelve(map[int]string{7: "INSERT INTO effects VALUES (7);\nALTER TABLE t3 ADD COLUMN extra int;\n"}))
		target := db.tenant(t, "acme")
		db.apply(t, target, set, "6")
		const slack = 5 * time.Second
		target.LockTimeout = time.Second
		long, err := db.admin.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = long.Rollback(context.Background()) }()
		if _, err := long.Exec(t.Context(), "SELECT * FROM acme.t3"); err != nil {
			t.Fatal(err)
		}
		stop, ended := context.WithCancel(t.Context())
		const readers = 3
		done := make(chan reader, readers)
		for range readers {
			go func() { done <- db.reading(t.Context(), stop, target.LockTimeout, slack) }()
		}
		result, err := db.applyWith(t.Context(), fast, target, set)
		ended()
		if fault.ReasonOf(err) != ReasonLocked || result.Retries == 0 {
			t.Errorf("the migration was to wait in vain several times: %v after %d retries", err, result.Retries)
		}
		waited := 0
		for range readers {
			r := <-done
			if r.err != nil {
				t.Errorf("a reader waited longer than %s and %s, or failed: %v", target.LockTimeout, slack, r.err)
			}
			t.Logf("%d reads, %d of which waited, the longest %s", r.reads, r.waited, r.longest)
			waited += r.waited
		}
		if waited == 0 {
			t.Error("no reader waited at all: the test shows nothing")
		}
	})
}
