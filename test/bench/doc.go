// Package bench measures the operator against bounds that it cannot beat: a bare program that sends the
// same SQL at its best parallelism, and makes the API writes that no operator could spare, on the same
// machine, in the same run. `make bench` runs it; docs/performance.md explains its table.
//
// Every server is real, and PostgreSQL's settings are durable (fsync on). The data plane alone is stood in
// for, on both sides alike, by a goroutine that accepts each HTTPRoute: what a proxy needs for itself is
// no matter of these figures.
package bench
