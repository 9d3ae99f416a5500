package main

import (
	"sync"
	"time"
)

// maxRemembered bounds a cache. Only what exists is remembered, so made-up hosts and tenants
// cannot fill it.
const maxRemembered = 10_000

// cache remembers answers for ttl, and what they were after that.
type cache[V any] struct {
	ttl time.Duration

	mu    sync.Mutex
	known map[string]remembered[V]
}

type remembered[V any] struct {
	value V
	until time.Time
}

// get returns what is remembered, and whether it is still to be believed without asking.
func (c *cache[V]) get(key string) (value V, found, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, found := c.known[key]
	return r.value, found, found && time.Now().Before(r.until)
}

func (c *cache[V]) put(key string, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxRemembered {
		c.known = make(map[string]remembered[V])
	}
	c.known[key] = remembered[V]{value: value, until: time.Now().Add(c.ttl)}
}

func (c *cache[V]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, key)
}
