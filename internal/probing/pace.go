package probing

import (
	"math/rand/v2"
	"time"
)

const (
	// settleFor is how long a target may take to answer for the first time: a data plane serves what
	// it accepted a moment later (Traefik 3.7: 30 to 270 ms, and up to its provider's throttle of two
	// seconds).
	settleFor = 3 * time.Second
	// settlePause is the pause between two questions until then.
	settlePause = 150 * time.Millisecond
	// firstRetry is the pause behind a failure. It doubles up to the interval.
	firstRetry = time.Second
	// failuresInARow make a good target a bad one: a blip is no outage.
	failuresInARow = 2
)

// probe is a target and what is known of it. Its owner's prober guards it.
type probe struct {
	target  Target
	owner   *owned
	verdict Verdict

	// asked says that there was an answer, or none in time.
	asked    bool
	failures int
	pause    time.Duration
	// settled is when an Unknown target that does not answer becomes a Bad one. Set when it is first
	// asked.
	settled time.Time
	due     time.Time
	// gone says that nobody wants to know any more.
	gone bool
	// line is where the probe waits, and place its place there; nil while it is asked.
	line  *line
	place int
}

// begin notes that the target is being asked.
func (p *probe) begin(now time.Time) {
	if p.settled.IsZero() {
		p.settled = now.Add(settleFor)
	}
}

// note judges an answer: failure is nil if it was good.
func (p *probe) note(failure *failure, now time.Time) {
	p.asked = true
	if failure == nil {
		p.verdict = Verdict{State: Good}
		p.failures, p.pause = 0, 0
		p.due = now.Add(jitter(p.target.Interval))
		return
	}
	p.failures++
	if p.verdict.State == Unknown && now.Before(p.settled) {
		p.due = now.Add(settlePause)
		return
	}
	p.pause = backOff(p.pause, p.target.Interval)
	p.due = now.Add(p.pause)
	if p.verdict.State != Good || p.failures >= failuresInARow {
		p.verdict = Verdict{State: Bad, Message: failure.words}
	}
}

// open is how much longer the owner's step may wait for the target: not at all, if something is known.
func (p *probe) open() time.Duration {
	switch {
	case p.verdict.State == Unknown:
		return waitForFirst
	case !p.asked:
		return waitForPresumed
	}
	return 0
}

func backOff(pause, interval time.Duration) time.Duration {
	return min(max(2*pause, firstRetry), interval)
}

// jitter keeps hosts that came together from being asked together for ever; the interval stays the
// bound.
func jitter(interval time.Duration) time.Duration {
	return interval - rand.N(interval/5+1) //nolint:gosec // it spreads load, and keeps no secret
}
