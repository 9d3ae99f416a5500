package artifacts

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
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

// newHTTPClient speaks to one registry and the hosts to which it sends its readers. The library takes a
// login out of a request that leaves the registry's host.
func newHTTPClient(roots *x509.CertPool, plain bool) *http.Client {
	dialer := &net.Dialer{Timeout: dialWithin, Control: mayDial}
	return &http.Client{
		Transport: encrypted(plain, &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSClientConfig:     &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout: dialWithin, ResponseHeaderTimeout: headerWithin, IdleConnTimeout: idleFor,
			MaxResponseHeaderBytes: 64 << 10,
		}),
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return errRedirects
			}
			return nil
		},
	}
}

// encrypted refuses to speak plain HTTP, with the registry or with a host that it names, unless the user
// asked for it.
func encrypted(plain bool, next *http.Transport) http.RoundTripper {
	if plain {
		return next
	}
	return onlyTLS{next}
}

type onlyTLS struct{ *http.Transport }

func (t onlyTLS) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Scheme != "https" {
		return nil, fmt.Errorf("%w", errDowngrade)
	}
	return t.Transport.RoundTrip(request)
}
