package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// pinnedPath is the search_path of every session of ours. A tenant's schema on it would let a
// tenant's own operators and functions run with the operator's rights.
const pinnedPath = "pg_catalog, pg_temp"

// neutralDSN overrides whatever the environment may say.
const neutralDSN = "host=127.0.0.1 port=5432 user=none dbname=none sslmode=disable passfile='' " +
	"target_session_attrs=any channel_binding=prefer require_auth='' connect_timeout=10"

// connConfig returns pgx's form of the Config. It must come from pgx's parser, which mixes the
// environment in (PGSSLKEY, PGOPTIONS and so on), hence every field that matters is set again.
func (c Config) connConfig(params map[string]string) (*pgx.ConnConfig, error) {
	p, err := pgx.ParseConfig(neutralDSN)
	if err != nil {
		return nil, fmt.Errorf("the environment of the process has wrong PostgreSQL variables: %w", err)
	}
	p.User, p.Password, p.Database = c.user, c.password.reveal(), c.database
	p.RuntimeParams = params
	p.ConnectTimeout = c.connectTimeout
	p.DialFunc = (&net.Dialer{Timeout: c.connectTimeout, KeepAlive: 30 * time.Second}).DialContext
	p.KerberosSrvName, p.KerberosSpn, p.SSLNegotiation, p.SSLCertMode = "", "", "", "disable"
	p.ChannelBinding = c.channelBinding
	if p.RequireAuth = "!password"; c.hidesPassword() {
		p.RequireAuth = ""
	}
	p.ValidateConnect = nil
	if len(c.endpoints) > 1 && c.targetSession != "any" || c.targetSession == "read-write" {
		p.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	} else if c.targetSession == "primary" {
		p.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	if err := c.setEndpoints(p); err != nil {
		return nil, err
	}
	return p, nil
}

// hidesPassword tells whether a server that asks for the password in clear text may have it: only
// over a connection that is sure to be encrypted.
func (c Config) hidesPassword() bool {
	return c.sslMode == "require" || c.sslMode == "verify-ca" || c.sslMode == "verify-full"
}

// setEndpoints lists each address with each way to encrypt that sslmode allows, in libpq's order.
func (c Config) setEndpoints(p *pgx.ConnConfig) error {
	var all []*pgconn.FallbackConfig
	for _, e := range c.endpoints {
		ways, err := c.tlsConfigs(e.host)
		if err != nil {
			return err
		}
		for _, way := range ways {
			all = append(all, &pgconn.FallbackConfig{Host: e.host, Port: e.port, TLSConfig: way})
		}
	}
	if len(all) == 0 {
		return errors.New("the connection settings name no host")
	}
	p.Host, p.Port, p.TLSConfig, p.Fallbacks = all[0].Host, all[0].Port, all[0].TLSConfig, all[1:]
	return nil
}

// tlsConfigs does what libpq does with sslmode; nil means no encryption.
func (c Config) tlsConfigs(host string) ([]*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.caPEM != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(c.caPEM))
	}
	switch c.sslMode {
	case "verify-full":
		return []*tls.Config{t}, nil
	case "verify-ca", "require":
		verifyChainOnly(t, c.sslMode == "verify-ca" || c.caPEM != "")
		return []*tls.Config{t}, nil
	case "disable":
		return []*tls.Config{nil}, nil
	case "allow":
		verifyChainOnly(t, false)
		return []*tls.Config{nil, t}, nil
	case "", "prefer":
		verifyChainOnly(t, false)
		return []*tls.Config{t, nil}, nil
	}
	return nil, fmt.Errorf("unknown sslmode %q", c.sslMode)
}

// verifyChainOnly replaces Go's verification, which includes the host name, by libpq's verify-ca,
// or by none.
func verifyChainOnly(t *tls.Config, verify bool) {
	t.InsecureSkipVerify = true // #nosec G402 -- what sslmode asks for; verify-full is the way to have more
	if !verify {
		return
	}
	roots := t.RootCAs
	t.VerifyConnection = func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			intermediates.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
		return err
	}
}

// connect opens one connection outside any pool.
func (c Config) connect(ctx context.Context, params map[string]string) (*pgx.Conn, error) {
	p, err := c.connConfig(params)
	if err != nil {
		return nil, err
	}
	return pgx.ConnectConfig(ctx, p)
}
