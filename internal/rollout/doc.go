// Package rollout decides how a new version of a MigrationSet reaches its tenants: ring by ring, within
// a failure budget, with soak times and health gates between the rings. Decide is the fleet's decision
// and May that for one tenant; both are functions of their arguments alone, so that the controller of
// MigrationSets, which publishes the decision in the set's status, and the controller of Tenants, which
// follows it, cannot disagree, and nobody writes anything for each tenant. What cannot wait for a
// status is in Permits: how many tenants of one database are at work, and failures that were not
// counted yet. Nothing here reads a clock, an API or a database.
package rollout
