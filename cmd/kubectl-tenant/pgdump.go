package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"

	"github.com/tenantry/tenantry/internal/postgres"
)

// ofClient finds the major version in what `pg_dump --version` says: "pg_dump (PostgreSQL) 17.6 (Debian 17.6-1)".
var ofClient = regexp.MustCompile(`\(PostgreSQL\) ([0-9]+)`)

// canDump fails if a pg_dump is older than the server, which it would refuse in words of its own after it has
// logged in. One whose version nobody understands may try.
func canDump(ctx context.Context, program string, db *postgres.DB) error {
	var server int
	if err := db.Pool().QueryRow(ctx, "SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000").Scan(&server); err != nil {
		return fmt.Errorf("ask the server for its version: %w", err)
	}
	text, err := exec.CommandContext(ctx, program, "--version").Output() // #nosec G204 -- the user's own program
	if err != nil {
		return notRun(program, err)
	}
	found := ofClient.FindSubmatch(text)
	if found == nil {
		return nil
	}
	client, err := strconv.Atoi(string(found[1]))
	if err == nil && client < server {
		return fmt.Errorf("%s is of PostgreSQL %d and cannot dump a server of PostgreSQL %d; install the client of version %d or newer, or name it by --pg-dump",
			program, client, server, server)
	}
	return err
}

// notRun says that a pg_dump could not even be started.
func notRun(program string, err error) error {
	if errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w; install PostgreSQL's client, or name it by --pg-dump", err)
	}
	return fmt.Errorf("%s: %w", program, err)
}
