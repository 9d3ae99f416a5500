package artifacts

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// How long a registry may take for the parts of an answer. Its whole is bounded by the caller.
const (
	dialWithin   = 5 * time.Second
	headerWithin = 15 * time.Second
	idleFor      = 10 * time.Second
	maxRedirects = 5
)

var (
	errForbiddenAddress = errors.New("forbidden address")
	errDowngrade        = errors.New("redirect from https to http")
	errLoginInClear     = errors.New("login for another host without TLS")
	errRedirects        = errors.New("too many redirects")
)

// forbidden are addresses at which a machine or a cloud tells its own secrets, and no registry is: who
// may write a MigrationSet must not reach them by the operator's hand.
var forbidden = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), // link-local; metadata of most clouds
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("168.63.129.16/32"), // metadata of others
	netip.MustParsePrefix("fd00:ec2::/32"), netip.MustParsePrefix("fd20:ce::254/128"),
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("::/128"),
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8"),
}

// nat64 wraps IPv4 addresses, forbidden ones too.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// mayDial is asked with the address that a name led to, so that a name server cannot change its mind.
func mayDial(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := to.Addr().Unmap().WithZone("")
	if bytes := ip.As16(); ip.Is6() && nat64.Contains(ip) {
		ip = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	for _, prefix := range forbidden {
		if prefix.Contains(ip) {
			return errForbiddenAddress
		}
	}
	return nil
}

// newHTTPClient speaks to one registry (host or host:port) and the hosts to which it sends its readers. The
// library takes a login out of a request that leaves the registry's host.
func newHTTPClient(roots *x509.CertPool, registry string, plain bool) *http.Client {
	dialer := &net.Dialer{Timeout: dialWithin, Control: mayDial}
	return &http.Client{
		Transport: careful{host: (&url.URL{Host: registry}).Hostname(), plain: plain, next: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: dialWithin, ResponseHeaderTimeout: headerWithin, IdleConnTimeout: idleFor,
			MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errRedirects
			}
			return nil
		},
	}
}

// careful refuses to speak plain HTTP, with the registry or with a host that it names, unless the user
// asked for it; a login goes to no other host than the registry's even then. It names the token server
// that failed.
type careful struct {
	host  string // the registry's, without the port
	plain bool
	next  *http.Transport
}

// RoundTrip sends one request.
func (t careful) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := t.send(request)
	if err != nil && forToken(request) {
		return nil, &tokenError{server: request.URL.Host, err: err}
	}
	return response, err
}

func (t careful) send(request *http.Request) (*http.Response, error) {
	// A login is in a header, or in the form by which a token is asked for.
	login := request.Header.Get("Authorization") != "" || request.Method == http.MethodPost
	switch {
	case request.URL.Scheme == "https":
	case !t.plain:
		return nil, unsent(request, errDowngrade)
	case login && !strings.EqualFold(request.URL.Hostname(), t.host):
		return nil, unsent(request, errLoginInClear)
	}
	return t.next.RoundTrip(request)
}

// unsent closes the body, as every RoundTripper must.
func unsent(request *http.Request, why error) error {
	if request.Body != nil {
		return errors.Join(why, request.Body.Close())
	}
	return why
}

// CloseIdleConnections lets http.Client's reach the connections.
func (t careful) CloseIdleConnections() { t.next.CloseIdleConnections() }
