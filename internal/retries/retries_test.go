package retries

import (
	"testing"
	"time"
)

func TestPausesDouble(t *testing.T) {
	var m Memory[string, string]
	now := time.Now()
	for i, want := range []float64{2, 4, 8, 16, 32, 60, 60} {
		m.Failed("acme", "version 7", "why", now)
		why, due, known := m.Last("acme", "version 7")
		if got := due.Sub(now).Minutes(); why != "why" || !known || got != want {
			t.Errorf("failure %d: %q, due after %g minutes, known: %t; want %g", i+1, why, got, known, want)
		}
	}
}

func TestOtherWorkIsDueAtOnce(t *testing.T) {
	var m Memory[string, string]
	now := time.Now()
	m.Failed("acme", "version 7", "why", now)
	m.Failed("acme", "version 7", "why", now)
	if _, _, known := m.Last("acme", "version 8"); known || !m.Knows("acme") {
		t.Errorf("the other version failed: %t; some version failed: %t", known, m.Knows("acme"))
	}
	if _, _, known := m.Last("globex", "version 7"); known || m.Knows("globex") {
		t.Error("another key is said to have failed")
	}
	m.Failed("acme", "version 8", "why", now)
	if _, due, _ := m.Last("acme", "version 8"); due.Sub(now) != First {
		t.Errorf("other work is due after %s, want %s", due.Sub(now), First)
	}
	m.Forget("acme")
	if m.Knows("acme") {
		t.Error("what was forgotten is known")
	}
}
