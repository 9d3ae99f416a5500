package main

import (
	"context"
	"errors"
	"fmt"
)

// Bindings says whose request it is and how to reach that tenant's data.
type Bindings interface {
	// Binding returns the binding of a tenant named "<namespace>/<name>". It fails with
	// errUnknownTenant or errNotBound, or with what kept it from finding out.
	Binding(ctx context.Context, tenant string) (Binding, error)

	// Holder returns the tenant that holds a host, and "" if none does.
	Holder(ctx context.Context, host string) (tenant string, err error)

	// Forget drops what is remembered of a tenant's binding: its login was refused, so the
	// password has probably been rotated.
	Forget(tenant string)
}

// Binding is the access to one tenant's data.
type Binding struct {
	// Tenant is "<namespace>/<name>".
	Tenant string
	// Schema is where the tenant's data is by the Tenant's status. The connection is held to
	// it, so a Secret that leads elsewhere is found out.
	Schema string
	// Version is the migration at which the schema stands, for display. May be empty.
	Version string
	// URI is the connection string with the tenant's own login. Secret.
	URI string
}

var (
	errUnknownTenant = errors.New("no such tenant")
	errNotBound      = errors.New("the tenant has no credentials yet")
)

// newBinding joins what the Tenant says with what its Secret holds. The two must agree on the
// schema: the Secret may be older than the Tenant, or somebody else's.
func newBinding(tenant, schema, version string, secret map[string][]byte) (Binding, error) {
	if schema == "" || len(secret["uri"]) == 0 {
		return Binding{}, errNotBound
	}
	if got := string(secret["schema"]); got != schema {
		return Binding{}, fmt.Errorf("%w: its Secret is for the schema %q, the Tenant says %q",
			errWrongSchema, got, schema)
	}
	return Binding{Tenant: tenant, Schema: schema, Version: version, URI: string(secret["uri"])}, nil
}
