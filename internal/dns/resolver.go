// Package dns asks name servers which records a name has. An answer is one of three: the records; none
// at all, which a server said for sure; or an error, which says that nobody knows: no server answered,
// or none could. Who goes by an answer must not take an error for none. What comes from the network is
// bounded: one message of 64 KiB at most, so many aliases, so many seconds.
package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	miekg "github.com/miekg/dns"
)

const (
	// tryFor bounds one question to one server over one transport.
	tryFor = 2 * time.Second
	// rounds is how often a server is asked that does not answer: a datagram may be lost.
	rounds = 2
	// maxAliases is how many aliases are followed, those that a server has followed included.
	maxAliases = 8
	// udpSize is what a datagram may hold. Servers keep to 512 bytes unless they are asked for more
	// (RFC 1035, section 4.2.1), and some do not.
	udpSize = 4096
)

// Resolver asks name servers, one after the other until one knows. Its zero value asks the system's,
// and reads anew which these are.
type Resolver struct {
	servers []string
}

// New returns a resolver that asks the given servers, host:port each; port 53 can be left out, and no
// servers stand for the system's. Whoever answers for them decides which domains are proved, so they
// should be as trusted as the operator itself.
func New(servers ...string) (*Resolver, error) {
	r := &Resolver{}
	for _, s := range servers {
		address, err := withPort(strings.TrimSpace(s))
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, address)
	}
	if len(r.servers) > maxServers {
		return nil, fmt.Errorf("%d DNS servers; at most %d are asked", len(r.servers), maxServers)
	}
	return r, nil
}

// TXT returns the texts of a name, the strings of each record joined. It follows aliases: who
// delegates a name by CNAME lets its target speak.
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	name = miekg.CanonicalName(name)
	left := maxAliases
	for {
		reply, err := r.ask(ctx, name, miekg.TypeTXT)
		if err != nil {
			return nil, err
		}
		end, aliases := follow(reply, name, left)
		if left -= aliases; left < 0 {
			return nil, fmt.Errorf("more than %d aliases (CNAME) follow one another", maxAliases)
		}
		texts := textsOf(reply, end)
		if aliases == 0 || len(texts) > 0 || reply.Rcode == miekg.RcodeNameError {
			return texts, nil
		}
		name = end // a server that follows no aliases
	}
}

// CNAME returns the names that a name itself is an alias of, without a trailing dot and in lower case:
// one, or none. It does not follow them.
func (r *Resolver) CNAME(ctx context.Context, name string) ([]string, error) {
	name = miekg.CanonicalName(name)
	reply, err := r.ask(ctx, name, miekg.TypeCNAME)
	if err != nil {
		return nil, err
	}
	var targets []string
	for _, rr := range reply.Answer {
		if c, ok := rr.(*miekg.CNAME); ok && miekg.CanonicalName(c.Hdr.Name) == name {
			targets = append(targets, strings.TrimSuffix(miekg.CanonicalName(c.Target), "."))
		}
	}
	return targets, nil
}

// ask asks each server in turn, those that were silent once more, until one knows the answer or knows
// that there is none.
func (r *Resolver) ask(ctx context.Context, name string, qtype uint16) (*miekg.Msg, error) {
	servers, err := r.addresses()
	if err != nil {
		return nil, err
	}
	if _, ok := miekg.IsDomainName(name); !ok {
		return nil, fmt.Errorf("%q is no domain name", name)
	}
	why := map[string]error{}
	for range rounds {
		for _, server := range servers {
			if why[server] != nil && !errors.Is(why[server], errSilent) {
				continue
			}
			reply, err := exchange(ctx, server, name, qtype)
			if err == nil {
				return reply, nil
			}
			why[server] = err
		}
	}
	var texts []string
	for _, server := range servers {
		texts = append(texts, fmt.Sprintf("%s: %s", server, why[server]))
	}
	return nil, errors.New(strings.Join(texts, "; "))
}

// follow walks the aliases in a reply from a name on, as far as the reply tells, but not more than
// one beyond limit. It returns where it came to, and over how many.
func follow(reply *miekg.Msg, name string, limit int) (end string, aliases int) {
	for ; aliases <= limit; aliases++ {
		next := ""
		for _, rr := range reply.Answer {
			if c, ok := rr.(*miekg.CNAME); ok && miekg.CanonicalName(c.Hdr.Name) == name {
				next = miekg.CanonicalName(c.Target)
			}
		}
		if next == "" {
			break
		}
		name = next
	}
	return name, aliases
}

// textsOf returns the texts of one name in a reply. A record may part its text into strings of at most
// 255 bytes anywhere; they are one text (RFC 7208, section 3.3, says it of SPF).
func textsOf(reply *miekg.Msg, name string) []string {
	var texts []string
	for _, rr := range reply.Answer {
		if t, ok := rr.(*miekg.TXT); ok && miekg.CanonicalName(t.Hdr.Name) == name {
			texts = append(texts, literal(strings.Join(t.Txt, "")))
		}
	}
	return texts
}

// literal undoes what the library does to strings, which it keeps as zone files write them (RFC 1035,
// section 5.1): \DDD for a byte, \X for a character that means something there.
func literal(escaped string) string {
	var text strings.Builder
	for i := 0; i < len(escaped); i++ {
		b := escaped[i]
		if b == '\\' && i+1 < len(escaped) {
			i++
			b = escaped[i]
			if n, err := strconv.ParseUint(escaped[i:min(i+3, len(escaped))], 10, 8); err == nil && i+3 <= len(escaped) {
				b = byte(n)
				i += 2
			}
		}
		text.WriteByte(b)
	}
	return text.String()
}

func withPort(server string) (string, error) {
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		host, port = strings.Trim(server, "[]"), "53"
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", fmt.Errorf("%q is no DNS server: give host:port", server)
		}
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil || host == "" || strings.ContainsAny(host, " /@") {
		return "", fmt.Errorf("%q is no DNS server: give host:port", server)
	}
	return net.JoinHostPort(host, port), nil
}
