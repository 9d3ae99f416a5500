// Package probing asks hosts through a data plane whether they answer, again and again, and remembers
// the last verdict on each. It has its own bounded number of requests in flight, so that hosts that do
// not answer hold up nobody else. A good host is asked once an interval; a failing one sooner, after
// one second, two, four and so on up to the interval. One failure makes no good host a bad one, two in
// a row do; one good answer makes it good. A host that has never answered is asked every 150 ms for
// three seconds before that is called a failure. Requests carry no credentials, follow no redirects,
// use no proxy, and read little of what comes back. What is asked is the caller's decision: this
// package connects to whatever address it is told to.
package probing

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

const (
	// inFlight bounds the requests at one time. Two thousand hosts that swallow packets, at a timeout
	// of 5 s, are gone through in 80 s.
	inFlight = 128
	// maxWaiting bounds how many callers of Watch wait at a time, so that a slow data plane leaves
	// workers for others.
	maxWaiting = 4
	// waitForFirst is how long Watch waits for a host's first verdict, waitForPresumed how long for a
	// first answer of one of which something is presumed.
	waitForFirst    = settleFor + 500*time.Millisecond
	waitForPresumed = time.Second
)

// Prober asks targets while Start runs. It is made by New.
type Prober struct {
	wake    chan struct{} // there may be something to do
	waiting chan struct{} // one place for each caller that waits

	mu     sync.Mutex
	owners map[types.NamespacedName]*owned
	// fresh are probes without an answer yet. They come before known ones, of which thousands may be
	// overdue while a data plane is away.
	fresh, known line
	asking       int
	changed      func(types.NamespacedName)
}

// owned are the probes of one owner.
type owned struct {
	Owner
	probes map[key]*probe
	// watchers is how many callers wait: they need not be told of what they wait for.
	watchers int
	// news is closed and made anew with each answer.
	news chan struct{}
}

// New returns a prober that asks nothing before Start.
func New() *Prober {
	return &Prober{
		wake: make(chan struct{}, 1), waiting: make(chan struct{}, maxWaiting), owners: map[types.NamespacedName]*owned{},
		changed: func(types.NamespacedName) {},
	}
}

// Notify sets who is told of owners of which another thing is known than before. The function must not
// block.
func (p *Prober) Notify(changed func(types.NamespacedName)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changed = changed
}

// Watch makes the targets the ones that are asked for an owner, and returns the verdict on each, in
// their order. For a target that is new it waits, at most some seconds; it returns at once if too many
// others wait already, or if it has waited enough, with what is known: the owner is notified when there
// is more. A target of which everything is as before costs no time and keeps its verdict; any other
// begins anew.
func (p *Prober) Watch(ctx context.Context, owner Owner, targets []Target) []Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.want(owner, targets)
	o.watchers++
	p.await(ctx, o)
	o.watchers--
	verdicts := make([]Verdict, len(targets))
	for i := range targets {
		if b := o.probes[targets[i].key()]; b != nil {
			verdicts[i] = b.verdict
		}
	}
	return verdicts
}

// want brings the owner's probes to what the targets say. The lock is held.
func (p *Prober) want(owner Owner, targets []Target) *owned {
	o := p.owners[owner.NamespacedName]
	remembers := o != nil && o.UID == owner.UID
	if !remembers {
		p.forget(owner.NamespacedName)
		o = &owned{Owner: owner, probes: map[key]*probe{}, news: make(chan struct{})}
		p.owners[owner.NamespacedName] = o
	}
	now := time.Now()
	for k, b := range o.probes {
		if !slices.ContainsFunc(targets, func(t Target) bool { return t.key() == k }) {
			o.drop(b)
		}
	}
	for i := range targets {
		p.wantOne(o, &targets[i], remembers, now)
	}
	p.poke()
	return o
}

func (p *Prober) wantOne(o *owned, t *Target, remembers bool, now time.Time) {
	b := o.probes[t.key()]
	if b != nil && b.target.sameQuestion(t) {
		b.target = *t
		if latest := now.Add(t.Interval); b.line != nil && b.due.After(latest) {
			leave(b)
			b.due = latest
			p.enqueue(b)
		}
		return
	}
	if b != nil {
		o.drop(b)
	}
	b = &probe{target: *t, owner: o, due: now}
	if !remembers {
		b.verdict = t.Presumed
	}
	o.probes[t.key()] = b
	p.enqueue(b)
}

func (p *Prober) enqueue(b *probe) {
	if b.asked && b.verdict.State != Unknown {
		p.known.add(b)
	} else {
		p.fresh.add(b)
	}
}

// await waits for the owner's first verdicts. The lock is held, but not while it waits.
func (p *Prober) await(ctx context.Context, o *owned) {
	limit := o.open()
	if limit == 0 {
		return
	}
	select {
	case p.waiting <- struct{}{}:
		defer func() { <-p.waiting }()
	default:
		return
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for o.open() > 0 {
		if !p.listen(ctx, o.news, timer.C) {
			return
		}
	}
}

// listen waits for news. It returns false if there is no more time.
func (p *Prober) listen(ctx context.Context, news <-chan struct{}, end <-chan time.Time) bool {
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-news:
		return true
	case <-end:
	case <-ctx.Done():
	}
	return false
}

func (o *owned) open() (longest time.Duration) {
	for _, b := range o.probes {
		longest = max(longest, b.open())
	}
	return longest
}

func (o *owned) drop(b *probe) {
	b.gone = true
	leave(b)
	delete(o.probes, b.target.key())
}

// Forget drops all that is known of an owner, and asks its hosts no more.
func (p *Prober) Forget(owner types.NamespacedName) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(owner)
}

func (p *Prober) forget(owner types.NamespacedName) {
	if o := p.owners[owner]; o != nil {
		for _, b := range o.probes {
			o.drop(b)
		}
		delete(p.owners, owner)
	}
}
