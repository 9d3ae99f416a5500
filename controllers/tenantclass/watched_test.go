package tenantclass

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/namespaces"
)

// Whatever field of a class names a namespace, one into which the operator does not look is told, by the
// field: also one that comes to the API later.
func TestEveryReferenceIsChecked(t *testing.T) {
	class := &v1alpha1.TenantClass{}
	var named []string
	name(reflect.ValueOf(&class.Spec).Elem(), &named)
	if len(named) < 8 {
		t.Fatalf("%d fields name a namespace", len(named))
	}
	var refs []string
	for _, ref := range references(class) {
		refs = append(refs, ref.namespace)
	}
	for i, namespace := range named {
		if !slices.Contains(refs, namespace) {
			t.Errorf("%s is in no reference", namespace)
		}
		others := slices.Delete(slices.Clone(named), i, i+1)
		r := &Reconciler{Namespaces: namespaces.Set(others)}
		err := r.checkWatched(class)
		if fault.ReasonOf(err) != v1alpha1.ReasonNamespaceNotWatched || !strings.Contains(err.Error(), namespace) || !strings.HasPrefix(err.Error(), "spec.") {
			t.Errorf("%s: %v", namespace, err)
		}
	}
	if err := (&Reconciler{}).checkWatched(class); err != nil {
		t.Errorf("where the operator looks everywhere: %v", err)
	}
}

// name gives each field Namespace of a value a text of its own; what is left out is filled.
func name(v reflect.Value, named *[]string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		name(v.Elem(), named)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		name(v.Index(0), named)
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[v1alpha1.TenantClassSpec]().PkgPath() {
			return
		}
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.Name == "Namespace" {
				*named = append(*named, fmt.Sprintf("n%d", 100+len(*named)))
				v.Field(i).SetString((*named)[len(*named)-1])
			} else {
				name(v.Field(i), named)
			}
		}
	default: // no reference
	}
}
