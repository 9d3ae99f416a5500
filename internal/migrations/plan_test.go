package migrations

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/internal/fault"
)

// fakeSet makes a set without files: a checksum is the version with "sum" behind it.
func fakeSet(versions ...Version) *Set {
	s := &Set{index: map[Version]int{}}
	for i, v := range versions {
		s.index[v.key()] = i
		s.Migrations = append(s.Migrations, Migration{
			Version: v, File: "f" + string(v), Checksum: string(v) + "sum", Repeatable: v.Repeatable(), Transactional: true,
			Statements: []Statement{{SQL: "SELECT " + string(v)}, {SQL: "SELECT 2"}},
		})
	}
	return s
}

func done(versions ...Version) []Applied {
	var rows []Applied
	for _, v := range versions {
		rows = append(rows, Applied{Version: v, File: "f" + string(v), Checksum: string(v) + "sum", State: Done})
	}
	return rows
}

// running is the row of version 2 as a crash left it.
func running(prefix string, finished int) Applied {
	return Applied{Version: "2", File: "f2", Checksum: "older", State: Running, Prefix: prefix, Finished: finished}
}

func describe(steps Steps) string {
	var words []string
	for _, s := range steps {
		words = append(words, [...]string{"run", "repair", "rerun"}[s.Action]+" "+string(s.Migration.Version))
	}
	return strings.Join(words, ", ")
}

func TestPlan(t *testing.T) {
	three := fakeSet("1", "2", "3", "R__v")
	two := &three.Migrations[1]
	changed := done("1", "2", "R__v")
	changed[1].Checksum, changed[2].Checksum = "x", "x"
	tests := map[string]struct {
		set     *Set
		applied []Applied
		target  Version
		want    string
		wantErr error
		reason  string
	}{
		"new tenant":                 {set: three, want: "run 1, run 2, run 3, run R__v"},
		"up to date":                 {set: three, applied: done("R__v", "3", "2", "1")},
		"behind":                     {set: three, applied: done("1"), want: "run 2, run 3, run R__v"},
		"pinned":                     {set: three, applied: done("1"), target: "2", want: "run 2"},
		"pinned with zeros":          {set: three, target: "02.0", want: "run 1, run 2"},
		"repeatable changed":         {set: three, applied: append(done("1", "2", "3"), changed[2]), want: "rerun R__v"},
		"repeatable changed, pinned": {set: three, applied: append(done("1", "2"), changed[2]), target: "2"},
		"repeatable removed":         {set: three, applied: done("1", "2", "3", "R__v", "R__w")},
		"left running":               {set: three, applied: append(done("1"), running(two.prefix(1), 1)), want: "repair 2, run 3, run R__v"},
		"left running, in doubt":     {set: three, applied: append(done("1"), running(two.prefix(2), 1)), want: "repair 2, run 3, run R__v"},
		"left running, mended":       {set: three, applied: append(done("1"), running(two.prefix(0), 0)), want: "repair 2, run 3, run R__v"},
		"left running, pinned below": {set: three, applied: append(done("1"), running(two.prefix(1), 1)), target: "1"},
		"late below a half done one": {
			set: fakeSet("1", "1.5", "2"), applied: append(done("1"), running(two.prefix(1), 1)),
			wantErr: &OutOfOrder{File: "f1.5", Version: "1.5", Current: "2"}, reason: ReasonOutOfOrder,
		},
		"left running, other text": {
			set: three, applied: append(done("1"), running("other", 1)),
			wantErr: &ChecksumChanged{File: "f2", Version: "2", Applied: "older", Now: "2sum"}, reason: ReasonChecksumChanged,
		},
		"changed":         {set: three, applied: changed[:2], wantErr: &ChecksumChanged{File: "f2", Version: "2", Applied: "x", Now: "2sum"}, reason: ReasonChecksumChanged},
		"removed":         {set: three, applied: done("1", "1.5"), wantErr: &MigrationRemoved{File: "f1.5", Version: "1.5"}, reason: ReasonMigrationRemoved},
		"late":            {set: three, applied: done("1", "3"), wantErr: &OutOfOrder{File: "f2", Version: "2", Current: "3"}, reason: ReasonOutOfOrder},
		"late and pinned": {set: three, applied: done("1", "3"), target: "3", wantErr: &OutOfOrder{File: "f2", Version: "2", Current: "3"}, reason: ReasonOutOfOrder},
		"down":            {set: three, applied: done("1", "2"), target: "1", wantErr: &Downgrade{Current: "2", Target: "1"}, reason: ReasonDowngrade},
		"unknown":         {set: three, target: "4", wantErr: &UnknownVersion{Target: "4", Latest: "3"}, reason: ReasonUnknownVersion},
		"to a repeatable": {set: three, target: "R__v", wantErr: &UnknownVersion{Target: "R__v", Latest: "3"}, reason: ReasonUnknownVersion},
		"repeatable only": {set: fakeSet("R__v"), want: "run R__v"},
		"equal versions":  {set: fakeSet("1.0", "2"), applied: []Applied{{Version: "1", Checksum: "1.0sum", State: Done}}, want: "run 2"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			steps, err := Plan(tt.set, tt.applied, tt.target)
			if diff := cmp.Diff(tt.wantErr, err); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if got := describe(steps); got != tt.want {
				t.Errorf("steps = %s, want %s", got, tt.want)
			}
			if err != nil && (fault.KindOf(err) != fault.Invalid || fault.ReasonOf(err) != tt.reason || fault.Of(err, "").Message != err.Error()) {
				t.Errorf("fault = %+v", fault.Of(err, ""))
			}
		})
	}
}

// Whatever prefix of a set is applied, however often a runner stops, and in however many releases
// the set grew: every version runs once and in order.
func TestPlanRunsEveryVersionOnceInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfNDistinct(rapid.IntRange(0, 500), 1, 30, rapid.ID[int]).Draw(t, "versions")
		slices.Sort(numbers)
		var versions, ran []Version
		for _, n := range numbers {
			versions = append(versions, Version(fmt.Sprint(n)))
		}
		var applied []Applied
		for len(ran) < len(versions) {
			released := rapid.IntRange(len(ran), len(versions)).Draw(t, "released")
			if released == 0 {
				continue
			}
			set := fakeSet(versions[:released]...)
			target := Version("")
			if len(ran) < released && rapid.Bool().Draw(t, "pinned") {
				target = versions[rapid.IntRange(len(ran), released-1).Draw(t, "target")]
			}
			steps, err := Plan(set, rapid.Permutation(applied).Draw(t, "ledger"), target)
			if err != nil {
				t.Fatalf("Plan to %q after %v: %v", target, ran, err)
			}
			if n := len(steps); n > 0 && target != "" && steps[n-1].Migration.Version != target {
				t.Fatalf("the last step is %s, the target %s", steps[n-1].Migration.Version, target)
			}
			for _, step := range steps[:rapid.IntRange(0, len(steps)).Draw(t, "until killed")] {
				m := step.Migration
				ran = append(ran, m.Version)
				applied = append(applied, done(m.Version)...)
			}
		}
		if diff := cmp.Diff(versions, ran); diff != "" {
			t.Fatalf("order (-want +got):\n%s", diff)
		}
		if len(ran) > 1 {
			gap := rapid.IntRange(0, len(ran)-2).Draw(t, "gap")
			_, err := Plan(fakeSet(versions...), slices.Delete(slices.Clone(applied), gap, gap+1), "")
			var late *OutOfOrder
			if !errors.As(err, &late) || late.Version != versions[gap] {
				t.Fatalf("a gap at %s gives %v", versions[gap], err)
			}
		}
	})
}
