package postgres

import (
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
)

// URI returns the connection string for a client of libpq's family, with the password in it: for
// a tenant's Secret. With schemas given, the session's search_path is pinned to them by the options
// parameter, whatever the login's own default is. Every character is percent-encoded that RFC 3986
// does not leave unreserved, so that any password survives any parser.
func (c Config) URI(searchPath ...string) string {
	var b strings.Builder
	b.WriteString("postgresql://" + PercentEncode(c.user))
	if password := c.password.reveal(); password != "" {
		b.WriteString(":" + PercentEncode(password))
	}
	for i, e := range c.endpoints {
		b.WriteString([]string{"@", ","}[min(i, 1)] + e.String())
	}
	b.WriteString("/" + PercentEncode(c.database))
	separator := "?"
	param := func(key, value string) {
		if value != "" {
			b.WriteString(separator + key + "=" + PercentEncode(value))
			separator = "&"
		}
	}
	if len(searchPath) > 0 {
		param("options", "-csearch_path="+escapeOption(SearchPath(searchPath...)))
	}
	param("sslmode", c.tenantSSLMode())
	if c.systemCA {
		param("sslrootcert", "system")
	}
	param("channel_binding", c.channelBinding)
	param("target_session_attrs", c.targetSession)
	return b.String()
}

// tenantSSLMode weakens verification by a certificate authority that the URI cannot carry: a
// client of libpq would look for it in a file and fail. The client gets it as a value of its own.
func (c Config) tenantSSLMode() string {
	if c.caPEM != "" && (c.sslMode == "verify-ca" || c.sslMode == "verify-full") {
		return "require"
	}
	return c.sslMode
}

var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)

// SearchPath writes a search_path. Names are quoted only where they must be, because people read it;
// SQL's keywords need no quotes here.
func SearchPath(schemas ...string) string {
	names := make([]string, len(schemas))
	for i, s := range schemas {
		if names[i] = s; !plainName.MatchString(s) {
			names[i] = pgx.Identifier{s}.Sanitize()
		}
	}
	return strings.Join(names, ",")
}

// escapeOption protects a value in libpq's options, which split at spaces.
func escapeOption(v string) string {
	return strings.NewReplacer(`\`, `\\`, ` `, `\ `).Replace(v)
}

// PercentEncode escapes every byte that RFC 3986 does not leave unreserved. It differs from
// url.QueryEscape in the space, for which libpq does not know "+".
func PercentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
