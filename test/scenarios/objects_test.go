package scenarios

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

type object = conditions.Object

// verdicts is what conditions say, without their messages.
func verdicts(all []metav1.Condition) map[string]string {
	text := map[string]string{}
	for _, c := range all {
		text[c.Type] = string(c.Status) + " " + c.Reason
	}
	return text
}

// schemaOf is the schema that a tenant of the world gets when it asks for none.
func schemaOf(w *operator.World, name string) string {
	return strings.ReplaceAll(w.Namespace+"__"+name, "-", "_")
}
