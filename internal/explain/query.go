package explain

import (
	"fmt"
	"maps"
	"net/textproto"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
)

// Query is what somebody asks about: a host, and what else tells requests to it apart.
type Query struct {
	// Host in any spelling; a port is ignored, and a whole URL gives host and path.
	Host string
	// Headers of the request, for shared hosts.
	Headers map[string]string
	// Path of the request; left out, it is the URL's, or /.
	Path string
	// Namespace in which Tenants and routes are looked for where the caller may not read those of all
	// namespaces.
	Namespace string
}

// normal returns the query with the one spelling of its host, a path without query, and headers as HTTP
// writes them. The error says what is no host name.
func (q Query) normal() (Query, error) {
	host, path := split(q.Host)
	canonical, err := domains.Canonical(host)
	if err != nil {
		return q, fmt.Errorf("%s", strings.TrimPrefix(fault.Of(err, "").Message, "spec.domains: "))
	}
	q.Host = canonical
	if q.Path == "" {
		q.Path = path
	}
	q.Path = "/" + strings.TrimPrefix(before(q.Path, "?#"), "/")
	headers := make(map[string]string, len(q.Headers))
	for name, value := range q.Headers {
		headers[textproto.CanonicalMIMEHeaderKey(strings.TrimSpace(name))] = strings.TrimSpace(value)
	}
	q.Headers = headers
	return q, nil
}

// split takes scheme, user and port off what may be a URL, and parts host and path.
func split(text string) (host, path string) {
	text = strings.TrimSpace(text)
	if _, rest, isURL := strings.Cut(text, "://"); isURL {
		text = rest
	}
	host = before(text, "/?#")
	path = text[len(host):]
	host = host[strings.LastIndexByte(host, '@')+1:]
	if name, port, found := strings.Cut(host, ":"); found && strings.Trim(port, "0123456789") == "" {
		host = name
	}
	return host, path
}

// before returns what stands before the first of some characters.
func before(text, chars string) string {
	if at := strings.IndexAny(text, chars); at >= 0 {
		return text[:at]
	}
	return text
}

// String names the request as short as it can be.
func (q Query) String() string {
	text := q.Host
	if q.Path != "/" {
		text += q.Path
	}
	var headers []string
	for _, name := range slices.Sorted(maps.Keys(q.Headers)) {
		headers = append(headers, name+": "+q.Headers[name])
	}
	if len(headers) > 0 {
		text += " with " + strings.Join(headers, " and ")
	}
	return text
}
