package controllers_test

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// Nothing runs for a checkpoint that nobody approved: neither migrations that wait, nor what a checkpoint does
// itself, as a login that may become other tenants' owners. The test does not run beside others.
func TestCheckpointsAskForApproval(t *testing.T) {
	b := newBench(t).settle(t)
	acme := b.tenant(t, "acme")
	b.pass(t, b.Set)
	b.asking(t)
	b.sql(t, "CREATE TABLE public.seen (what text)")
	b.sql(t, "GRANT INSERT ON public.seen TO PUBLIC")
	b.sql(t, "GRANT USAGE ON SCHEMA public TO PUBLIC")
	unseen := func(what string) {
		t.Helper()
		if got := operator.Query[int](t, b.AdminDSN, "SELECT count(*) FROM public.seen") +
			operator.Query[int](t, b.AdminDSN, "SELECT (to_regclass('"+acme.Status.Schema+".note') IS NULL)::int"); got != 0 {
			t.Errorf("%s: something of it ran", what)
		}
	}
	const good = "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL, c2 integer, c3 integer);\n"
	steal := "DO $$ BEGIN EXECUTE 'SET LOCAL ROLE tn_" + b.Name + "__" + acme.Status.Schema + "_owner'; EXECUTE 'DROP TABLE " + acme.Status.Schema + ".note'; END $$;\n"

	b.files(t, map[string]string{
		"0004_drop.sql":         dropColumn + "SELECT 1;\n",
		"checkpoint_0004.pgsql": strings.Replace(good, ", c2 integer", "", 1) + "INSERT INTO public.seen VALUES ('waits');\n",
	})
	b.Expect(t, b.Set, operator.Want{Condition: v1alpha1.ConditionApproved, Reason: v1alpha1.ReasonApprovalRequired})
	unseen("a checkpoint of a version that waits")
	b.files(t, map[string]string{"0004_drop.sql": "", "checkpoint_0004.pgsql": "", "checkpoint_0003.pgsql": good + steal})
	refused := operator.Want{
		Condition: v1alpha1.ConditionCheckpointsVerified, Reason: v1alpha1.ReasonCheckpointRefused,
		Message: []string{"checkpoint_0003.pgsql", "approval", "set-role in line 2", "New tenants get the migrations"},
	}
	b.Expect(t, b.Set, operator.Ready(), refused)
	unseen("a checkpoint that becomes somebody else")
	b.pass(t, b.Set)
	b.steady(t, "passes over a checkpoint that would need an approval", []conditions.Object{b.Set, acme})
	b.files(t, map[string]string{"checkpoint_0003.pgsql": good})
	b.Expect(t, b.Set, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionCheckpointsVerified, Status: "True", Reason: v1alpha1.ReasonSucceeded})

	// Where no approvals are asked for any more, it is compared.
	b.files(t, map[string]string{"checkpoint_0003.pgsql": good + "SELECT set_config('search_path', current_schema(), true);\n"})
	refused.Message = []string{"search-path in line 2"}
	b.Expect(t, b.Set, operator.Ready(), refused)
	operator.Update(t, b.Servers, b.Set, func(ms *v1alpha1.MigrationSet) { ms.Spec.Lint = nil })
	b.pass(t, b.Set)
	b.Expect(t, b.Set, operator.Ready(), operator.Want{Condition: v1alpha1.ConditionCheckpointsVerified, Status: "True", Reason: v1alpha1.ReasonSucceeded})
}
