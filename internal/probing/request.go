package probing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// userAgent tells whoever reads the product's access log who asks.
	userAgent = "Tenantry-Probe (+https://github.com/tenantry/tenantry)"
	// maxHeader and maxBody bound what is read of an answer, in bytes.
	maxHeader = 32 << 10
	maxBody   = 4 << 10
)

// failure is an answer that is not as it should be.
type failure struct {
	// words are for the status.
	words string
	// cause is for the log.
	cause error
}

// ask sends one request. It returns nil if the answer is good.
func (t *Target) ask(ctx context.Context) *failure {
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	response, err := t.send(ctx)
	if err != nil {
		return t.failed(t.explain(ctx, err), err)
	}
	defer func() { _ = response.Body.Close() }()
	// A body that is left unread resets the connection, which backends log as an error of theirs.
	_, _ = io.CopyN(io.Discard, response.Body, maxBody)
	if came := t.Want.differs(response); came != "" {
		return t.failed(came, nil)
	}
	return nil
}

func (t *Target) failed(came string, cause error) *failure {
	return &failure{fmt.Sprintf("%s through %s: %s, want %s", t.url(), t.Via, came, t.Want), cause}
}

// send asks by a transport of its own: nothing is kept between two requests, and every one finds out
// whether the data plane takes a connection.
func (t *Target) send(ctx context.Context) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.url(), http.NoBody)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	config := &tls.Config{ServerName: t.Host, MinVersion: tls.VersionTLS12}
	if t.CAs != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(t.CAs))
	}
	transport := &http.Transport{
		DialContext: t.dial, TLSClientConfig: config,
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
	}
	// The transport alone follows no redirects, and uses no proxy unless it is told to.
	return transport.RoundTrip(request)
}

// dial connects to the first address that takes a connection, whatever the host's own DNS says: each
// has its share of the time.
func (t *Target) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	err := errors.New("no address")
	for i, address := range t.Addresses {
		dialer := net.Dialer{}
		if end, ok := ctx.Deadline(); ok {
			dialer.Timeout = time.Until(end) / time.Duration(len(t.Addresses)-i)
		}
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, network, address); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// String says what is wanted, for messages.
func (e Expectation) String() string {
	if e.RedirectTo != "" {
		return "a redirect to " + e.RedirectTo
	}
	return fmt.Sprintf("status %d", e.Status)
}

// differs says what came in the place of what is wanted; "" if nothing else did.
func (e Expectation) differs(response *http.Response) string {
	status := fmt.Sprintf("status %d", response.StatusCode)
	if e.RedirectTo == "" {
		if response.StatusCode == e.Status {
			return ""
		}
		return status
	}
	if !slices.Contains([]int{http.StatusMovedPermanently, http.StatusFound, http.StatusPermanentRedirect}, response.StatusCode) {
		return status
	}
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil || location.Hostname() == "" {
		return status + " without a host to go to"
	}
	if !strings.EqualFold(location.Hostname(), e.RedirectTo) {
		return fmt.Sprintf("a redirect to %.253q", location.Hostname())
	}
	return ""
}
