package probes

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

// Whatever stands in a string field of the kinds, the API server refuses it by a message that names
// the field, or keeps exactly that text. The fields are those of the CRDs: one that no object of bases
// has fails the test.
func TestInjectionAPI(t *testing.T) {
	s := clusterOf(t)
	index := 0
	for _, plural := range []string{"tenants", "tenantclasses", "tenantdatabases", "migrationsets", "domainclaims"} {
		for _, f := range append(stringFields(t, s, plural), field{plural: plural, path: []string{"metadata", "name"}}) {
			index++
			t.Run(f.String(), func(t *testing.T) { f.inject(t, s, index) })
		}
	}
}

// field is one string in a kind's schema: names of properties, [] for the first item of a list, {} for
// a value of a map and {key} for its key.
type field struct {
	plural string
	path   []string
}

func (f field) String() string {
	return f.plural + " " + strings.NewReplacer(".[]", "[]", ".{}", "{}", ".{key}", "{key}").Replace(strings.Join(f.path, "."))
}

func stringFields(t *testing.T, s *operator.Servers, plural string) (all []field) {
	t.Helper()
	crd := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}}
	if err := s.Admin.Get(t.Context(), client.ObjectKey{Name: plural + ".tenantry.dev"}, crd); err != nil {
		t.Fatal(err)
	}
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	schema := versions[0].(map[string]any)["schema"].(map[string]any)["openAPIV3Schema"].(map[string]any)
	walk(schema["properties"].(map[string]any)["spec"].(map[string]any), []string{"spec"}, func(path []string) {
		all = append(all, field{plural, slices.Clone(path)})
	})
	return all
}

func walk(node map[string]any, path []string, visit func([]string)) {
	at := func(name string) []string { return append(slices.Clone(path), name) }
	if node["type"] == "string" || node["x-kubernetes-int-or-string"] == true { // a quantity is a text, too
		visit(path)
	}
	if properties, ok := node["properties"].(map[string]any); ok {
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			walk(properties[name].(map[string]any), at(name), visit)
		}
	}
	if items, ok := node["items"].(map[string]any); ok {
		walk(items, at("[]"), visit)
	}
	if values, ok := node["additionalProperties"].(map[string]any); ok {
		visit(at("{key}"))
		walk(values, at("{}"), visit)
	}
}

func (f field) inject(t *testing.T, s *operator.Servers, index int) {
	r := result{table: injection, where: "API", name: f.String(), want: "exactly the text, or 422 that names the field", got: "the probe failed", unexpected: true}
	defer func() { results.add(t, r) }()
	base, writer := f.base(t), f.writer(t, s)
	var exact, refusals, tried int
	var wrong []string
	for _, text := range sample(hostile, index) {
		if !utf8.ValidString(text) {
			continue // JSON has valid texts only
		}
		tried++
		object := &unstructured.Unstructured{Object: clone(t, base)}
		f.set(object.Object, text)
		err := writer.Create(t.Context(), object, client.DryRunAll)
		switch got, found := f.get(object.Object, text); {
		case err == nil && found && got == text:
			exact++
		case err == nil:
			wrong = append(wrong, fmt.Sprintf("%q became %q", text, got))
		case f.refuses(err):
			refusals++
		default:
			wrong = append(wrong, fmt.Sprintf("%q: %v", text, err))
		}
	}
	if t.Failed() {
		return
	}
	r.got = fmt.Sprintf("%d texts: %d exact, %d refused", tried, exact, refusals)
	if r.unexpected = len(wrong) > 0; r.unexpected {
		r.got += "; " + strings.Join(wrong, "; ")
	}
}

// refuses says whether an error is a 422 whose causes name the field, or what holds it, where the rule
// is about more than the field.
func (f field) refuses(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.IsInvalid(err) || status.ErrStatus.Details == nil {
		return false
	}
	isName := reflect.DeepEqual(f.path, []string{"metadata", "name"})
	want := strings.NewReplacer(".[]", "[0]", ".{key}", "", ".{}", "").Replace(strings.Join(f.path, "."))
	return slices.ContainsFunc(status.ErrStatus.Details.Causes, func(c cause) bool {
		// A rule about the whole object has no field to name but in its words.
		aboutAll := isName && c.Field == "<nil>" && strings.Contains(c.Message, "name")
		return c.Message != "" && (aboutAll || c.Field != "" && (strings.HasPrefix(c.Field, want) || strings.HasPrefix(want, c.Field)))
	})
}

// writer is whom the policies let write the kind.
func (f field) writer(t *testing.T, s *operator.Servers) client.Client {
	t.Helper()
	if f.plural == "domainclaims" {
		return must(client.New(s.Operator, client.Options{Scheme: s.Admin.Scheme()}))(t)
	}
	return s.Admin
}

// base is an object of the kind that is valid and has the field.
func (f field) base(t *testing.T) map[string]any {
	t.Helper()
	for _, object := range bases[f.plural] {
		parsed := parse(t, object)
		if _, found := f.get(parsed, ""); found {
			return parsed
		}
	}
	t.Fatalf("no object in bases has %s; add it to one", f)
	return nil
}

func clone(t *testing.T, object map[string]any) map[string]any {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var copied map[string]any
	if err := json.Unmarshal(text, &copied); err != nil {
		t.Fatal(err)
	}
	return copied
}

// set puts a text at the field's place.
func (f field) set(object map[string]any, text string) {
	var node any = object
	for i, step := range f.path {
		last := i == len(f.path)-1
		switch at := node.(type) {
		case []any:
			if last {
				at[0] = text
			}
			node = at[0]
		case map[string]any:
			key := step
			if strings.HasPrefix(step, "{") {
				key = slices.Sorted(maps.Keys(at))[0]
			}
			if step == "{key}" {
				value := at[key]
				delete(at, key)
				at[text] = value
				return
			}
			if last {
				at[key] = text
			}
			node = at[key]
		}
	}
	// A claim's name is its host's: that rule is not the one to meet here.
	if f.plural == "domainclaims" && reflect.DeepEqual(f.path, []string{"spec", "host"}) {
		object["metadata"].(map[string]any)["name"] = domains.ClaimName(text)
	}
}

// get reads the field; of a map's key, whether it is there.
func (f field) get(object map[string]any, key string) (text string, found bool) {
	var node any = object
	for _, step := range f.path {
		switch at := node.(type) {
		case []any:
			if len(at) == 0 {
				return "", false
			}
			node = at[0]
		case map[string]any:
			if len(at) == 0 {
				return "", false
			}
			if step == "{key}" {
				if _, found = at[key]; !found && key == "" {
					return "", true // any key will do for a base
				}
				return key, found
			}
			if strings.HasPrefix(step, "{") {
				step = slices.Sorted(maps.Keys(at))[0]
			}
			if node, found = at[step]; !found {
				return "", false
			}
		default:
			return "", false
		}
	}
	text, found = node.(string)
	return text, found
}
