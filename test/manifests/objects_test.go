package manifests

import (
	"bufio"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// objects reads the documents of a YAML text.
func objects(text string) (found []*unstructured.Unstructured, err error) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			found = append(found, object)
		}
	}
}

// fields reads a YAML text as a map.
func fields(t *testing.T, text string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	return m
}

// merge changes object by patch as a JSON merge patch does: null removes, maps are merged.
func merge(object, patch map[string]any) {
	for key, value := range patch {
		change, isMap := value.(map[string]any)
		old, wasMap := object[key].(map[string]any)
		switch {
		case value == nil:
			delete(object, key)
		case isMap && wasMap:
			merge(old, change)
		default:
			object[key] = value
		}
	}
}

// equal compares two decoded JSON values.
func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// create creates an object that is deleted after the test.
func create(t *testing.T, object *unstructured.Unstructured) {
	t.Helper()
	if err := admin.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := admin.Delete(ctx, object); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
}

// rename gives an object another name, and a claim the host that its name says.
func rename(object *unstructured.Unstructured, name string) {
	object.SetName(name)
	if spec, ok := object.Object["spec"].(map[string]any); ok && object.GetKind() == "DomainClaim" {
		spec["host"] = name
	}
}
