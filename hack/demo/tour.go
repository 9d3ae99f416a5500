package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
)

// conditionsTemplate prints one condition a line.
const conditionsTemplate = `{{range .status.conditions}}{{printf "%-17s %-5s  %s\n" .type .status .message}}{{end}}`

// projects are what the demo writes into tenants, so that their data differ.
var projects = map[string]struct{ key, name string }{
	"acme":   {"ROCKET", "Rocket skates, second attempt"},
	"globex": {"WEATHER", "Weather machine"},
}

// tour shows what a user gets. Whatever it shows, it checks: a tour that ends well is a proof.
func (d *demo) tour(ctx context.Context) error {
	d.out.say("One Tenant, step by step:")
	if err := d.kubectl(ctx, "get", "tenant", "acme", "-n", namespace, "-o", "go-template="+conditionsTemplate); err != nil {
		return err
	}
	for _, show := range []func(*demo, context.Context) error{
		(*demo).showDomains, (*demo).showAlias, (*demo).showSpoofing, (*demo).showTables, (*demo).showIsolation, (*demo).showExplanation,
	} {
		if err := show(d, ctx); err != nil {
			return err
		}
	}
	return nil
}

// showDomains writes a project into two of the tenants and asks each tenant for its own.
func (d *demo) showDomains(ctx context.Context) error {
	tenants, err := d.tenants(ctx)
	if err != nil {
		return err
	}
	d.out.printf("\n")
	d.out.say("Each domain answers with its own tenant's data:")
	for _, t := range tenants {
		if err := d.showDomain(ctx, &t); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) showDomain(ctx context.Context, t *v1alpha1.Tenant) error {
	url := "http://" + t.Status.PrimaryDomain
	first, err := d.waitServed(ctx, t.Status.PrimaryDomain, t.Namespace+"/"+t.Name)
	if err != nil {
		return err
	}
	project, ours := projects[t.Name]
	if ours && !first.has(project.key) {
		body := fmt.Sprintf(`{"key":%q,"name":%q}`, project.key, project.name)
		if _, err := d.curl(ctx, url+"/projects", "-d", body); err != nil {
			return err
		}
	}
	answer, err := d.curl(ctx, url+"/")
	if err != nil {
		return err
	}
	is, err := parsePage(answer)
	if err != nil {
		return err
	}
	if is.Tenant != t.Namespace+"/"+t.Name || ours && !is.has(project.key) {
		return fmt.Errorf("%s does not answer with the data of Tenant %s", url, t.Name)
	}
	for other, project := range projects {
		if other != t.Name && is.has(project.key) {
			return fmt.Errorf("%s shows data of Tenant %s", url, other)
		}
	}
	return nil
}

// showAlias follows the second domain of acme to the first.
func (d *demo) showAlias(ctx context.Context) error {
	t := &v1alpha1.Tenant{}
	if err := d.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "acme"}, t); err != nil {
		return err
	}
	if len(t.Spec.Domains) < 2 {
		return nil // Somebody took the alias out; there is nothing to show.
	}
	d.out.printf("\n")
	d.out.say("The other domains redirect to the primary one, path and query kept:")
	answer, err := d.curl(ctx, "http://"+t.Spec.Domains[1]+"/tasks?project=ROCKET",
		"-o", "/dev/null", "-w", `%{http_code} %{redirect_url}\n`)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(answer, "301 http://"+t.Status.PrimaryDomain) || !strings.HasSuffix(strings.TrimSpace(answer), "/tasks?project=ROCKET") {
		return fmt.Errorf("the alias does not redirect: %s", answer)
	}
	return nil
}

// showSpoofing sends another tenant's header, on a route of Gateway API, which overwrites it, and
// through an Ingress, which cannot, so that the backend holds it against the host.
func (d *demo) showSpoofing(ctx context.Context) error {
	d.out.printf("\n")
	d.out.say("A forged tenant header is overwritten (Gateway API) or refused (Ingress):")
	tenants, err := d.tenants(ctx)
	if err != nil {
		return err
	}
	for _, t := range tenants {
		if t.Name == "globex" {
			continue
		}
		answer, err := d.curl(ctx, "http://"+t.Status.PrimaryDomain+"/whoami", "-H", "X-Tenantry-Tenant: "+namespace+"/globex")
		if err != nil {
			return err
		}
		is, err := parsePage(answer)
		if err != nil {
			return err
		}
		if is.Tenant != t.Namespace+"/"+t.Name && is.Error.Code != "WrongHost" {
			return fmt.Errorf("a forged header led from %s to tenant %q", t.Status.PrimaryDomain, is.Tenant)
		}
	}
	return nil
}

// showTables lists what the migrations made, seen by the tenant's own login.
func (d *demo) showTables(ctx context.Context) (err error) {
	acme, err := d.logInTo(ctx, "acme")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, acme.conn.Close(ctx)) }()
	tables, err := acme.tables(ctx)
	if err != nil {
		return err
	}
	d.out.printf("\n")
	d.out.say("Secret %s logs in as %s to schema %s. Its tables, with their rows:", acme.secret, acme.user, acme.schema)
	d.out.printf("\n%s", indent(columns(tables, 4)))
	return nil
}

// showIsolation lets one tenant's login try another's schema.
func (d *demo) showIsolation(ctx context.Context) (err error) {
	acme := &v1alpha1.Tenant{}
	if err := d.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "acme"}, acme); err != nil {
		return err
	}
	globex, err := d.logInTo(ctx, "globex")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, globex.conn.Close(ctx)) }()
	d.out.printf("\n")
	d.out.say("Secret %s logs in too (as %s) and reads its own rows, and not acme's:", globex.secret, globex.user)
	own, acmeOwner := countOf(globex.schema, "projects"), postgres.TenantRoles(namespace, acme.Status.Schema).Owner
	n, err := globex.count(ctx, globex.schema, "projects")
	if err != nil {
		return err
	}
	d.out.printf("\n%s", indent(fmt.Sprintf("%s;\n%d", own, n)))
	for _, sql := range []string{countOf(acme.Status.Schema, "projects"), "SET ROLE " + acmeOwner} {
		refusal, err := globex.refused(ctx, sql)
		if err != nil {
			return err
		}
		d.out.printf("%s", indent(sql+";\n"+refusal))
	}
	return nil
}

func (d *demo) logInTo(ctx context.Context, name string) (*login, error) {
	t := &v1alpha1.Tenant{}
	if err := d.admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, t); err != nil {
		return nil, err
	}
	return d.logIn(ctx, t)
}
