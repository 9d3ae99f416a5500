package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"
)

// Config says where a database is and as whom to log in. The zero value is not usable: a Config
// comes from ParseDSN or ConfigFromKeys. It is a value; the With functions return changed copies.
// Printing, logging or marshalling one never shows the password.
type Config struct {
	endpoints []endpoint
	database  string
	user      string
	password  secret

	sslMode        string // as libpq's sslmode
	caPEM          string // trusted instead of the system's authorities
	systemCA       bool   // sslrootcert=system was asked for, to be handed on
	channelBinding string
	targetSession  string // as libpq's target_session_attrs
	connectTimeout time.Duration
}

type endpoint struct {
	host string
	port uint16
}

// defaultPort is libpq's.
const defaultPort = 5432

// defaultConnectTimeout bounds one attempt to reach one address, TLS and authentication included.
const defaultConnectTimeout = 10 * time.Second

// Host returns the host name or address, the first one when the Config lists several.
func (c Config) Host() string { return c.first().host }

// Port returns the TCP port that belongs to Host.
func (c Config) Port() uint16 { return c.first().port }

// Endpoint returns where the login goes, as host:port/database, without the login.
func (c Config) Endpoint() string { return c.first().String() + "/" + c.database }

// Database returns the name of the database.
func (c Config) Database() string { return c.database }

// User returns the login.
func (c Config) User() string { return c.user }

// Password returns the login's password in clear text: for a tenant's Secret, and nothing else.
func (c Config) Password() string { return c.password.reveal() }

// SSLMode returns libpq's sslmode; "" stands for libpq's own default, prefer.
func (c Config) SSLMode() string { return c.sslMode }

// CA returns the certificate authority in PEM, "" when the system's are trusted.
func (c Config) CA() string { return c.caPEM }

// Transport names how a connection is protected, besides the address: whatever changes of it changes what
// clients need. It is a digest, of 16 hexadecimal digits.
func (c Config) Transport() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{c.sslMode, c.channelBinding, c.targetSession, strconv.FormatBool(c.systemCA), c.caPEM}))
	return hex.EncodeToString(sum[:8])
}

// WithLogin returns a copy that logs in as another user.
func (c Config) WithLogin(user, password string) Config {
	c.user, c.password = user, newSecret(password)
	return c
}

// WithEndpoint returns a copy that connects to one other address, such as a connection pooler's,
// whatever state the server behind it is in.
func (c Config) WithEndpoint(host string, port uint16) Config {
	c.endpoints, c.targetSession = []endpoint{{host, port}}, ""
	return c
}

// Equal tells whether both would open the same connection; the passwords are compared too.
func (c Config) Equal(o Config) bool {
	return slices.Equal(c.endpoints, o.endpoints) &&
		c.database == o.database && c.user == o.user && c.password.reveal() == o.password.reveal() &&
		c.sslMode == o.sslMode && c.caPEM == o.caPEM && c.systemCA == o.systemCA &&
		c.channelBinding == o.channelBinding && c.targetSession == o.targetSession &&
		c.connectTimeout == o.connectTimeout
}

// String returns user, address and database.
func (c Config) String() string {
	if len(c.endpoints) == 0 {
		return "(no database)"
	}
	return fmt.Sprintf("%s@%s/%s", c.user, c.first(), c.database)
}

// GoString keeps %#v from showing the fields.
func (c Config) GoString() string { return "postgres.Config(" + c.String() + ")" }

// LogValue is what a structured log shows of the Config.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(slog.String("address", c.first().String()),
		slog.String("database", c.database), slog.String("user", c.user))
}

// MarshalJSON shows what LogValue does; it exists for loggers that marshal what they are given.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"address": c.first().String(), "database": c.database, "user": c.user})
}

func (c Config) first() endpoint {
	if len(c.endpoints) == 0 {
		return endpoint{}
	}
	return c.endpoints[0]
}

func (e endpoint) String() string {
	return net.JoinHostPort(e.host, strconv.Itoa(int(e.port)))
}

// secret holds its text behind a function: the fmt package calls no String method on a field that
// is not exported, so a plain string would be shown by %+v of any struct that holds a Config.
type secret struct{ text func() string }

func newSecret(text string) secret { return secret{func() string { return text }} }

func (s secret) reveal() string {
	if s.text == nil {
		return ""
	}
	return s.text()
}
