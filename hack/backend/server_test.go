package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// reply is what came back for one request.
type reply struct {
	status int
	header http.Header
	text   string
	Error  failure `json:"error"`
}

func call(t *testing.T, method, url, tenant, body string, more ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if tenant != "" {
		req.Header.Set("X-Tenantry-Tenant", tenant)
	}
	for i := 0; i+1 < len(more); i += 2 {
		if more[i] == "Host" {
			req.Host = more[i+1]
		} else {
			req.Header.Add(more[i], more[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	r := reply{status: res.StatusCode, header: res.Header, text: string(text)}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("%s %s: %v in %s", method, url, err, text)
		}
	}
	return r
}

func TestTenantOfARequest(t *testing.T) {
	s := newShop(t, "acme")
	s.known.put(Binding{Tenant: "shop/new"})
	s.known.hosts = map[string]string{"acme.example": "shop/acme", "globex.example": "shop/globex"}
	url := s.serve(t).URL
	tests := map[string]struct {
		path, tenant string
		more         []string
		wantStatus   int
		wantCode     string
	}{
		"known":               {"/", "shop/acme", nil, 200, ""},
		"none":                {"/", "", nil, 400, "MissingTenant"},
		"empty":               {"/", "", []string{"X-Tenantry-Tenant", ""}, 400, "MissingTenant"},
		"two":                 {"/projects", "shop/acme", []string{"X-Tenantry-Tenant", "shop/globex"}, 400, "AmbiguousTenant"},
		"the same twice":      {"/projects", "shop/acme", []string{"x-tenantry-tenant", "shop/acme"}, 400, "AmbiguousTenant"},
		"no namespace":        {"/", "acme", nil, 400, "InvalidTenant"},
		"list":                {"/", "shop/acme,shop/globex", nil, 400, "InvalidTenant"},
		"another kind's path": {"/", "shop/acme/../globex", nil, 400, "InvalidTenant"},
		"parent folder":       {"/", "../shop", nil, 400, "InvalidTenant"},
		"capitals":            {"/", "shop/ACME", nil, 400, "InvalidTenant"},
		"long":                {"/", "shop/" + strings.Repeat("a", 254), nil, 400, "InvalidTenant"},
		"unknown":             {"/whoami", "shop/globex", nil, 404, "UnknownTenant"},
		"unknown namespace":   {"/whoami", "other/acme", nil, 404, "UnknownTenant"},
		"not bound yet":       {"/tasks", "shop/new", nil, 503, "TenantNotReady"},
		"by its host":         {"/", "", []string{"Host", "acme.example"}, 200, ""},
		"host and header":     {"/", "shop/acme", []string{"Host", "acme.example:8443"}, 200, ""},
		"another's host":      {"/", "shop/acme", []string{"Host", "globex.example"}, 421, "WrongHost"},
		"another's header":    {"/", "shop/globex", []string{"Host", "acme.example:80"}, 421, "WrongHost"},
		"shared host":         {"/", "shop/acme", []string{"Host", "api.example"}, 200, ""},
		"nobody's host":       {"/", "", []string{"Host", "api.example"}, 400, "MissingTenant"},
		"host of the unknown": {"/", "", []string{"Host", "globex.example"}, 404, "UnknownTenant"},
		"holder not known":    {"/", "shop/acme", []string{"Host", "unanswered.example"}, 503, "Unavailable"},
		"health needs none":   {"/healthz", "", nil, 200, ""},
		"no such route":       {"/admin", "shop/acme", nil, 404, "NoSuchRoute"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := call(t, "GET", url+tt.path, tt.tenant, "", tt.more...)
			if r.status != tt.wantStatus || r.Error.Code != tt.wantCode {
				t.Errorf("answer = %d %q, want %d %q; body %s", r.status, r.Error.Code, tt.wantStatus, tt.wantCode, r.text)
			}
			if tt.wantCode != "" && len(r.Error.Message) < 20 {
				t.Errorf("message = %q, want it to say why", r.Error.Message)
			}
		})
	}
}

func TestEachTenantHasItsOwnData(t *testing.T) {
	s := newShop(t, "acme", "globex")
	url := s.serve(t).URL
	for tenant, key := range map[string]string{"shop/acme": "WEB", "shop/globex": "LAB"} {
		r := call(t, "POST", url+"/projects", tenant, `{"key": "`+key+`", "name": "<b>One</b>"}`)
		if r.status != http.StatusCreated {
			t.Fatalf("POST for %s = %d %s", tenant, r.status, r.text)
		}
	}
	for tenant, want := range map[string]struct{ schema, key string }{
		"shop/acme": {"acme", "WEB"}, "shop/globex": {"globex", "LAB"},
	} {
		var ws workspace
		r := call(t, "GET", url+"/", tenant, "")
		if err := json.Unmarshal([]byte(r.text), &ws); err != nil {
			t.Fatal(err)
		}
		if ws.Tenant != tenant || ws.Schema != want.schema || ws.SchemaVersion != "18" || len(ws.Projects) != 1 || ws.Projects[0].Key != want.key {
			t.Errorf("GET / for %s = %s, want schema %s and only the project %s", tenant, r.text, want.schema, want.key)
		}
		if cache := r.header.Get("Cache-Control"); !strings.Contains(cache, "no-store") {
			t.Errorf("Cache-Control = %q, want no-store: the next request may be another tenant's", cache)
		}
		var id identity
		if err := json.Unmarshal([]byte(call(t, "GET", url+"/whoami", tenant, "").text), &id); err != nil {
			t.Fatal(err)
		}
		wantID := identity{
			Tenant: tenant, Schema: want.schema, SchemaVersion: "18",
			User: s.database + "_" + want.schema + "_app", Database: s.database, ServerVersion: pg.Version,
		}
		if diff := cmp.Diff(wantID, id); diff != "" {
			t.Errorf("GET /whoami for %s (-want +got):\n%s", tenant, diff)
		}
	}
	page := call(t, "GET", url+"/", "shop/acme", "", "Accept", "text/html,*/*")
	for _, want := range []string{"<h1>My workspace</h1>", "WEB", "&lt;b&gt;One", "schema acme", "version 18"} {
		if !strings.Contains(page.text, want) {
			t.Errorf("page lacks %q:\n%s", want, page.text)
		}
	}
	for _, foreign := range []string{"globex", "LAB", "<b>"} {
		if strings.Contains(page.text, foreign) {
			t.Errorf("page of acme holds %q:\n%s", foreign, page.text)
		}
	}
}

func TestTasks(t *testing.T) {
	s := newShop(t, "acme")
	url := s.serve(t).URL
	call(t, "POST", url+"/projects", "shop/acme", `{"key": "WEB", "name": "Web"}`)
	call(t, "POST", url+"/projects", "shop/acme", `{"key": "APP", "name": "App"}`)
	execute(t, admin(t, s.database), `SET search_path = acme;
		INSERT INTO tasks (project_id, title, state_id)
		SELECT p.id, 'First', s.id FROM projects p, workflow_states s WHERE s.name = 'Done' ORDER BY p.id`)
	tests := map[string]struct {
		query    string
		wantRefs []string
	}{
		"all":           {"", []string{"APP-1", "WEB-1"}},
		"one project":   {"?project=WEB", []string{"WEB-1"}},
		"none":          {"?project=NONE", []string{}},
		"not injection": {"?project='%20OR%20true--", []string{}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got struct {
				Tasks []task `json:"tasks"`
			}
			r := call(t, "GET", url+"/tasks"+tt.query, "shop/acme", "")
			if err := json.Unmarshal([]byte(r.text), &got); err != nil {
				t.Fatal(err)
			}
			refs := []string{}
			for _, task := range got.Tasks {
				refs = append(refs, task.Ref)
			}
			if diff := cmp.Diff(tt.wantRefs, refs); diff != "" {
				t.Errorf("tasks (-want +got):\n%s\n%s", diff, r.text)
			}
		})
	}
	r := call(t, "GET", url+"/projects", "shop/acme", "")
	if !strings.Contains(r.text, `"done": 1`) {
		t.Errorf("GET /projects = %s, want a project with one task done", r.text)
	}
}

func TestBadProjectsAreNotWritten(t *testing.T) {
	s := newShop(t, "acme")
	url := s.serve(t).URL
	if r := call(t, "POST", url+"/projects", "shop/acme", `{"key": "WEB", "name": "Web"}`); r.status != 201 {
		t.Fatalf("POST = %d %s", r.status, r.text)
	}
	tests := map[string]struct {
		body       string
		wantStatus int
		wantCode   string
	}{
		"taken":          {`{"key": "WEB", "name": "Other"}`, 409, "AlreadyExists"},
		"small letters":  {`{"key": "web", "name": "Other"}`, 422, "Invalid"},
		"no name":        {`{"key": "APP"}`, 422, "Invalid"},
		"NUL":            {`{"key": "APP", "name": "a\u0000b"}`, 422, "Invalid"},
		"unknown field":  {`{"key": "APP", "name": "x", "schema": "globex"}`, 400, "InvalidBody"},
		"no JSON":        {`key=APP`, 400, "InvalidBody"},
		"two values":     {`{"key": "APP", "name": "x"} {}`, 400, "InvalidBody"},
		"nothing":        {``, 400, "InvalidBody"},
		"very large":     {`{"key": "APP", "name": "` + strings.Repeat("x", maxBody) + `"}`, 413, "TooLarge"},
		"not an address": {`{"key": "APP'); DROP TABLE projects;--", "name": "x"}`, 422, "Invalid"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := call(t, "POST", url+"/projects", "shop/acme", tt.body)
			if r.status != tt.wantStatus || r.Error.Code != tt.wantCode {
				t.Errorf("answer = %d %q, want %d %q; body %s", r.status, r.Error.Code, tt.wantStatus, tt.wantCode, r.text)
			}
		})
	}
	if n := s.count(t, "acme.projects"); n != 1 {
		t.Errorf("projects = %d, want only the first one", n)
	}
}

func (s *shop) count(t *testing.T, table string) (n int) {
	t.Helper()
	if err := admin(t, s.database).QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSchemaBehindTheBackend(t *testing.T) {
	s := newShop(t)
	s.schema(t, "acme")
	r := call(t, "GET", s.serve(t).URL+"/projects", "shop/acme", "")
	if r.status != 503 || r.Error.Code != "SchemaTooOld" || r.header.Get("Retry-After") == "" {
		t.Errorf("answer of an empty schema = %d %q, want 503 SchemaTooOld with Retry-After", r.status, r.Error.Code)
	}
}

func TestAccessLogHoldsNoSecret(t *testing.T) {
	s := newShop(t, "acme")
	url := s.serve(t).URL
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)

	call(t, "GET", url+"/projects?token=canary-1", "shop/acme", "", "Authorization", "Bearer canary-2", "Cookie", "s=canary-3")
	call(t, "POST", url+"/projects", "shop/acme", `{"key": "canary-4", "name": "x"}`)
	s.bind("acme", "canary-5", "acme")
	s.known.Forget("shop/acme")
	call(t, "GET", url+"/projects", "shop/acme", "")

	for _, want := range []string{"method=GET", "path=/projects", "tenant=shop/acme", "status=200", "status=422", "status=503", "code=LoginRefused"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "canary") {
		t.Errorf("log holds a secret:\n%s", log.String())
	}
}

func TestServeFinishesWhatItBegan(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	begun, ended := make(chan struct{}), make(chan error, 1)
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		// The listener closes first when the server shuts down; the answer comes after it.
		for {
			conn, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", listener.Addr().String())
			if err != nil {
				break
			}
			_ = conn.Close()
		}
		writeJSON(w, http.StatusOK, "late")
	})
	go func() { ended <- serve(ctx, listener, slow) }()
	go func() { <-begun; stop() }()
	if r := callText(t, "http://"+listener.Addr().String()); !strings.Contains(r, "late") {
		t.Errorf("answer = %q, want the request under way to be finished", r)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve = %v", err)
	}
}

func callText(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
