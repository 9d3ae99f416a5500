package postgres_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/postgres"
)

// authority is a certificate authority with one server certificate.
type authority struct {
	pem    string
	server tls.Certificate
}

func newAuthority(t *testing.T, dnsNames ...string) authority {
	t.Helper()
	caKey := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	caDER := must(x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey))(t)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: dnsNames, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der := must(x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey))(t)
	return authority{
		pem:    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})),
		server: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}
}

// encrypting puts TLS in front of the test's server, as a load balancer does: it answers
// PostgreSQL's request for encryption and passes on what comes after the handshake.
func encrypting(t *testing.T, a authority) uint16 {
	t.Helper()
	_, port := listener(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		request := make([]byte, 8) // length 8 and SSLRequest's code
		if _, err := io.ReadFull(c, request); err != nil {
			return
		}
		if _, err := c.Write([]byte("S")); err != nil {
			return
		}
		client := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{a.server}, MinVersion: tls.VersionTLS12})
		backend, err := net.Dial("tcp", net.JoinHostPort(server.Host, itoa(server.Port)))
		if err != nil {
			return
		}
		defer func() { _ = backend.Close() }()
		go func() { _, _ = io.Copy(backend, client); _ = backend.Close() }()
		_, _ = io.Copy(client, backend)
	})
	return port
}

func itoa(n int) string { return big.NewInt(int64(n)).String() }

func TestTLS(t *testing.T) {
	cfg := newDatabase(t)
	right, other := newAuthority(t, "localhost"), newAuthority(t, "localhost")
	port, wrongName := encrypting(t, right), encrypting(t, authority{server: newAuthority(t, "elsewhere.example.com").server})
	keys := func(host string, port uint16, more map[string]string) postgres.Config {
		data := map[string][]byte{
			"host": []byte(host), "port": []byte(itoa(int(port))), "dbname": []byte(cfg.Database()), "username": []byte(cfg.User()), "password": []byte(cfg.Password()),
		}
		for k, v := range more {
			data[k] = []byte(v)
		}
		return must(postgres.ConfigFromKeys(data))(t)
	}
	plain := uint16(server.Port)
	tests := map[string]struct {
		config postgres.Config
		want   postgres.Cause
	}{
		"authority alone means verify-full": {keys("localhost", port, map[string]string{"ca.crt": right.pem}), ""},
		"verify-full, wrong name":           {keys("127.0.0.1", port, map[string]string{"ca.crt": right.pem}), postgres.TLSFailed},
		"verify-ca, wrong name":             {keys("127.0.0.1", port, map[string]string{"ca.crt": right.pem, "sslmode": "verify-ca"}), ""},
		"verify-ca, wrong authority":        {keys("localhost", port, map[string]string{"ca.crt": other.pem, "sslmode": "verify-ca"}), postgres.TLSFailed},
		"verify-full, wrong authority":      {keys("localhost", port, map[string]string{"ca.crt": other.pem}), postgres.TLSFailed},
		"verify-full, system's authorities": {keys("localhost", port, map[string]string{"sslmode": "verify-full"}), postgres.TLSFailed},
		"require":                           {keys("localhost", wrongName, map[string]string{"sslmode": "require"}), ""},
		"require with an authority":         {keys("localhost", wrongName, map[string]string{"sslmode": "require", "ca.crt": right.pem}), postgres.TLSFailed},
		"verify-full, server without TLS":   {keys("localhost", plain, map[string]string{"ca.crt": right.pem}), postgres.TLSFailed},
		"prefer, server without TLS":        {keys("localhost", plain, nil), ""},
		"prefer, server with TLS":           {keys("localhost", wrongName, nil), ""},
		"disable, server without TLS":       {keys("localhost", plain, map[string]string{"sslmode": "disable"}), ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			db, err := postgres.Open(t.Context(), tt.config, postgres.PoolOptions{})
			if postgres.CauseOf(err) != tt.want {
				t.Errorf("Open = %v (%s), want %q", err, postgres.CauseOf(err), tt.want)
			}
			if db != nil {
				db.Close()
			}
		})
	}
	uri := keys("localhost", port, map[string]string{"ca.crt": right.pem}).URI("acme")
	if !strings.Contains(uri, "sslmode=require") {
		t.Errorf("the URI asks its client for a certificate authority that it does not bring: %s", uri)
	}
}

// A server that asks for the password in clear text gets it over an encrypted connection only.
func TestClearTextPasswordIsNotGiven(t *testing.T) {
	got := make(chan string, 8)
	host, port := listener(t, func(c net.Conn) {
		defer func() { _ = c.Close() }()
		buffer := make([]byte, 1024)
		n, _ := c.Read(buffer) // start-up packet
		if n == 8 {
			_, _ = c.Write([]byte("N"))
			_, _ = c.Read(buffer)
		}
		_, _ = c.Write([]byte{'R', 0, 0, 0, 8, 0, 0, 0, 3}) // AuthenticationCleartextPassword
		n, _ = c.Read(buffer)
		got <- string(buffer[:n])
	})
	for _, mode := range []string{"disable", "prefer", "allow"} {
		cfg := must(postgres.ParseDSN("postgres://app:hunter2@127.0.0.1/shop?sslmode="+mode))(t).WithEndpoint(host, port)
		if _, err := postgres.Open(t.Context(), cfg, postgres.PoolOptions{}); postgres.CauseOf(err) != postgres.AuthenticationFailed {
			t.Errorf("%s: %v (%s)", mode, err, postgres.CauseOf(err))
		}
		if sent := <-got; strings.Contains(sent, "hunter2") {
			t.Errorf("%s: the password was sent", mode)
		}
	}
}
