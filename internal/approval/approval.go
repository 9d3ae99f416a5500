// Package approval says when an approval of a MigrationSet's version can be trusted. An annotation is a
// field that whoever may write the object could forge; an admission policy holds it to the name that the
// API server knows and to the right to approve (config/policy/approvals.yaml). So an approval counts only
// while just that policy is in force, and only if it was given under it: its value holds a code that
// nobody could know before. What was written into the annotation earlier, or for other files, is void.
package approval

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/config/policy"
	"github.com/tenantry/tenantry/internal/fault"
)

// Policy is the name of the admission policy, and of its binding.
const Policy = "tenantry-approvals"

// Settle is how long a policy must have been there before it is trusted: API servers take in a new one a
// moment after it is made.
const Settle = 10 * time.Second

// recheck is how often a policy is looked for that is not in force: nothing is watched for it.
const recheck = time.Minute

// Keeper looks after the policy.
type Keeper struct {
	// Live reads from the API server itself: a cache would watch every policy of the cluster.
	Live client.Reader
	// Settle replaces the constant, for tests.
	Settle time.Duration
}

// Guard names the policy in force: another one, or one that was changed meanwhile, is another guard.
type Guard string

// Value is the value of the annotation that approves one state of one set's files under a guard.
func (g Guard) Value(set types.UID, digest string) string {
	const code = 16
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %s", g, set, digest))
	return digest + "." + hex.EncodeToString(sum[:])[:code]
}

// Guard returns the guard in force. Its error is a Waiting fault (ApprovalUnguarded) that says what is
// missing.
func (k *Keeper) Guard(ctx context.Context, now time.Time) (Guard, error) {
	want, wantBinding, err := shipped()
	if err != nil {
		return "", err
	}
	is, binding := &admissionv1.ValidatingAdmissionPolicy{}, &admissionv1.ValidatingAdmissionPolicyBinding{}
	for _, o := range []client.Object{is, binding} {
		if err := k.Live.Get(ctx, client.ObjectKey{Name: Policy}, o); err != nil {
			return "", unread(err)
		}
	}
	switch {
	case !equality.Semantic.DeepEqual(flat(is.Spec), flat(want.Spec)):
		return "", unguarded("the ValidatingAdmissionPolicy %s is not the one that this release of the operator ships", Policy)
	case binding.Spec.PolicyName != wantBinding.Spec.PolicyName || binding.Spec.MatchResources != nil || binding.Spec.ParamRef != nil ||
		!slices.Contains(binding.Spec.ValidationActions, admissionv1.Deny):
		return "", unguarded("the ValidatingAdmissionPolicyBinding %s does not deny everywhere", Policy)
	case !is.DeletionTimestamp.IsZero() || !binding.DeletionTimestamp.IsZero():
		return "", unguarded("the ValidatingAdmissionPolicy %s is being deleted", Policy)
	}
	settle := k.Settle
	if settle == 0 {
		settle = Settle
	}
	if age := now.Sub(changed(is, binding)); age < settle {
		return "", fault.NewWaiting(v1alpha1.ReasonApprovalUnguarded, settle-age+time.Second,
			"the admission policy that guards approvals has just been installed; API servers take it in within %s", settle)
	}
	return Guard(fmt.Sprintf("%s %d %s %d", is.UID, is.Generation, binding.UID, binding.Generation)), nil
}

// shipped are the policy and its binding as this operator knows them.
func shipped() (p admissionv1.ValidatingAdmissionPolicy, b admissionv1.ValidatingAdmissionPolicyBinding, err error) {
	documents := bytes.SplitN(policy.Approvals, []byte("\n---\n"), 2)
	if err := yaml.UnmarshalStrict(documents[0], &p); err != nil {
		return p, b, fmt.Errorf("config/policy/approvals.yaml: %w", err)
	}
	if err := yaml.UnmarshalStrict(documents[1], &b); err != nil {
		return p, b, fmt.Errorf("config/policy/approvals.yaml: %w", err)
	}
	return p, b, nil
}

// flat makes all white space of expressions one blank: tools that render manifests break lines anew. No
// literal of the policy holds any that counts.
func flat(spec admissionv1.ValidatingAdmissionPolicySpec) admissionv1.ValidatingAdmissionPolicySpec {
	spec = *spec.DeepCopy()
	one := func(text *string) { *text = strings.Join(strings.Fields(*text), " ") }
	for i := range spec.Variables {
		one(&spec.Variables[i].Expression)
	}
	for i := range spec.Validations {
		one(&spec.Validations[i].Expression)
		one(&spec.Validations[i].Message)
		one(&spec.Validations[i].MessageExpression)
	}
	return spec
}

// changed is when any of the objects was last written.
func changed(objects ...client.Object) time.Time {
	var last metav1.Time
	for _, o := range objects {
		if created := o.GetCreationTimestamp(); last.Before(&created) {
			last = created
		}
		for _, entry := range o.GetManagedFields() {
			if last.Before(entry.Time) {
				last = *entry.Time
			}
		}
	}
	return last.Time
}

func unread(err error) error {
	switch {
	case apierrors.IsNotFound(err):
		return unguarded("the ValidatingAdmissionPolicy %s, or its binding, is not installed", Policy)
	case apierrors.IsForbidden(err):
		return unguarded("the operator may not read the ValidatingAdmissionPolicy %s and its binding", Policy)
	}
	return fmt.Errorf("read ValidatingAdmissionPolicy %s: %w", Policy, err)
}

func unguarded(format string, args ...any) error {
	return fault.NewWaiting(v1alpha1.ReasonApprovalUnguarded, recheck, format, args...)
}
