package platform

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// NewOperatorDatabase prepares a database for the operator by the project's own hack/bootstrap.sql,
// as a DBA would: a login <name>_operator (LOGIN CREATEROLE, no superuser) that owns the new
// database. It returns the login's URL. A name that is taken is an error.
func (p *Postgres) NewOperatorDatabase(ctx context.Context, name string) (dsn string, err error) {
	root, err := RepoRoot()
	if err != nil {
		return "", err
	}
	script, err := os.ReadFile(filepath.Join(root, "hack", "bootstrap.sql"))
	if err != nil {
		return "", err
	}
	login, password := operatorLogin(name), rand.Text()
	if err := runScript(ctx, p.AdminDSN(), string(script), map[string]string{"database": name, "login": login}); err != nil {
		return "", fmt.Errorf("bootstrap database %s: %w", name, err)
	}
	if err := p.setPassword(ctx, login, password); err != nil {
		return "", err
	}
	return p.DSN(login, password, name), nil
}

// EnsureOperatorDatabase is NewOperatorDatabase for a database that may be there already: then its
// login gets a new password.
func (p *Postgres) EnsureOperatorDatabase(ctx context.Context, name string) (dsn string, err error) {
	conn, err := pgx.Connect(ctx, p.AdminDSN())
	if err != nil {
		return "", err
	}
	var exists bool
	err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1)", name).Scan(&exists)
	if err = errors.Join(err, conn.Close(ctx)); err != nil {
		return "", err
	}
	if !exists {
		return p.NewOperatorDatabase(ctx, name)
	}
	password := rand.Text()
	return p.DSN(operatorLogin(name), password, name), p.setPassword(ctx, operatorLogin(name), password)
}

// operatorLogin is the name of the login that owns a database.
func operatorLogin(database string) string { return database + "_operator" }

// setPassword does what psql's \password does: the server gets the verifier, never the password.
func (p *Postgres) setPassword(ctx context.Context, login, password string) error {
	verifier, err := scramVerifier(password)
	if err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, p.AdminDSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	// A verifier is base64, "$" and ":": it needs no escaping inside quotes.
	_, err = conn.Exec(ctx, "ALTER ROLE "+pgx.Identifier{login}.Sanitize()+" PASSWORD '"+verifier+"'")
	return err
}

// scramVerifier makes what PostgreSQL stores for a password, as RFC 5803 and RFC 7677 say. ASCII
// only: SASLprep, which normalises other text, is left out.
func scramVerifier(password string) (string, error) {
	const iterations = 4096 // PostgreSQL's own default, scram_iterations
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", err
	}
	stored := sha256.Sum256(hmacOf(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, encode(salt), encode(stored[:]), encode(hmacOf(salted, "Server Key"))), nil
}

func hmacOf(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// psqlVariable is psql's way to put a variable into SQL as an identifier.
var psqlVariable = regexp.MustCompile(`:"([a-z_]+)"`)

// runScript runs a small subset of psql's language, for machines without psql. Known are: comment
// lines (--), statements that end with ";" at the end of a line, :"variable" for a quoted
// identifier, \connect :"variable", and \set ON_ERROR_STOP on (which is how it works anyhow). Any
// other backslash command or an unknown variable is an error. Each statement is sent by itself:
// CREATE DATABASE refuses to be one of several.
func runScript(ctx context.Context, dsn, script string, variables map[string]string) (err error) {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	var statement strings.Builder
	for line := range strings.Lines(script) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", strings.HasPrefix(line, "--"), line == `\set ON_ERROR_STOP on`:
			continue
		case strings.HasPrefix(line, `\`):
			next, cerr := reconnect(ctx, conn, line, variables)
			if cerr != nil {
				return cerr
			}
			conn = next
			continue
		}
		statement.WriteString(line + " ")
		if !strings.HasSuffix(line, ";") {
			continue
		}
		sql, serr := substitute(statement.String(), variables)
		if serr != nil {
			return serr
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
		statement.Reset()
	}
	if statement.Len() > 0 {
		return fmt.Errorf("statement without an end: %s", statement.String())
	}
	return nil
}

// reconnect carries out \connect :"variable": the same login in another database.
func reconnect(ctx context.Context, conn *pgx.Conn, line string, variables map[string]string) (*pgx.Conn, error) {
	match := psqlVariable.FindStringSubmatch(line)
	if match == nil || line != `\connect :"`+match[1]+`"` || variables[match[1]] == "" {
		return nil, fmt.Errorf("not understood: %s", line)
	}
	config := conn.Config().Copy()
	config.Database = variables[match[1]]
	next, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return next, conn.Close(ctx)
}

// substitute puts quoted identifiers in the place of variables.
func substitute(sql string, variables map[string]string) (string, error) {
	var unknown error
	sql = psqlVariable.ReplaceAllStringFunc(sql, func(text string) string {
		name := psqlVariable.FindStringSubmatch(text)[1]
		if variables[name] == "" {
			unknown = fmt.Errorf("variable %s is not set", name)
		}
		return pgx.Identifier{variables[name]}.Sanitize()
	})
	return sql, unknown
}
