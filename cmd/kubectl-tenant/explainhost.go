package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tenantry/tenantry/internal/explain"
)

// explainHost is the verb that answers for one host.
func (sh *shell) explainHost() *cobra.Command {
	var headers []string
	var path string
	verb := &cobra.Command{
		Use:   "explain-host HOST",
		Short: "Tell which tenant, schema, database, login and route answer on a host, or why nothing does",
		Long: `Tell which tenant, schema, database, login and route answer on a host, or exactly why nothing does.

HOST may be a whole URL. Nothing is sent to the host: the answer is what the objects of the cluster say. What
may not be read for want of rights is missing in the answer, which says so.

The exit code is 0 if something answers on the host as it is meant to (Served, Redirected, Public, Fallback,
Holding), 3 if nothing does, and 1 if the question could not be answered.`,
		Example: `  kubectl tenant explain-host acme.tasklane.example
  kubectl tenant explain-host https://acme.tasklane.example/healthz
  kubectl tenant explain-host api.tasklane.example --header 'X-Tenant: tasklane/acme' -o yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(verb *cobra.Command, args []string) error {
			query, err := sh.query(args[0], headers, path)
			if err != nil {
				return err
			}
			reader, err := sh.reader()
			if err != nil {
				return err
			}
			answer, err := explain.Explain(verb.Context(), reader, query)
			if err != nil {
				return err
			}
			if err := sh.print(answer, func(w io.Writer) { printAnswer(w, &answer) }); err != nil {
				return err
			}
			return outcome(&answer)
		},
	}
	verb.Flags().StringArrayVar(&headers, "header", nil, "header of the request, as 'Name: value'; may be repeated")
	verb.Flags().StringVar(&path, "path", "", "path of the request")
	sh.addFormat(verb)
	return verb
}

// outcome makes the exit code of an answer.
func outcome(a *explain.Answer) error {
	switch {
	case a.Verdict.Answers():
		return nil
	case a.Verdict == explain.Unknown:
		return fmt.Errorf("%s could not be explained with your rights", a.Host)
	}
	return errNothing
}

func (sh *shell) query(host string, headers []string, path string) (explain.Query, error) {
	query := explain.Query{Host: host, Path: path, Headers: map[string]string{}}
	for _, header := range headers {
		name, value, found := strings.Cut(header, ":")
		if !found || strings.TrimSpace(name) == "" {
			return query, fmt.Errorf("--header: %q is no header; write it as 'Name: value'", header)
		}
		query.Headers[name] = value
	}
	var err error
	query.Namespace, _, err = sh.namespace()
	return query, err
}
