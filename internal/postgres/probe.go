package postgres

import (
	"context"
	_ "embed" // for the query
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

//go:embed probe.sql
var probeSQL string

// probeTimeout bounds a probe, the login included.
const probeTimeout = 15 * time.Second

// ProbeResult is what a tenant's own login can do. Names are without the schema.
type ProbeResult struct {
	User     string `json:"user"`
	Database string `json:"database"`
	// SchemaUsage: the login may use its schema. SchemaCreate: it may make objects in it, which it
	// should not.
	SchemaUsage  bool `json:"usage"`
	SchemaCreate bool `json:"creates"`
	// Tables of the schema, the ledger of migrations not counted.
	Tables int `json:"tables"`
	// WritesLedger: the login may change the ledger of migrations, which it should not.
	WritesLedger bool `json:"writesLedger"`
	// LackingTables are those on which the login has less than SELECT, INSERT, UPDATE and DELETE
	// (SELECT for views); then sequences without USAGE and functions without EXECUTE. A migration
	// may want it so.
	LackingTables []string `json:"lackingTables"`
	// LackingInsert are those on which it lacks INSERT alone.
	LackingInsert    []string `json:"lackingInsert"`
	LackingSequences []string `json:"lackingSequences"`
	LackingFunctions []string `json:"lackingFunctions"`
	// Writes are tables that the login may change.
	Writes []string `json:"writes"`
}

// Probe logs in with a tenant's own settings on a connection of its own, and asks what the login
// may do. It pins search_path for its transaction only, so that it works through a pooler. It
// writes nothing. The error is a *fault.Fault; AuthenticationFailed means that the password in cfg
// is not the server's.
func Probe(ctx context.Context, cfg Config, schema string) (result ProbeResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err = asLogin(ctx, cfg, func(tx pgx.Tx) error { return tx.QueryRow(ctx, probeSQL, schema, "").Scan(&result) })
	if err != nil {
		return ProbeResult{}, Fault(err, fmt.Sprintf("the login of schema %s does not work as %s", schema, cfg))
	}
	return result, nil
}

// asLogin asks in one read-only transaction of a connection of the login's own.
func asLogin(ctx context.Context, cfg Config, ask func(pgx.Tx) error) error {
	pc, err := cfg.connConfig(map[string]string{"application_name": "tenantry-probe"})
	if err != nil {
		return err
	}
	pc.DefaultQueryExecMode = pgx.QueryExecModeExec // poolers mix up prepared statements
	conn, err := pgx.ConnectConfig(ctx, pc)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{AccessMode: pgx.ReadOnly})
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, "SET LOCAL search_path = "+pinnedPath); err != nil {
		return err
	}
	if err := ask(tx); err != nil {
		return err
	}
	return tx.Rollback(ctx)
}
