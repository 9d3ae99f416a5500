// Package nameserver is a DNS server for tests, on a free port of the loopback address. It answers as a
// resolver does: with the records it was given, aliases followed; with NXDOMAIN for names it was not
// given, and nothing below them; with an empty answer for names that have other records. It can be told
// to fail for a name, and to change its mind at any time. It counts what it is asked.
package nameserver

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	miekg "github.com/miekg/dns"
)

// Server is a running name server.
type Server struct {
	// Address is host and port, for UDP and TCP.
	Address string

	udp, tcp *miekg.Server

	mu      sync.Mutex
	records map[string][]miekg.RR
	handler map[string]miekg.HandlerFunc
	asked   map[string]int
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s, err := Run()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// attempts is how many ports are tried until one is free for UDP and for TCP.
const attempts = 20

// Run starts a server for a whole test binary.
func Run() (*Server, error) {
	var errs []error
	for range attempts {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err != nil {
			errs = append(errs, err, packets.Close())
			continue
		}
		return serve(packets, listener), nil
	}
	return nil, fmt.Errorf("no port is free for UDP and TCP: %w", errors.Join(errs...))
}

func serve(packets net.PacketConn, listener net.Listener) *Server {
	s := &Server{
		Address: packets.LocalAddr().String(),
		records: map[string][]miekg.RR{}, handler: map[string]miekg.HandlerFunc{}, asked: map[string]int{},
	}
	var started sync.WaitGroup
	started.Add(2)
	s.udp = &miekg.Server{PacketConn: packets, Handler: s, NotifyStartedFunc: started.Done}
	s.tcp = &miekg.Server{Listener: listener, Handler: s, NotifyStartedFunc: started.Done}
	for _, server := range []*miekg.Server{s.udp, s.tcp} {
		go func() { _ = server.ActivateAndServe() }() // it ends with Stop
	}
	started.Wait()
	return s
}

// Stop ends the server: then nobody answers on its port.
func (s *Server) Stop() {
	_ = s.udp.Shutdown() // stopping twice is no error
	_ = s.tcp.Shutdown()
}

// TXT gives a name one record for each text, in strings of at most 255 bytes, in the place of what it
// had.
func (s *Server) TXT(name string, texts ...string) {
	records := make([]miekg.RR, 0, len(texts))
	for _, text := range texts {
		text = strings.ReplaceAll(text, `\`, `\\`) // as in a zone file
		var parts []string
		for len(text) > 255 {
			parts, text = append(parts, text[:255]), text[255:]
		}
		records = append(records, TXT(name, append(parts, text)...))
	}
	s.Set(name, records...)
}

// TXT is one record, its text in the given strings.
func TXT(name string, parts ...string) miekg.RR {
	return &miekg.TXT{Hdr: header(name, miekg.TypeTXT), Txt: parts}
}

// CNAME makes a name an alias, and nothing else.
func (s *Server) CNAME(name, target string) {
	s.Set(name, &miekg.CNAME{Hdr: header(name, miekg.TypeCNAME), Target: miekg.Fqdn(target)})
}

// A gives a name an address, and nothing else.
func (s *Server) A(name string) {
	s.Set(name, &miekg.A{Hdr: header(name, miekg.TypeA), A: net.IPv4(127, 0, 0, 1)})
}

// Set gives a name records in the place of what it had; none makes it a name that does not exist. It
// ends what Handle began.
func (s *Server) Set(name string, records ...miekg.RR) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := miekg.CanonicalName(name)
	delete(s.handler, key)
	if s.records[key] = records; len(records) == 0 {
		delete(s.records, key)
	}
}

// Fail answers questions for a name with an error, such as RcodeServerFailure. Its records come back
// with Heal.
func (s *Server) Fail(name string, rcode int) {
	s.Handle(name, func(w miekg.ResponseWriter, q *miekg.Msg) {
		_ = w.WriteMsg(new(miekg.Msg).SetRcode(q, rcode))
	})
}

// Silence lets questions for a name go unanswered.
func (s *Server) Silence(name string) { s.Handle(name, func(miekg.ResponseWriter, *miekg.Msg) {}) }

// Handle leaves the answers for a name to the test.
func (s *Server) Handle(name string, handler miekg.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler[miekg.CanonicalName(name)] = handler
}

// Heal answers for a name with its records again.
func (s *Server) Heal(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.handler, miekg.CanonicalName(name))
}

// Asked returns how often a name was asked for, over UDP or TCP.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[miekg.CanonicalName(name)]
}

// AskedBelow returns how often a name, or one below it, was asked for.
func (s *Server) AskedBelow(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for asked, times := range s.asked {
		if miekg.IsSubDomain(miekg.Fqdn(name), asked) {
			n += times
		}
	}
	return n
}

// ServeDNS answers one question.
func (s *Server) ServeDNS(w miekg.ResponseWriter, q *miekg.Msg) {
	s.mu.Lock()
	name := miekg.CanonicalName(q.Question[0].Name)
	s.asked[name]++
	handler := s.handler[name]
	reply := s.answer(q, name)
	s.mu.Unlock()
	if handler != nil {
		handler(w, q)
		return
	}
	if w.LocalAddr().Network() == "udp" {
		reply.Truncate(miekg.MinMsgSize)
	}
	_ = w.WriteMsg(reply) // who asked has gone
}

// answer follows aliases as a resolver does.
func (s *Server) answer(q *miekg.Msg, name string) *miekg.Msg {
	reply := new(miekg.Msg).SetReply(q)
	reply.RecursionAvailable = true
	qtype := q.Question[0].Qtype
	for range 16 {
		records, exists := s.records[name]
		if !exists {
			if !s.above(name) {
				reply.Rcode = miekg.RcodeNameError
			}
			break
		}
		alias := ""
		for _, rr := range records {
			c, isAlias := rr.(*miekg.CNAME)
			if rr.Header().Rrtype == qtype || isAlias {
				reply.Answer = append(reply.Answer, rr)
			}
			if isAlias && qtype != miekg.TypeCNAME {
				alias = miekg.CanonicalName(c.Target)
			}
		}
		if alias == "" {
			break
		}
		name = alias
	}
	if !slices.ContainsFunc(reply.Answer, func(rr miekg.RR) bool { return rr.Header().Rrtype == qtype }) {
		reply.Ns = append(reply.Ns, &miekg.SOA{Hdr: header("example.", miekg.TypeSOA), Ns: "ns.example.", Mbox: "root.example."})
	}
	return reply
}

// above says whether a name exists because there are names below it.
func (s *Server) above(name string) bool {
	for known := range s.records {
		if strings.HasSuffix(known, "."+name) {
			return true
		}
	}
	return false
}

func header(name string, rrtype uint16) miekg.RR_Header {
	return miekg.RR_Header{Name: miekg.Fqdn(name), Rrtype: rrtype, Class: miekg.ClassINET, Ttl: 60}
}
