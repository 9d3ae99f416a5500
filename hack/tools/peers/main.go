// Command peers migrates many schemas one after the other, or several at a time, by a runner that knows of
// one schema only: what a product does that loops goose or golang-migrate over its tenants. The benchmarks
// build and run it; the operator's own module does not know these libraries.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/golang-migrate/migrate/v4"
	migratepgx "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/pressly/goose/v3"
	"golang.org/x/sync/errgroup"
)

func main() {
	runner := flag.String("runner", "", "goose or migrate")
	dsn := flag.String("dsn", "", "URL of the database, whose login may create in the schemas")
	files := flag.String("files", "", "folder of the runner's files")
	schemas := flag.String("schemas", "", "schemas, with commas between")
	workers := flag.Int("workers", 1, "how many schemas at a time")
	flag.Parse()
	if err := run(*runner, *dsn, *files, strings.Split(*schemas, ","), *workers); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(runner, dsn, files string, schemas []string, workers int) error {
	migrateOne, known := map[string]func(context.Context, *sql.DB, string) error{"goose": byGoose, "migrate": byMigrate}[runner]
	if !known {
		return fmt.Errorf("no runner %q", runner)
	}
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(workers)
	for _, schema := range schemas {
		group.Go(func() error {
			db, err := open(dsn, schema)
			if err != nil {
				return err
			}
			return errors.Join(migrateOne(ctx, db, files), db.Close())
		})
	}
	return group.Wait()
}

// open returns one connection whose tables are made in a schema.
func open(dsn, schema string) (*sql.DB, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("search_path", schema)
	u.RawQuery = query.Encode()
	return sql.Open("pgx", u.String())
}

func byGoose(ctx context.Context, db *sql.DB, files string) error {
	provider, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS(files))
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

func byMigrate(_ context.Context, db *sql.DB, files string) error {
	source, err := iofs.New(os.DirFS(files), ".")
	if err != nil {
		return err
	}
	driver, err := migratepgx.WithInstance(db, &migratepgx.Config{})
	if err != nil {
		return err
	}
	m, err := migrate.NewWithInstance("iofs", source, "pgx", driver)
	if err != nil {
		return err
	}
	return m.Up()
}
