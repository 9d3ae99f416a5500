package scenarios

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/demo/setup"
	"github.com/tenantry/tenantry/test/operator"
	"github.com/tenantry/tenantry/test/platform"
)

// plugin runs `kubectl tenant` as a user who holds roles for MigrationSets in a world's namespace.
type plugin struct{ program, kubeconfig, namespace string }

func newPlugin(t *testing.T, program string, w *operator.World, user string, roles ...string) plugin {
	t.Helper()
	for _, role := range roles {
		w.Create(t, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: user + "-" + role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tenantry-migrationset-" + role + "-role"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
		})
	}
	config, err := w.Plane.User(user)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), user)
	if err := platform.WriteKubeconfig(config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	return plugin{program, kubeconfig, w.Namespace}
}

// says runs the plugin and wants its answer, whether it succeeds or not.
func (p plugin) says(t *testing.T, ok bool, want, input string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.program, append(args, "--kubeconfig", p.kubeconfig, "-n", p.namespace)...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &out
	err := cmd.Run()
	t.Logf("%q:\n%s", args, out.String())
	if (err == nil) != ok || !strings.Contains(out.String(), want) {
		t.Errorf("%q: %v\n%s\nwant %q", args, err, out.String(), want)
	}
}

// People approve by the plugin, under the name that the API server knows; then the version goes to the
// tenants, and events tell what happened.
func TestApproveByThePlugin(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "kubectl-tenant")
	if err := setup.Build(t.Context(), "./cmd/kubectl-tenant", program); err != nil {
		t.Fatal(err)
	}
	f := newFleet(t, "a1", "a2")
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Lint = &v1alpha1.Lint{Policy: v1alpha1.LintRequireApproval}
	})
	f.AwaitWant(t, operator.Soon, f.Set, operator.Want{Condition: v1alpha1.ConditionApproved, Status: "True", Reason: v1alpha1.ReasonNotRequested})
	write(t, f.World, map[string]string{"0004_c4.sql": "ALTER TABLE note DROP COLUMN c2;\nCREATE INDEX note_body ON note (body);\n"})
	f.AwaitWant(t, operator.Eventually, f.Set,
		operator.Want{Condition: v1alpha1.ConditionApproved, Reason: v1alpha1.ReasonApprovalRequired, KStatus: status.InProgressStatus})
	f.stays(t, "while the version waits", all("3", "a1", "a2"))
	writer := newPlugin(t, program, f.World, "wendy", "editor")
	anna := newPlugin(t, program, f.World, "anna", "approver")
	digest := f.Set.Status.Proposed.Digest
	writer.says(t, false, "you may not approve versions of this MigrationSet", "", "approve", "migrationset", "app", "--digest", digest)
	anna.says(t, false, "other files wait now", "", "approve", "migrationset", "app", "--digest", strings.Repeat("0", len(digest)))
	anna.says(t, false, "is too short", "", "approve", "migrationset", "app", "--digest", "0")
	anna.says(t, false, "nothing was approved", "5\n", "approve", "migrationset", "app")
	anna.says(t, false, "cannot be approved", "", "approve", "tenant", "app")
	anna.says(t, true, "Approved version 4", "4\n", "approve", "ms", "app")
	f.awaitUpdated(t, "a1", "a2")
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	anna.says(t, true, "Version 4 was approved by anna", "", "approve", "ms", "app")
	if a := f.Set.Status.Approval; a == nil || a.ApprovedBy != "anna" || a.Digest != digest {
		t.Errorf("approval is %+v", a)
	}
	operator.Poll(t, operator.Soon, func() error {
		got := events(t, f.World, f.Set)
		return differs("events of the approval", []int{1, 1}, []int{got["Warning ApprovalRequired Approved"], got["Normal Approved Approved"]})
	})
}

// What nobody has to approve is told once.
func TestDangerIsToldOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, "a1")
	write(t, f.World, map[string]string{"0004_c4.sql": "ALTER TABLE note DROP COLUMN c2;\n"})
	f.awaitUpdated(t, "a1")
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	f.Nudge(t, f.Set)
	// The generation shows that a pass has come: its writes are the only ones that could tell it again.
	f.spec(t, func(r *v1alpha1.Rollout) { r.MaxInFlight = 1 })
	f.awaitRollout(t, v1alpha1.ReasonSucceeded)
	// What that pass may have told is there when something later is.
	write(t, f.World, map[string]string{"0005_c5.sql": "ALTER TABLE note DROP COLUMN c3;\n"})
	operator.Poll(t, operator.Eventually, func() error {
		return differs("the news of version 5 has come", true, slices.ContainsFunc(news(t, f.World, f.Set), func(e eventsv1.Event) bool {
			return e.Reason == "DangerousSQL" && strings.HasPrefix(e.Note, "Version 5 ")
		}))
	})
	if got := events(t, f.World, f.Set)["Warning DangerousSQL Lint"]; got != 2 {
		t.Errorf("%d events of two findings, want one each", got)
	}
}
