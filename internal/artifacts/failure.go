package artifacts

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"github.com/tenantry/tenantry/internal/fault"
)

// failure says in words of ours what the library's error means; its own text may hold a URL with a
// signature, or what a registry made up.
func (r *Repository) failure(err error, reference string) error {
	name := r.name + reference
	if token, ok := errors.AsType[*tokenError](err); ok {
		return r.tokenFailure(token, name)
	}
	if answer, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		return r.refusal(answer.StatusCode, name)
	}
	switch {
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return r.refusal(http.StatusUnauthorized, name)
	case errors.Is(err, errdef.ErrNotFound):
		return r.refusal(http.StatusNotFound, name)
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.NewWaiting(ReasonInvalid, 0, "%s: what the registry sent does not fit its digest; push the artifact again, or mend the registry's storage", name)
	case errors.Is(err, errForbiddenAddress):
		return r.forbidden(name)
	}
	return fault.NewWaiting(ReasonUnavailable, 0, "the registry %s cannot be asked for %s: %s", r.host(), name, cause(err))
}

func (r *Repository) forbidden(name string) error {
	return fault.NewInvalid(ReasonInvalid, "%s: the registry's name, or a host to which it sends its readers, leads to a link-local or metadata address, where no registry may be", name)
}

// refusal is what an HTTP status means.
func (r *Repository) refusal(code int, name string) error {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.NewWaiting(ReasonUnauthorized, 0,
			"the registry %s does not let this operator read %s (HTTP %d); name a Secret with a login that may in spec.source.oci.pullSecretRef", r.host(), name, code)
	case http.StatusNotFound:
		return fault.NewWaiting(ReasonNotFound, 0, "the registry %s has no %s; push it, or correct spec.source.oci", r.host(), name)
	case http.StatusTooManyRequests:
		return fault.NewWaiting(ReasonUnavailable, 0, "the registry %s allows no more requests for now (HTTP 429)", r.host())
	}
	return fault.NewWaiting(ReasonUnavailable, 0, "the registry %s answers HTTP %d when it is asked for %s", r.host(), code, name)
}

// cause is why there was no answer.
func cause(err error) string {
	if text := causeOfTLS(err); text != "" {
		return text
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "the host name does not resolve"
	}
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case errors.Is(err, errDowngrade):
		return "it sends its readers to a host without TLS"
	case errors.Is(err, errLoginInClear):
		return "a login goes to another host than the registry's over TLS alone"
	case errors.Is(err, errRedirects):
		return fmt.Sprintf("it sends its readers on more than %d times", maxRedirects)
	}
	return "the answer is not a registry's, or the connection broke"
}

func causeOfTLS(err error) string {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "it does not speak TLS (spec.source.oci.plainHTTP would do without)"
	}
	if verify, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		err = verify.Err
	}
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return "its certificate is signed by an unknown authority; name that in spec.source.oci.certificateAuthority"
	case errors.As(err, &host):
		return "its certificate is for another host"
	case errors.As(err, &invalid):
		return "its certificate is not valid, or not at this time"
	}
	return ""
}
