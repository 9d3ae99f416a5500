package manifests

import (
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/approval"
	"github.com/tenantry/tenantry/internal/fault"
)

// Users of the cases: one writes sets, the other one may approve them too.
const (
	writer   = "wendy"
	approver = "anna"
)

// lives makes a namespace in which the users have their roles.
func lives(t *testing.T, clients *kubernetes.Clientset, namespace string, labels map[string]string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: labels}}
	if _, err := clients.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for user, roles := range map[string][]string{writer: {"editor"}, approver: {"editor", "approver"}} {
		for _, role := range roles {
			binding := &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Name: user + "-" + role},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tenantry-migrationset-" + role + "-role"},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
			}
			if _, err := clients.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// person logs in by certificate, with the rights of RBAC alone.
func person(t *testing.T, user string) client.Client {
	t.Helper()
	config, err := plane.User(user)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the policy on approvals says.
const (
	unsigned   = "'tenantry-approvals' with binding 'tenantry-approvals' denied request: whoever sets tenantry.dev/approve signs with the own name"
	unentitled = "'tenantry-approvals' with binding 'tenantry-approvals' denied request: you may not approve versions"
	kept       = "'tenantry-approvals' with binding 'tenantry-approvals' denied request: spec.lint asks for approvals"
	unseen     = "'tenantry-approvals' with binding 'tenantry-approvals' denied request: approvals are asked for here, and what a Job runs"
	strictOnly = "'tenantry-approvals' with binding 'tenantry-approvals' denied request: this namespace is labelled"
)

// approvalCase is a change of a set, of those below, by a user.
type approvalCase struct{ user, set, patch, want string }

// setsToApprove are as they are before each case; "strict" is in a namespace that asks for approvals.
var setsToApprove = map[string]string{
	"plain":    `{}`,
	"asking":   `{spec: {lint: {policy: RequireApproval}}}`,
	"by rule":  `{spec: {lint: {rules: [{name: drop-table, action: RequireApproval}]}}}`,
	"approved": `{metadata: {annotations: {tenantry.dev/approve: d1.c1, tenantry.dev/approved-by: anna}}, spec: {lint: {policy: RequireApproval}}}`,
	"strict":   `{metadata: {namespace: strict}, spec: {lint: {policy: RequireApproval, suppressions: Ignore}}}`,
	"jobs":     `{` + strictly(byJob("a")) + `}`,
}

var approvalCases = map[string]approvalCase{
	"an approver":                               {approver, "asking", `metadata: {annotations: {tenantry.dev/approve: d.c, tenantry.dev/approved-by: anna}}`, allowed},
	"an approver by another's name":             {approver, "asking", `metadata: {annotations: {tenantry.dev/approve: d.c, tenantry.dev/approved-by: wendy}}`, unsigned},
	"an approver without a name":                {approver, "asking", `metadata: {annotations: {tenantry.dev/approve: d.c}}`, unsigned},
	"a writer":                                  {writer, "asking", `metadata: {annotations: {tenantry.dev/approve: d.c, tenantry.dev/approved-by: wendy}}`, unentitled},
	"a writer by the approver's name":           {writer, "asking", `metadata: {annotations: {tenantry.dev/approve: d.c, tenantry.dev/approved-by: anna}}`, unsigned},
	"a writer, another value under a true name": {writer, "approved", `metadata: {annotations: {tenantry.dev/approve: d2.c2}}`, unsigned},
	"a writer, the name alone":                  {writer, "approved", `metadata: {annotations: {tenantry.dev/approved-by: wendy}}`, unentitled},
	"a writer takes an approval away":           {writer, "approved", `metadata: {annotations: {tenantry.dev/approve: null, tenantry.dev/approved-by: null}}`, allowed},
	"a writer changes all else":                 {writer, "approved", `{metadata: {labels: {a: b}}, spec: {lockTimeoutMilliseconds: 100}}`, allowed},
	"another approver goes on":                  {administrator, "approved", `metadata: {annotations: {tenantry.dev/approve: d2.c2, tenantry.dev/approved-by: tenantry-admin}}`, allowed},
	"even an administrator signs truly":         {administrator, "approved", `metadata: {annotations: {tenantry.dev/approve: d2.c2}}`, unsigned},
	"a writer asks for fewer":                   {writer, "asking", `spec: {lint: {policy: Warn}}`, kept},
	"a writer takes lint away":                  {writer, "asking", `spec: {lint: null}`, kept},
	"a writer excepts a rule":                   {writer, "asking", `spec: {lint: {rules: [{name: drop-table, action: Allow}]}}`, kept},
	"a writer changes a rule that asks":         {writer, "by rule", `spec: {lint: {rules: [{name: drop-table, action: Warn}]}}`, kept},
	"an approver asks for fewer":                {approver, "asking", `spec: {lint: {policy: Warn}}`, allowed},
	"a writer asks for more":                    {writer, "plain", `spec: {lint: {policy: RequireApproval}}`, allowed},
	"a writer changes a rule that does not ask": {writer, "plain", `spec: {lint: {rules: [{name: drop-table, action: Allow}]}}`, allowed},
	"a writer where all is asked for":           {writer, "strict", `spec: {lockTimeoutMilliseconds: 100}`, allowed},
	"a writer asks for fewer there":             {writer, "strict", `spec: {lint: {suppressions: Honour}}`, kept},
	"an approver asks for fewer there":          {approver, "strict", `spec: {lint: {policy: Warn}}`, allowed},
	"a writer puts a Job in the files' place":   {writer, "asking", byJob("a"), unseen},
	"an approver puts a Job there":              {approver, "asking", byJob("a"), allowed},
	"a writer changes a Job":                    {writer, "jobs", byJob("b"), unseen},
	"a writer changes all but a Job":            {writer, "jobs", `spec: {lockTimeoutMilliseconds: 100}`, allowed},
	"a writer goes back to files":               {writer, "jobs", `spec: {job: null, source: {configMaps: [{name: a}]}}`, allowed},
	"a writer puts a Job where nothing asks":    {writer, "plain", byJob("a"), allowed},
}

// strictly lets a spec ask for all approvals.
func strictly(spec string) string {
	return strings.Replace(spec, "spec: {", "spec: {lint: {policy: RequireApproval, suppressions: Ignore}, ", 1)
}

// byJob is a set's change to Jobs that run an image.
func byJob(image string) string {
	return `spec: {source: null, job: {framework: Django, version: "1", expect: [shop.0001_initial], template: {image: ` + image + `, command: [migrate]}}}`
}

// created are sets that a user makes.
var approvalsCreated = map[string]approvalCase{
	"with an approval of somebody else":                     {writer, "", `metadata: {annotations: {tenantry.dev/approve: d1.c1, tenantry.dev/approved-by: anna}}`, unsigned},
	"with an own approval without the right":                {writer, "", `metadata: {annotations: {tenantry.dev/approve: d1.c1, tenantry.dev/approved-by: wendy}}`, unentitled},
	"with an own approval":                                  {approver, "", `metadata: {annotations: {tenantry.dev/approve: d1.c1, tenantry.dev/approved-by: anna}}`, allowed},
	"that asks for nothing":                                 {writer, "", `{}`, allowed},
	"that asks for nothing, where all is asked for":         {writer, "", `metadata: {namespace: strict}`, strictOnly},
	"with an exception, where all is asked for":             {writer, "", `{metadata: {namespace: strict}, spec: {lint: {policy: RequireApproval, suppressions: Ignore, rules: [{name: Lock, action: Allow}]}}}`, strictOnly},
	"that asks for all, where all is asked for":             {writer, "", `{metadata: {namespace: strict}, spec: {lint: {policy: RequireApproval, suppressions: Ignore}}}`, allowed},
	"that asks for nothing, by one who may, where all must": {approver, "", `metadata: {namespace: strict}`, allowed},
	"with a Job, where all is asked for":                    {writer, "", `{metadata: {namespace: strict}, ` + strictly(byJob("a")) + `}`, unseen},
	"with a Job, where nothing is":                          {writer, "", `{` + byJob("a") + `}`, allowed},
}

// approvable is a set of the cases, made anew by an administrator.
func approvable(t *testing.T, name, patch string) *unstructured.Unstructured {
	t.Helper()
	set := fields(t, valid["MigrationSet"])
	merge(set, fields(t, `{metadata: {namespace: approvals}}`))
	merge(set, fields(t, patch))
	object := &unstructured.Unstructured{Object: set}
	object.SetName(strings.ReplaceAll(strings.ToLower(name), " ", "-"))
	return object
}

// Nobody approves by another's name or without the right, and nobody makes a set ask for fewer approvals
// who could not give them.
func TestApprovals(t *testing.T) {
	clients := installRoles(t)
	installPolicy(t)
	lives(t, clients, "approvals", nil)
	lives(t, clients, "strict", map[string]string{"tenantry.dev/require-approval": "true"})
	waitFor(t, func() bool {
		set := approvable(t, "probe", `metadata: {annotations: {tenantry.dev/approve: d.c}}`)
		return says(admin.Create(t.Context(), set, client.DryRunAll), unsigned) == ""
	})
	for name, patch := range setsToApprove {
		createAs(t, approver, approvable(t, name, patch))
	}
	for name, tt := range approvalCases {
		t.Run(name, func(t *testing.T) {
			set := approvable(t, tt.set, setsToApprove[tt.set])
			patch, err := yaml.YAMLToJSON([]byte(tt.patch))
			if err != nil {
				t.Fatal(err)
			}
			err = userOf(t, tt.user).Patch(t.Context(), set, client.RawPatch(types.MergePatchType, patch), client.DryRunAll)
			if wrong := says(err, tt.want); wrong != "" {
				t.Error(wrong)
			}
		})
	}
	for name, tt := range approvalsCreated {
		t.Run("a set "+name, func(t *testing.T) {
			err := userOf(t, tt.user).Create(t.Context(), approvable(t, "made", tt.patch), client.DryRunAll)
			if wrong := says(err, tt.want); wrong != "" {
				t.Error(wrong)
			}
		})
	}
}

// userOf returns a client of a user of the cases.
func userOf(t *testing.T, user string) client.Client {
	t.Helper()
	if user == administrator {
		return as(t, user)
	}
	return person(t, user)
}

// The operator trusts an approval only while the policy that it ships is in force, and not in its first
// moments.
func TestApprovalGuard(t *testing.T) {
	live, err := client.New(plane.Config, client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	keeper := approval.Keeper{Live: live, Settle: time.Nanosecond}
	unguarded := func(what, why string) {
		t.Helper()
		_, err := keeper.Guard(t.Context(), time.Now().Add(time.Second))
		if fault.ReasonOf(err) != v1alpha1.ReasonApprovalUnguarded || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want ApprovalUnguarded with %q", what, err, why)
		}
	}
	guarded := func(what string) approval.Guard {
		t.Helper()
		guard, err := keeper.Guard(t.Context(), time.Now().Add(time.Second))
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return guard
	}
	unguarded("before it is installed", "is not installed")
	installPolicy(t)
	first := guarded("when it is installed")
	if again := guarded("asked again"); again != first {
		t.Errorf("the guard is %q, and then %q", first, again)
	}
	if a, b := first.Value("set", "digest"), first.Value("other", "digest"); a == b || !strings.HasPrefix(a, "digest.") {
		t.Errorf("values of two sets are %s and %s", a, b)
	}

	is := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: approval.Policy}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: approval.Policy}}
	for _, o := range []client.Object{is, binding} {
		if err := live.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Fatal(err)
		}
	}
	whole := is.DeepCopy()
	is.Spec.Validations = is.Spec.Validations[1:]
	update(t, live, is)
	unguarded("with a rule less", "is not the one that this release of the operator ships")
	is.Spec = whole.Spec
	update(t, live, is)
	if now := guarded("when it is whole again"); now == first {
		t.Error("a policy that was changed meanwhile is the same guard: an approval that was forged then would count")
	}
	binding.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Audit}
	update(t, live, binding)
	unguarded("with a binding that only audits", "does not deny everywhere")
	binding.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Deny}
	update(t, live, binding)
	keeper.Settle = time.Hour
	unguarded("in its first hour", "has just been installed")
}

// update writes an object over whatever the API server and its controllers made of it meanwhile.
func update(t *testing.T, c client.Client, o client.Object) {
	t.Helper()
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		now := o.DeepCopyObject().(client.Object)
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), now); err != nil {
			return err
		}
		o.SetResourceVersion(now.GetResourceVersion())
		return c.Update(t.Context(), o)
	})
	if err != nil {
		t.Fatal(err)
	}
}
