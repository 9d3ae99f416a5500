package controllers_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/controllers"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

const dropColumn = "ALTER TABLE note DROP COLUMN c2;\n"

// asking lets the world's set ask for approvals, of an operator that trusts the policy at once.
func (b *bench) asking(t *testing.T) {
	t.Helper()
	b.by.MigrationSet.Approvals.Settle = time.Nanosecond
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Lint = &v1alpha1.Lint{Policy: v1alpha1.LintRequireApproval}
	})
	b.pass(t, b.Set)
}

// file writes a file of the world's set, or takes it away, and lets the set look at it.
func (b *bench) file(t *testing.T, name, text string) {
	t.Helper()
	operator.Update(t, b.Servers, b.Files, func(cm *corev1.ConfigMap) {
		cm.Data[name] = text
		if text == "" {
			delete(cm.Data, name)
		}
	})
	b.pass(t, b.Set)
}

// user logs in as somebody who holds roles in the world's namespace.
func (b *bench) user(t *testing.T, name string, roles ...string) client.Client {
	t.Helper()
	name += "@" + b.Namespace
	for _, role := range roles {
		b.Create(t, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: strings.ReplaceAll(name, "@", "-") + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tenantry-migrationset-" + role + "-role"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: name}},
		})
	}
	config, err := b.Plane.User(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: controllers.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// approve annotates the set as a user, and lets the operator look.
func (b *bench) approve(t *testing.T, by client.Client, value, name string) error {
	t.Helper()
	ms := b.Set.DeepCopy()
	base := ms.DeepCopy()
	metav1.SetMetaDataAnnotation(&ms.ObjectMeta, v1alpha1.AnnotationApprove, value)
	metav1.SetMetaDataAnnotation(&ms.ObjectMeta, v1alpha1.AnnotationApprovedBy, name)
	err := by.Patch(t.Context(), ms, client.MergeFrom(base))
	b.pass(t, b.Set)
	return err
}

// waits wants the set to wait for an approval of version 4 while it serves version 3.
func (b *bench) waits(t *testing.T, what, reason string, message ...string) {
	t.Helper()
	b.Expect(t, b.Set,
		operator.Want{Condition: v1alpha1.ConditionReady, Status: "True", Reason: v1alpha1.ReasonReady, Message: []string{"version 4 waits"}, KStatus: status.InProgressStatus},
		operator.Want{Condition: v1alpha1.ConditionApproved, Reason: reason, Message: message},
		operator.Want{Condition: v1alpha1.ConditionRolledOut, Reason: reason},
	)
	st := b.Set.Status
	if st.Version != "3" || st.Proposed == nil || st.Proposed.Version != "4" {
		t.Errorf("%s: version %s is published and %+v proposed, want 3 and 4", what, st.Version, st.Proposed)
	}
	if st.Lint == nil || st.Lint.Blocking != 1 || st.Lint.Checked != 1 || st.Lint.Findings[0].Object != "note.c2" {
		t.Errorf("%s: lint is %+v", what, st.Lint)
	}
}

// at wants tenants that work at a version.
func (b *bench) at(t *testing.T, version string, tenants ...*v1alpha1.Tenant) {
	t.Helper()
	for _, tenant := range tenants {
		b.pass(t, tenant)
		b.Expect(t, tenant, operator.Ready())
		if tenant.Status.Version != version {
			t.Errorf("%s is at version %s, want %s", tenant.Name, tenant.Status.Version, version)
		}
	}
}

// The whole way of a version that can do harm: nothing of it reaches a tenant until somebody who may
// approved just these files by the own name.
func TestApproval(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	b.asking(t)
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionApproved, Status: "True", Reason: v1alpha1.ReasonNotRequested, KStatus: status.CurrentStatus})
	b.file(t, "0004_drop.sql", dropColumn)
	b.waits(t, "a new version", v1alpha1.ReasonApprovalRequired, "kubectl tenant approve migrationset app", "0004_drop.sql line 1 (drop-column of note.c2)")
	b.at(t, "3", acme)
	newcomer := b.tenant(t, "newcomer")
	b.at(t, "3", newcomer)
	eager := b.Tenant("eager")
	eager.Spec.Migrations = &v1alpha1.TenantMigrations{TargetVersion: "4"}
	b.Create(t, eager)
	b.pass(t, eager)
	b.Expect(t, eager, operator.Stalled(v1alpha1.ConditionMigrated, v1alpha1.ReasonUnknownVersion, "its newest is 3"))
	b.pass(t, b.Set)
	b.steady(t, "passes while a version waits", []conditions.Object{acme, newcomer, b.Set})

	writer, approver := b.user(t, "wendy", "editor"), b.user(t, "anna", "editor", "approver")
	value, anna := b.Set.Status.Proposed.Approve, "anna@"+b.Namespace
	for what, err := range map[string]error{
		"a writer by the own name":        b.approve(t, writer, value, "wendy@"+b.Namespace),
		"a writer by the approver's name": b.approve(t, writer, value, anna),
		"an approver by another's name":   b.approve(t, approver, value, "wendy@"+b.Namespace),
	} {
		if err == nil || !strings.Contains(err.Error(), "tenantry-approvals") {
			t.Errorf("%s: %v, want a refusal by the policy", what, err)
		}
	}
	for what, old := range map[string]string{
		"a digest without its code": b.Set.Status.Proposed.Digest, "the version before": strings.ReplaceAll(value, b.Set.Status.Proposed.Digest, b.Set.Status.Digest),
	} {
		if err := b.approve(t, approver, old, anna); err != nil {
			t.Fatal(err)
		}
		b.waits(t, what, v1alpha1.ReasonApprovalRequired)
	}
	if err := b.approve(t, approver, value, anna); err != nil {
		t.Fatal(err)
	}
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionApproved, Status: "True", Reason: v1alpha1.ReasonApproved, Message: []string{"approved by " + anna}})
	st := b.Set.Status
	if st.Version != "4" || st.Proposed != nil || st.Approval == nil || st.Approval.ApprovedBy != anna || st.Approval.Digest != st.Digest || st.Approval.ApprovedAt.IsZero() {
		t.Errorf("status is version %s, proposed %+v, approval %+v", st.Version, st.Proposed, st.Approval)
	}
	b.at(t, "4", acme, newcomer)
}

// What was approved is one state of the files. Another one needs an approval of its own; tenants stay where
// they are, and who is new waits where the version before cannot be made any more.
func TestApprovalIsForOneStateOfTheFiles(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	b.asking(t)
	b.file(t, "0004_drop.sql", dropColumn)
	approver := b.user(t, "anna", "editor", "approver")
	if err := b.approve(t, approver, b.Set.Status.Proposed.Approve, "anna@"+b.Namespace); err != nil {
		t.Fatal(err)
	}
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionApproved, Status: "True", Reason: v1alpha1.ReasonApproved})
	b.file(t, "0004_drop.sql", "DROP TABLE note;\n")
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionApproved, Reason: v1alpha1.ReasonApprovalRequired, Message: []string{"drop-table of note"}})
	b.at(t, "3", acme)
	late := b.Tenant("late")
	b.Create(t, late)
	b.pass(t, late)
	b.Expect(t, late, operator.Waiting(v1alpha1.ConditionMigrated, v1alpha1.ReasonMigrationSetNotReady, "version 4 waits for its approval", "can no longer be made"))
	b.file(t, "0004_drop.sql", "")
	b.at(t, "3", acme, late)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready())
	if b.Set.Status.Proposed != nil {
		t.Errorf("%+v is proposed, and no file holds it", b.Set.Status.Proposed)
	}
}

// A policy that has just been installed proves nothing yet; the operator says so, and comes back.
func TestApprovalUnguarded(t *testing.T) {
	b := newBench(t).settle(t)
	b.tenant(t, "acme")
	b.pass(t, b.Set)
	b.asking(t)
	b.by.MigrationSet.Approvals.Settle = 24 * time.Hour
	b.file(t, "0004_drop.sql", dropColumn)
	b.waits(t, "without a guard", v1alpha1.ReasonApprovalUnguarded, "No approval counts yet", "has just been installed", "config/policy")
	if b.Set.Status.Proposed.Approve != "" {
		t.Error("a value approves without a guard")
	}
}

// A first version that needs an approval is no set that can be run: nothing could be run before.
func TestApprovalOfAFirstVersion(t *testing.T) {
	b := newBench(t)
	b.by.MigrationSet.Approvals.Settle = time.Nanosecond
	b.Set.Spec.Lint = &v1alpha1.Lint{Policy: v1alpha1.LintRequireApproval}
	b.Files.Data["0004_other.sql"] = "INSERT INTO other.note VALUES (1);\n"
	b.Make(t)
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Waiting(v1alpha1.ConditionReady, v1alpha1.ReasonApprovalRequired, "cross-schema of other.note"))
	if err := b.approve(t, b.user(t, "anna", "editor", "approver"), b.Set.Status.Proposed.Approve, "anna@"+b.Namespace); err != nil {
		t.Fatal(err)
	}
	b.Expect(t, b.Set, operator.Ready())
}

// Findings that nobody has to approve are reported and hold nothing up; so are notices, and what a comment
// or a rule of the spec takes away is counted or left out.
func TestFindingsThatWarn(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	b.file(t, "0004_drop.sql", dropColumn+"-- tenantry:allow drop-column nobody reads it\nALTER TABLE note DROP COLUMN c3;\nALTER TABLE note RENAME COLUMN body TO text;\n")
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionReady, Status: "True", Reason: v1alpha1.ReasonReady})
	st := b.Set.Status.Lint
	if st == nil || st.Blocking != 0 || len(st.Findings) != 2 || st.Findings[0].Rule != "drop-column" || st.Findings[1].Rule != "rename-column" ||
		len(st.Categories) != 1 || st.Categories[0].Dangers != 1 || st.Categories[0].Notices != 1 || st.Categories[0].Suppressed != 1 {
		t.Errorf("lint is %+v", st)
	}
	b.at(t, "4", acme)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Lint = &v1alpha1.Lint{Policy: v1alpha1.LintRequireApproval, Suppressions: v1alpha1.SuppressionsIgnore, Rules: []v1alpha1.LintRule{{Name: "Lock", Action: v1alpha1.LintAllow}}}
	})
	b.file(t, "0005_index.sql", "CREATE INDEX ON note (text);\nALTER TABLE note RENAME COLUMN text TO body;\n")
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionApproved, Status: "True", Reason: v1alpha1.ReasonNotRequested})
	if st := b.Set.Status.Lint; st == nil || len(st.Findings) != 1 || st.Findings[0].Rule != "rename-column" {
		t.Errorf("lint is %+v", st)
	}
	b.at(t, "5", acme)
}

// The shared schema stays at its version while another one waits, and its own name is no foreign one.
func TestSharedSchemaWaitsForApproval(t *testing.T) {
	b := newBench(t)
	b.by.MigrationSet.Approvals.Settle = time.Nanosecond
	set := b.shared(t)
	set.Spec.Lint = &v1alpha1.Lint{Policy: v1alpha1.LintRequireApproval}
	b.Create(t, set)
	b.pass(t, set)
	b.settle(t)
	files := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "auth-files"}}
	b.Get(t, files)
	operator.Update(t, b.Servers, files, func(cm *corev1.ConfigMap) {
		cm.Data["0003_gone.sql"] = "ALTER TABLE shared.account ADD COLUMN name text;\nDROP TABLE shared.plan;\n"
	})
	b.pass(t, set)
	b.Expect(t, set, operator.Want{Condition: v1alpha1.ConditionApproved, Reason: v1alpha1.ReasonApprovalRequired, Message: []string{"1 of its statements", "drop-table of shared.plan"}})
	b.pass(t, b.Database)
	b.Expect(t, b.Database, operator.Want{Condition: v1alpha1.ConditionSharedMigrated, Status: "True", Reason: v1alpha1.ReasonSucceeded})
	if got := b.Database.Status.SharedVersion; got != "2" {
		t.Errorf("the shared schema is at version %s, want 2", got)
	}
}
