// Package conditions sets status conditions at an object's generation, sums them up into Ready,
// Reconciling and Stalled as kstatus reads them, and writes the status once, only if it changed,
// with one event for each transition. It knows every kind only through Object.
package conditions

import (
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxMessage bounds a message, in bytes; the API takes 32 KiB, a reader far less. Statements that a
// DBA should run have to fit.
const maxMessage = 4096

// Object is a kind with conditions in its status.
type Object interface {
	client.Object
	GetConditions() *[]metav1.Condition
	SetObservedGeneration(generation int64)
}

// Set sets a condition at the object's generation. The transition time moves only with the status.
func Set(obj Object, conditionType string, status metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(obj.GetConditions(), metav1.Condition{
		Type:               conditionType,
		Status:             status,
		Reason:             reason,
		Message:            clip(message),
		ObservedGeneration: obj.GetGeneration(),
	})
}

// True sets a condition to True.
func True(obj Object, conditionType, reason, message string) {
	Set(obj, conditionType, metav1.ConditionTrue, reason, message)
}

// False sets a condition to False.
func False(obj Object, conditionType, reason, message string) {
	Set(obj, conditionType, metav1.ConditionFalse, reason, message)
}

// Unknown sets a condition to Unknown.
func Unknown(obj Object, conditionType, reason, message string) {
	Set(obj, conditionType, metav1.ConditionUnknown, reason, message)
}

// Remove takes a condition away.
func Remove(obj Object, conditionType string) {
	meta.RemoveStatusCondition(obj.GetConditions(), conditionType)
}

// IsTrue says whether a condition is True, whatever generation it was seen at.
func IsTrue(obj Object, conditionType string) bool {
	return meta.IsStatusConditionTrue(*obj.GetConditions(), conditionType)
}

// Current says whether a condition is True at the object's present generation.
func Current(obj Object, conditionType string) bool {
	c := Get(obj, conditionType)
	return c != nil && c.Status == metav1.ConditionTrue && c.ObservedGeneration == obj.GetGeneration()
}

// Get returns a condition, or nil.
func Get(obj Object, conditionType string) *metav1.Condition {
	return meta.FindStatusCondition(*obj.GetConditions(), conditionType)
}

func clip(s string) string { return ClipTo(s, maxMessage) }

// ClipTo cuts s to at most n bytes, never inside a character. What was cut ends with dots.
func ClipTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	cut := n - len("...")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
