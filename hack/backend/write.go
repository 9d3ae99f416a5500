package main

import (
	"encoding/json"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
)

// write answers in JSON, or with a page for a browser where there is one.
func write(w http.ResponseWriter, r *http.Request, a answer) {
	ws, hasPage := a.body.(workspace)
	if !hasPage || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		writeJSON(w, a.status, a.body)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.WriteHeader(a.status)
	if err := page.Execute(w, ws); err != nil {
		slog.WarnContext(r.Context(), "Page not written to its end", "error", err)
	}
}

func writeFailure(w http.ResponseWriter, f failure) {
	if f.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	writeJSON(w, f.Status, map[string]failure{"error": f})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(body); err != nil {
		slog.Warn("Answer not written to its end", "error", err)
	}
}

var page = template.Must(template.New("workspace").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Name}} · Tasklane</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;color:#23262b}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #e3e5e8}
footer{margin-top:2rem;color:#6b6f76;font-size:.85rem}
</style>
<h1>{{.Name}}</h1>
{{if .Projects -}}
<table>
<tr><th>Key<th>Project<th>Tasks<th>Done</tr>
{{range .Projects}}<tr><td>{{.Key}}<td>{{.Name}}<td>{{.Tasks}}<td>{{.Done}}</tr>
{{end}}</table>
{{- else}}<p>No projects yet.</p>{{end}}
<footer>Tenant {{.Tenant}} · schema {{.Schema}}{{with .SchemaVersion}} · version {{.}}{{end}}</footer>
</html>
`))
