package v1alpha1_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// constant matches a reason's or a cause's declaration and captures its value.
var constant = regexp.MustCompile(`(?m)^\s*(?:Reason\w+|\w+ +Cause)\s*=\s*"(\w+)"`)

func values(t *testing.T, patterns ...string) []string {
	t.Helper()
	var found []string
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range constant.FindAllStringSubmatch(string(text), -1) {
				found = append(found, m[1])
			}
		}
	}
	return found
}

// Whoever meets a reason finds it in docs/troubleshooting.md, and the packages below, which know no
// Kubernetes, invent none that the API does not have.
func TestReasonsAreDocumented(t *testing.T) {
	reasons := values(t, "conditions.go")
	if len(reasons) < 60 {
		t.Fatalf("found only %d reasons: %v", len(reasons), reasons)
	}
	guide, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, reason := range reasons {
		if !strings.Contains(string(guide), "`"+reason+"`") {
			t.Errorf("docs/troubleshooting.md has no row for %s", reason)
		}
	}
	for _, reason := range values(t, "../../internal/postgres/*.go", "../../internal/migrations/*.go") {
		if !slices.Contains(reasons, reason) {
			t.Errorf("conditions.go lacks %s, which a package below gives", reason)
		}
	}
}
