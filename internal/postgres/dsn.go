package postgres

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

// ReasonInvalidConnection : the connection settings cannot be used as they are.
const ReasonInvalidConnection = "InvalidConnection"

// ParseDSN reads a connection string, a postgres:// URL or libpq's "key=value" form. The string
// comes from a Secret that the operator's own rights do not protect, so it may not make the
// operator read files, run as another session or set options: only the keys in dsnKeys are taken,
// the environment (PGPASSWORD, PGSERVICE and the like) is not looked at, and hosts are network
// hosts. An error is a fault.Invalid that names the key and never quotes a value.
func ParseDSN(dsn string) (Config, error) {
	if strings.ContainsFunc(dsn, isControl) {
		return Config{}, invalidDSN("holds a control character")
	}
	var pairs []pair
	var err error
	if rest, ok := cutScheme(dsn); ok {
		pairs, err = parseURL(rest)
	} else {
		pairs, err = parseKeyValues(dsn)
	}
	if err != nil {
		return Config{}, err
	}
	return configFromPairs(pairs)
}

type pair struct{ key, value string }

func invalidDSN(format string, args ...any) *fault.Fault {
	return fault.NewInvalid(ReasonInvalidConnection, "the connection string "+format, args...)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func cutScheme(dsn string) (rest string, ok bool) {
	if rest, ok = strings.CutPrefix(dsn, "postgresql://"); ok {
		return rest, true
	}
	return strings.CutPrefix(dsn, "postgres://")
}

// parseURL reads what follows the scheme. The net/url package cannot: libpq's URLs list several
// hosts. A raw "@" behind the host is refused, because it shows that a special character of the
// password was not encoded, and then parts of the password would be taken for keys.
func parseURL(rest string) ([]pair, error) {
	authority, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(authority, "/")
	if strings.Contains(path, "@") || strings.Contains(query, "@") {
		return nil, invalidDSN("is ambiguous: percent-encode the special characters of user and password")
	}
	var pairs []pair
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, password, _ := strings.Cut(authority[:i], ":")
		pairs = append(pairs, pair{"user", user}, pair{"password", password})
		authority = authority[i+1:]
	}
	hosts, ports, err := splitHosts(authority)
	if err != nil {
		return nil, err
	}
	pairs = append(pairs, pair{"host", hosts}, pair{"port", ports}, pair{"dbname", path})
	for item := range strings.SplitSeq(query, "&") {
		if item == "" {
			continue
		}
		key, value, _ := strings.Cut(item, "=")
		pairs = append(pairs, pair{key, value})
	}
	for i := range pairs {
		if pairs[i].value, err = url.PathUnescape(pairs[i].value); err != nil {
			return nil, invalidDSN("has a wrong percent-encoding; write %% as %%25")
		}
	}
	return withoutEmpty(pairs), nil
}

// splitHosts turns "a:1,[::1]:2" into "a,::1" and "1,2".
func splitHosts(authority string) (hosts, ports string, err error) {
	if authority == "" {
		return "", "", nil
	}
	var hs, ps []string
	for item := range strings.SplitSeq(authority, ",") {
		var host, port string
		if rest, ok := strings.CutPrefix(item, "["); ok {
			host, port, ok = strings.Cut(rest, "]")
			if !ok {
				return "", "", invalidDSN("has an unclosed [ in its host")
			}
			port = strings.TrimPrefix(port, ":")
		} else {
			host, port, _ = strings.Cut(item, ":")
		}
		hs, ps = append(hs, host), append(ps, port)
	}
	if ports = strings.Join(ps, ","); strings.Trim(ports, ",") == "" {
		ports = ""
	}
	return strings.Join(hs, ","), ports, nil
}

func withoutEmpty(pairs []pair) []pair {
	kept := pairs[:0]
	for _, p := range pairs {
		if p.value != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

// parseKeyValues reads libpq's other form: key = value, value in single quotes when it holds
// spaces, backslash before quote and backslash.
func parseKeyValues(s string) ([]pair, error) {
	var pairs []pair
	for s = strings.TrimLeft(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		key, rest, ok := strings.Cut(s, "=")
		if !ok {
			return nil, invalidDSN(`is neither a postgres:// URL nor a list of key=value`)
		}
		value, rest, err := cutValue(strings.TrimLeft(rest, " "))
		if err != nil {
			return nil, err
		}
		pairs, s = append(pairs, pair{strings.TrimRight(key, " "), value}), rest
	}
	return pairs, nil
}

func cutValue(s string) (value, rest string, err error) {
	end := byte(' ')
	if strings.HasPrefix(s, "'") {
		s, end = s[1:], '\''
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == end:
			return b.String(), s[i+1:], nil
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	if end == '\'' {
		return "", "", invalidDSN("has an unclosed quote")
	}
	return b.String(), "", nil
}

func configFromPairs(pairs []pair) (Config, error) {
	var c Config
	var hosts, ports string
	for _, p := range pairs {
		set, ok := dsnKeys[p.key]
		if !ok {
			return Config{}, refusedKey(p.key)
		}
		switch p.key {
		case "host":
			hosts = p.value
		case "port":
			ports = p.value
		default:
			if err := set(&c, p.value); err != nil {
				return Config{}, err
			}
		}
	}
	return c.complete(hosts, ports)
}

// dsnKeys are the keys that are taken. Whatever is not here is refused: passfile, service, sslcert
// and sslkey read files of the operator, hostaddr and options go round other checks.
var dsnKeys = map[string]func(*Config, string) error{
	"host":             nil,
	"port":             nil,
	"dbname":           func(c *Config, v string) error { c.database = v; return nil },
	"database":         func(c *Config, v string) error { c.database = v; return nil },
	"user":             func(c *Config, v string) error { c.user = v; return nil },
	"password":         func(c *Config, v string) error { c.password = newSecret(v); return nil },
	"application_name": func(*Config, string) error { return nil }, // the operator has its own
	"sslmode": oneOf("sslmode", func(c *Config) *string { return &c.sslMode },
		"disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
	"channel_binding": oneOf("channel_binding", func(c *Config) *string { return &c.channelBinding },
		"disable", "prefer", "require"),
	"target_session_attrs": oneOf("target_session_attrs", func(c *Config) *string { return &c.targetSession },
		"any", "read-write", "primary"),
	"gssencmode":      func(*Config, string) error { return nil }, // GSSAPI is never used
	"sslrootcert":     setRootCert,
	"connect_timeout": setConnectTimeout,
}

func oneOf(key string, field func(*Config) *string, allowed ...string) func(*Config, string) error {
	return func(c *Config, v string) error {
		if !slices.Contains(allowed, v) {
			return invalidDSN("has a wrong %s; it is one of %s", key, strings.Join(allowed, ", "))
		}
		*field(c) = v
		return nil
	}
}

// setRootCert takes the one value that names no file.
func setRootCert(c *Config, v string) error {
	if v != "system" {
		return invalidDSN("names a file in sslrootcert; put the certificate into the Secret's key ca.crt")
	}
	c.sslMode, c.systemCA = "verify-full", true
	return nil
}

func setConnectTimeout(c *Config, v string) error {
	seconds, err := strconv.Atoi(v)
	if err != nil || seconds < 0 || seconds > 300 {
		return invalidDSN("has a wrong connect_timeout; it is a number of seconds up to 300")
	}
	c.connectTimeout = time.Duration(seconds) * time.Second
	return nil
}

// libpqKeys are shown when refused. Another word is not: in a malformed "key=value" string it may
// be a part of the password.
var libpqKeys = map[string]bool{
	"hostaddr": true, "passfile": true, "require_auth": true, "client_encoding": true, "options": true,
	"fallback_application_name": true, "keepalives": true, "keepalives_idle": true, "tcp_user_timeout": true,
	"replication": true, "sslcompression": true, "sslcert": true, "sslkey": true, "sslpassword": true,
	"sslcertmode": true, "sslcrl": true, "sslcrldir": true, "sslsni": true, "sslnegotiation": true,
	"ssl_min_protocol_version": true, "ssl_max_protocol_version": true, "min_protocol_version": true,
	"max_protocol_version": true, "krbsrvname": true, "gsslib": true, "gssdelegation": true, "service": true,
	"servicefile": true, "load_balance_hosts": true, "search_path": true, "role": true, "ssl": true,
}

func refusedKey(key string) error {
	const allowed = "host, port, dbname, user, password, sslmode, channel_binding, target_session_attrs, connect_timeout"
	if libpqKeys[key] {
		return invalidDSN("has the key %s, which is not allowed; allowed are %s", key, allowed)
	}
	return invalidDSN("has an unknown key; allowed are %s", allowed)
}

// complete checks what every Config needs and fills in libpq's defaults.
func (c Config) complete(hosts, ports string) (Config, error) {
	if hosts == "" {
		return Config{}, invalidDSN("has no host")
	}
	hs, ps := strings.Split(hosts, ","), strings.Split(ports, ",")
	if len(ps) > 1 && len(ps) != len(hs) {
		return Config{}, invalidDSN("lists %d hosts and %d ports", len(hs), len(ps))
	}
	for i, host := range hs {
		port := ps[min(i, len(ps)-1)]
		e, err := newEndpoint(host, port)
		if err != nil {
			return Config{}, err
		}
		c.endpoints = append(c.endpoints, e)
	}
	switch {
	case c.user == "":
		return Config{}, invalidDSN("has no user")
	case c.database == "":
		return Config{}, invalidDSN("has no dbname")
	case !fitsName(c.user) || !fitsName(c.database):
		return Config{}, invalidDSN("has a user or dbname of more than %d bytes", maxIdentifier)
	case strings.ContainsFunc(c.user+c.database+c.password.reveal(), isControl):
		return Config{}, invalidDSN("holds a control character")
	}
	if c.connectTimeout == 0 {
		c.connectTimeout = defaultConnectTimeout
	}
	return c, nil
}

func newEndpoint(host, port string) (endpoint, error) {
	// A path or an abstract name would be a Unix socket, where the server may trust the
	// operator's own operating system user.
	if host == "" || len(host) > 253 || strings.ContainsFunc(host, notHostRune) {
		return endpoint{}, invalidDSN("has a host that is no DNS name or IP address")
	}
	if port == "" {
		return endpoint{host, defaultPort}, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return endpoint{}, invalidDSN("has a port that is no number from 1 to 65535")
	}
	return endpoint{host, uint16(n)}, nil
}

func notHostRune(r rune) bool {
	alnum := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !alnum && !strings.ContainsRune(".-_:", r)
}

// String describes the pair's key only.
func (p pair) String() string { return fmt.Sprintf("%s=...", p.key) }
