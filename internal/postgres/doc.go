// Package postgres is the layer over PostgreSQL: connection settings that keep their secret, pools
// that pin search_path, what an error of the server means, and the registry with the roles, schemas
// and grants behind it. Its contract: Preflight, Observe, Tenants and Find never write; Bootstrap,
// Provision and the Ensure and Set functions are idempotent and write nothing when nothing differs;
// Drop of nothing is success. Whatever changes or drops something of a tenant is fenced: the
// tenant's UID is compared with the registry's row, under its lock, in the same transaction.
// Identifiers reach SQL through pgx.Identifier only, passwords only as SCRAM verifiers.
package postgres
