package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/internal/explain"
)

// hostList is the output of list-hosts.
type hostList struct {
	Hosts []explain.Host `json:"hosts"`
	// NotRead says what could not be read for want of rights.
	NotRead []string `json:"notRead,omitempty"`
}

// listHosts is the verb that lists all hosts.
func (sh *shell) listHosts() *cobra.Command {
	verb := &cobra.Command{
		Use:   "list-hosts",
		Short: "List hosts with their role, tenant, state and schema",
		Long: `List hosts with their role, tenant, state and schema: those of all tenants and classes, or with
--namespace those of the tenants of one namespace. A host that a Tenant wants and cannot have is listed too,
with its state.`,
		Args: cobra.NoArgs,
		RunE: func(verb *cobra.Command, _ []string) error {
			reader, err := sh.reader()
			if err != nil {
				return err
			}
			home, given, err := sh.namespace()
			if err != nil {
				return err
			}
			only := ""
			if given {
				only = home
			}
			var list hostList
			if list.Hosts, list.NotRead, err = explain.Hosts(verb.Context(), reader, only, home); err != nil {
				return err
			}
			return sh.print(list, func(w io.Writer) { printHosts(w, sh.ErrOut, list) })
		},
	}
	sh.addFormat(verb)
	return verb
}

func printHosts(out, notes io.Writer, list hostList) {
	w := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	_, _ = fmt.Fprintln(w, "HOST\tROLE\tTENANT\tSTATE\tSCHEMA")
	for _, h := range list.Hosts {
		host, holder := h.Host, "class "+h.Class
		if h.Value != "" {
			host += " " + h.Value
		}
		if h.Tenant != "" {
			holder = h.Namespace + "/" + h.Tenant
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", host, h.Role, holder, cmp.Or(string(h.State), "-"), cmp.Or(h.Schema, "-"))
	}
	_ = w.Flush()
	for _, what := range list.NotRead {
		_, _ = fmt.Fprintln(notes, "Not yours to read:", what)
	}
}
