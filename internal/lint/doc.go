// Package lint reads the migrations that are new to every tenant and tells what in them can do harm: data
// that goes, locks that make an application wait, a session that changes who or where it is, and what
// leaves the tenant's own schema. It is pure: statements come from package migrations, parsed by
// PostgreSQL's own grammar; no database is asked, and nothing of Kubernetes is known.
//
// A linter that cries wolf is switched off. So the files before the new ones are read too: a table that
// the same version creates is empty and nobody waits for it, a column that is made wider is not written
// anew, and a NOT NULL that a valid CHECK proves needs no scan. Where only the server could tell, a rule is
// a Notice or says nothing.
package lint
