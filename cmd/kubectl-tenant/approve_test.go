package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// What is to be approved cannot hide what needs the approval: names in it come from the files.
func TestFindingsSteerNoTerminal(t *testing.T) {
	ms := &v1alpha1.MigrationSet{}
	ms.Status.Proposed = &v1alpha1.ProposedVersion{MigrationSetVersion: v1alpha1.MigrationSetVersion{Version: "4"}}
	ms.Status.Lint = &v1alpha1.LintStatus{Findings: []v1alpha1.LintFinding{
		{Rule: "drop-table", File: "0004_a.sql", Line: 1, Object: "orders", Blocking: true, Message: "gone"},
		{Rule: "drop-type", File: "0004_a.sql", Line: 2, Object: "x\x1b[1A\x1b[2K\rprices\u202e", Message: "gone"},
	}}
	var out bytes.Buffer
	printFindings(&out, ms)
	if text := out.String(); strings.ContainsAny(text, "\x1b\r\u202e") || !strings.Contains(text, "orders") || !strings.Contains(text, "prices") {
		t.Errorf("printed:\n%q", text)
	}
}
