package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// connectErrors are failures to connect, each made with a real server or a real lack of one.
func TestCauseOfConnectErrors(t *testing.T) {
	cfg := newDatabase(t)
	database, super := cfg.Database(), admin(t, cfg.Database())
	roles := map[string]string{
		"readonly": "LOGIN", "nologin": "NOLOGIN", "nobody": "LOGIN CONNECTION LIMIT 0", "stranger": "LOGIN",
	}
	verifier := must(postgres.SCRAMVerifier("pw"))(t)
	for name, options := range roles {
		exec(t, super, fmt.Sprintf("CREATE ROLE %s_%s %s PASSWORD '%s'", database, name, options, verifier))
		if name != "stranger" {
			exec(t, super, fmt.Sprintf("GRANT CONNECT ON DATABASE %s TO %s_%s", database, database, name))
		}
	}
	exec(t, super, fmt.Sprintf("ALTER ROLE %s_readonly SET default_transaction_read_only = on", database))
	as := func(role string) postgres.Config { return cfg.WithLogin(database+"_"+role, "pw") }
	with := func(c postgres.Config, options string) postgres.Config {
		return must(postgres.ParseDSN(strings.Replace(c.URI(), "sslmode=disable", options, 1)))(t)
	}
	tests := map[string]struct {
		config postgres.Config
		want   postgres.Cause
	}{
		"wrong password":      {cfg.WithLogin(cfg.User(), "wrong"), postgres.AuthenticationFailed},
		"unknown role":        {cfg.WithLogin("nobody at all", "x"), postgres.AuthenticationFailed},
		"role without LOGIN":  {as("nologin"), postgres.AuthenticationFailed},
		"no right to connect": {as("stranger"), postgres.InsufficientPrivilege},
		"unknown database":    {inDatabase(t, cfg, "nothing"), postgres.DatabaseNotFound},
		"connection limit":    {as("nobody"), postgres.TooManyConnections},
		"refused":             {cfg.WithEndpoint("127.0.0.1", uint16(unusedPort(t))), postgres.Unreachable},
		"no such host":        {cfg.WithEndpoint("nothing.invalid", 5432), postgres.Unreachable},
		"no answer":           {with(cfg.WithEndpoint(listener(t, func(net.Conn) {})), "connect_timeout=1&sslmode=disable"), postgres.Unreachable},
		"not PostgreSQL": {cfg.WithEndpoint(listener(t, func(c net.Conn) {
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			_ = c.Close()
		})), postgres.Unreachable},
		"no TLS":          {with(cfg, "sslmode=require"), postgres.TLSFailed},
		"read-only login": {with(as("readonly"), "sslmode=disable&target_session_attrs=read-write"), postgres.ReadOnly},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var messages []string
			for range 2 {
				_, err := postgres.Open(t.Context(), tt.config, postgres.PoolOptions{})
				if postgres.CauseOf(err) != tt.want || fault.ReasonOf(err) != string(tt.want) || fault.KindOf(err) != fault.Waiting {
					t.Fatalf("Open = %v (%s %v), want %s", err, fault.ReasonOf(err), fault.KindOf(err), tt.want)
				}
				messages = append(messages, fault.Of(err, "").Message)
			}
			if messages[0] != messages[1] || !strings.Contains(messages[0], tt.config.String()) || strings.Contains(messages[0], tt.config.Password()) && tt.config.Password() != "x" {
				t.Errorf("messages = %q", messages)
			}
			t.Log(messages[0])
		})
	}
}

func unusedPort(t *testing.T) int {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// listener answers connections with handle and returns its address.
func listener(t *testing.T, handle func(net.Conn)) (string, uint16) {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
	host, port, _ := net.SplitHostPort(l.Addr().String())
	n := must(strconv.ParseUint(port, 10, 16))(t)
	return host, uint16(n)
}

func TestCauseOfStatementErrors(t *testing.T) {
	cfg := newDatabase(t)
	exec(t, cfg, "CREATE TABLE item (id int PRIMARY KEY)", "INSERT INTO item VALUES (1), (2)", "CREATE VIEW v AS SELECT * FROM item")
	tests := map[string]struct {
		sql       string
		want      postgres.Cause
		retryable bool
	}{
		"permission":        {"SELECT * FROM pg_authid", postgres.InsufficientPrivilege, false},
		"read-only":         {"BEGIN READ ONLY; INSERT INTO item VALUES (9)", postgres.ReadOnly, false},
		"statement timeout": {"SET statement_timeout = 10; SELECT pg_sleep(5)", postgres.StatementTimeout, true},
		"dependents":        {"DROP TABLE item", postgres.DependentObjects, false},
		"no table":          {"SELECT * FROM nothing", postgres.UndefinedObject, false},
		"no schema":         {"CREATE TABLE nothing.x ()", postgres.UndefinedObject, false},
		"own termination":   {"SELECT pg_terminate_backend(pg_backend_pid())", postgres.ServerShuttingDown, true},
		"duplicate":         {"INSERT INTO item VALUES (1)", postgres.DatabaseError, false},
		"syntax":            {"SELEKT 1", postgres.DatabaseError, false},
		"memory of locks":   {"DO $$ BEGIN FOR i IN 1..40000 LOOP PERFORM pg_advisory_xact_lock(i); END LOOP; END $$", postgres.OutOfMemory, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := tryExec(t, cfg, tt.sql)
			if postgres.CauseOf(err) != tt.want || postgres.Retryable(err) != tt.retryable {
				t.Fatalf("%v is %s, retryable %v", err, postgres.CauseOf(err), postgres.Retryable(err))
			}
			if f := postgres.Fault(err, "cannot"); f.Reason != string(tt.want) || !strings.HasPrefix(f.Message, "cannot: ") || strings.Contains(f.Message, "(id)=(1)") {
				t.Errorf("fault = %q", f.Message)
			}
		})
	}
	t.Run("lock timeout", func(t *testing.T) {
		holder := connect(t, cfg)
		if _, err := holder.Exec(t.Context(), "BEGIN; LOCK TABLE item"); err != nil {
			t.Fatal(err)
		}
		if err := tryExec(t, cfg, "SET lock_timeout = 10; SELECT * FROM item"); postgres.CauseOf(err) != postgres.LockTimeout {
			t.Error(err)
		}
	})
	t.Run("deadlock", func(t *testing.T) {
		a, b := connect(t, cfg), connect(t, cfg)
		run := func(c *pgx.Conn, sql string) error { _, err := c.Exec(t.Context(), sql); return err }
		err := errors.Join(run(a, "BEGIN; SELECT FROM item WHERE id = 1 FOR UPDATE"), run(b, "BEGIN; SELECT FROM item WHERE id = 2 FOR UPDATE"))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var errs [2]error
		wg.Go(func() { errs[0] = run(a, "SELECT FROM item WHERE id = 2 FOR UPDATE") })
		wg.Go(func() { errs[1] = run(b, "SELECT FROM item WHERE id = 1 FOR UPDATE") })
		wg.Wait()
		if err := errors.Join(errs[:]...); postgres.CauseOf(err) != postgres.Conflict || !postgres.Retryable(err) {
			t.Errorf("%v", err)
		}
	})
	t.Run("tuple concurrently updated", func(t *testing.T) {
		exec(t, admin(t, "postgres"), "CREATE ROLE "+cfg.Database()+"_x")
		var conflict error
		for range 50 {
			a, b := connect(t, cfg), connect(t, cfg)
			_, _ = a.Exec(t.Context(), "BEGIN; GRANT CONNECT ON DATABASE "+cfg.Database()+" TO "+cfg.Database()+"_x")
			result := make(chan error)
			go func() {
				_, err := b.Exec(t.Context(), "REVOKE CONNECT ON DATABASE "+cfg.Database()+" FROM "+cfg.Database()+"_x; GRANT TEMPORARY ON DATABASE "+cfg.Database()+" TO "+cfg.Database()+"_x")
				result <- err
			}()
			eventually(t, "the second waits", func() bool {
				return query(t, cfg, "SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'", b.PgConn().PID()) == "1"
			})
			_, _ = a.Exec(t.Context(), "COMMIT")
			if conflict = <-result; conflict != nil {
				break
			}
		}
		if postgres.CauseOf(conflict) != postgres.Conflict || !strings.Contains(conflict.Error(), "tuple concurrently updated") {
			t.Errorf("%v is %s", conflict, postgres.CauseOf(conflict))
		}
	})
	t.Run("canceled", func(t *testing.T) {
		db := open(t, cfg)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := db.Pool().Exec(ctx, "SELECT pg_sleep(5)"); postgres.CauseOf(err) != postgres.Canceled {
			t.Errorf("%v is %s", err, postgres.CauseOf(err))
		}
	})
	if postgres.CauseOf(nil) != "" || postgres.Fault(nil, "x") != nil || postgres.Retryable(nil) {
		t.Error("no error has a cause")
	}
}

// A method that succeeds returns a nil error, not a nil fault in an error.
func TestNoTypedNil(t *testing.T) {
	db := newDB(t)
	var err error
	if _, _, err = db.FindTenant(t.Context(), "x"); err != nil {
		t.Errorf("%#v", err)
	}
}

// An outage is told as one, and the pool works again after it.
func TestOutage(t *testing.T) {
	db := newDB(t)
	tn, login := newTenant(t, db, "acme")
	if err := server.Halt(); err != nil {
		t.Fatal(err)
	}
	_, err := db.Provision(t.Context(), tn)
	_, probeErr := postgres.Probe(t.Context(), login, "acme")
	if err := server.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{"Provision": err, "Probe": probeErr} {
		switch postgres.CauseOf(err) {
		case postgres.Unreachable, postgres.ConnectionLost, postgres.ServerShuttingDown:
		default:
			t.Errorf("%s: %v is %s", name, err, postgres.CauseOf(err))
		}
		if fault.KindOf(err) == fault.Invalid {
			t.Errorf("%s stalls", name)
		}
	}
	eventually(t, "the pool recovers", func() bool { _, err := db.Provision(t.Context(), tn); return err == nil })
}
