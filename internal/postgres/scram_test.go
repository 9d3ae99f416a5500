package postgres

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

// The exchange of RFC 7677, section 3: user "user", password "pencil". A server that holds our
// verifier takes the client's proof and signs as the RFC's server does.
func TestSCRAMVerifierServesTheRFCExchange(t *testing.T) {
	const (
		nonce   = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
		message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + nonce
		proof   = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		signed  = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
	)
	decode := func(text string) []byte {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	verifier, err := scramVerifier("pencil", decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
	if err != nil || !isVerifier(verifier) {
		t.Fatalf("%s, %v", verifier, err)
	}
	keys, ok := strings.CutPrefix(verifier, "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
	stored, server, ok2 := strings.Cut(keys, ":")
	if !ok || !ok2 {
		t.Fatal(verifier)
	}
	clientKey := decode(proof)
	for i, b := range sign(decode(stored), message) {
		clientKey[i] ^= b
	}
	if sum := sha256.Sum256(clientKey); !hmac.Equal(sum[:], decode(stored)) {
		t.Error("the client's proof is refused")
	}
	if !hmac.Equal(sign(decode(server), message), decode(signed)) {
		t.Error("the server's signature differs")
	}
}

func TestIsVerifier(t *testing.T) {
	good, err := SCRAMVerifier("x")
	if err != nil || !isVerifier(good) {
		t.Fatalf("%s, %v", good, err)
	}
	for _, bad := range []string{
		"", "hunter2", "md5d41d8cd98f00b204e9800998ecf8427e", good + "'", good + "\n", "'" + good, " " + good, good[:len(good)-1],
		"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$'; DROP TABLE x; --", "SCRAM-SHA-256$0:AAAAAAAAAAAAAAAAAAAAAA==" + good[46:],
	} {
		if isVerifier(bad) {
			t.Errorf("%q is taken for a verifier", bad)
		}
	}
	for _, bad := range []string{"", "pässword", "a\x00b", "a\nb", "\x7f"} {
		if v, err := SCRAMVerifier(bad); err == nil {
			t.Errorf("SCRAMVerifier(%q) = %s", bad, v)
		}
	}
	seen := map[string]bool{}
	for range 100 {
		p := NewPassword()
		if len(p) < 26 || seen[p] {
			t.Fatalf("password %q", p)
		}
		seen[p] = true
	}
}
