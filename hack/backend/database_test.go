package main

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

func TestWrongSchemaGetsNoData(t *testing.T) {
	s := newShop(t, "acme", "globex")
	execute(t, admin(t, s.database), "INSERT INTO globex.projects (key, name) VALUES ('LAB', 'Lab')")
	url := s.serve(t).URL
	// Rights that a slip of the DBA could give; the check must hold all the same.
	execute(t, admin(t, s.database), `GRANT USAGE ON SCHEMA globex TO `+s.role("acme", "app")+`;
		GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA globex TO `+s.role("acme", "app"))
	password := s.rotate(t, "acme")
	tests := map[string]string{
		"neighbour's schema":       "globex",
		"neighbour's schema first": "globex,acme",
		"no path":                  "",
		"a schema that is gone":    "gone,globex",
		"nowhere":                  "pg_temp",
	}
	for name, path := range tests {
		t.Run(name, func(t *testing.T) {
			s.bind("acme", password, path)
			s.known.Forget("shop/acme")
			for method, body := range map[string]string{"GET": "", "POST": `{"key": "ACME", "name": "x"}`} {
				r := call(t, method, url+"/projects", "shop/acme", body)
				if r.status != 503 || r.Error.Code != "WrongSchema" {
					t.Errorf("%s = %d %s, want 503 WrongSchema", method, r.status, r.text)
				}
			}
		})
	}
	if a, g := s.count(t, "acme.projects"), s.count(t, "globex.projects"); a != 0 || g != 1 {
		t.Errorf("projects of acme, globex = %d, %d, want 0, 1: nothing may be written", a, g)
	}
	s.bind("acme", password, "acme")
	s.known.Forget("shop/acme")
	if r := call(t, "GET", url+"/projects", "shop/acme", ""); r.status != 200 {
		t.Errorf("after the mend: %d %s, want 200", r.status, r.text)
	}
}

func TestNewBinding(t *testing.T) {
	tests := map[string]struct {
		schema string
		secret map[string]string
		want   error
	}{
		"agreed":            {"acme", map[string]string{"uri": "postgres://x", "schema": "acme"}, nil},
		"no schema yet":     {"", map[string]string{"uri": "postgres://x", "schema": "acme"}, errNotBound},
		"no uri yet":        {"acme", map[string]string{"schema": "acme"}, errNotBound},
		"somebody else's":   {"acme", map[string]string{"uri": "postgres://x", "schema": "globex"}, errWrongSchema},
		"Secret without it": {"acme", map[string]string{"uri": "postgres://x"}, errWrongSchema},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			data := map[string][]byte{}
			for k, v := range tt.secret {
				data[k] = []byte(v)
			}
			b, err := newBinding("shop/acme", tt.schema, "3", data)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if tt.want == nil && b != (Binding{Tenant: "shop/acme", Schema: "acme", Version: "3", URI: "postgres://x"}) {
				t.Errorf("binding = %+v", b)
			}
		})
	}
}

func TestRotatedPassword(t *testing.T) {
	s := newShop(t, "acme")
	url := s.serve(t).URL
	get := func(what string, wantStatus int) {
		t.Helper()
		if r := call(t, "GET", url+"/projects", "shop/acme", ""); r.status != wantStatus {
			t.Fatalf("%s: %d %s, want %d", what, r.status, r.text, wantStatus)
		}
	}
	get("first", 200)
	s.bind("acme", s.rotate(t, "acme"), "acme")
	get("with the old session", 200)
	s.endSessions(t, "acme")
	get("with the new password, after the old one was refused", 200)

	s.rotate(t, "acme")
	s.endSessions(t, "acme")
	get("while the Secret is behind", 503)
	s.bind("acme", s.rotate(t, "acme"), "acme")
	get("once the Secret is right again", 200)
}

// endSessions ends the sessions of the tenant and waits until they are gone.
func (s *shop) endSessions(t *testing.T, name string) {
	t.Helper()
	conn := admin(t, s.database)
	user := s.database + "_" + name + "_app"
	deadline, tick := time.After(time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		var left int
		if err := conn.QueryRow(t.Context(),
			"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1", user).Scan(&left); err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("sessions do not end")
		}
	}
}

func TestPoolsAreBounded(t *testing.T) {
	s := newShop(t)
	p := newPools(2, 1, time.Minute)
	t.Cleanup(p.close)
	binding := func(name string) Binding {
		b, err := s.known.Binding(t.Context(), "shop/"+name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, name := range []string{"a", "b", "c"} {
		s.schema(t, name)
	}
	ping := func(name string, inside func()) error {
		return p.use(t.Context(), binding(name), func(pool *pgxpool.Pool) error {
			if inside != nil {
				inside()
			}
			return pool.Ping(t.Context())
		})
	}
	if err := ping("a", func() {
		if err := ping("b", func() {
			if err := ping("c", nil); !errors.Is(err, errBusy) {
				t.Errorf("third pool beside two in use = %v, want errBusy", err)
			}
		}); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	// b was given back first, so it is the one to go.
	if err := ping("c", nil); err != nil {
		t.Fatal(err)
	}
	if p.size() != 2 || p.byName["shop/b"] != nil {
		t.Errorf("open pools = %d, b open = %t; want 2 and the one unused for longest closed", p.size(), p.byName["shop/b"] != nil)
	}
	p.sweep(time.Now().Add(59 * time.Second))
	if p.size() != 2 {
		t.Errorf("pools = %d after less than the idle time, want 2", p.size())
	}
	p.sweep(time.Now().Add(61 * time.Second))
	if p.size() != 0 {
		t.Errorf("pools = %d after the idle time, want 0", p.size())
	}
	s.noSessions(t)
}

func TestPoolIsReplacedUnderItsUser(t *testing.T) {
	s := newShop(t)
	s.schema(t, "a")
	p := newPools(2, 1, time.Minute)
	t.Cleanup(p.close)
	b, err := s.known.Binding(t.Context(), "shop/a")
	if err != nil {
		t.Fatal(err)
	}
	next := b
	next.URI += "&connect_timeout=3"
	err = p.use(t.Context(), b, func(old *pgxpool.Pool) error {
		err := p.use(t.Context(), next, func(replacement *pgxpool.Pool) error {
			if replacement == old {
				t.Error("the pool of the old connection string is used for the new one")
			}
			return replacement.Ping(t.Context())
		})
		if err != nil {
			return err
		}
		// Still the user's, however long it takes.
		return old.Ping(t.Context())
	})
	if err != nil {
		t.Fatal(err)
	}
	p.close()
	s.noSessions(t)
}

// noSessions waits until no session of this database is left.
func (s *shop) noSessions(t *testing.T) {
	t.Helper()
	conn := admin(t, "postgres")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var left int
		if err := conn.QueryRow(ctx,
			"SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tasklane'", s.database).Scan(&left); err != nil {
			t.Fatalf("sessions of closed pools are still open: %v", err)
		}
		if left == 0 {
			return
		}
		<-tick.C
	}
}
