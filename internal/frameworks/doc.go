// Package frameworks reads the tables in which migration frameworks record what a schema has: Django,
// Rails, Flyway, Prisma, Alembic, goose and golang-migrate. It only reads, as the schema's owner, and
// trusts nothing that it finds: what a program of a tenant put in the place of the table must not run
// on the reader's session. Whether the records are what is expected is a pure function.
package frameworks
