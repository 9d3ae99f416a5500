// Command backend is the web backend of the sample product Tasklane. One process serves all
// tenants, each from its own schema and with its own login.
//
// Which tenant a request is for is said by one header that the data plane sets. The value,
// "<namespace>/<name>", leads to the Tenant object and from there to its binding Secret, so
// the process holds no credentials of its own. A rotated password is picked up within
// seconds, and at once when the server refuses the old one. Where the host is claimed by a
// Tenant, the header must name that one or may be missing: Ingress sets no headers.
//
// It fails closed: a request for no tenant, or for two, is refused, and every transaction
// first asks PostgreSQL in which schema it stands. Where that is not the schema of the
// request's tenant, no data is read or written.
//
// It needs the rights that config/samples/product/rbac.yaml gives: to get Tenants and Secrets
// in the tenants' namespace, and DomainClaims.
package main
