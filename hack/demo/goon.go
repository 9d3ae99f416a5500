package main

import (
	"strings"
	"text/template"
	"time"
)

// next says what the user can do now. Every command in it works as it stands.
var next = template.Must(template.New("next").Parse(`
  export KUBECONFIG={{.Kubeconfig}}
  export PATH={{.Bin}}:"$PATH"

  kubectl get tenants,tenantdatabases,tenantclasses,migrationsets -A
  kubectl get domainclaims
  kubectl tenant explain-host www.acme.tasklane.example   # or any other host; and: kubectl tenant list-hosts
  kubectl events -n {{.Namespace}} --for tenant/acme
  tail -f {{.Log}}

Things to try
  A password is lost. The operator makes a new one, and the customer goes on:
    kubectl delete secret acme-db -n {{.Namespace}}
    {{.Curl}} http://acme.tasklane.example/whoami

  A migration is wrong. The dry run finds it, every tenant stays at the version before and is served; then take it back:
    kubectl patch configmap tasklane-migrations -n {{.Namespace}} --type merge -p '{"data":{"0019_oops.sql":"ALTER TABLE projcts ADD owner text;"}}'
    kubectl get migrationsets,tenants -n {{.Namespace}} -o wide
    kubectl patch configmap tasklane-migrations -n {{.Namespace}} --type merge -p '{"data":{"0019_oops.sql":null}}'

  A migration is right. Every tenant gets it, without a restart:
    kubectl patch configmap tasklane-migrations -n {{.Namespace}} --type merge -p '{"data":{"0019_project_owner.sql":"ALTER TABLE projects ADD owner text;"}}'
    kubectl get tenants -n {{.Namespace}} --watch

  Somebody takes another's domain, and gets nothing but a clear word:
    kubectl patch tenant globex -n {{.Namespace}} --type merge -p '{"spec":{"domains":["globex.tasklane.example","acme.tasklane.example"]}}'
    kubectl get tenant globex -n {{.Namespace}} -o wide
    {{.Curl}} http://acme.tasklane.example/whoami

  A new customer:
    kubectl apply -f - <<YAML
    apiVersion: tenantry.dev/v1alpha1
    kind: Tenant
    metadata: {name: hooli, namespace: {{.Namespace}}}
    spec: {className: standard, domains: [hooli.tasklane.example]}
    YAML
    kubectl wait --for=condition=Ready tenant/hooli -n {{.Namespace}}
    {{.Curl}} http://hooli.tasklane.example/

` + "`make demo`" + ` applies the samples again and mends what died; ` + "`make demo-down`" + ` ends everything.
`))

// settings of next, as words of a shell.
type settings struct{ Kubeconfig, Bin, Log, Curl, Namespace string }

// goOn prints the way on.
func (d *demo) goOn(took time.Duration) error {
	d.out.heading("All of it works. It took %s. To go on:", took.Round(time.Second))
	var b strings.Builder
	err := next.Execute(&b, settings{
		Kubeconfig: quote(d.servers.State.Kubeconfig), Bin: quote(d.servers.State.Bin), Namespace: namespace,
		Log: quote(d.operator.LogPath), Curl: line("curl", d.curlArgs()),
	})
	if err != nil {
		return err
	}
	d.out.printf("%s", b.String())
	return nil
}
