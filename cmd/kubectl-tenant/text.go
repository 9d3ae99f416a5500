package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/tenantry/tenantry/internal/explain"
)

// row is a line of the answer below its first.
type row struct{ label, text string }

// printAnswer writes the verdict in a sentence, and below it who and what it is about.
func printAnswer(w io.Writer, a *explain.Answer) {
	_, _ = fmt.Fprintln(w, a.Summary)
	rows := []row{{"Verdict", string(a.Verdict)}, {"Next", a.Advice}}
	if a.Record != nil {
		rows = append(rows, row{"Record", fmt.Sprintf("%s %s %q", a.Record.Type, a.Record.Name, a.Record.Value)})
	}
	rows = append(rows, aboutTenant(a)...)
	for _, r := range a.Routes {
		for _, p := range r.Parents {
			rows = append(rows, row{"Route", aboutRoute(r, p, a.Advice)})
		}
	}
	if a.Backend != nil {
		rows = append(rows, row{"Backend", fmt.Sprintf("Service %s/%s:%d", a.Backend.Namespace, a.Backend.Name, a.Backend.Port)})
	}
	for _, o := range a.Others {
		rows = append(rows, row{"Other", aboutOther(o)})
	}
	for _, t := range a.Wanted {
		state := string(t.State)
		if state == "" {
			state = "none yet"
		}
		rows = append(rows, row{"Wanted", line("by Tenant "+t.Namespace+"/"+t.Name, "State "+state, t.Message)})
	}
	if a.Claim != nil {
		text := line(a.Claim.Name, "Role "+string(a.Role), "Held by "+a.Claim.Holder)
		if a.Claim.Verified != "" {
			text = line(text, "Verified by "+string(a.Claim.Verified))
		}
		rows = append(rows, row{"Claim", text})
	}
	for _, what := range a.NotRead {
		rows = append(rows, row{"Not read", what + " (no right)"})
	}
	printRows(w, rows)
}

func printRows(w io.Writer, rows []row) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r.label))
	}
	for _, r := range rows {
		_, _ = fmt.Fprintf(w, "  %-*s  %s\n", width, r.label, r.text)
	}
}

// line joins what stands beside one another; what is empty is left out.
func line(parts ...string) string {
	var texts []string
	for _, p := range parts {
		if p != "" {
			texts = append(texts, p)
		}
	}
	return strings.Join(texts, "   ")
}

func aboutTenant(a *explain.Answer) (rows []row) {
	t := a.Tenant
	if t == nil {
		if a.Class != "" {
			rows = append(rows, row{"Class", a.Class})
		}
		return rows
	}
	parts := []string{t.Namespace + "/" + t.Name}
	if a.Class != "" {
		parts = append(parts, "Class "+a.Class)
	}
	if t.Ready != "" {
		parts = append(parts, "Ready "+t.Ready)
	}
	if t.Ready != "" && t.Ready != "True" {
		parts = append(parts, "Reason "+t.Reason)
	}
	if t.State != "" {
		parts = append(parts, "State "+string(t.State))
	}
	if t.Certificate != nil {
		parts = append(parts, "Certificate "+string(t.Certificate.State))
	}
	rows = append(rows, row{"Tenant", line(parts...)})
	if t.Database == nil {
		return rows
	}
	parts = []string{t.Database.Namespace + "/" + t.Database.Name, "Schema " + t.Schema}
	if t.Version != "" {
		parts = append(parts, "Version "+t.Version)
	}
	rows = append(rows, row{"Database", line(parts...)})
	if t.Secret != "" {
		login := "Secret " + t.Namespace + "/" + t.Secret
		if t.Role != "" {
			login = line(login, "Role "+t.Role)
		}
		rows = append(rows, row{"Login", login})
	}
	return rows
}

func aboutRoute(r explain.Route, p explain.Parent, advice string) string {
	name := p.Name
	if p.Namespace != "" {
		name = p.Namespace + "/" + name
	}
	text := fmt.Sprintf("%s %s/%s via %s %s", r.Kind, r.Namespace, r.Name, p.Kind, name)
	if len(p.Listeners) > 0 {
		text += ", listener " + strings.Join(p.Listeners, ", ")
	}
	if len(p.Addresses) > 0 {
		text += ", at " + strings.Join(p.Addresses, ", ")
	}
	switch {
	case p.Accepted:
		return text + " (accepted)"
	case p.Message == advice:
		return text + " (not accepted)"
	}
	return text + " (not accepted: " + p.Message + ")"
}

func aboutOther(o explain.Other) string {
	host := o.Host
	if host == "" {
		host = "every host"
	}
	return fmt.Sprintf("%s %s/%s asks for %s", o.Kind, o.Namespace, o.Name, host)
}
