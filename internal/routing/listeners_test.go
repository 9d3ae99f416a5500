package routing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/internal/routing"
)

func listeners(namespace string, hosts ...string) []gatewayv1.Listener {
	var list []gatewayv1.Listener
	for _, h := range hosts {
		list = append(list, routing.ListenerTemplate{Port: 443}.Listener(routing.HostListener{Host: h, Namespace: namespace, Secret: h + "-s"}))
	}
	return list
}

func numbered(from, to int) []string {
	var hosts []string
	for i := from; i < to; i++ {
		hosts = append(hosts, fmt.Sprintf("h%03d.com", i))
	}
	return hosts
}

// where tells the shard of each listener, in short.
func where(shards []routing.Shard) map[string]string {
	at := map[string]string{}
	for _, s := range shards {
		var names []string
		for _, l := range s.Listeners {
			names = append(names, string(l.Name))
		}
		at[s.Name] = strings.Join(names, " ")
	}
	return at
}

func nobody(string, gatewayv1.SectionName) bool { return false }

func TestShards(t *testing.T) {
	full := routing.Shard{Name: "std-tls-0", Listeners: listeners("t", numbered(0, routing.MaxListeners)...)}
	names := strings.Join(numbered(0, routing.MaxListeners), " ")
	for name, tt := range map[string]struct {
		have   []routing.Shard
		wanted []gatewayv1.Listener
		used   string
		want   map[string]string
	}{
		"nothing": {want: map[string]string{}},
		"the first": {
			wanted: listeners("t", "b.com", "a.com"),
			want:   map[string]string{"std-tls-0": "a.com b.com"},
		},
		"one more than fit": {
			have:   []routing.Shard{full},
			wanted: listeners("t", numbered(0, routing.MaxListeners+1)...),
			want:   map[string]string{"std-tls-0": names, "std-tls-1": "h060.com"},
		},
		"a place that was freed": {
			have:   []routing.Shard{full, {Name: "std-tls-1", Listeners: listeners("t", "x.com")}},
			wanted: listeners("t", append(numbered(1, routing.MaxListeners), "x.com", "y.com")...),
			want:   map[string]string{"std-tls-0": strings.TrimPrefix(names, "h000.com ") + " y.com", "std-tls-1": "x.com"},
		},
		"a shard that is empty": {
			have:   []routing.Shard{{Name: "std-tls-0", Listeners: listeners("t", "a.com")}, {Name: "std-tls-1", Listeners: listeners("t", "b.com")}},
			wanted: listeners("t", "b.com"),
			want:   map[string]string{"std-tls-0": "", "std-tls-1": "b.com"},
		},
		"a gap": {
			have:   []routing.Shard{{Name: "std-tls-1", Listeners: listeners("t", numbered(0, routing.MaxListeners)...)}},
			wanted: listeners("t", append(numbered(0, routing.MaxListeners), "x.com")...),
			want:   map[string]string{"std-tls-1": names, "std-tls-0": "x.com"},
		},
		"one that a route still uses": {
			have:   []routing.Shard{{Name: "std-tls-0", Listeners: listeners("t", "a.com", "b.com", "c.com")}},
			wanted: listeners("t", "c.com"), used: "a.com",
			want: map[string]string{"std-tls-0": "a.com c.com"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			uses := func(_ string, l gatewayv1.SectionName) bool { return string(l) == tt.used }
			if diff := cmp.Diff(tt.want, where(routing.Shards("std", tt.have, tt.wanted, uses))); diff != "" {
				t.Errorf("listeners by shard (-want +got):\n%s", diff)
			}
		})
	}
}

// A host that goes to another tenant gets that one's listener, in the same place; for the new holder, the
// old one's carried nothing.
func TestListenerOfANewHolder(t *testing.T) {
	have := []routing.Shard{{Name: "std-tls-0", Listeners: listeners("old", "a.com")}}
	mine := routing.HostListener{Host: "a.com", Namespace: "new", Secret: "a.com-s"}
	if mine.Carries(have[0].Listeners[0]) {
		t.Error("another namespace's listener carries the host")
	}
	got := routing.Shards("std", have, listeners("new", "a.com"), nobody)
	if len(got) != 1 || !mine.Carries(got[0].Listeners[0]) {
		t.Errorf("got %+v", got)
	}
	mine.Secret = "another"
	if mine.Carries(got[0].Listeners[0]) {
		t.Error("a listener with another certificate carries the host")
	}
}

// Whatever comes and goes: nobody moves, nobody is lost, nothing is too full.
func TestShardsAreStable(t *testing.T) {
	var shards []routing.Shard
	at := map[string]string{}
	for round := range 40 {
		wanted := slices.DeleteFunc(numbered(0, 200), func(h string) bool { return (len(h)*7+int(h[3])*round+int(h[2]))%3 == round%3 })
		shards = slices.DeleteFunc(routing.Shards("std", shards, listeners("t", wanted...), nobody), func(s routing.Shard) bool { return len(s.Listeners) == 0 })
		now := map[string]string{}
		for _, s := range shards {
			if len(s.Listeners) > routing.MaxListeners {
				t.Fatalf("round %d: %s has %d listeners", round, s.Name, len(s.Listeners))
			}
			for _, l := range s.Listeners {
				now[string(l.Name)] = s.Name
			}
		}
		if len(now) != len(wanted) {
			t.Fatalf("round %d: %d listeners for %d hosts", round, len(now), len(wanted))
		}
		for host, shard := range now {
			if before, ok := at[host]; ok && before != shard {
				t.Errorf("round %d: %s moved from %s to %s", round, host, before, shard)
			}
		}
		at = now
	}
}
