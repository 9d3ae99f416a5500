package postgres

import (
	"crypto/x509"
	"strings"

	"github.com/tenantry/tenantry/internal/fault"
)

// ConfigFromKeys reads the data of a Secret: a connection string in the key fqdn-uri, uri or dsn,
// or the keys of CloudNativePG's app Secret and of the Service Binding specification (host, port,
// dbname or database, username or user, password). The connection string wins where both are
// there, fqdn-uri before uri, because CloudNativePG's host and older uri name a Service without its
// namespace. A key "ca.crt" holds the certificate authority in PEM; with it, and no sslmode, the
// server's certificate and name are verified. Other keys are ignored. Errors are fault.Invalid.
func ConfigFromKeys(keys map[string][]byte) (Config, error) {
	c, err := configOf(keys)
	if err != nil {
		return Config{}, err
	}
	if mode := text(keys, "sslmode"); mode != "" {
		if err := dsnKeys["sslmode"](&c, mode); err != nil {
			return Config{}, err
		}
	}
	ca := text(keys, "ca.crt")
	if ca == "" {
		return c, nil
	}
	if !x509.NewCertPool().AppendCertsFromPEM([]byte(ca)) {
		return Config{}, fault.NewInvalid(ReasonInvalidConnection, "the key ca.crt of the Secret holds no certificate in PEM")
	}
	c.caPEM = ca
	if c.sslMode == "" {
		c.sslMode = "verify-full"
	}
	return c, nil
}

func configOf(keys map[string][]byte) (Config, error) {
	for _, key := range []string{"fqdn-uri", "uri", "dsn"} {
		if dsn := text(keys, key); dsn != "" {
			return ParseDSN(dsn)
		}
	}
	first := func(names ...string) string {
		for _, name := range names {
			if v := text(keys, name); v != "" {
				return v
			}
		}
		return ""
	}
	host, user, database := text(keys, "host"), first("username", "user"), first("dbname", "database")
	if host == "" || user == "" || database == "" {
		return Config{}, fault.NewInvalid(ReasonInvalidConnection,
			"the Secret has neither a key uri nor all of host, dbname, username and password")
	}
	// A password may end in a line break that somebody's editor put there; a Secret made for a
	// program is taken as it is, so only the other keys are trimmed.
	return configFromPairs([]pair{
		{"host", host},
		{"port", text(keys, "port")},
		{"dbname", database},
		{"user", user},
		{"password", strings.TrimRight(string(keys["password"]), "\r\n")},
	})
}

func text(keys map[string][]byte, name string) string { return strings.TrimSpace(string(keys[name])) }
