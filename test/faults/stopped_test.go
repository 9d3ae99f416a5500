package faults

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/google/go-cmp/cmp"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/test/operator"
)

// stopped is a rollout in which one tenant more fails than may. It stops in the third ring, leaves the
// fourth alone, also when the operator is killed meanwhile, and goes on by the commands of its message.
func (f *fleet) stopped(t *testing.T, where faults) {
	t.Helper()
	p := f.plant(t, where)
	cut := f.cutter(t)
	f.ship(t, int32(len(p.failing())-1))
	seen := p.watch(t)
	spent := operator.Want{
		Reason: v1alpha1.ReasonFailureBudgetSpent, KStatus: status.FailedStatus,
		Message: []string{"stopped in ring uat (3 of 4)", "failureBudget (3)", "status.failures", "no other tenant begins"},
	}
	f.awaitRollout(t, spent)
	kill(t)
	f.awaitTries(t)
	f.untouched(t)
	f.awaitRollout(t, spent)
	p.serves(t, p.failing()...)
	row := f.row(t)
	if got, want := strings.Join(row[4:7], " "), "4 uat (stopped)"; got != want {
		t.Errorf("kubectl get migrationset shows %q, want %q", got, want)
	}
	if !cut() {
		t.Error("nobody's connection was cut")
	}
	seen()
	p.goOn(t)
}

// awaitTries waits until the operator that runs now migrates somebody: those who failed, once more.
func (f *fleet) awaitTries(t *testing.T) {
	t.Helper()
	operator.Poll(t, f.limit, func() error {
		n := operator.Query[int](t, f.AdminDSN, "SELECT count(*) FROM pg_stat_activity WHERE usename = $1 AND backend_start >= $2",
			f.migrator, time.Unix(0, since.Load()))
		if n == 0 {
			return errors.New("the operator that was started again tries nobody")
		}
		return nil
	})
}

// untouched checks that nobody of the last ring was brought to the version, or says that he is not well.
func (f *fleet) untouched(t *testing.T) {
	t.Helper()
	ends := f.ends(t)
	for _, name := range f.rings[len(f.rings)-1] {
		want := end{Registry: "1", Status: "1", Ledger: behind, Effects: behind, Ready: ends[name].Ready, Migrated: ends[name].Migrated}
		if diff := cmp.Diff(want, ends[name]); diff != "" || !strings.HasPrefix(want.Ready, "True Ready") {
			t.Errorf("%s of the ring that was not opened (-want +got):\n%s%s", name, diff, want.Ready)
		}
	}
}

// goOn mends the data of some and does what the message of the stopped set says: it tries them again,
// then it goes on without the one whose table is still locked; last, that one follows.
func (p *planted) goOn(t *testing.T) {
	t.Helper()
	f := p.fleet
	message := conditions.Get(f.Set, v1alpha1.ConditionRolledOut).Message
	p.mendData(t)
	f.run(t, message, v1alpha1.AnnotationRetry)
	conn := operator.Hold(t, f.AdminDSN)
	operator.Poll(t, f.limit, func() error {
		names, err := f.at(t.Context(), conn)
		for _, name := range []string{p.bad, p.taken, p.full} {
			if err == nil && !slices.Contains(names, name) {
				err = fmt.Errorf("%s was mended and is not at version %d", name, f.version)
			}
		}
		return err
	})
	f.untouched(t)
	f.run(t, message, v1alpha1.AnnotationResume)
	f.awaitLeftBehind(t)
	p.serves(t, p.locked)
	p.unlock(t)
	f.run(t, message, v1alpha1.AnnotationRetry)
	p.everybody(t)
}

// command finds the commands in a message.
var command = regexp.MustCompile(`kubectl (annotate --overwrite migrationset \S+ -n \S+ (\S+?)=("[^"]+"|\S+?))\.? `)

// run does what a message says about an annotation, as a user does who copies it from there.
func (f *fleet) run(t *testing.T, message, annotation string) {
	t.Helper()
	for _, found := range command.FindAllStringSubmatch(message+" ", -1) {
		if found[2] == annotation {
			kubectl(t, strings.Fields(strings.ReplaceAll(found[1], `"$(date)"`, time.Now().Format(time.RFC3339Nano)))...)
			return
		}
	}
	t.Fatalf("no command about %s in %q", annotation, message)
}
