package probing

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
)

// explain says in words that stay the same why no answer came. The errors' own texts have ports that
// change, times, and what the other side sent.
func (t *Target) explain(ctx context.Context, err error) string {
	if network, ok := errors.AsType[net.Error](err); ctx.Err() != nil || ok && network.Timeout() {
		return fmt.Sprintf("no answer within %v", t.Timeout)
	}
	if words := aboutCertificate(err); words != "" {
		return words
	}
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		if lookup.IsNotFound {
			return fmt.Sprintf("no such host %s", lookup.Name)
		}
		return fmt.Sprintf("cannot look up %s", lookup.Name)
	}
	why := "no HTTP answer"
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		why = errno.Error()
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok && operation.Op == "dial" {
		return fmt.Sprintf("no connection to %s (%s)", strings.Join(t.Addresses, ", "), why)
	}
	return why
}

func aboutCertificate(err error) string {
	if name, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("a certificate that is not for %s", name.Host)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "a certificate of an authority that is not trusted"
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if invalid.Reason == x509.Expired {
			return "a certificate that has expired, or is not valid yet"
		}
		return "a certificate that is not valid"
	}
	return ""
}
