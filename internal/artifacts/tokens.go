package artifacts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tenantry/tenantry/internal/fault"
)

// Most public registries take no password themselves. They answer 401 with `Bearer realm="..."`, the URL of a
// token server that may be another host's, get the login there, and are shown what that server signed. The
// registry chooses the realm, so it is the one host that the user did not name to which a login goes, and
// only over TLS; the library does the rest, and gets a new token when one has expired.

// errRealm : the realm is one to which no login may go.
var errRealm = errors.New("forbidden realm")

// tokenError is a failure of the server that a registry names for those who log in.
type tokenError struct {
	server string // its host; "" if it was not asked
	err    error
}

func (e *tokenError) Error() string { return fmt.Sprintf("token server %q: %v", e.server, e.err) }
func (e *tokenError) Unwrap() error { return e.err }

// client tells failures of the token server from the registry's.
type client struct{ *auth.Client }

// asked is the key in a request's context of the URL that the registry is asked for.
type asked struct{}

// Do sends a request to the registry, and before it those to the token server.
func (c client) Do(request *http.Request) (*http.Response, error) {
	response, err := c.Client.Do(request.WithContext(context.WithValue(request.Context(), asked{}, request.URL)))
	if err == nil {
		return response, nil
	}
	text := err.Error()
	answer, answered := errors.AsType[*errcode.ErrorResponse](err)
	switch {
	case answered: // An answer of the registry is no error here.
		return nil, &tokenError{server: answer.URL.Host, err: err}
	case strings.Contains(text, "bearer realm"), strings.Contains(text, "token request"):
		// The library's refusals of a realm, and of where that one redirects to, are texts alone.
		return nil, &tokenError{err: fmt.Errorf("%w: %w", errRealm, err)}
	case strings.Contains(text, "missing username or password"):
		return nil, fmt.Errorf("%w: %w", auth.ErrBasicCredentialNotFound, err)
	}
	return nil, err
}

// forToken says that a request is the library's to a token server, or was redirected from there.
func forToken(request *http.Request) bool {
	first := request
	for first.Response != nil && first.Response.Request != nil {
		first = first.Response.Request
	}
	registry, ok := request.Context().Value(asked{}).(*url.URL)
	return ok && first.URL.String() != registry.String()
}

// tokenFailure says what the failure of a token server means for who wants to read name.
func (r *Repository) tokenFailure(e *tokenError, name string) error {
	answer, answered := errors.AsType[*errcode.ErrorResponse](e.err)
	switch {
	case errors.Is(e.err, errRealm):
		return fault.NewWaiting(ReasonUnavailable, 0, "the registry %s sends its readers for a token to a place to which no login goes: one without TLS, another server than it named, or an address of this machine, of its link or of a cloud's metadata", r.host())
	case errors.Is(e.err, errForbiddenAddress):
		return r.forbidden(name)
	case answered && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return fault.NewWaiting(ReasonUnauthorized, 0,
			"the token server %.100q of the registry %s does not let this operator read %s (HTTP %d); name a Secret with a login that may in spec.source.oci.pullSecretRef",
			e.server, r.host(), name, answer.StatusCode)
	case answered:
		return fault.NewWaiting(ReasonUnavailable, 0, "the token server %.100q of the registry %s answers HTTP %d", e.server, r.host(), answer.StatusCode)
	}
	return fault.NewWaiting(ReasonUnavailable, 0, "the registry %s sends its readers to the token server %.100q, which cannot be asked: %s", r.host(), e.server, cause(e.err))
}
