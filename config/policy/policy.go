// Package policy carries the admission policies that the operator has to know word for word.
package policy

import _ "embed"

// Approvals is the policy that guards approvals, and its binding.
//
//go:embed approvals.yaml
var Approvals []byte
