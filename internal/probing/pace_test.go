package probing

import (
	"testing"
	"time"
)

func TestBackOff(t *testing.T) {
	for name, tt := range map[string]struct {
		interval time.Duration
		want     []time.Duration
	}{
		"a minute": {time.Minute, []time.Duration{
			time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute,
		}},
		"shorter than the first retry": {100 * time.Millisecond, []time.Duration{100 * time.Millisecond, 100 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			var pause time.Duration
			for i, want := range tt.want {
				if pause = backOff(pause, tt.interval); pause != want {
					t.Errorf("pause %d is %v, want %v", i, pause, want)
				}
			}
		})
	}
}

func TestJitterStaysBelowTheInterval(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		d := jitter(time.Minute)
		if d < 48*time.Second || d > time.Minute {
			t.Errorf("%v is not between four fifths of a minute and a minute", d)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d of 100 pauses differ", len(seen))
	}
}

// What a row of answers makes of a target, and when it is asked again.
func TestNote(t *testing.T) {
	bad := &failure{words: "bad"}
	type answer struct {
		after time.Duration // since the first question
		fails bool
		want  State
		again time.Duration // 0: an interval, less its jitter
	}
	for name, tt := range map[string]struct {
		presumed State
		answers  []answer
	}{
		"good at once":              {Unknown, []answer{{0, false, Good, 0}}},
		"good after a moment":       {Unknown, []answer{{0, true, Unknown, settlePause}, {time.Second, true, Unknown, settlePause}, {2 * time.Second, false, Good, 0}}},
		"never good":                {Unknown, []answer{{0, true, Unknown, settlePause}, {3 * time.Second, true, Bad, time.Second}, {4 * time.Second, true, Bad, 2 * time.Second}}},
		"one blip":                  {Unknown, []answer{{0, false, Good, 0}, {time.Minute, true, Good, time.Second}, {61 * time.Second, false, Good, 0}, {2 * time.Minute, true, Good, time.Second}}},
		"outage":                    {Unknown, []answer{{0, false, Good, 0}, {time.Minute, true, Good, time.Second}, {61 * time.Second, true, Bad, 2 * time.Second}, {63 * time.Second, false, Good, 0}}},
		"restart, still good":       {Good, []answer{{0, false, Good, 0}}},
		"restart, blip":             {Good, []answer{{0, true, Good, time.Second}, {time.Second, false, Good, 0}}},
		"restart in an outage":      {Good, []answer{{0, true, Good, time.Second}, {time.Second, true, Bad, 2 * time.Second}}},
		"restart, bad before":       {Bad, []answer{{0, true, Bad, time.Second}, {time.Second, false, Good, 0}}},
		"restart, bad before, good": {Bad, []answer{{0, false, Good, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			p := &probe{target: Target{Interval: time.Minute}, verdict: Verdict{State: tt.presumed}}
			for i, a := range tt.answers {
				now := begun.Add(a.after)
				p.begin(now)
				var f *failure
				if a.fails {
					f = bad
				}
				p.note(f, now)
				if p.verdict.State != a.want {
					t.Errorf("answer %d makes it %d, want %d", i, p.verdict.State, a.want)
				}
				if got := p.due.Sub(now); a.again > 0 && got != a.again || a.again == 0 && (got < 48*time.Second || got > time.Minute) {
					t.Errorf("answer %d is followed by a pause of %v, want %v", i, got, a.again)
				}
			}
		})
	}
}
