// Package operator runs Tenantry's controllers in the test's own process against a real control
// plane and a real PostgreSQL, both started once for a test binary (Main). The controllers log in
// with the service account and the roles that are shipped, so that a missing right fails a test.
//
// They run in one of two ways. Run starts them on a manager, as cmd/manager does; it can be stopped
// and started again. Reconcilers hands them out one by one, with clients that read from the API
// server itself: a test then calls Reconcile as often as it likes, and nothing happens in between.
// One binary uses one of the ways, since both work on all objects of the cluster.
//
// A World is one test's part of the servers: a namespace, a database, and the objects that a tenant
// needs. Worlds do not touch one another, so their tests may run in parallel. Waiting is by watches
// with deadlines.
package operator
