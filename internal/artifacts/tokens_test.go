package artifacts

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/test/platform"
)

// A registry that takes tokens alone, as most public ones do, is read with a login, with the identity token
// that stands for one, and by nobody in particular where it is public; a token that expired is fetched anew.
func TestTokens(t *testing.T) {
	t.Parallel()
	tokens := startTokenServer(t)
	registry, err := platform.StartRegistry(t.Context(), platform.RegistryTLS(),
		platform.RegistryTokens(tokens.URL+"/token", tokens.keys(t), authorityOf(tokens.Server)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = registry.Stop() })
	private, public := registry.Address+"/private/app", registry.Address+"/public/app"
	for _, repo := range []string{private, public} {
		push(t, registry, repo, "v1", file("0001_a.sql", "SELECT 1;"))
	}
	if got := tokens.take(time.Hour); len(got) == 0 || slices.Contains(got, "") {
		t.Fatalf("the author logged in as %q", got)
	}
	login := func(entry string) Login {
		found, err := LoginOf(fmt.Appendf(nil, `{"auths": {%q: {%s}}}`, registry.Address, entry), registry.Address)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	basic := func(name, password string) Login {
		return login(fmt.Sprintf(`"auth": %q`, base64.StdEncoding.EncodeToString([]byte(name+":"+password))))
	}
	for name, tt := range map[string]struct {
		repo   string
		login  Login
		who    string // who asks for the token
		denied bool
	}{
		"a login":                {private, basic(user, password), user, false},
		"an identity token":      {private, login(`"identitytoken": "` + identity + `"`), "identity", false},
		"a token":                {private, Login{RegistryToken: tokens.sign(user, []string{"repository:private/app:pull"})}, "", false},
		"nobody, public":         {public, Login{}, "", false},
		"nobody, private":        {private, Login{}, "", true},
		"wrong password":         {private, basic(user, "no"+password), user, true},
		"wrong password, public": {public, basic(user, "no"+password), user, true},
		"wrong identity token":   {private, Login{IdentityToken: "no" + identity}, "identity", true},
		"wrong token":            {private, Login{RegistryToken: "no" + identity}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			tokens.take(time.Hour)
			r := reach(t, Access{Repository: tt.repo, Login: tt.login, Authorities: registry.CA})
			found, err := r.Resolve(t.Context(), "v1")
			if tt.denied {
				refused(t, err, fault.Waiting, ReasonUnauthorized, "does not let this operator read", "pullSecretRef", "HTTP 401")
			} else if err == nil {
				_, err = r.Fetch(t.Context(), found, "", limits)
			}
			if !tt.denied && err != nil {
				t.Error(err)
			}
			asked := tokens.take(time.Hour)
			if want := tt.login.RegistryToken == ""; len(asked) > 0 != want || want && slices.ContainsFunc(asked, func(who string) bool { return who != tt.who }) {
				t.Errorf("tokens were asked for by %q, want %q", asked, tt.who)
			}
			if len(asked) > 1 && !tt.denied {
				t.Errorf("%d tokens were asked for, one would do", len(asked))
			}
		})
	}
	t.Run("expired", func(t *testing.T) {
		tokens.take(2*time.Second - time.Minute)
		r := reach(t, Access{Repository: private, Login: basic(user, password), Authorities: registry.CA})
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		var asked []string
		for ; len(asked) < 2 && t.Context().Err() == nil; <-again.C {
			if _, err := r.Resolve(t.Context(), "v1"); err != nil {
				t.Fatal(err)
			}
			asked = append(asked, tokens.take(2*time.Second-time.Minute)...)
		}
	})
	t.Run("away", func(t *testing.T) {
		tokens.Close()
		_, err := reach(t, Access{Repository: private, Login: basic(user, password), Authorities: registry.CA}).Resolve(t.Context(), "v1")
		refused(t, err, fault.Waiting, ReasonUnavailable, "token server", strings.TrimPrefix(tokens.URL, "https://"), "the connection is refused")
	})
}

// A registry chooses its token server. A login goes to none that it names in clear or at an address where
// machines tell their secrets, nor where that one sends its readers.
func TestTokenServersThatGetNoLogin(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 64)
	note := func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != "" || request.Method != http.MethodGet {
			seen <- request.Host + request.URL.Path
		}
		_, _ = w.Write([]byte(`{"token": "x"}`))
	}
	inClear := "http://" + serve(t, http.HandlerFunc(note))
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(note))
	t.Cleanup(elsewhere.Close)
	answers := map[string]http.HandlerFunc{
		"/500":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"/404":  http.NotFound,
		"/text": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>" + password)) },
	}
	for path, to := range map[string]string{"/clear": inClear, "/metadata": "https://169.254.169.254/", "/elsewhere": elsewhere.URL} {
		answers[path] = http.RedirectHandler(to, http.StatusTemporaryRedirect).ServeHTTP
	}
	own := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) { answers[request.URL.Path](w, request) }))
	t.Cleanup(own.Close)
	const nowhere = "a place to which no login goes"
	for name, tt := range map[string]struct {
		realm  string
		reason string
		parts  []string
	}{
		"in clear":                  {inClear + "/token", ReasonUnavailable, []string{nowhere}},
		"a cloud's metadata":        {"https://169.254.169.254/token", ReasonUnavailable, []string{nowhere}},
		"a cloud's metadata, IPv6":  {"https://[fd00:ec2::254]/token", ReasonUnavailable, []string{nowhere}},
		"this machine by a name":    {"https://localhost:1/token", ReasonUnavailable, []string{nowhere}},
		"a file":                    {"file:///etc/passwd", ReasonUnavailable, []string{nowhere}},
		"redirected to clear":       {own.URL + "/clear", ReasonUnavailable, []string{nowhere}},
		"redirected to metadata":    {own.URL + "/metadata", ReasonUnavailable, []string{nowhere}},
		"redirected elsewhere":      {own.URL + "/elsewhere", ReasonUnavailable, nil},
		"nobody there":              {"https://127.0.0.1:1/token", ReasonUnavailable, []string{`token server "127.0.0.1:1"`, "the connection is refused"}},
		"broken":                    {own.URL + "/500", ReasonUnavailable, []string{"token server", "HTTP 500"}},
		"without such a page":       {own.URL + "/404", ReasonUnavailable, []string{"token server", "HTTP 404"}},
		"which is something else":   {own.URL + "/text", ReasonUnavailable, nil},
		"which speaks no TLS":       {"https://" + strings.TrimPrefix(inClear, "http://") + "/", ReasonUnavailable, []string{"token server", "does not speak TLS"}},
		"of which nothing was said": {"", ReasonUnavailable, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logins := make(chan string, 8)
			front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				logins <- request.Header.Get("Authorization")
				w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="x"`, tt.realm))
				w.WriteHeader(http.StatusUnauthorized)
			}))
			defer front.Close()
			for _, login := range []Login{{Username: user, Password: password}, {IdentityToken: identity}} {
				r := reach(t, Access{
					Repository: strings.TrimPrefix(front.URL, "https://") + "/x", Login: login,
					Authorities: slices.Concat(authorityOf(front), authorityOf(own), authorityOf(elsewhere)),
				})
				_, err := r.Resolve(t.Context(), "v1")
				want := tt.reason
				if name == "redirected elsewhere" && login.Password != "" {
					want = ReasonUnauthorized // It goes there as nobody, and gets a token that the registry does not take.
				}
				refused(t, err, fault.Waiting, want, tt.parts...)
			}
			close(logins)
			for got := range logins {
				if strings.HasPrefix(got, "Basic ") {
					t.Error("the registry got a login for which it did not ask")
				}
			}
		})
	}
	t.Cleanup(func() {
		close(seen)
		for where := range seen {
			t.Errorf("a login went to %s", where)
		}
	})
}

// Without TLS, which the user asked for, a login still goes to the registry's own host alone.
func TestNoLoginInClearToOthers(t *testing.T) {
	t.Parallel()
	transport := newHTTPClient(nil, "registry.example:5000", true).Transport
	for name, request := range map[string]*http.Request{
		"basic": httptest.NewRequest(http.MethodGet, "http://tokens.example/token", http.NoBody),
		"form":  httptest.NewRequest(http.MethodPost, "http://tokens.example/token", strings.NewReader("refresh_token="+identity)),
	} {
		if name == "basic" {
			request.SetBasicAuth(user, password)
		}
		response, err := transport.RoundTrip(request)
		if err == nil {
			_ = response.Body.Close()
		}
		if !errors.Is(err, errLoginInClear) {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
}
