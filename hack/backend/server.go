package main

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
)

// requestTimeout bounds the work for one request, the wait for a connection included.
const requestTimeout = 10 * time.Second

// maxBody bounds a request's body, in bytes.
const maxBody = 64 << 10

// server answers HTTP requests of all tenants.
type server struct {
	header string
	db     *database
}

// answer is what an action has to say, in JSON or, where it has a page, in HTML.
type answer struct {
	status int
	body   any
}

// action is the work of one route, in a transaction of the tenant.
type action func(ctx context.Context, tx pgx.Tx, b Binding, r *http.Request) (answer, error)

func (s *server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.Handle("GET /{$}", s.tenant(pgx.ReadOnly, showWorkspace))
	mux.Handle("GET /whoami", s.tenant(pgx.ReadOnly, showIdentity))
	mux.Handle("GET /projects", s.tenant(pgx.ReadOnly, showProjects))
	mux.Handle("POST /projects", s.tenant(pgx.ReadWrite, createProject))
	mux.Handle("GET /tasks", s.tenant(pgx.ReadOnly, showTasks))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		writeFailure(w, fails(http.StatusNotFound, "NoSuchRoute",
			"try GET /, /whoami, /projects, /tasks or /healthz, or POST /projects"))
	})
	return logged(s.header, mux)
}

// tenant serves an action for the tenant of the request. The answer is written only after the
// transaction was committed.
func (s *server) tenant(mode pgx.TxAccessMode, do action) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// What one tenant may see must not be kept for the next one.
		w.Header().Set("Cache-Control", "private, no-store")
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)

		var a answer
		name, err := s.tenantOf(ctx, r)
		if err == nil {
			err = s.db.inTenant(ctx, name, mode, func(tx pgx.Tx, b Binding) (err error) {
				a, err = do(ctx, tx, b, r)
				return err
			})
		}
		if err != nil {
			f := explain(err, name)
			if f.Status >= http.StatusInternalServerError {
				slog.ErrorContext(ctx, "Request failed", "tenant", name, "code", f.Code, "error", err)
			}
			writeFailure(w, f)
			return
		}
		write(w, r, a)
	})
}
