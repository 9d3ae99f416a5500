package dns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	miekg "github.com/miekg/dns"
)

// systemConfig names the system's servers.
const systemConfig = "/etc/resolv.conf"

// maxServers bounds how long a question can take.
const maxServers = 5

// errSilent is the error of a server that did not answer in time.
var errSilent = fmt.Errorf("no answer in %s", tryFor)

func (r *Resolver) addresses() ([]string, error) {
	if len(r.servers) > 0 {
		return r.servers, nil
	}
	config, err := miekg.ClientConfigFromFile(systemConfig)
	if err != nil || len(config.Servers) == 0 {
		return nil, fmt.Errorf("%s names no DNS server", systemConfig)
	}
	var addresses []string
	for _, s := range config.Servers[:min(len(config.Servers), maxServers)] {
		addresses = append(addresses, net.JoinHostPort(s, config.Port))
	}
	return addresses, nil
}

// exchange asks one server by UDP, and by TCP where the answer does not fit into a datagram. A reply
// it returns is an answer: records, or for sure none. Its errors tell no more than who reads them needs,
// and the same for the same cause, since they go into a status.
func exchange(ctx context.Context, server, name string, qtype uint16) (*miekg.Msg, error) {
	// No EDNS0: what does not fit into 512 bytes is rare, and servers and firewalls that stumble over
	// it are not.
	question := new(miekg.Msg).SetQuestion(name, qtype)
	reply, err := send(ctx, "udp", server, question)
	if err == nil && reply.Truncated {
		reply, err = send(ctx, "tcp", server, question)
	}
	if err != nil {
		return nil, err
	}
	return reply, judge(question, reply)
}

func send(ctx context.Context, network, server string, question *miekg.Msg) (*miekg.Msg, error) {
	client := &miekg.Client{Net: network, UDPSize: udpSize, Timeout: tryFor}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, plain(ctx, err)
	}
	defer func() { _ = conn.Close() }() // nothing is written any more
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	reply, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	if err != nil {
		return nil, plain(ctx, err)
	}
	return reply, nil
}

// plain leaves out of a network's error what differs each time, such as our own port.
func plain(ctx context.Context, err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || ctx.Err() != nil {
		return errSilent
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return fmt.Errorf("no valid answer (%w)", err)
}

// judge says why a reply is no answer, or nil. For sure there is nothing where the name does not exist
// (RFC 8020), or exists without a record of the type (RFC 2308, section 2.2).
func judge(question, reply *miekg.Msg) error {
	asked := question.Question[0]
	switch {
	case !reply.Response || len(reply.Question) != 1 || reply.Question[0].Qtype != asked.Qtype ||
		!strings.EqualFold(reply.Question[0].Name, asked.Name):
		return errors.New("it answered another question")
	case reply.Truncated:
		return errors.New("its answer is truncated")
	case reply.Rcode == miekg.RcodeNameError:
		return nil
	case reply.Rcode != miekg.RcodeSuccess:
		return errors.New(rcode(reply.Rcode))
	case refers(reply):
		return errors.New("it refers to other servers, as one does that looks nothing up for others")
	}
	return nil
}

func rcode(code int) string {
	if text, ok := miekg.RcodeToString[code]; ok {
		return text
	}
	return fmt.Sprintf("RCODE %d", code)
}

// refers says whether an empty reply is a referral, which looks like the lack of a record but for
// the kind of records behind it (RFC 2308, section 2.2).
func refers(reply *miekg.Msg) bool {
	ns := false
	for _, rr := range reply.Ns {
		switch rr.Header().Rrtype {
		case miekg.TypeSOA:
			return false
		case miekg.TypeNS:
			ns = true
		}
	}
	return ns && len(reply.Answer) == 0 && !reply.Authoritative
}
