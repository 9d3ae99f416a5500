// Command gooseproduct is a product whose migrations are in a framework: goose, as a library. Tests run it
// as the program of a Job. It knows nothing of Tenantry but the environment that a Job has. The module
// stands alone so that the framework does not reach Tenantry's own dependencies.
//
//	gooseproduct -to 2                 migrates the tenant of DATABASE_URL, or those of TENANTRY_TENANTS
//	gooseproduct -to 2 -wait FILE      waits until the file is there, with a session open
//	gooseproduct -idle                 does nothing, and says that all is well
package main

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
	"github.com/pressly/goose/v3"
)

//go:embed migrations
var files embed.FS

func main() {
	to := flag.Int64("to", 0, "version to migrate to")
	wait := flag.String("wait", "", "file to wait for")
	idle := flag.Bool("idle", false, "do nothing")
	flag.Parse()
	if *idle {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *to, *wait); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run goes on to the other tenants of a batch when one fails.
func run(ctx context.Context, to int64, wait string) error {
	if url := os.Getenv("DATABASE_URL"); url != "" {
		return migrate(ctx, os.Getenv("TENANTRY_TENANT"), url, to, wait)
	}
	var errs []error
	for line := range strings.Lines(os.Getenv("TENANTRY_TENANTS")) {
		fields := strings.Fields(line)
		errs = append(errs, migrate(ctx, fields[1], fields[2], to, wait))
	}
	if len(errs) == 0 {
		return errors.New("the environment names no tenant")
	}
	return errors.Join(errs...)
}

func migrate(ctx context.Context, tenant, url string, to int64, wait string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if err := waitFor(ctx, db, wait); err != nil {
		return fmt.Errorf("%s: %w", tenant, err)
	}
	folder, err := fs.Sub(files, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, folder)
	if err != nil {
		return fmt.Errorf("%s: %w", tenant, err)
	}
	results, err := provider.UpTo(ctx, to)
	if err != nil {
		return fmt.Errorf("%s: %w", tenant, err)
	}
	fmt.Printf("%s: %d migrations applied\n", tenant, len(results))
	return nil
}

// waitFor keeps a session open until the file is there.
func waitFor(ctx context.Context, db *sql.DB, file string) error {
	if file == "" {
		return nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
