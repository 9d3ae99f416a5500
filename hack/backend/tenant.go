package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

var errHolderUnknown = errors.New("cannot find out who holds the host")

// tenantOf says which tenant a request is for. The header does, and where the host is claimed, it
// has to agree: a data plane that sets no headers (Ingress) also lets a client's own header
// through, and that must not lead from one customer's host into another's data. On a claimed
// host the header may be left out.
func (s *server) tenantOf(ctx context.Context, r *http.Request) (string, error) {
	named, err := namedTenant(r, s.header)
	if err != nil {
		return "", err
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	holder, err := s.db.bindings.Holder(ctx, host)
	switch {
	case err != nil:
		return named, fmt.Errorf("%w: %w", errHolderUnknown, err)
	case holder != "" && named != "" && holder != named:
		return named, fails(http.StatusMisdirectedRequest, "WrongHost",
			"this host belongs to another tenant than the header "+s.header+" names")
	case holder != "":
		return holder, nil
	case named == "":
		return "", fails(http.StatusBadRequest, "MissingTenant", fmt.Sprintf(
			"the request has no header %s and no Tenant holds the host %q, so it is for no tenant", s.header, host))
	}
	return named, nil
}

// namedTenant reads the header. Two values are refused, not one of them chosen: the second is what
// a client sent past a proxy that appends.
func namedTenant(r *http.Request, header string) (string, error) {
	values := r.Header.Values(header)
	switch {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", nil
	case len(values) > 1:
		return "", fails(http.StatusBadRequest, "AmbiguousTenant", "the request has more than one header "+header)
	}
	namespace, name, found := strings.Cut(values[0], "/")
	if !found || len(validation.IsDNS1123Label(namespace)) > 0 || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return "", fails(http.StatusBadRequest, "InvalidTenant",
			"the header "+header+" must be \"<namespace>/<name>\" of a Tenant")
	}
	return values[0], nil
}
