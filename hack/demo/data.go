package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// login is what a Tenant's own Secret leads to.
type login struct {
	secret, user, schema string
	conn                 *pgx.Conn
}

// logIn logs in with nothing but what a Tenant's binding says.
func (d *demo) logIn(ctx context.Context, t *v1alpha1.Tenant) (*login, error) {
	if t.Status.Binding == nil {
		return nil, fmt.Errorf("no binding in the status of Tenant %s", t.Name)
	}
	secret := &corev1.Secret{}
	if err := d.admin.Get(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Status.Binding.Name}, secret); err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, string(secret.Data["uri"]))
	if err != nil {
		return nil, err
	}
	return &login{secret: secret.Name, user: string(secret.Data["username"]), schema: string(secret.Data["schema"]), conn: conn}, nil
}

// tables returns the tables of the login's schema with their rows.
func (l *login) tables(ctx context.Context) (tables []string, err error) {
	rows, err := l.conn.Query(ctx, `
		SELECT c.relname::text FROM pg_catalog.pg_class c
		WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname`, l.schema)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		n, err := l.count(ctx, l.schema, name)
		if err != nil {
			return nil, err
		}
		tables = append(tables, fmt.Sprintf("%s %d", name, n))
	}
	return tables, nil
}

func (l *login) count(ctx context.Context, schema, table string) (n int64, err error) {
	err = l.conn.QueryRow(ctx, countOf(schema, table)).Scan(&n)
	return n, err
}

func countOf(schema, table string) string {
	return "SELECT count(*) FROM " + pgx.Identifier{schema, table}.Sanitize()
}

// refused runs what must not work and returns the server's own words.
func (l *login) refused(ctx context.Context, sql string) (string, error) {
	_, err := l.conn.Exec(ctx, sql)
	refusal, ok := errors.AsType[*pgconn.PgError](err)
	const insufficientPrivilege = "42501"
	if !ok || refusal.Code != insufficientPrivilege {
		return "", fmt.Errorf("login %s was not refused: %q gives error %w", l.user, sql, err)
	}
	return fmt.Sprintf("%s: %s (SQLSTATE %s)", refusal.Severity, refusal.Message, refusal.Code), nil
}
