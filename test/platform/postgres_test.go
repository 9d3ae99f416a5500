package platform

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// victimEnv makes TestMain start a server, tell about it and wait to be killed.
const victimEnv = "TENANTRY_TEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(victimEnv) != "" {
		victim()
	}
	os.Exit(m.Run())
}

// victim is a process that has a server of its own and dies without stopping it.
func victim() {
	p, err := StartPostgres(context.Background())
	if err != nil {
		_, _ = os.Stdout.WriteString("error: " + err.Error() + "\n")
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString(p.record.Folder + "\n")
	<-make(chan struct{})
}

func startPostgres(t *testing.T, opts ...PostgresOption) *Postgres {
	t.Helper()
	p, err := StartPostgres(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// query returns the only value of a query's only row, as text.
func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var value string
	if err := conn.QueryRow(t.Context(), "SELECT ("+sql+")::text").Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

func execute(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// eventually fails the test if the condition does not hold within the limit.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for !holds() {
		if sleep(ctx, pollEvery) != nil {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func gone(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

// processGone says whether nothing runs whose command line names the folder.
func processGone(t *testing.T, folder string) bool {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(data), folder) {
			return false
		}
	}
	return true
}

func TestPostgresStartsTwiceAndLeavesNothing(t *testing.T) {
	first := startPostgres(t)
	second := startPostgres(t, PostgresSetting("max_connections", "50"))
	if first.Port == second.Port {
		t.Fatalf("both servers got port %d", first.Port)
	}
	got := map[string]string{}
	for _, name := range []string{"fsync", "data_checksums", "max_connections", "server_encoding", "listen_addresses", "password_encryption"} {
		got[name] = query(t, first.AdminDSN(), "current_setting('"+name+"')")
	}
	want := map[string]string{
		"fsync": "on", "data_checksums": "on", "max_connections": "200", "server_encoding": "UTF8",
		"listen_addresses": "127.0.0.1", "password_encryption": "scram-sha-256",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if got := query(t, second.AdminDSN(), "current_setting('max_connections')"); got != "50" {
		t.Errorf("max_connections = %s, the option says 50", got)
	}
	if _, err := pgx.Connect(t.Context(), first.DSN(superuser, "wrong", "postgres")); err == nil {
		t.Error("a wrong password was let in")
	}
	if info, err := os.Stat(first.record.Folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder mode %v (%v), want 0700", info.Mode(), err)
	}
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	if !gone(first.record.Folder) || !processGone(t, first.record.Folder) {
		t.Error("Stop left a folder or a process")
	}
	if err := first.Stop(); err != nil {
		t.Errorf("the second Stop: %v", err)
	}
}

func TestPostgresKeepsDataOverAnOutage(t *testing.T) {
	p := startPostgres(t)
	execute(t, p.AdminDSN(), "CREATE TABLE kept (outage text)")
	for name, end := range map[string]func() error{"maintenance": p.Halt, "crash": p.Crash, "death": p.Kill} {
		execute(t, p.AdminDSN(), "INSERT INTO kept VALUES ('"+name+"')")
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if _, err := pgx.Connect(t.Context(), p.AdminDSN()); err == nil {
			t.Fatalf("%s: the server answers", name)
		}
		if err := p.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, p.AdminDSN(), "SELECT string_agg(outage, ' ' ORDER BY outage) FROM kept"); got != "crash death maintenance" {
		t.Errorf("rows = %q", got)
	}
	log := readTail(p.LogPath, 1000)
	if strings.Count(log, "automatic recovery in progress") != 2 {
		t.Errorf("two of three outages are crashes, the log says:\n%s", log)
	}
}

func TestPostgresEndsWithItsProcess(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	n, err := out.Read(buffer)
	folder := strings.TrimSpace(string(buffer[:n]))
	if err != nil || gone(folder) || processGone(t, folder) {
		t.Fatalf("no server in %q: %v", folder, err)
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	eventually(t, time.Minute, "the killed process's server ends", func() bool { return processGone(t, folder) })
	sweep(filepath.Dir(folder))
	if !gone(folder) {
		t.Error("the next process did not remove the folder of the killed one")
	}
}

func TestPostgresDetached(t *testing.T) {
	dir := t.TempDir()
	first := startPostgres(t, PostgresDetached(dir))
	execute(t, first.AdminDSN(), "CREATE TABLE kept AS SELECT 42 AS answer")
	again := startPostgres(t, PostgresDetached(dir))
	if diff := cmp.Diff(first.proc.identity, again.proc.identity); diff != "" {
		t.Errorf("a second start made another server (-first +second):\n%s", diff)
	}
	if err := syscall.Kill(first.proc.PID, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the server dies", func() bool { return !first.proc.running() })
	mended := startPostgres(t, PostgresDetached(dir))
	if mended.Port != first.Port || query(t, mended.AdminDSN(), "SELECT answer FROM kept") != "42" {
		t.Error("the mended server has another port or lost its data")
	}
	if err := mended.Stop(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 || !gone(mended.record.Folder) {
		t.Errorf("Stop left %v (%v), folder gone: %t", left, err, gone(mended.record.Folder))
	}
}

func TestStartErrorQuotesTheLog(t *testing.T) {
	_, err := StartPostgres(t.Context(), PostgresSetting("max_connections", "many"))
	if err == nil || !strings.Contains(err.Error(), `invalid value for parameter "max_connections"`) {
		t.Errorf("error = %v, want the server's own words", err)
	}
}
