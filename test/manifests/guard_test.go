package manifests

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// guardCase is a route as somebody wants to create it, and what the API server says.
type guardCase struct{ user, kind, patch, want string }

var created = map[string]guardCase{
	"a host that nobody claims":                       {administrator, "HTTPRoute", ``, allowed},
	"the parent of a claimed host":                    {administrator, "HTTPRoute", `spec: {hostnames: [guard.example]}`, allowed},
	"a host below a claimed one":                      {administrator, "HTTPRoute", `spec: {hostnames: [www.acme.guard.example]}`, allowed},
	"a host that ends like a claimed one":             {administrator, "HTTPRoute", `spec: {hostnames: [notacme.guard.example, acme.guard.example.org]}`, allowed},
	"a wildcard beside claimed hosts":                 {administrator, "HTTPRoute", `spec: {hostnames: ["*.acme.guard.example"]}`, allowed},
	"the base of a claimed wildcard":                  {administrator, "HTTPRoute", `spec: {hostnames: [wild.example]}`, allowed},
	"a host that is claimed without proof":            {administrator, "HTTPRoute", `spec: {hostnames: [unproven.guard.example]}`, allowed},
	"the operator's own":                              {operator, "HTTPRoute", `{metadata: {labels: {tenantry.dev/tenant-uid: u-1}}, spec: {hostnames: [acme.guard.example]}}`, allowed},
	"the operator's, without labels":                  {operator, "HTTPRoute", `spec: {hostnames: [acme.guard.example]}`, allowed},
	"a claimed host":                                  {administrator, "HTTPRoute", `spec: {hostnames: [acme.guard.example]}`, claimed},
	"a claimed host, from the tenant's own namespace": {administrator, "HTTPRoute", `{metadata: {namespace: shop}, spec: {hostnames: [acme.guard.example]}}`, claimed},
	"a claimed host among sixteen":                    {administrator, "HTTPRoute", `spec: {hostnames: [` + freeHosts(15) + `, acme.guard.example]}`, claimed},
	"one more path on a claimed host":                 {administrator, "HTTPRoute", `spec: {hostnames: [acme.guard.example], rules: [{matches: [{path: {type: Exact, value: /admin}}]}]}`, claimed},
	"a claimed host on another Gateway":               {administrator, "HTTPRoute", `spec: {hostnames: [acme.guard.example], parentRefs: [{name: mine}]}`, claimed},
	"a claimed host on no Gateway yet":                {administrator, "HTTPRoute", `spec: {hostnames: [acme.guard.example], parentRefs: null}`, claimed},
	"a claimed host in punycode":                      {administrator, "HTTPRoute", `spec: {hostnames: [xn--bcher-kva.example]}`, claimed},
	"a wildcard over claimed hosts":                   {administrator, "HTTPRoute", `spec: {hostnames: ["*.guard.example"]}`, claimed},
	"a wildcard over everything":                      {administrator, "HTTPRoute", `spec: {hostnames: ["*.example"]}`, claimed},
	"a claimed wildcard":                              {administrator, "HTTPRoute", `spec: {hostnames: ["*.wild.example"]}`, claimed},
	"a child of a claimed wildcard":                   {administrator, "HTTPRoute", `spec: {hostnames: [a.wild.example]}`, claimed},
	"a grandchild of a claimed wildcard":              {administrator, "HTTPRoute", `spec: {hostnames: [a.b.wild.example]}`, claimed},
	"a wildcard below a claimed wildcard":             {administrator, "HTTPRoute", `spec: {hostnames: ["*.a.wild.example"]}`, claimed},
	"a shared host":                                   {administrator, "HTTPRoute", `spec: {hostnames: [api.guard.example]}`, claimed},
	"a claimed host by gRPC":                          {administrator, "GRPCRoute", `spec: {hostnames: [acme.guard.example]}`, claimed},
	"a free host by gRPC":                             {administrator, "GRPCRoute", ``, allowed},
	"a claimed host by SNI":                           {administrator, "TLSRoute", `spec: {hostnames: [a.wild.example]}`, claimed},
	"a free host by SNI":                              {administrator, "TLSRoute", ``, allowed},
	"a listener for a claimed host":                   {administrator, "ListenerSet", `spec: {listeners: [{name: x, protocol: HTTP, port: 80, hostname: acme.guard.example}]}`, claimed},
	"a listener for a free host":                      {administrator, "ListenerSet", ``, allowed},

	// What is no host name does not come as far as the guard.
	"a claimed host in capitals":     {administrator, "HTTPRoute", `spec: {hostnames: [ACME.guard.example]}`, "spec.hostnames[0]"},
	"a claimed host with a port":     {administrator, "HTTPRoute", `spec: {hostnames: ["acme.guard.example:80"]}`, "spec.hostnames[0]"},
	"a claimed host with a dot":      {administrator, "HTTPRoute", `spec: {hostnames: ["acme.guard.example."]}`, "spec.hostnames[0]"},
	"a claimed host in Unicode":      {administrator, "HTTPRoute", `spec: {hostnames: ["bücher.example"]}`, "spec.hostnames[0]"},
	"an Ingress in capitals":         {administrator, "Ingress", `spec: {rules: [{host: Acme.guard.example, ` + anyPath + `}]}`, "spec.rules[0].host"},
	"an Ingress with a port":         {administrator, "Ingress", `spec: {rules: [{host: "acme.guard.example:80", ` + anyPath + `}]}`, "spec.rules[0].host"},
	"an Ingress in Unicode":          {administrator, "Ingress", `spec: {rules: [{host: "bücher.example", ` + anyPath + `}]}`, "spec.rules[0].host"},
	"an Ingress with a trailing dot": {administrator, "Ingress", `spec: {rules: [{host: "acme.guard.example.", ` + anyPath + `}]}`, "spec.rules[0].host"},

	"no host on a class's Gateway":                  {administrator, "HTTPRoute", `spec: {hostnames: null}`, catchAll},
	"no host on the class's listener":               {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{namespace: infra, name: edge, sectionName: https}]}`, catchAll},
	"no host on the class's listener for redirects": {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{namespace: infra, name: edge, sectionName: plain}]}`, catchAll},
	"no host on a class's Gateway by gRPC":          {administrator, "GRPCRoute", `spec: {hostnames: null}`, catchAll},
	"no host, from the Gateway's namespace":         {administrator, "HTTPRoute", `{metadata: {namespace: infra}, spec: {hostnames: null, parentRefs: [{name: edge}]}}`, catchAll},
	"no host on another listener":                   {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{namespace: infra, name: edge, sectionName: http}]}`, allowed},
	"no host on another Gateway":                    {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{name: edge}]}`, allowed},
	"no host on a shard":                            {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{namespace: infra, name: guarded-tls-0}]}`, catchAll},
	"no host on a shard's listener":                 {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{namespace: infra, name: guarded-tls-12, sectionName: acme.guard.example}]}`, catchAll},
	"no host on a shard by gRPC":                    {administrator, "GRPCRoute", `spec: {hostnames: null, parentRefs: [{namespace: infra, name: guarded-tls-0}]}`, catchAll},
	"no host on a shard, beside a Gateway":          {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{name: mine}, {namespace: infra, name: guarded-tls-0}]}`, catchAll},
	"no host on a shard's namesake":                 {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{name: guarded-tls-0}]}`, allowed},
	"no host on a Gateway named almost so":          {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{namespace: infra, name: guarded-tls-inside}, {namespace: infra, name: guarded-tls-}, {namespace: infra, name: other-tls-0}]}`, allowed},
	"a host on a shard":                             {administrator, "HTTPRoute", `spec: {parentRefs: [{namespace: infra, name: guarded-tls-0}]}`, allowed},
	"no host on a tenant's ListenerSet":             {administrator, "HTTPRoute", `{metadata: {namespace: shop}, spec: {hostnames: null, parentRefs: [{kind: ListenerSet, namespace: infra, name: shop.acme}]}}`, catchAll},
	"no host on another namespace's ListenerSet":    {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{kind: ListenerSet, namespace: infra, name: shop.acme}]}`, allowed},
	"no host on a ListenerSet of one's own":         {administrator, "HTTPRoute", `{metadata: {namespace: shop}, spec: {hostnames: null, parentRefs: [{kind: ListenerSet, name: shop.acme}]}}`, allowed},
	"no host on a Service":                          {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: [{group: "", kind: Service, namespace: infra, name: edge}]}`, allowed},
	"no host and no Gateway":                        {administrator, "HTTPRoute", `spec: {hostnames: null, parentRefs: null}`, allowed},
	"an Ingress without a host":                     {administrator, "Ingress", `spec: {rules: [{` + anyPath + `}]}`, catchIng},
	"an Ingress with a host in one rule of two":     {administrator, "Ingress", `spec: {rules: [{host: free.guard.example, ` + anyPath + `}, {` + somePath + `}]}`, catchIng},
	"an Ingress with a default backend alone":       {administrator, "Ingress", `spec: {rules: null, defaultBackend: {service: {name: web, port: {number: 80}}}}`, catchIng},
	"an Ingress without host or class":              {administrator, "Ingress", `spec: {ingressClassName: null, rules: [{` + anyPath + `}]}`, catchIng},
	"an Ingress without host, of another class":     {administrator, "Ingress", `spec: {ingressClassName: inside, rules: [{` + anyPath + `}]}`, allowed},
	"an Ingress without host, by its annotation":    {administrator, "Ingress", `{metadata: {annotations: {kubernetes.io/ingress.class: edge}}, spec: {ingressClassName: null, rules: [{` + anyPath + `}]}}`, catchIng},

	"an Ingress for a host that nobody claims": {administrator, "Ingress", ``, allowed},
	"an Ingress for a claimed host":            {administrator, "Ingress", `spec: {rules: [{host: acme.guard.example, ` + anyPath + `}]}`, claimedI},
	"an Ingress of another class":              {administrator, "Ingress", `spec: {ingressClassName: inside, rules: [{host: acme.guard.example, ` + anyPath + `}]}`, claimedI},
	"an Ingress for one more path":             {administrator, "Ingress", `spec: {rules: [{host: acme.guard.example, ` + somePath + `}]}`, claimedI},
	"an Ingress for a claimed host, second":    {administrator, "Ingress", `spec: {rules: [{host: free.guard.example, ` + anyPath + `}, {host: acme.guard.example, ` + anyPath + `}]}`, claimedI},
	"an Ingress with a wildcard":               {administrator, "Ingress", `spec: {rules: [{host: "*.guard.example", ` + anyPath + `}]}`, claimedI},
	"an Ingress below a claimed wildcard":      {administrator, "Ingress", `spec: {rules: [{host: a.wild.example, ` + anyPath + `}]}`, claimedI},
	"an Ingress for a claimed host's TLS":      {administrator, "Ingress", `spec: {tls: [{hosts: [free.guard.example]}, {hosts: [acme.guard.example], secretName: x}]}`, claimedI},
	"an Ingress with TLS of its own":           {administrator, "Ingress", `spec: {tls: [{hosts: [free.guard.example], secretName: x}, {secretName: z}]}`, allowed},
	"an Ingress with an alias":                 {administrator, "Ingress", `metadata: {annotations: {nginx.ingress.kubernetes.io/server-alias: "x.example, Acme.guard.example"}}`, claimedI},
	"an Ingress with an alias of its own":      {administrator, "Ingress", `metadata: {annotations: {nginx.ingress.kubernetes.io/server-alias: "x.example"}}`, allowed},
	"an Ingress with a DNS name":               {administrator, "Ingress", `metadata: {annotations: {external-dns.alpha.kubernetes.io/hostname: acme.guard.example}}`, claimedI},

	"labels of a tenant":        {administrator, "HTTPRoute", `metadata: {labels: {tenantry.dev/tenant-uid: u-1}}`, forged},
	"labels of a class":         {administrator, "Ingress", `metadata: {labels: {tenantry.dev/class: guarded}}`, forged},
	"labels, on a claimed host": {administrator, "HTTPRoute", `{metadata: {labels: {tenantry.dev/tenant-uid: u-1}}, spec: {hostnames: [acme.guard.example]}}`, forged},
	"a Tenant as controller":    {administrator, "HTTPRoute", `metadata: {ownerReferences: [{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, name: acme, uid: u-1, controller: true}]}`, forged},
	"a Tenant as owner":         {administrator, "HTTPRoute", `metadata: {ownerReferences: [{apiVersion: tenantry.dev/v1alpha1, kind: Tenant, name: acme, uid: u-1}]}`, allowed},
	"another controller":        {administrator, "HTTPRoute", `metadata: {ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: acme, uid: u-1, controller: true}]}`, allowed},

	"a challenge of cert-manager":                 {solver, "HTTPRoute", `spec: {hostnames: [acme.guard.example], rules: [{matches: [{path: {type: Exact, value: /.well-known/acme-challenge/token}}]}]}`, allowed},
	"a challenge of cert-manager by Ingress":      {solver, "Ingress", `spec: {rules: [{host: acme.guard.example, ` + challenge + `}]}`, allowed},
	"a challenge of somebody else":                {administrator, "HTTPRoute", `spec: {hostnames: [acme.guard.example], rules: [{matches: [{path: {type: Exact, value: /.well-known/acme-challenge/token}}]}]}`, claimed},
	"a challenge of somebody else by Ingress":     {administrator, "Ingress", `spec: {rules: [{host: acme.guard.example, ` + challenge + `}]}`, claimedI},
	"cert-manager on another path":                {solver, "HTTPRoute", `spec: {hostnames: [acme.guard.example]}`, claimed},
	"cert-manager on two paths":                   {solver, "HTTPRoute", `spec: {hostnames: [acme.guard.example], rules: [{matches: [{path: {value: /.well-known/acme-challenge/token}}, {path: {value: /}}]}]}`, claimed},
	"cert-manager on another path by Ingress":     {solver, "Ingress", `spec: {rules: [{host: acme.guard.example, ` + anyPath + `}]}`, claimedI},
	"cert-manager with a default backend as well": {solver, "Ingress", `spec: {defaultBackend: {service: {name: web, port: {number: 80}}}, rules: [{host: acme.guard.example, ` + challenge + `}]}`, claimedI},
}

func freeHosts(n int) string {
	return strings.Join(slices.Repeat([]string{"free.guard.example"}, n), ", ")
}

// The guard keeps the routes of others off claimed hosts, whoever makes them, and lets all else be.
func TestGuardOfNewRoutes(t *testing.T) {
	guard(t)
	for _, name := range slices.Sorted(maps.Keys(created)) {
		t.Run(name, func(t *testing.T) {
			tt := created[name]
			err := as(t, tt.user).Create(t.Context(), stranger(t, tt.kind, tt.patch), client.DryRunAll)
			if wrong := says(err, tt.want); wrong != "" {
				t.Errorf("%s by %s: %s; want %q", tt.kind, tt.user, wrong, tt.want)
			}
		})
	}
}
