package artifacts

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tenantry/tenantry/test/platform"
)

// identity is the token that a registry's own log-in gives for a password.
const identity = "identity-s3cret-of-the-registry"

// tokenServer signs tokens for those who log in, and for nobody to what is public, as public registries' do.
type tokenServer struct {
	*httptest.Server
	key *ecdsa.PrivateKey

	mu sync.Mutex
	// life is how long tokens are good for; the registry allows a minute more for clocks that differ.
	life time.Duration
	// logins are who asked, in order: a user, "identity", or "" for nobody.
	logins []string
}

func startTokenServer(t *testing.T) *tokenServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &tokenServer{key: key, life: time.Hour}
	s.Server = httptest.NewTLSServer(s)
	t.Cleanup(s.Close)
	return s
}

func authorityOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// keys is the key set by which the registry knows the server's signatures.
func (s *tokenServer) keys(t *testing.T) []byte {
	t.Helper()
	point, err := s.key.PublicKey.Bytes() // 4, x, y
	if err != nil {
		t.Fatal(err)
	}
	return encoded(map[string]any{"keys": []map[string]string{{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k", "x": base64url(point[1:33]), "y": base64url(point[33:]),
	}}})
}

func encoded(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

func base64url(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

func (s *tokenServer) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who, ok := "", true
	name, given, basic := request.BasicAuth()
	switch {
	case request.Method == http.MethodPost:
		who, ok = "identity", request.FormValue("grant_type") == "refresh_token" && request.FormValue("refresh_token") == identity
	case basic:
		who, ok = name, name == user && given == password
	}
	s.logins = append(s.logins, who)
	if !ok || request.FormValue("service") != platform.RegistryTokenService {
		http.Error(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "no `+given+`"}]}`, http.StatusUnauthorized)
		return
	}
	// What docker's servers call token the standard calls access_token; a POST is the standard's.
	field := map[string]string{http.MethodGet: "token", http.MethodPost: "access_token"}[request.Method]
	_, _ = w.Write(encoded(map[string]string{field: s.sign(who, request.Form["scope"])}))
}

// sign grants those who logged in what they ask for, and others what is public.
func (s *tokenServer) sign(who string, scopes []string) string {
	var access []map[string]any
	for scope := range strings.FieldsSeq(strings.Join(scopes, " ")) {
		parts := strings.Split(scope, ":") // repository:name:pull,push
		if who != "" || strings.HasPrefix(parts[1], "public") {
			access = append(access, map[string]any{"type": parts[0], "name": parts[1], "actions": strings.Split(parts[2], ",")})
		}
	}
	now := time.Now()
	head := encoded(map[string]string{"typ": "JWT", "alg": "ES256", "kid": "k"})
	claims := encoded(map[string]any{
		"iss": platform.RegistryTokenIssuer, "aud": platform.RegistryTokenService, "sub": who,
		"exp": now.Add(s.life).Unix(), "nbf": now.Unix(), "iat": now.Unix(), "access": access,
	})
	text := base64url(head) + "." + base64url(claims)
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		panic(err)
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	v.FillBytes(signature[32:])
	return text + "." + base64url(signature)
}

// take returns who asked since the last call, and sets how long tokens are good for from now on.
func (s *tokenServer) take(life time.Duration) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	logins := slices.Clone(s.logins)
	s.logins, s.life = nil, life
	return logins
}
