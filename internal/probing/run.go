package probing

import (
	"context"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// idle is how long the prober sleeps when nothing waits: what comes wakes it.
const idle = time.Hour

// Start asks until the context ends, and returns when no request is left. It is a manager's Runnable.
func (p *Prober) Start(ctx context.Context) error {
	var requests sync.WaitGroup
	defer requests.Wait()
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(p.launch(ctx, &requests))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.wake:
		}
	}
	return nil
}

// NeedLeaderElection keeps the prober with the controller that asks it.
func (p *Prober) NeedLeaderElection() bool { return true }

// launch sends the requests that are due and may be sent, and returns when the next one is due.
func (p *Prober) launch(ctx context.Context, requests *sync.WaitGroup) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for p.asking < inFlight {
		b := p.fresh.first(now)
		if b == nil {
			b = p.known.first(now)
		}
		if b == nil {
			return p.rest(now)
		}
		p.asking++
		b.begin(now)
		target := b.target // a copy: intervals may change meanwhile
		requests.Go(func() { p.finish(ctx, b, &target, target.ask(ctx)) })
	}
	return idle // The end of a request wakes.
}

func (p *Prober) rest(now time.Time) time.Duration {
	rest := idle
	for _, l := range []line{p.fresh, p.known} {
		if len(l) > 0 {
			rest = min(rest, l[0].due.Sub(now))
		}
	}
	return max(rest, 0)
}

// finish takes an answer in. One that came because everything ends says nothing.
func (p *Prober) finish(ctx context.Context, b *probe, t *Target, f *failure) {
	tell := p.take(ctx, b, f)
	p.poke()
	if f != nil && ctx.Err() == nil {
		log.FromContext(ctx).V(1).Info("A host does not answer as it should", "tenant", b.owner.NamespacedName,
			"host", t.Host, "failure", f.words, "cause", f.cause)
	}
	if tell != nil {
		tell()
	}
}

// take returns whom to tell outside of the lock, or nil.
func (p *Prober) take(ctx context.Context, b *probe, f *failure) (tell func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asking--
	if b.gone || ctx.Err() != nil {
		return nil
	}
	before := b.verdict
	b.note(f, time.Now())
	p.enqueue(b)
	close(b.owner.news)
	b.owner.news = make(chan struct{})
	if b.verdict == before || b.owner.watchers > 0 {
		return nil
	}
	changed, who := p.changed, b.owner.NamespacedName
	return func() { changed(who) }
}

// poke wakes Start, if it sleeps.
func (p *Prober) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
