package artifacts

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/test/platform"
)

// A private registry is read with the login of a Secret over verified TLS, and each way to fail has
// its own words.
func TestPrivateRegistry(t *testing.T) {
	t.Parallel()
	repo := repository(t, private)
	pushed := push(t, private, repo, "v1", file("0001_a.sql", "SELECT 1;"))
	config := func(name, password string) []byte {
		return fmt.Appendf(nil, `{"auths": {%q: {"auth": %q}}}`, private.Address, base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
	login, err := LoginOf(config(user, password), private.Address)
	if err != nil {
		t.Fatal(err)
	}
	right := Access{Repository: repo, Login: login, Authorities: private.CA}
	r := reach(t, right)
	found, err := r.Resolve(t.Context(), "v1")
	if err != nil || found != pushed {
		t.Fatal(found, err)
	}
	if files, err := r.Fetch(t.Context(), found, "", limits); err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	for name, tt := range map[string]struct {
		change func(*Access)
		kind   fault.Kind
		reason string
		parts  []string
	}{
		"no login":         {func(a *Access) { a.Login = Login{} }, fault.Waiting, ReasonUnauthorized, []string{"pullSecretRef", "HTTP 401"}},
		"wrong password":   {func(a *Access) { a.Login.Password = "no" + password }, fault.Waiting, ReasonUnauthorized, []string{"does not let", repo}},
		"no authority":     {func(a *Access) { a.Authorities = nil }, fault.Waiting, ReasonUnavailable, []string{"unknown authority", "certificateAuthority"}},
		"without TLS":      {func(a *Access) { a.PlainHTTP = true }, fault.Waiting, ReasonUnavailable, nil},
		"no such tag":      {func(a *Access) { a.Repository += "/other" }, fault.Waiting, ReasonNotFound, []string{"has no", "push it, or correct"}},
		"TLS to plain one": {func(a *Access) { a.Repository = open.Address + "/x" }, fault.Waiting, ReasonUnavailable, []string{"does not speak TLS", "plainHTTP"}},
		"nobody there":     {func(a *Access) { a.Repository = "127.0.0.1:1/x" }, fault.Waiting, ReasonUnavailable, []string{"the connection is refused"}},
		"no such host":     {func(a *Access) { a.Repository = "registry.invalid/x" }, fault.Waiting, ReasonUnavailable, []string{"does not resolve"}},
		"metadata":         {func(a *Access) { a.Repository = "169.254.169.254/x" }, fault.Invalid, ReasonInvalid, []string{"link-local or metadata address"}},
		"metadata, mapped": {func(a *Access) { a.Repository = "[::ffff:169.254.169.254]:443/x" }, fault.Invalid, ReasonInvalid, []string{"link-local or metadata address"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := right
			tt.change(&a)
			_, err := reach(t, a).Resolve(t.Context(), "v1")
			refused(t, err, tt.kind, tt.reason, tt.parts...)
		})
	}
	for name, text := range map[string]string{"no JSON": password, "no base64": `{"auths": {"` + private.Address + `": {"auth": "` + password + `"}}}`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := LoginOf([]byte(text), private.Address)
			refused(t, err, fault.Invalid, ReasonInvalid, "kubectl create secret docker-registry")
		})
	}
	_, err = LoginOf(config(user, password), "ghcr.io")
	refused(t, err, fault.Waiting, ReasonUnauthorized, "no login for the registry ghcr.io")
	_, err = Open(Access{Repository: repo, Authorities: []byte("text")})
	refused(t, err, fault.Invalid, ReasonInvalid, "no PEM certificate")
}

// A moved tag is another digest; the old digest still gives the old files.
func TestTagMoves(t *testing.T) {
	t.Parallel()
	repo := repository(t, open)
	first := push(t, open, repo, "stable", file("0001_a.sql", "SELECT 1;"))
	r := reach(t, Access{Repository: repo, PlainHTTP: true})
	second := push(t, open, repo, "stable", file("0001_a.sql", "SELECT 1;"), file("0002_b.sql", "SELECT 2;"))
	if found, err := r.Resolve(t.Context(), "stable"); err != nil || found != second {
		t.Fatal(found, err)
	}
	for digest, want := range map[string]int{first: 1, second: 2} {
		if files, err := r.Fetch(t.Context(), digest, "", limits); err != nil || len(files) != want {
			t.Errorf("%s has %d files (%v), want %d", digest, len(files), err, want)
		}
	}
	if err := author(t, open, repo).Delete(t.Context(), descriptor(t, repo, first)); err != nil {
		t.Fatal(err)
	}
	_, err := r.Fetch(t.Context(), first, "", limits)
	refused(t, err, fault.Waiting, ReasonNotFound, first)
}

// A registry whose storage rotted gives bytes that do not fit the digest: none of them is used.
func TestRottenStorage(t *testing.T) {
	t.Parallel()
	repo := repository(t, open)
	text := "SELECT 'as it was';"
	pushed := push(t, open, repo, "v1", file("0001_a.sql", text))
	sum := digest.FromString(text).Encoded()
	blob := filepath.Join(open.Dir, "data/docker/registry/v2/blobs/sha256", sum[:2], sum, "data")
	if err := os.WriteFile(blob, []byte(strings.Replace(text, "was", "WAS", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	r := reach(t, Access{Repository: repo, PlainHTTP: true})
	_, err := r.Fetch(t.Context(), pushed, "", limits)
	refused(t, err, fault.Waiting, ReasonInvalid, "does not fit its digest")
	if err := os.WriteFile(blob, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Fetch(t.Context(), pushed, "", limits); err != nil {
		t.Fatal(err)
	}
}

// A registry that takes connections and says nothing is left when the caller's time is up.
func TestHangingRegistry(t *testing.T) {
	t.Parallel()
	r, err := platform.StartRegistry(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Stop() })
	repo := repository(t, r)
	push(t, r, repo, "v1", file("0001_a.sql", "x"))
	if err := r.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = reach(t, Access{Repository: repo, PlainHTTP: true}).Resolve(ctx, "v1")
	refused(t, err, fault.Waiting, ReasonUnavailable, "no answer in time")
	if err := r.Thaw(); err != nil {
		t.Fatal(err)
	}
	if _, err := reach(t, Access{Repository: repo, PlainHTTP: true}).Resolve(t.Context(), "v1"); err != nil {
		t.Fatal(err)
	}
}

// A login goes to the registry that it is for, and to no host to which that sends its readers.
func TestRedirectsLeakNoLogin(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 8)
	other := serve(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		seen <- request.Header.Get("Authorization")
		http.NotFound(w, request)
	}))
	asked := make(chan string, 8)
	front := serve(t, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if asked <- request.Header.Get("Authorization"); request.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, request, "http://"+other+request.URL.Path, http.StatusTemporaryRedirect)
	}))
	r := reach(t, Access{Repository: front + "/x", PlainHTTP: true, Login: Login{Username: user, Password: password}})
	_, err := r.Resolve(t.Context(), "v1")
	refused(t, err, fault.Waiting, ReasonNotFound)
	if <-asked != "" || !strings.HasPrefix(<-asked, "Basic ") {
		t.Error("the registry did not get the login that it asked for")
	}
	if got := <-seen; got != "" {
		t.Errorf("another host got the header %q", got)
	}
}

// serve is a web server that is no registry.
func serve(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}
