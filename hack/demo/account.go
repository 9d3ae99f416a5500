package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Bounds of an account: it is read on a terminal.
const (
	maxWarnings = 10
	maxLogLines = 15
)

// reporter is any of Tenantry's kinds.
type reporter interface {
	client.Object
	GetConditions() *[]metav1.Condition
}

// account says what is not Ready and why: conditions, warnings, and the operator's last words. What
// cannot be read is said in its place.
func (d *demo) account(ctx context.Context) string {
	var b strings.Builder
	for _, list := range []client.ObjectList{
		&v1alpha1.TenantDatabaseList{}, &v1alpha1.MigrationSetList{}, &v1alpha1.TenantClassList{}, &v1alpha1.TenantList{},
	} {
		err := d.admin.List(ctx, list)
		if err == nil {
			err = meta.EachListItem(list, func(o runtime.Object) error {
				if object, ok := o.(reporter); ok {
					b.WriteString(explain(object))
				}
				return nil
			})
		}
		if err != nil {
			fmt.Fprintf(&b, "cannot list: %v\n", err)
		}
	}
	events := &corev1.EventList{}
	if err := d.admin.List(ctx, events); err != nil {
		fmt.Fprintf(&b, "cannot list events: %v\n", err)
	}
	b.WriteString(warnings(events.Items, b.String()))
	if !d.operator.Running() {
		b.WriteString("The operator does not run.\n")
	}
	fmt.Fprintf(&b, "The operator's log is %s\n%s", d.operator.LogPath, indent(d.lastWords()))
	return b.String()
}

// explain tells of an object that is not Ready which conditions are not True; nothing of others.
// Reconciling and Stalled repeat what the others say.
func explain(o reporter) string {
	conditions := *o.GetConditions()
	if meta.IsStatusConditionTrue(conditions, v1alpha1.ConditionReady) {
		return ""
	}
	name := strings.TrimPrefix(o.GetNamespace()+"/"+o.GetName(), "/")
	if len(conditions) == 0 {
		return fmt.Sprintf("%s %s has no conditions yet: the operator has not looked at it\n", kindOf(o), name)
	}
	var details, ready string
	for _, c := range conditions {
		text := fmt.Sprintf("  %s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
		switch {
		case c.Type == v1alpha1.ConditionReady:
			ready = text
		case c.Status != metav1.ConditionTrue:
			details += text
		}
	}
	if details == "" {
		details = ready
	}
	return fmt.Sprintf("%s %s is not Ready\n%s", kindOf(o), name, details)
}

// kindOf names the kind: objects of a list come without it.
func kindOf(o reporter) string {
	name := fmt.Sprintf("%T", o)
	return name[strings.LastIndexByte(name, '.')+1:]
}

// warnings returns the newest warnings, the last one last, but not what was said already.
func warnings(events []corev1.Event, said string) string {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b corev1.Event) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	var lines []string
	for _, e := range events {
		_, message, _ := strings.Cut(e.Message, ": ") // after the condition's name
		if e.Type != corev1.EventTypeWarning || message != "" && strings.Contains(said, message) {
			continue
		}
		lines = append(lines, fmt.Sprintf("  %s %s/%s: %s: %s\n",
			e.InvolvedObject.Kind, e.InvolvedObject.Namespace, e.InvolvedObject.Name, e.Reason, e.Message))
	}
	if len(lines) == 0 {
		return ""
	}
	return "Earlier warnings\n" + strings.Join(lines[max(0, len(lines)-maxWarnings):], "")
}

// lastWords returns the last lines of the operator's log that tell of more than its work.
func (d *demo) lastWords() string {
	data, err := os.ReadFile(d.operator.LogPath)
	if err != nil {
		return err.Error()
	}
	return lastTroubles(string(data), maxLogLines)
}

func lastTroubles(log string, n int) string {
	var lines []string
	for line := range strings.Lines(log) {
		if !strings.Contains(line, "\tINFO\t") && !strings.Contains(line, "\tDEBUG\t") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return "It tells of no error.\n"
	}
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
