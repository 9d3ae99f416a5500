package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// Cause is what an error of the server or of the network means for the one who reads it. Its
// values are reasons of conditions.
type Cause string

// The causes, by SQLSTATE (appendix A of PostgreSQL's manual) or kind of network error.
const (
	// AuthenticationFailed : wrong password, unknown role, role without LOGIN, or pg_hba.conf
	// refuses (class 28).
	AuthenticationFailed Cause = "AuthenticationFailed"
	// Unreachable : no connection to the address comes about.
	Unreachable Cause = "Unreachable"
	// DatabaseNotFound : the server has no database of that name (3D000).
	DatabaseNotFound Cause = "DatabaseNotFound"
	// ReadOnly : the server is a standby or its sessions are read-only (25006).
	ReadOnly Cause = "ReadOnly"
	// InsufficientPrivilege : the login lacks a right (42501).
	InsufficientPrivilege Cause = "InsufficientPrivilege"
	// TooManyConnections : the server's, database's or role's connection limit is reached (53300).
	TooManyConnections Cause = "TooManyConnections"
	// DiskFull : the server has no room left (53100).
	DiskFull Cause = "DiskFull"
	// OutOfMemory : the server lacks memory, most often room in its lock table (53200).
	OutOfMemory Cause = "OutOfMemory"
	// TLSFailed : the certificate is not trusted, or one side refuses to encrypt.
	TLSFailed Cause = "TLSFailed"
	// LockTimeout : another session held a lock for longer than lock_timeout (55P03).
	LockTimeout Cause = "LockTimeout"
	// StatementTimeout : a statement ran for longer than its timeout or was cancelled (57014).
	StatementTimeout Cause = "StatementTimeout"
	// ServerShuttingDown : the server stops, starts or recovers (57P01 to 57P03).
	ServerShuttingDown Cause = "ServerShuttingDown"
	// ConnectionLost : an open connection broke (class 08, or a network error).
	ConnectionLost Cause = "ConnectionLost"
	// Conflict : a concurrent transaction won; the same transaction may succeed when run again
	// (40001, 40P01, "tuple concurrently updated").
	Conflict Cause = "Conflict"
	// DependentObjects : something else depends on what should be dropped (2BP01).
	DependentObjects Cause = "DependentObjects"
	// UndefinedObject : a schema, table, role or column does not exist (42P01, 3F000, 42704, 42703).
	UndefinedObject Cause = "UndefinedObject"
	// Canceled : the operator itself gave up, because it ends or its own deadline passed.
	Canceled Cause = "Canceled"
	// DatabaseError : any other error of the server.
	DatabaseError Cause = "DatabaseError"
)

var causeByState = map[string]Cause{
	"3D000": DatabaseNotFound, "25006": ReadOnly, "42501": InsufficientPrivilege,
	"53100": DiskFull, "53200": OutOfMemory, "53300": TooManyConnections,
	"55P03": LockTimeout, "57014": StatementTimeout,
	"57P01": ServerShuttingDown, "57P02": ServerShuttingDown, "57P03": ServerShuttingDown,
	"57P05": ConnectionLost, "25P03": ConnectionLost, "57P04": DatabaseNotFound,
	"40001": Conflict, "40P01": Conflict, "2BP01": DependentObjects,
	"42P01": UndefinedObject, "3F000": UndefinedObject, "42704": UndefinedObject, "42703": UndefinedObject,
}

// CauseOf returns what an error means; "" for nil. An error that comes from no server and no
// network is a DatabaseError too.
func CauseOf(err error) Cause {
	if err == nil {
		return ""
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return causeOfState(pg)
	}
	attempt, connecting := errors.AsType[*pgconn.ConnectError](err)
	switch {
	case errors.Is(err, pgconn.ErrReadOnlyConnection), errors.Is(err, pgconn.ErrStandbyConnection):
		return ReadOnly
	case connecting && isRefusedByUs(err):
		return AuthenticationFailed
	case connecting && isTLS(err) && !allowsPlain(attempt.Config):
		return TLSFailed
	case errors.Is(err, context.Canceled):
		return Canceled
	case connecting:
		return Unreachable
	case errors.Is(err, context.DeadlineExceeded):
		return Canceled
	case isNetwork(err):
		return ConnectionLost
	}
	return DatabaseError
}

func causeOfState(pg *pgconn.PgError) Cause {
	if cause, ok := causeByState[pg.Code]; ok {
		return cause
	}
	switch {
	case strings.HasPrefix(pg.Code, "28"):
		return AuthenticationFailed
	case strings.HasPrefix(pg.Code, "08"):
		return ConnectionLost
	// elog has no SQLSTATE of its own and its text is never translated.
	case pg.Code == "XX000" && strings.HasPrefix(pg.Message, "tuple concurrently "),
		pg.Code == "XX000" && strings.HasPrefix(pg.Message, "could not find tuple for "):
		return Conflict
	// Two transactions that make the same role or schema meet on the catalog's own index.
	case pg.Code == "23505" && pg.SchemaName == "pg_catalog":
		return Conflict
	}
	return DatabaseError
}

// isRefusedByUs: the server wants the password in a way in which it is not given, or cannot prove
// that it knows it.
func isRefusedByUs(err error) bool {
	text := err.Error()
	return strings.Contains(text, "require_auth") || strings.Contains(text, "SCRAM") || strings.Contains(text, "channel binding")
}

// allowsPlain tells whether one of the attempts was without encryption; then a failure to encrypt
// is not why the connection did not come about.
func allowsPlain(c *pgconn.Config) bool {
	return c.TLSConfig == nil || slices.ContainsFunc(c.Fallbacks, func(f *pgconn.FallbackConfig) bool { return f.TLSConfig == nil })
}

// TooManyForRole tells whether a login was refused by its role's own connection limit. The server
// counts for that after it has taken the password; its limit for all comes before.
func TooManyForRole(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "53300" && strings.HasPrefix(pg.Message, "too many connections for role")
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	return strings.Contains(err.Error(), "server refused TLS connection")
}

func isNetwork(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

// Retryable tells whether the same call may succeed soon without anybody doing anything.
func Retryable(err error) bool {
	switch CauseOf(err) {
	case Conflict, LockTimeout, ConnectionLost, ServerShuttingDown, TooManyConnections, Unreachable, StatementTimeout:
		return true
	}
	return false
}
