package main

import (
	"log/slog"
	"net/http"
	"time"
)

// logged writes one line per request. Neither query, body nor any header but host and tenant is
// in it: they are the customers'.
func logged(header string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		c := &counted{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(c, r)
		slog.InfoContext(r.Context(), "Request",
			"method", r.Method, "host", r.Host, "path", r.URL.Path, "tenant", r.Header.Get(header),
			"status", c.status, "bytes", c.bytes, "duration", time.Since(began))
	})
}

// counted remembers what was answered.
type counted struct {
	http.ResponseWriter
	status int
	bytes  int
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.bytes += n
	return n, err
}
