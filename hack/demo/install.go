package main

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/hack/demo/setup"
)

// install puts the operator's part into the cluster, then the sample product. The Secret with the
// operator's login comes between the sample's namespace and everything else, as a DBA would have
// put it there before.
func (d *demo) install(ctx context.Context) error {
	if err := setup.Install(ctx, d.servers.Plane); err != nil {
		return err
	}
	d.out.say("CRDs, roles and admission policies of config/default and config/policy, and Gateway API")
	dsn, err := d.servers.OperatorDatabase(ctx, namespace)
	if err != nil {
		return err
	}
	d.out.say("Database %s with a login for the operator, by hack/bootstrap.sql", namespace)
	objects, err := setup.Render(ctx, "config/samples")
	if err != nil {
		return err
	}
	namespaces, others := setup.Namespaces(objects)
	secret := setup.ConnectionSecret(dataNamespace, database+"-db", dsn)
	if err := d.servers.Plane.ApplyObjects(ctx, slices.Concat(namespaces, []*unstructured.Unstructured{secret}, others)...); err != nil {
		return err
	}
	d.out.say("The sample product of config/samples: %d objects, and Secret %s with that login", len(objects), secret.GetName())
	return nil
}
