// Command backend is the web backend of the sample product Tasklane. One process serves all
// tenants, each from its own schema and with its own login.
//
// Which tenant a request is for is said by one header that the data plane sets. The value,
// "<namespace>/<name>", leads to the Tenant object and from there to its binding Secret, so
// the process holds no credentials of its own. A rotated password is picked up within
// seconds, and at once when the server refuses the old one.
//
// It fails closed: a request without exactly one tenant is refused, and every transaction
// first asks PostgreSQL in which schema it stands. Where that is not the schema of the
// header's tenant, no data is read or written.
//
// In the cluster it needs the right to get Tenants and Secrets in the tenants' namespaces.
package main
