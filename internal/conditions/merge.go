package conditions

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
)

// StatusPatch is the JSON merge patch that makes base's status obj's, or nil where they are the same. It says what
// client.MergeFrom says of two objects that differ in nothing else, at a quarter of the cost: that one writes both
// whole objects as JSON and reads them again. With a resource version the patch is for an object at just this
// version, as with client.MergeFromWithOptimisticLock.
func StatusPatch(base, obj Object, version string) ([]byte, error) {
	before, after := statusOf(base), statusOf(obj)
	if reflect.DeepEqual(before.Interface(), after.Interface()) {
		return nil, nil // most passes
	}
	from, err := statusJSON(before)
	if err != nil {
		return nil, fmt.Errorf("write the status of %s that was: %w", base.GetName(), err)
	}
	to, err := statusJSON(after)
	if err != nil {
		return nil, fmt.Errorf("write the status of %s: %w", obj.GetName(), err)
	}
	lock, err := json.Marshal(version)
	if err != nil {
		return nil, err
	}
	patch := append(make([]byte, 0, len(to)+len(lock)+64), '{')
	if patch = appendChanges(patch, from, to); len(patch) == 1 {
		return nil, nil
	}
	if version != "" {
		patch = append(append(append(patch, `,"metadata":{"resourceVersion":`...), lock...), '}')
	}
	return append(patch, '}'), nil
}

// statusOf is the field in which every kind has its status.
func statusOf(obj Object) reflect.Value { return reflect.ValueOf(obj).Elem().FieldByName("Status") }

// statusJSON is the JSON of an object that has only a status. As in a whole one, an empty status is left out.
func statusJSON(status reflect.Value) ([]byte, error) {
	var only struct {
		Status any `json:"status,omitempty"`
	}
	if !status.IsZero() {
		only.Status = status.Addr().Interface()
	}
	return json.Marshal(only)
}

// appendChanges appends the members of a merge patch between two objects. One that is an object in both is patched,
// every other one that differs is given as a whole, and null stands for one that is gone.
func appendChanges(patch, from, to []byte) []byte {
	before := members(from)
	for _, m := range members(to) {
		was := take(before, m.name)
		switch {
		case bytes.Equal(was, m.value):
		case was == nil || was[0] != '{' || m.value[0] != '{':
			patch = append(appendName(patch, m.name), m.value...)
		default:
			patch = append(appendName(patch, m.name), '{')
			patch = append(appendChanges(patch, was, m.value), '}')
		}
	}
	for _, m := range before {
		if m.value != nil {
			patch = append(appendName(patch, m.name), "null"...)
		}
	}
	return patch
}

// member of a JSON object; its name has the quotes on.
type member struct{ name, value []byte }

// take returns the value of a member, and leaves nil in its place.
func take(all []member, name []byte) (value []byte) {
	for i, m := range all {
		if bytes.Equal(m.name, name) {
			all[i].value = nil
			return m.value
		}
	}
	return nil
}

func appendName(object, name []byte) []byte {
	if object[len(object)-1] != '{' {
		object = append(object, ',')
	}
	return append(append(object, name...), ':')
}

// members splits an object that json.Marshal wrote: it is well formed, and nothing stands between its parts. To read
// it by package json takes longer than it took to write it.
func members(object []byte) (all []member) {
	for rest := object; len(rest) > 2; { // the last byte of an object is its brace
		rest = rest[1:] // the brace, or a comma
		name := rest[:end(rest)]
		rest = rest[len(name)+1:]
		value := rest[:end(rest)]
		rest = rest[len(value):]
		all = append(all, member{name, value})
	}
	return all
}

// end is where the value ends that stands at the beginning of a text, before the comma, colon or brace behind it.
func end(text []byte) int {
	depth := 0
	for i := 0; ; i++ {
		switch text[i] {
		case '"':
			for i++; text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return i
			}
		case ',', ':':
			if depth == 0 {
				return i
			}
		}
	}
}
