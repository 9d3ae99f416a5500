// Command roles parts the operator's role into what is of the cluster and what is of namespaces, for
// installations that give it rights in some namespaces only (config/namespaced). `make manifests` runs
// it behind controller-gen, so that no marker has to be written twice.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// clusterWide are the resources without a namespace. A test holds the list against an API server.
var clusterWide = []string{
	"namespaces", "gatewayclasses", "domainclaims", "tenantclasses",
	"validatingadmissionpolicies", "validatingadmissionpolicybindings",
}

// both are needed in the namespaces and for objects of the cluster, whose events are in "default".
var both = []string{"events"}

const head = "# Written by hack/roles from config/rbac/role.yaml; `make manifests`.\n---\n"

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "roles:", err)
		os.Exit(1)
	}
}

func run() error {
	text, err := os.ReadFile("config/rbac/role.yaml")
	if err != nil {
		return err
	}
	var whole rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(text, &whole); err != nil {
		return err
	}
	cluster, inside := part(whole.Rules)
	role := rbacv1.ClusterRole{TypeMeta: whole.TypeMeta, Rules: cluster}
	role.Name = whole.Name
	if err := write("operator/cluster_role.yaml", role); err != nil {
		return err
	}
	role = rbacv1.ClusterRole{TypeMeta: whole.TypeMeta, Rules: inside}
	role.Kind, role.Name = "Role", "tenantry-"+whole.Name
	return write("rights/role.yaml", role)
}

// part keeps the order of the rules, and of what is in them.
func part(rules []rbacv1.PolicyRule) (cluster, inside []rbacv1.PolicyRule) {
	for _, rule := range rules {
		for to, wanted := range map[*[]rbacv1.PolicyRule]func(string) bool{
			&cluster: func(r string) bool { return slices.Contains(clusterWide, r) || slices.Contains(both, r) },
			&inside:  func(r string) bool { return !slices.Contains(clusterWide, r) },
		} {
			some := rule
			some.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(r string) bool {
				name, _, _ := strings.Cut(r, "/")
				return !wanted(name)
			})
			if len(some.Resources) > 0 {
				*to = append(*to, some)
			}
		}
	}
	return cluster, inside
}

func write(file string, role rbacv1.ClusterRole) error {
	text, err := yaml.Marshal(role)
	if err != nil {
		return err
	}
	lines := strings.SplitAfter(string(text), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, "creationTimestamp: null") })
	return os.WriteFile(filepath.Join("config/namespaced", file), []byte(head+strings.Join(lines, "")), 0o600)
}
