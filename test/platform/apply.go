package platform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"
)

// fieldManager is the name under which this package applies objects.
const fieldManager = "tenantry-platform"

// establishedWithin bounds how long the API server may take to serve a new kind.
const establishedWithin = 60 * time.Second

// Apply applies YAML files, or all *.yaml files of folders, as the administrator and in the given
// order, each file from top to bottom, like kubectl apply --server-side --force-conflicts. After
// the last object it waits until all CustomResourceDefinitions among them are served.
func (c *ControlPlane) Apply(ctx context.Context, paths ...string) error {
	var objects []*unstructured.Unstructured
	for _, path := range paths {
		files := []string{path}
		if isDir(path) {
			var err error
			if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
				return err
			}
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			found, err := decode(data)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			objects = append(objects, found...)
		}
	}
	return c.ApplyObjects(ctx, objects...)
}

// ApplyYAML applies the objects of a text; see Apply.
func (c *ControlPlane) ApplyYAML(ctx context.Context, text []byte) error {
	objects, err := decode(text)
	if err != nil {
		return err
	}
	return c.ApplyObjects(ctx, objects...)
}

// ApplyObjects applies objects; see Apply. They are changed into what the API server answers.
func (c *ControlPlane) ApplyObjects(ctx context.Context, objects ...*unstructured.Unstructured) error {
	admin, err := c.client()
	if err != nil {
		return err
	}
	var kinds []*unstructured.Unstructured
	for _, object := range objects {
		if err := apply(ctx, admin, object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if object.GetKind() == "CustomResourceDefinition" {
			kinds = append(kinds, object)
		}
	}
	for _, kind := range kinds {
		if err := c.WaitForCondition(ctx, establishedWithin, kind, "Established"); err != nil {
			return err
		}
	}
	return nil
}

// client returns a client for objects of any kind that logs nothing: whether and where to log is for
// the program that uses this package to say.
func (c *ControlPlane) client() (client.Client, error) {
	config := rest.CopyConfig(c.Config)
	config.WarningHandlerWithContext = rest.NoWarnings{}
	return client.New(config, client.Options{Scheme: runtime.NewScheme(), Log: log.Log.WithSink(log.NullLogSink{})})
}

func apply(ctx context.Context, admin client.Client, object *unstructured.Unstructured) error {
	namespaced, err := admin.IsObjectNamespaced(object)
	if err != nil {
		return err
	}
	if namespaced && object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	return admin.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldManager), client.ForceOwnership)
}

// WaitForCondition waits until the object's status has the condition with status True. The error
// of a wait that was too short tells the last status. The object is changed into what was read.
func (c *ControlPlane) WaitForCondition(ctx context.Context, limit time.Duration, object *unstructured.Unstructured, condition string) error {
	admin, err := c.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		failed := admin.Get(ctx, client.ObjectKeyFromObject(object), object)
		if failed == nil && hasCondition(object, condition) {
			return nil
		}
		if err := sleep(ctx, pollEvery); err != nil {
			status, merr := json.Marshal(object.Object["status"])
			return fmt.Errorf("%s %s is not %s after %s: status %s: %w",
				object.GetKind(), object.GetName(), condition, limit, status, errors.Join(failed, merr))
		}
	}
}

func hasCondition(object *unstructured.Unstructured, condition string) bool {
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	return err == nil && slices.ContainsFunc(conditions, func(entry any) bool {
		fields, ok := entry.(map[string]any)
		return ok && fields["type"] == condition && fields["status"] == "True"
	})
}

// decode reads the documents of a YAML text; empty ones are left out.
func decode(text []byte) (objects []*unstructured.Unstructured, err error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// InstallGatewayAPI installs the standard kinds of Gateway API, from the module that this project
// is built with.
func (c *ControlPlane) InstallGatewayAPI(ctx context.Context) error {
	root, err := RepoRoot()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", "sigs.k8s.io/gateway-api")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("find the module of Gateway API: %w: %s", err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(module.Dir, "config", "crd", "standard", "gateway.networking.k8s.io_*.yaml"))
	if err != nil {
		return err
	}
	// The admission policy beside them guards against downgrades, which cannot happen here.
	files = slices.DeleteFunc(files, func(file string) bool { return strings.Contains(file, "_vap_") })
	if len(files) == 0 {
		return fmt.Errorf("no kinds of Gateway API in %s", module.Dir)
	}
	return c.Apply(ctx, files...)
}
