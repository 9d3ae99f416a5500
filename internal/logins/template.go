package logins

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A template is text with fields in it, and no more: it has no conditions, loops or variables, and
// nothing in it reads a file, the environment or another object. What comes out is no longer than its
// fields make it.

// field is one place of a template where a field stands, the same as the API's own rule has it.
var field = regexp.MustCompile(`^\{\{ *\.([A-Za-z]+)((?: *\| *[a-z0-9]+)*) *\}\}`)

// functions of templates.
var functions = map[string]func(string) string{
	"urlquery": postgres.PercentEncode,
	"base64":   func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"json": func(s string) string {
		text, err := json.Marshal(s)
		if err != nil {
			return `""` // strings always marshal
		}
		return string(text)
	},
}

// Fields are what templates can name.
type Fields struct {
	Host, Port, Database, Username, Password string
	Schema, SharedSchema, SearchPath, Role   string
	URI, SSLMode, Namespace, Name            string
}

func (f *Fields) named(name string) (value string, found bool) {
	switch name {
	case "Host":
		return f.Host, true
	case "Port":
		return f.Port, true
	case "Database":
		return f.Database, true
	case "Username":
		return f.Username, true
	case "Password":
		return f.Password, true
	case "Schema":
		return f.Schema, true
	case "SharedSchema":
		return f.SharedSchema, true
	case "SearchPath":
		return f.SearchPath, true
	case "Role":
		return f.Role, true
	case "URI":
		return f.URI, true
	case "SSLMode":
		return f.SSLMode, true
	case "Namespace":
		return f.Namespace, true
	case "Name":
		return f.Name, true
	}
	return "", false
}

// Extra returns the further keys that a class asks for. The error is a fault that names key and place,
// and quotes no value.
func Extra(keys []v1alpha1.SecretKey, fields Fields) (map[string][]byte, error) {
	extra := map[string][]byte{}
	for _, k := range keys {
		value, err := Render(k.Template, fields)
		if err != nil {
			return nil, fault.NewInvalid(v1alpha1.ReasonInvalidTemplate, "spec.credentials.extraKeys[%s].template of the class %s", k.Key, fault.Of(err, "").Message)
		}
		extra[k.Key] = []byte(value)
	}
	return extra, nil
}

// Put writes keys into a Secret and takes those away that came from a template which is there no more:
// what it holds, such as a password, would be out of date one day.
func Put(secret *corev1.Secret, data map[string][]byte, extra []v1alpha1.SecretKey) {
	for key := range strings.SplitSeq(secret.Annotations[v1alpha1.AnnotationExtraKeys], ",") {
		if _, wanted := data[key]; !wanted {
			delete(secret.Data, key)
		}
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	maps.Copy(secret.Data, data)
	if len(extra) == 0 {
		delete(secret.Annotations, v1alpha1.AnnotationExtraKeys)
		return
	}
	names := make([]string, len(extra))
	for i, k := range extra {
		names[i] = k.Key
	}
	if secret.Annotations == nil {
		secret.Annotations = map[string]string{}
	}
	secret.Annotations[v1alpha1.AnnotationExtraKeys] = strings.Join(names, ",")
}

// Render puts fields into a template.
func Render(template string, fields Fields) (string, error) {
	var b strings.Builder
	for at := 0; ; {
		next := strings.Index(template[at:], "{{")
		if next < 0 {
			b.WriteString(template[at:])
			return b.String(), nil
		}
		b.WriteString(template[at : at+next])
		at += next
		m := field.FindStringSubmatch(template[at:])
		if m == nil {
			return "", invalid("has {{ at character %d without a field: write {{ .Host }} or {{ .Host | urlquery }}", at+1)
		}
		value, found := fields.named(m[1])
		if !found {
			return "", invalid("names the field %q, which there is not", m[1])
		}
		for name := range strings.SplitSeq(m[2], "|") {
			if name = strings.Trim(name, " "); name == "" {
				continue
			}
			f, found := functions[name]
			if !found {
				return "", invalid("names the function %q; there are urlquery, base64 and json", name)
			}
			value = f(value)
		}
		b.WriteString(value)
		at += len(m[0])
	}
}

func invalid(format string, args ...any) error {
	return fault.NewInvalid(v1alpha1.ReasonInvalidTemplate, format, args...)
}
