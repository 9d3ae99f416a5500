// Package jobs makes, finds and judges the Jobs that migrate tenants by a program of the product. A Job
// is the MigrationSet's: in its namespace, and gone with it. It is created suspended, gets the logins of
// its tenants in a Secret of its own, and runs then; whichever step a crash leaves out is made up for by
// the next look. What a Job says is never taken for success: the caller asks the framework's table.
package jobs
