package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/demo/setup"
)

// plugin is kubectl's name for what `kubectl tenant` runs.
const plugin = "kubectl-tenant"

// showExplanation asks who answers on a host. The plugin stays beside kubectl, for the user.
func (d *demo) showExplanation(ctx context.Context) error {
	acme := &v1alpha1.Tenant{}
	if err := d.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "acme"}, acme); err != nil {
		return err
	}
	program := filepath.Join(d.servers.State.Bin, plugin)
	if err := setup.Build(ctx, "./cmd/"+plugin, program); err != nil {
		return err
	}
	d.out.printf("\n")
	d.out.say("Who answers on a host, or why does nobody?")
	args := []string{"explain-host", acme.Status.PrimaryDomain}
	output, err := d.program(ctx, program, args...)
	if err != nil {
		return err
	}
	d.out.command(line("kubectl tenant", args), output)
	if want := acme.Status.PrimaryDomain + " is served by Tenant " + namespace + "/acme\n"; !strings.HasPrefix(output, want) {
		return fmt.Errorf("the explanation does not begin with %q", want)
	}
	return nil
}
