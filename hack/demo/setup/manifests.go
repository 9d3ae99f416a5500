// Package setup puts Tenantry and its sample product into a control plane that has no nodes: the
// manifests that any cluster would get, and, in the place of Pods, processes of this machine that
// log in as the same service accounts and so have the same rights. Its contract: everything may be
// called again at any time and then changes only what differs.
package setup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/tenantry/tenantry/test/platform"
)

// Install installs Tenantry as `make deploy` does, with the admission policies and the kinds of
// Gateway API, but for the Deployment, which nobody would run here.
func Install(ctx context.Context, plane *platform.ControlPlane) error {
	if err := plane.InstallGatewayAPI(ctx); err != nil {
		return err
	}
	objects, err := Render(ctx, "config/default", "config/policy")
	if err != nil {
		return err
	}
	return plane.ApplyObjects(ctx, Without(objects, "Deployment")...)
}

// Render returns the objects of kustomizations; their folders are relative to the repository's root.
// kubectl renders them as `kubectl apply -k` would.
func Render(ctx context.Context, folders ...string) ([]*unstructured.Unstructured, error) {
	cache, err := platform.DefaultCache()
	if err != nil {
		return nil, err
	}
	kubectl, err := cache.Tool(ctx, "kubectl")
	if err != nil {
		return nil, err
	}
	root, err := platform.RepoRoot()
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, folder := range folders {
		var stderr bytes.Buffer
		cmd := exec.CommandContext(ctx, kubectl, "kustomize", filepath.Join(root, folder))
		cmd.Stderr = &stderr
		text, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("render %s: %w: %s", folder, err, &stderr)
		}
		found, err := Decode(text)
		if err != nil {
			return nil, fmt.Errorf("render %s: %w", folder, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// Decode reads the documents of a YAML text; empty ones are left out.
func Decode(text []byte) (objects []*unstructured.Unstructured, err error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// Without returns the objects that are of none of the kinds.
func Without(objects []*unstructured.Unstructured, kinds ...string) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(objects), func(o *unstructured.Unstructured) bool {
		return slices.Contains(kinds, o.GetKind())
	})
}

// Listen gives every listener of the Gateways among the objects the port, and every TenantClass that
// routes by Ingress: a Gateway of Traefik has the ports of Traefik's entry points, and the class is asked
// where to probe.
func Listen(objects []*unstructured.Unstructured, port int) error {
	for _, object := range objects {
		if _, byIngress, _ := unstructured.NestedMap(object.Object, "spec", "routing", "ingress"); byIngress && object.GetKind() == "TenantClass" {
			if err := unstructured.SetNestedField(object.Object, int64(port), "spec", "routing", "ingress", "port"); err != nil {
				return err
			}
		}
		if object.GetKind() != "Gateway" {
			continue
		}
		listeners, _, err := unstructured.NestedSlice(object.Object, "spec", "listeners")
		if err != nil {
			return fmt.Errorf("listeners of Gateway %s: %w", object.GetName(), err)
		}
		for _, entry := range listeners {
			if listener, ok := entry.(map[string]any); ok {
				listener["port"] = int64(port)
			}
		}
		if err := unstructured.SetNestedSlice(object.Object, listeners, "spec", "listeners"); err != nil {
			return err
		}
	}
	return nil
}

// Namespaces returns the objects of that kind and the others, both in the given order: what others
// put into a namespace comes between the two.
func Namespaces(objects []*unstructured.Unstructured) (namespaces, others []*unstructured.Unstructured) {
	for _, object := range objects {
		if object.GetKind() == "Namespace" {
			namespaces = append(namespaces, object)
		} else {
			others = append(others, object)
		}
	}
	return namespaces, others
}

// ConnectionSecret is the Secret of a TenantDatabase, with the connection as one URL.
func ConnectionSecret(namespace, name, dsn string) *unstructured.Unstructured {
	secret := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Secret",
		// SetNestedField would refuse bytes; base64 is what the API takes in JSON.
		"data": map[string]any{"uri": encode(dsn)},
	}}
	secret.SetNamespace(namespace)
	secret.SetName(name)
	return secret
}
