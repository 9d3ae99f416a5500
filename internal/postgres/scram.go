package postgres

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
)

const (
	// scramIterations is PostgreSQL's default (scram_iterations). Passwords made here have 130
	// random bits: more iterations would slow every login and protect nothing.
	scramIterations = 4096
	// scramSaltLength is PostgreSQL's, in bytes.
	scramSaltLength = 16
)

// NewPassword returns a random password of 26 letters and digits, which are 130 bits.
func NewPassword() string { return rand.Text() }

// SCRAMVerifier returns what PostgreSQL stores of a password (RFC 5803 as PostgreSQL writes it),
// with a random salt. From it the server can check the password and nobody can log in, so it may
// stand in SQL text and logs where a password may not. Passwords must be printable ASCII: others
// would have to be normalised as the server's encoding has it.
func SCRAMVerifier(password string) (string, error) {
	if password == "" {
		return "", errors.New("the password is empty")
	}
	for i := range len(password) {
		if password[i] < ' ' || password[i] > '~' {
			return "", errors.New("the password holds a character that is not printable ASCII")
		}
	}
	salt := make([]byte, scramSaltLength)
	_, _ = rand.Read(salt) // never fails since Go 1.24
	return scramVerifier(password, salt, scramIterations)
}

func scramVerifier(password string, salt []byte, iterations int) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive the SCRAM key: %w", err)
	}
	clientKey := sign(salted, "Client Key")
	storedKey := sha256.Sum256(clientKey)
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(storedKey[:]), b64(sign(salted, "Server Key"))), nil
}

func sign(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

// verifierForm is exact, so that a verifier can be put between quotes in SQL, and so that a
// password given by mistake is refused rather than stored.
var verifierForm = regexp.MustCompile(`^SCRAM-SHA-256\$[1-9][0-9]{3,6}:[A-Za-z0-9+/]{11,128}={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$`)

func isVerifier(s string) bool { return verifierForm.MatchString(s) }
