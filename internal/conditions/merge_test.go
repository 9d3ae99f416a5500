package conditions

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// whole is the same patch as the library makes it.
func whole(base, obj Object) ([]byte, error) {
	return client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}).Data(obj)
}

func samePatch(t *testing.T, base, obj Object) {
	t.Helper()
	want, err := whole(base, obj)
	if err != nil {
		t.Fatal(err)
	}
	got, err := StatusPatch(base, obj, base.GetResourceVersion())
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		got = []byte(`{"metadata":{"resourceVersion":"` + base.GetResourceVersion() + `"}}`) // with nothing to lock
	}
	if diff := cmp.Diff(content(t, want), content(t, got)); diff != "" {
		t.Fatalf("patch (-library +ours):\n%s\nof %s", diff, got)
	}
	if unlocked, err := StatusPatch(base, obj, ""); err != nil || strings.Contains(string(unlocked), `"metadata"`) {
		t.Fatalf("without a version: %s, %v", unlocked, err)
	}
}

func content(t *testing.T, text []byte) (value map[string]any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return value
}

func TestStatusPatch(t *testing.T) {
	text := func(status v1alpha1.TenantStatus, of v1alpha1.TenantStatus) string {
		base, obj := &v1alpha1.Tenant{Status: status}, &v1alpha1.Tenant{Status: of}
		patch, err := StatusPatch(base, obj, `7"`)
		if err != nil {
			t.Fatal(err)
		}
		return string(patch)
	}
	const lock = `,"metadata":{"resourceVersion":"7\""}}`
	ref := func(namespace, name string) *v1alpha1.NamespacedReference {
		return &v1alpha1.NamespacedReference{Namespace: namespace, Name: name}
	}
	for name, tt := range map[string]struct {
		from, to v1alpha1.TenantStatus
		want     string
	}{
		"nothing":           {v1alpha1.TenantStatus{}, v1alpha1.TenantStatus{}, ""},
		"the same":          {v1alpha1.TenantStatus{Database: ref("a", "b")}, v1alpha1.TenantStatus{Database: ref("a", "b")}, ""},
		"no list, or empty": {v1alpha1.TenantStatus{Schema: "a"}, v1alpha1.TenantStatus{Schema: "a", Conditions: []metav1.Condition{}}, ""},
		"the first":         {v1alpha1.TenantStatus{}, v1alpha1.TenantStatus{Schema: "a"}, `{"status":{"schema":"a"}` + lock},
		"one is gone":       {v1alpha1.TenantStatus{Schema: "a", Version: "1"}, v1alpha1.TenantStatus{Schema: "a"}, `{"status":{"version":null}` + lock},
		"all are gone":      {v1alpha1.TenantStatus{Schema: "a"}, v1alpha1.TenantStatus{}, `{"status":null` + lock},
		"in an object":      {v1alpha1.TenantStatus{Database: ref("a", "b")}, v1alpha1.TenantStatus{Database: ref("a", "c")}, `{"status":{"database":{"name":"c"}}` + lock},
		"hard to read": {
			v1alpha1.TenantStatus{Schema: `a\`, Version: `{"`, Digest: `",null`},
			v1alpha1.TenantStatus{Schema: `a\`, Version: `}\\"`, Digest: `",null`},
			`{"status":{"version":"}\\\\\""}` + lock,
		},
	} {
		if got := text(tt.from, tt.to); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Whatever is in the statuses, the patch says what the library's says.
func TestStatusPatchIsTheLibrarys(t *testing.T) {
	for name, kind := range map[string]func() Object{
		"Tenant":         func() Object { return &v1alpha1.Tenant{} },
		"TenantClass":    func() Object { return &v1alpha1.TenantClass{} },
		"TenantDatabase": func() Object { return &v1alpha1.TenantDatabase{} },
		"MigrationSet":   func() Object { return &v1alpha1.MigrationSet{} },
		"DomainClaim":    func() Object { return &v1alpha1.DomainClaim{} },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(300) {
				r := filler{rand.New(rand.NewPCG(seed, 0))}
				base := kind()
				base.SetName("acme")
				base.SetResourceVersion("1234")
				if r.IntN(10) > 0 {
					r.fill(statusOf(base))
				}
				obj := base.DeepCopyObject().(Object)
				r.change(statusOf(obj))
				samePatch(t, base, obj)
				samePatch(t, obj, base)
				samePatch(t, base, base)
			}
		})
	}
}

// filler fills values at random.
type filler struct{ *rand.Rand }

// change fills parts of a status anew, and may leave nothing of it.
func (r filler) change(v reflect.Value) {
	if r.IntN(20) == 0 {
		v.SetZero()
		return
	}
	for _, field := range v.Fields() {
		switch {
		case r.IntN(3) > 0:
		case field.Kind() == reflect.Pointer && !field.IsNil() && field.Elem().Kind() == reflect.Struct && field.Type() != reflect.TypeFor[*metav1.Time]():
			r.change(field.Elem())
		default:
			r.fill(field)
		}
	}
}

func (r filler) fill(v reflect.Value) {
	if at, ok := reflect.TypeAssert[*metav1.Time](v.Addr()); ok {
		*at = metav1.NewTime(time.Unix(r.Int64N(3), r.Int64N(2)))
		return
	}
	switch v.Kind() {
	case reflect.String:
		const hard = `"\{}[]:,<&é` + "\u2028\n\x00\xff a"
		var text strings.Builder
		for range r.IntN(5) {
			text.WriteByte(hard[r.IntN(len(hard))])
		}
		v.SetString(text.String())
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(r.Int64N(5) - 1)
	case reflect.Pointer:
		if v.SetZero(); r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			r.fill(v.Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(3), 3))
		for i := range v.Len() {
			r.fill(v.Index(i))
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			r.fill(field)
		}
	default:
		panic(fmt.Sprintf("a status has a %s", v.Type()))
	}
}

func BenchmarkStatusPatch(b *testing.B) {
	now := metav1.Now()
	is := &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Namespace: "tasklane", Name: "acme", UID: "4f0c1b52-0001-4d4e-9c1f-0123456789ab", ResourceVersion: "1234", Finalizers: []string{v1alpha1.Finalizer}}}
	is.Spec.Domains = []string{"acme.example.com", "www.acme.example.com"}
	is.Status = v1alpha1.TenantStatus{
		Database: &v1alpha1.NamespacedReference{Namespace: "tenantry", Name: "main"}, Schema: "tasklane_acme", Version: "1001", Digest: "sha256:" + strings.Repeat("a", 64),
		Binding: &v1alpha1.LocalReference{Name: "acme-db"}, Credentials: &v1alpha1.TenantCredentials{Role: "tasklane_acme_app", Login: "tasklane_acme_app", Since: &now},
		Domains: []v1alpha1.TenantDomainStatus{{Host: "acme.example.com", Claim: "acme.example.com"}, {Host: "www.acme.example.com", Claim: "www.acme.example.com"}},
	}
	for i := range 10 {
		True(is, fmt.Sprintf("Condition%d", i), v1alpha1.ReasonSucceeded, "Schema tasklane_acme is at version 1001, which is the newest one of MigrationSet app")
	}
	upgraded := is.DeepCopy()
	upgraded.Status.Version = "1002"
	True(upgraded, "Condition3", v1alpha1.ReasonSucceeded, "Schema tasklane_acme is at version 1002, which is the newest one of MigrationSet app")
	made := is.DeepCopy()
	made.Status = v1alpha1.TenantStatus{}
	for name, base := range map[string]*v1alpha1.Tenant{"made": made, "upgraded": upgraded, "nothing new": is.DeepCopy()} {
		for by, patch := range map[string]func(base, obj Object) ([]byte, error){
			"library": func(base, obj Object) ([]byte, error) {
				if equality.Semantic.DeepEqual(base, obj) {
					return nil, nil
				}
				return whole(base, obj)
			},
			"ours": func(base, obj Object) ([]byte, error) { return StatusPatch(base, obj, base.GetResourceVersion()) },
		} {
			b.Run(name+"/"+by, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := patch(base, is); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
