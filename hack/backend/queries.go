package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// maxRows bounds what one answer lists.
const maxRows = 200

type project struct {
	Key         string    `json:"key"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Tasks       int64     `json:"tasks"`
	Done        int64     `json:"done"`
	CreatedAt   time.Time `json:"createdAt"`
}

type task struct {
	Ref       string    `json:"ref"`
	Title     string    `json:"title"`
	State     string    `json:"state"`
	Priority  string    `json:"priority"`
	CreatedAt time.Time `json:"createdAt"`
}

type identity struct {
	Tenant        string `json:"tenant"`
	Schema        string `json:"schema"`
	SchemaVersion string `json:"schemaVersion"`
	User          string `json:"user"`
	Database      string `json:"database"`
	ServerVersion string `json:"serverVersion"`
}

// The queries use the tables as they were in migration 0006 and no later column or view: while
// a release rolls out, tenants stand at different versions, and all of them are served.

func listProjects(ctx context.Context, tx pgx.Tx) ([]project, error) {
	rows, err := tx.Query(ctx, `
		SELECT p.key, p.name, p.description, count(t.id),
		       count(t.id) FILTER (WHERE s.category = 'done'), p.created_at
		FROM projects p
		LEFT JOIN tasks t ON t.project_id = p.id
		LEFT JOIN workflow_states s ON s.id = t.state_id
		WHERE p.archived_at IS NULL
		GROUP BY p.id
		ORDER BY p.key
		LIMIT $1`, maxRows)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[project])
}

func insertProject(ctx context.Context, tx pgx.Tx, key, name, description string) (project, error) {
	p := project{Key: key, Name: name, Description: description}
	err := tx.QueryRow(ctx,
		"INSERT INTO projects (key, name, description) VALUES ($1, $2, $3) RETURNING created_at",
		key, name, description).Scan(&p.CreatedAt)
	return p, err
}

// listTasks returns the newest tasks, of one project if its key is not empty.
func listTasks(ctx context.Context, tx pgx.Tx, key string) ([]task, error) {
	rows, err := tx.Query(ctx, `
		SELECT p.key || '-' || t.number, t.title, s.name, t.priority::text, t.created_at
		FROM tasks t
		JOIN projects p ON p.id = t.project_id
		JOIN workflow_states s ON s.id = t.state_id
		WHERE $1 = '' OR p.key = $1
		ORDER BY t.id DESC
		LIMIT $2`, key, maxRows)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[task])
}

func workspaceName(ctx context.Context, tx pgx.Tx) (string, error) {
	var name string
	err := tx.QueryRow(ctx, "SELECT display_name FROM workspace").Scan(&name)
	return name, err
}

func whoAmI(ctx context.Context, tx pgx.Tx, b Binding) (identity, error) {
	id := identity{Tenant: b.Tenant, SchemaVersion: b.Version}
	err := tx.QueryRow(ctx, `
		SELECT current_schema()::text, current_user::text, current_database()::text,
		       current_setting('server_version')`).
		Scan(&id.Schema, &id.User, &id.Database, &id.ServerVersion)
	return id, err
}
