package probing

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/test/platform"
)

// Every way in which an answer can be wrong has words of its own, and they hold nothing that changes
// from one request to the next.
func TestFailuresInWords(t *testing.T) {
	hang := make(chan struct{})
	mux := http.NewServeMux()
	say := func(status int, location string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Location"] = []string{location}
			w.WriteHeader(status)
		}
	}
	mux.HandleFunc("/ok", say(200, ""))
	mux.HandleFunc("/gone", say(410, ""))
	mux.HandleFunc("/301", say(301, "http://ACME.example:8080/x?y=z"))
	mux.HandleFunc("/302", say(302, "//acme.example/"))
	mux.HandleFunc("/308", say(308, "https://acme.example"))
	mux.HandleFunc("/303", say(303, "http://acme.example/"))
	mux.HandleFunc("/thief", say(301, "http://thief.example/"))
	mux.HandleFunc("/nowhere", say(301, "/login"))
	mux.HandleFunc("/garbled", say(301, "http://%zz/"))
	mux.HandleFunc("/hang", func(http.ResponseWriter, *http.Request) { <-hang })
	mux.HandleFunc("/close", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/headers", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", maxHeader)) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(mux)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	defer close(hang)
	port, release, err := platform.DeadPort()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = release() }()
	nobody := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	at, safely := plain.Listener.Addr().String(), secure.Listener.Addr().String()
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}))
	ok, alias := Expectation{Status: 200}, Expectation{RedirectTo: "acme.example"}
	for name, tt := range map[string]struct {
		target Target
		want   string // what came; "" if the answer is good
	}{
		"good":                      {Target{Path: "/ok", Want: ok}, ""},
		"good, though the expected": {Target{Path: "/gone", Want: Expectation{Status: 410}}, ""},
		"another status":            {Target{Path: "/gone", Want: ok}, "status 410"},
		"a redirect":                {Target{Path: "/301", Want: ok}, "status 301"},
		"an endless answer":         {Target{Path: "/endless", Want: ok}, ""},
		"moved for good":            {Target{Path: "/301", Want: alias}, ""},
		"moved for now":             {Target{Path: "/302", Want: alias}, ""},
		"moved, method kept":        {Target{Path: "/308", Want: alias}, ""},
		"see other":                 {Target{Path: "/303", Want: alias}, "status 303"},
		"alias is served":           {Target{Path: "/ok", Want: alias}, "status 200"},
		"leads elsewhere":           {Target{Path: "/thief", Want: alias}, `a redirect to "thief.example"`},
		"leads nowhere":             {Target{Path: "/nowhere", Want: alias}, "status 301 without a host to go to"},
		"leads into the dark":       {Target{Path: "/garbled", Want: alias}, "status 301 without a host to go to"},
		"nobody listens":            {Target{Path: "/ok", Want: ok, Addresses: []string{nobody}}, "no connection to " + nobody + " (connection refused)"},
		"somebody listens":          {Target{Path: "/ok", Want: ok, Addresses: []string{nobody, at}}, ""},
		"no address":                {Target{Path: "/ok", Want: ok, Addresses: []string{}}, "no HTTP answer"},
		"no answer in time":         {Target{Path: "/hang", Want: ok, Timeout: 50 * time.Millisecond}, "no answer within 50ms"},
		"no answer":                 {Target{Path: "/close", Want: ok}, "no HTTP answer"},
		"too large a header":        {Target{Path: "/headers", Want: ok}, "no HTTP answer"},
		"plain HTTP to TLS":         {Target{Path: "/ok", Want: ok, Addresses: []string{safely}}, "status 400"},
		"TLS to plain HTTP":         {Target{Path: "/ok", Want: ok, TLS: true}, "no HTTP answer"},
		"TLS":                       {Target{Path: "/ok", Want: ok, TLS: true, CAs: authority, Addresses: []string{safely}, Host: "example.com"}, ""},
		"TLS, another host's":       {Target{Path: "/ok", Want: ok, TLS: true, CAs: authority, Addresses: []string{safely}}, "a certificate that is not for acme.example"},
		"TLS, unknown authority":    {Target{Path: "/ok", Want: ok, TLS: true, Addresses: []string{safely}, Host: "example.com"}, "a certificate of an authority that is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			target := tt.target
			target.Via = "Gateway gateways/edge"
			if target.Host == "" {
				target.Host = "acme.example"
			}
			if target.Addresses == nil {
				target.Addresses = []string{at}
			}
			if target.Timeout == 0 {
				target.Timeout = eventually
			}
			f := target.ask(t.Context())
			if tt.want == "" {
				if f != nil {
					t.Errorf("failure %q (%v), want none", f.words, f.cause)
				}
				return
			}
			want := target.url() + " through Gateway gateways/edge: " + tt.want + ", want " + target.Want.String()
			if f == nil || f.words != want {
				t.Errorf("failure %+v, want %q", f, want)
			}
		})
	}
}

func TestNamesThatDoNotResolve(t *testing.T) {
	target := Target{Timeout: time.Second, Addresses: []string{"lb.example:80"}}
	for name, tt := range map[string]struct {
		err  net.DNSError
		want string
	}{
		"none":        {net.DNSError{Name: "lb.example", IsNotFound: true}, "no such host lb.example"},
		"no answer":   {net.DNSError{Name: "lb.example", Server: "192.0.2.1:53"}, "cannot look up lb.example"},
		"not in time": {net.DNSError{Name: "lb.example", IsTimeout: true}, "no answer within 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := target.explain(t.Context(), &net.OpError{Op: "dial", Err: &tt.err}); got != tt.want {
				t.Errorf("explain() = %q, want %q", got, tt.want)
			}
		})
	}
}

// The request is for the host, says who asks and nothing else, and goes where it is told to whatever
// the environment says.
func TestRequest(t *testing.T) {
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://user:secret@192.0.2.1:3128")
	}
	var got http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = *r }))
	defer server.Close()
	target := Target{
		Host: "acme.example", Via: "x", Addresses: []string{server.Listener.Addr().String()}, Path: "/healthz",
		Want: Expectation{Status: 200}, Timeout: eventually,
	}
	if f := target.ask(t.Context()); f != nil {
		t.Fatal(f.words, f.cause)
	}
	if got.Host != "acme.example" || got.Method != http.MethodGet || got.RequestURI != "/healthz" {
		t.Errorf("%s %s of %s", got.Method, got.RequestURI, got.Host)
	}
	if diff := cmp.Diff(http.Header{"User-Agent": {userAgent}, "Connection": {"close"}}, got.Header); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}
