package postgres

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/fault"
)

// waitForServer is the delay to the next look at a server that does not take us now.
const waitForServer = 15 * time.Second

// waitForMend is the delay where somebody has to mend something that no watch can see, such as a
// password or a right on the server.
const waitForMend = 30 * time.Second

// Fault turns an error into one that says what it means: its reason is the cause, and its message
// begins with what (such as `cannot connect to app@db:5432/shop`) and is the same at every try, without
// ports, process numbers or times of the client. What somebody or the server's recovery must mend
// is fault.Waiting, so that it is looked at again and nothing stalls; the rest is transient. A
// fault in err's chain comes back as it is; nil comes back as nil.
func Fault(err error, what string) *fault.Fault {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Fault](err); ok {
		return f
	}
	cause := CauseOf(err)
	say, ok := meanings[cause]
	if !ok {
		return fault.NewTransient(string(cause), err, "%s: %s", what, serverText(err))
	}
	text := say.text
	switch {
	case cause == Unreachable:
		text = networkText(err)
	case text == "":
		text = serverText(err)
	}
	if say.after == 0 {
		return fault.NewTransient(string(cause), err, "%s: %s", what, text)
	}
	return fault.NewWaiting(string(cause), say.after, "%s: %s", what, text).Because(err)
}

var meanings = map[Cause]struct {
	text  string
	after time.Duration
}{
	AuthenticationFailed:  {"the server refuses the login; check user name and password, that the role may log in, and pg_hba.conf", waitForMend},
	DatabaseNotFound:      {"the server has no database of this name", waitForMend},
	TLSFailed:             {"no encrypted connection comes about; check sslmode, the certificate's names and ca.crt", waitForMend},
	ReadOnly:              {"the server takes no writes: it is a standby or set to read-only; name the primary", waitForServer},
	InsufficientPrivilege: {"", waitForMend},
	DependentObjects:      {"", waitForMend},
	Unreachable:           {"", waitForServer},
	TooManyConnections:    {"the server has no free connection", waitForServer},
	DiskFull:              {"the server's disk is full", waitForMend},
	OutOfMemory:           {"the server lacks memory; if its log says so, raise max_locks_per_transaction", waitForServer},
	ServerShuttingDown:    {"the server is starting or shutting down", waitForServer},
	LockTimeout:           {"another session holds a lock", waitForServer},
	StatementTimeout:      {"the statement took too long and was cancelled", 0},
	ConnectionLost:        {"the connection to the server broke", 0},
	Conflict:              {"a concurrent change came first", 0},
	Canceled:              {"given up before the server answered", 0},
}

// networkText says why no connection comes about, without the addresses in Go's errors: they hold
// the port of the client's side, which differs at each try.
func networkText(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "the host name does not resolve"
		}
		return "the host name cannot be looked up now"
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused; is the server running, and the port right?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no network route to the host"
	case pgconn.Timeout(err):
		return "no answer in time; check the host, and network policies and firewalls between"
	}
	return "the connection breaks before the login; is this a PostgreSQL server?"
}

// serverText is the server's own message with its code; the details of a message may quote values of
// rows and are left out.
func serverText(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Sprintf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	return "unexpected error; see the operator's log"
}
