package platform

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// PgDump is a pg_dump: it reads servers of its own major version and older ones.
type PgDump struct {
	Path  string
	Major int
	// Env is what it needs in its environment.
	Env []string
}

// FindPgDump finds the newest pg_dump on this machine, or takes one from Debian's packages. The npm packages have
// servers alone.
func FindPgDump(ctx context.Context) (PgDump, error) {
	cache, err := DefaultCache()
	if err != nil {
		return PgDump{}, err
	}
	bin, err := installedPostgres(ctx, 0)
	if _, missing := os.Stat(filepath.Join(bin.dir, "pg_dump")); err != nil || missing != nil {
		if bin, err = cache.debianPostgres(ctx, 0); err != nil {
			return PgDump{}, fmt.Errorf("no pg_dump; install PostgreSQL's client: %w", err)
		}
	}
	return PgDump{Path: filepath.Join(bin.dir, "pg_dump"), Major: bin.major, Env: bin.environment()}, nil
}
