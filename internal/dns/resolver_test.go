package dns_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	miekg "github.com/miekg/dns"

	"github.com/tenantry/tenantry/internal/dns"
	"github.com/tenantry/tenantry/test/nameserver"
)

const name = "_tenantry-challenge.acme.example"

func resolver(t *testing.T, servers ...*nameserver.Server) *dns.Resolver {
	t.Helper()
	var addresses []string
	for _, s := range servers {
		addresses = append(addresses, s.Address)
	}
	r, err := dns.New(addresses...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Found, none, nobody knows: what a server may say, and which of the three it is.
func TestTXT(t *testing.T) {
	t.Parallel()
	chain := func(n int) func(*nameserver.Server) {
		return func(s *nameserver.Server) {
			s.CNAME(name, "a1.example")
			for i := 1; i < n; i++ {
				s.CNAME(fmt.Sprintf("a%d.example", i), fmt.Sprintf("a%d.example", i+1))
			}
			s.TXT(fmt.Sprintf("a%d.example", n), "at the end")
		}
	}
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("%d %s", i, strings.Repeat("x", 200))
	}
	for what, tt := range map[string]struct {
		given   func(*nameserver.Server)
		want    []string
		wantErr string
	}{
		"one record":          {given: func(s *nameserver.Server) { s.TXT(name, "value") }, want: []string{"value"}},
		"several":             {given: func(s *nameserver.Server) { s.TXT(name, "v=spf1 -all", "value") }, want: []string{"v=spf1 -all", "value"}},
		"in strings":          {given: func(s *nameserver.Server) { s.Set(name, nameserver.TXT(name, "val", "", "ue")) }, want: []string{"value"}},
		"odd characters":      {given: func(s *nameserver.Server) { s.TXT(name, "\"a\" \\b\t\\065 \x00ü") }, want: []string{"\"a\" \\b\t\\065 \x00ü"}},
		"another case":        {given: func(s *nameserver.Server) { s.TXT(strings.ToUpper(name), "Value") }, want: []string{"Value"}},
		"longer than 512":     {given: func(s *nameserver.Server) { s.TXT(name, strings.Repeat("y", 700)) }, want: []string{strings.Repeat("y", 700)}},
		"a hundred":           {given: func(s *nameserver.Server) { s.TXT(name, many...) }, want: many},
		"no such name":        {given: func(*nameserver.Server) {}},
		"no such record":      {given: func(s *nameserver.Server) { s.A(name) }},
		"only names below":    {given: func(s *nameserver.Server) { s.A("x." + name) }},
		"an alias":            {given: chain(1), want: []string{"at the end"}},
		"eight aliases":       {given: chain(8), want: []string{"at the end"}},
		"nine aliases":        {given: chain(9), wantErr: "more than 8 aliases"},
		"a loop":              {given: func(s *nameserver.Server) { s.CNAME(name, "b.example"); s.CNAME("b.example", name) }, wantErr: "more than 8 aliases"},
		"an alias of nothing": {given: func(s *nameserver.Server) { s.CNAME(name, "gone.example") }},
		"an alias, no record": {given: func(s *nameserver.Server) { s.CNAME(name, "b.example"); s.A("b.example") }},
		"SERVFAIL":            {given: func(s *nameserver.Server) { s.Fail(name, miekg.RcodeServerFailure) }, wantErr: "SERVFAIL"},
		"REFUSED":             {given: func(s *nameserver.Server) { s.Fail(name, miekg.RcodeRefused) }, wantErr: "REFUSED"},
		"an unknown code":     {given: func(s *nameserver.Server) { s.Fail(name, 14) }, wantErr: "RCODE 14"},
		"silence":             {given: func(s *nameserver.Server) { s.Silence(name) }, wantErr: "no answer in 2s"},
		"silence behind an alias": {
			given:   func(s *nameserver.Server) { onlyAlias(s, name, "b.example"); s.Silence("b.example") },
			wantErr: "no answer in 2s",
		},
		"an alias, not followed": {
			given: func(s *nameserver.Server) { onlyAlias(s, name, "b.example"); s.TXT("b.example", "value") },
			want:  []string{"value"},
		},
		"aliases, none followed": {
			given: func(s *nameserver.Server) { onlyAlias(s, name, "b.example"); onlyAlias(s, "b.example", name) }, wantErr: "more than 8 aliases",
		},
		"a record of another name": {
			given: func(s *nameserver.Server) {
				reply(s, func(m *miekg.Msg) { m.Answer = append(m.Answer, nameserver.TXT("else.example", "value")) })
			},
		},
		"a referral": {
			given: func(s *nameserver.Server) {
				reply(s, func(m *miekg.Msg) { m.Ns = append(m.Ns, rr("example. 60 IN NS ns.example.")) })
			},
			wantErr: "refers to other servers",
		},
		"none, and whose zone it is": {
			given: func(s *nameserver.Server) {
				reply(s, func(m *miekg.Msg) {
					m.Ns = append(m.Ns, rr("example. 60 IN NS ns.example."), rr("example. 60 IN SOA ns.example. root.example. 1 60 60 60 60"))
				})
			},
		},
		"another question's answer": {
			given: func(s *nameserver.Server) { reply(s, func(m *miekg.Msg) { m.Question[0].Name = "else.example." }) }, wantErr: "answered another question",
		},
		"the question itself": {given: func(s *nameserver.Server) { reply(s, func(m *miekg.Msg) { m.Response = false }) }, wantErr: "answered another question"},
		"truncated also by TCP": {
			given: func(s *nameserver.Server) { reply(s, func(m *miekg.Msg) { m.Truncated = true }) }, wantErr: "its answer is truncated",
		},
		"no message": {
			given: func(s *nameserver.Server) {
				s.Handle(name, func(w miekg.ResponseWriter, q *miekg.Msg) { _, _ = w.Write([]byte{byte(q.Id >> 8), byte(q.Id), 0x80}) })
			},
			wantErr: "no valid answer",
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := nameserver.Start(t)
			tt.given(s)
			got, err := resolver(t, s).TXT(patience(t), name)
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) || !strings.Contains(err.Error(), s.Address) && tt.wantErr != "more than 8 aliases" {
					t.Fatalf("TXT() = %q, %v, want the error %q of %s", got, err, tt.wantErr, s.Address)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("TXT(): %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// patience is long enough for a server on this machine, and shorter than a question may take.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// onlyAlias answers as a server does that knows the alias and does not follow it.
func onlyAlias(s *nameserver.Server, name, target string) {
	s.Handle(name, func(w miekg.ResponseWriter, q *miekg.Msg) {
		m := new(miekg.Msg).SetReply(q)
		m.Answer = append(m.Answer, rr(name+". 60 IN CNAME "+target+"."))
		_ = w.WriteMsg(m)
	})
}

func reply(s *nameserver.Server, change func(*miekg.Msg)) {
	s.Handle(name, func(w miekg.ResponseWriter, q *miekg.Msg) {
		m := new(miekg.Msg).SetReply(q)
		change(m)
		_ = w.WriteMsg(m)
	})
}

func rr(text string) miekg.RR {
	r, err := miekg.NewRR(text)
	if err != nil {
		panic(err)
	}
	return r
}

func TestCNAME(t *testing.T) {
	t.Parallel()
	s := nameserver.Start(t)
	s.CNAME("shop.acme.example", "EDGE.Tasklane.Example")
	s.CNAME("two.acme.example", "shop.acme.example")
	s.CNAME("*.acme.example", "edge.tasklane.example")
	s.A("plain.acme.example")
	s.Fail("broken.acme.example", miekg.RcodeServerFailure)
	for host, want := range map[string][]string{
		"shop.acme.example":  {"edge.tasklane.example"},
		"SHOP.acme.example.": {"edge.tasklane.example"},
		"two.acme.example":   {"shop.acme.example"}, // it is not followed
		"*.acme.example":     {"edge.tasklane.example"},
		"plain.acme.example": nil,
		"gone.example":       nil,
	} {
		got, err := resolver(t, s).CNAME(t.Context(), host)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("CNAME(%s): %v (-want +got):\n%s", host, err, diff)
		}
	}
	if got, err := resolver(t, s).CNAME(t.Context(), "broken.acme.example"); err == nil {
		t.Errorf("CNAME() = %q of a server that failed", got)
	}
}

// One server that knows is enough; the others' trouble is told if none does, each with its own.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	for what, trouble := range map[string]func(*nameserver.Server){
		"SERVFAIL": func(s *nameserver.Server) { s.Fail(name, miekg.RcodeServerFailure) },
		"silent":   func(s *nameserver.Server) { s.Silence(name) },
		"gone":     (*nameserver.Server).Stop,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			first, second := nameserver.Start(t), nameserver.Start(t)
			trouble(first)
			second.TXT(name, "value")
			got, err := resolver(t, first, second).TXT(t.Context(), name)
			if diff := cmp.Diff([]string{"value"}, got); err != nil || diff != "" {
				t.Errorf("TXT(): %v (-want +got):\n%s", err, diff)
			}
			second.Fail(name, miekg.RcodeRefused)
			var texts []string
			for range 2 {
				got, err = resolver(t, first, second).TXT(t.Context(), name)
				if err == nil {
					t.Fatalf("TXT() = %q, want an error", got)
				}
				texts = append(texts, err.Error())
			}
			if !strings.HasPrefix(texts[0], first.Address+": ") || !strings.Contains(texts[0], second.Address+": REFUSED") {
				t.Errorf("the error is %q", texts[0])
			}
			if texts[0] != texts[1] {
				t.Errorf("the same trouble reads as %q and %q", texts[0], texts[1])
			}
		})
	}
}

// A server that said that there is nothing is believed: another one may be behind, or a liar.
func TestTheFirstAnswerCounts(t *testing.T) {
	t.Parallel()
	first, second := nameserver.Start(t), nameserver.Start(t)
	second.TXT(name, "value")
	got, err := resolver(t, first, second).TXT(t.Context(), name)
	if err != nil || got != nil {
		t.Errorf("TXT() = %q, %v, want none", got, err)
	}
	if n := second.Asked(name); n != 0 {
		t.Errorf("the second server was asked %d times", n)
	}
}

// A datagram that is lost is sent once more.
func TestLostDatagram(t *testing.T) {
	t.Parallel()
	s := nameserver.Start(t)
	s.Handle(name, func(w miekg.ResponseWriter, q *miekg.Msg) {
		if s.Asked(name) > 1 {
			m := new(miekg.Msg).SetReply(q)
			m.Answer = append(m.Answer, nameserver.TXT(name, "value"))
			_ = w.WriteMsg(m)
		}
	})
	got, err := resolver(t, s).TXT(t.Context(), name)
	if diff := cmp.Diff([]string{"value"}, got); err != nil || diff != "" {
		t.Errorf("TXT(): %v (-want +got):\n%s", err, diff)
	}
}

func TestNoName(t *testing.T) {
	t.Parallel()
	s := nameserver.Start(t)
	if got, err := resolver(t, s).TXT(t.Context(), strings.Repeat("a", 64)+".example"); err == nil {
		t.Errorf("TXT() = %q of what is no name", got)
	}
}

func TestServers(t *testing.T) {
	for in, ok := range map[string]bool{
		"127.0.0.1:53": true, "127.0.0.1": true, " 127.0.0.1 ": true, "[::1]:53": true, "::1": true, "[::1]": true, "dns.example:5353": true,
		"": false, ":53": false, "a:b:c": false, "127.0.0.1:": false, "https://dns.example": false, "a b": false,
	} {
		if _, err := dns.New(in); (err == nil) != ok {
			t.Errorf("New(%q): %v", in, err)
		}
	}
	if _, err := dns.New(strings.Split(strings.Repeat("127.0.0.1,", 6), ",")[:6]...); err == nil {
		t.Error("six servers are taken")
	}
}
