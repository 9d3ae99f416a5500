package platform

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresReady bounds a start, crash recovery included.
const postgresReady = 60 * time.Second

// superuser is the name of the server's first role.
const superuser = "postgres"

// Postgres is a private server. Its exported fields do not change while it lives.
type Postgres struct {
	// Version is the server's own word, such as "18.4"; Major is its first part.
	Version string
	Major   int
	// Host and Port are where it listens: loopback only, passwords (SCRAM-SHA-256) required.
	Host string
	Port int
	// LogPath is the server's log; with PostgresSetting("log_statement", "all") it holds all SQL.
	LogPath string

	record  postgresRecord
	bin     postgresBinaries
	account *account
	config  postgresConfig

	mu   sync.Mutex
	proc *process // nil while halted
}

// postgresRecord is what a detached server's folder tells the next process.
type postgresRecord struct {
	Major    int    `json:"major"`
	Port     int    `json:"port"`
	Folder   string `json:"folder"`
	Password string `json:"password"`
}

// StartPostgres starts a private PostgreSQL server in a temporary folder on a free loopback port,
// as an unprivileged user, and waits until it answers. ctx bounds the start, not the server's life:
// Stop ends it, and the kernel does when this process dies. Getting the programs at first use may
// take a minute; a start takes one to two seconds.
func StartPostgres(ctx context.Context, opts ...PostgresOption) (*Postgres, error) {
	config, err := newPostgresConfig(opts)
	if err != nil {
		return nil, err
	}
	cache, err := DefaultCache()
	if err != nil {
		return nil, err
	}
	p := &Postgres{Host: loopback, config: config}
	if err := readRecord(config.detached, "postgres", &p.record); err != nil {
		return nil, err
	}
	// A record whose data is gone, as a temporary folder is after a reboot, is no server.
	found := p.record.Folder != "" && isDir(p.data())
	if found {
		config.major = p.record.Major
	}
	if p.bin, err = cache.postgresBinaries(ctx, config.major); err != nil {
		return nil, err
	}
	if p.account, err = unprivileged(); err != nil {
		return nil, err
	}
	if p.account != nil && !mayEnter(p.bin.dir) {
		return nil, fmt.Errorf("user %s may not enter %s; set TENANTRY_CACHE to a folder that anybody may enter", p.account.name, p.bin.dir)
	}
	if p.bin.major < leastPrivilegeMajor {
		cache.say("warning: PostgreSQL %d lets a CREATEROLE login take rights over the whole server; use %d or newer", p.bin.major, leastPrivilegeMajor)
	}
	if found {
		err = p.resume(ctx)
	} else {
		err = p.create(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// create makes a new data folder and starts the server on it. A taken port is tried with another.
func (p *Postgres) create(ctx context.Context) error {
	folder, err := p.newFolder()
	if err != nil {
		return err
	}
	p.record = postgresRecord{Major: p.bin.major, Folder: folder, Password: rand.Text()}
	p.LogPath = p.command().log()
	err = p.initdb(ctx)
	for try := 0; err == nil && try < portTries; try++ {
		var ports []int
		if ports, err = freePorts(1); err != nil {
			break
		}
		p.record.Port, p.Port = ports[0], ports[0]
		if err = p.keep(); err != nil {
			break
		}
		if err = p.launch(ctx); err == nil {
			return nil
		}
		if !portClash(p.LogPath) || try+1 == portTries {
			break
		}
		err = os.Truncate(p.LogPath, 0)
	}
	return errors.Join(err, p.Stop())
}

// keep records a detached server; from then on its folder belongs to the record, not to this process.
func (p *Postgres) keep() error {
	if p.config.detached == "" {
		return nil
	}
	return errors.Join(
		writeRecord(p.config.detached, "postgres", p.record),
		os.RemoveAll(filepath.Join(p.record.Folder, ownerFile)),
	)
}

// newFolder makes the folder of a new server: inside a detached one's if the server's user may enter
// there, else a temporary one.
func (p *Postgres) newFolder() (string, error) {
	if p.config.detached == "" {
		return newFolder("postgres", p.account)
	}
	dir, err := filepath.Abs(p.config.detached)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if p.account != nil && !mayEnter(dir) {
		return newFolder("postgres", p.account)
	}
	dir = filepath.Join(dir, "postgres")
	// Without a record, what is left there belongs to a start that failed at once.
	err = errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700))
	if err == nil && p.account != nil {
		err = os.Chown(dir, int(p.account.uid), int(p.account.gid))
	}
	return dir, err
}

// resume finds a detached server again, or starts it on its old data and port.
func (p *Postgres) resume(ctx context.Context) error {
	p.Port, p.LogPath = p.record.Port, p.command().log()
	return p.launch(ctx)
}

// initdb makes the data folder: passwords for everyone, checksums, UTF-8 and an order of text that
// does not depend on this machine's locales.
func (p *Postgres) initdb(ctx context.Context) error {
	passwords := filepath.Join(p.record.Folder, "password")
	if err := os.WriteFile(passwords, []byte(p.record.Password+"\n"), 0o600); err != nil {
		return err
	}
	if p.account != nil {
		if err := os.Chown(passwords, int(p.account.uid), int(p.account.gid)); err != nil {
			return err
		}
	}
	args := []string{
		"--pgdata=" + p.data(), "--username=" + superuser, "--pwfile=" + passwords,
		"--auth-host=scram-sha-256", "--auth-local=reject", "--data-checksums", "--encoding=UTF8", "--locale=C",
		// Only initdb's own files are not synced: a half-made folder is thrown away anyhow.
		"--no-sync",
	}
	if p.bin.major >= 17 {
		args = append(args, "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
	}
	init := p.command()
	init.name, init.path, init.args = "initdb", filepath.Join(p.bin.dir, "initdb"), args
	proc, err := init.start()
	if err != nil {
		return err
	}
	select {
	case <-proc.exited:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), proc.stop())
	}
	if err := proc.stop(); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(p.data(), "PG_VERSION")); err != nil {
		return fmt.Errorf("initdb failed: %s", readTail(init.log(), logLines))
	}
	return os.Remove(passwords)
}

// data is the server's data folder.
func (p *Postgres) data() string { return filepath.Join(p.record.Folder, "data") }

// command says how to run the server.
func (p *Postgres) command() command {
	args := []string{
		"-D", p.data(), "-c", "listen_addresses=" + p.Host, "-c", "port=" + strconv.Itoa(p.record.Port),
		"-c", "unix_socket_directories=", "-c", "logging_collector=off", "-c", "log_line_prefix=%m [%p] %q%u@%d ",
	}
	c := command{
		name: "postgres", path: filepath.Join(p.bin.dir, "postgres"), args: append(args, p.config.settings...),
		env: p.bin.environment(), dir: p.record.Folder, account: p.account, detached: p.config.detached != "",
		// SIGQUIT ends every backend at once and still frees the shared memory; SIGKILL would leak it.
		death:  syscall.SIGQUIT,
		ending: endings["postgres"],
	}
	return c
}

// launch finds or starts the server and waits until it lets the superuser in.
func (p *Postgres) launch(ctx context.Context) error {
	proc, err := p.command().ensure(ctx, postgresReady, p.probe)
	p.proc = proc
	return err
}

// probe logs in. SCRAM proves both sides, so a stranger's server on the port is no success.
func (p *Postgres) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.AdminDSN())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	p.Version = conn.PgConn().ParameterStatus("server_version")
	p.Major = p.bin.major
	return conn.Ping(ctx)
}

// AdminDSN returns the URL of the superuser in the database "postgres".
func (p *Postgres) AdminDSN() string { return p.DSN(superuser, p.record.Password, "postgres") }

// DSN returns the URL of a login in a database of this server. TLS is off: it is loopback.
func (p *Postgres) DSN(user, password, database string) string {
	dsn := url.URL{
		Scheme: "postgres", User: url.UserPassword(user, password),
		Host: net.JoinHostPort(p.Host, strconv.Itoa(p.Port)), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return dsn.String()
}

// Halt ends the server and keeps its data, as maintenance does. Halting twice is no error.
func (p *Postgres) Halt() error { return p.end(endings["postgres"]) }

// Crash ends every backend at once, without a checkpoint: Resume then recovers from the log.
func (p *Postgres) Crash() error { return p.end([]ending{{syscall.SIGQUIT, 10 * time.Second}}) }

func (p *Postgres) end(how []ending) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return nil
	}
	p.proc.ending = how
	if err := p.proc.stop(); err != nil {
		return err
	}
	p.proc = nil
	return nil
}

// Resume starts a halted or crashed server again, on the same port.
func (p *Postgres) Resume(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc != nil && p.proc.running() {
		return nil
	}
	return p.launch(ctx)
}

// Stop ends the server and removes all it left: data, log and record. Stopping twice is no error.
func (p *Postgres) Stop() error {
	// Data that goes away needs no last checkpoint, which takes long after much writing.
	if err := p.Crash(); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(p.record.Folder), removeRecord(p.config.detached, "postgres"))
}
