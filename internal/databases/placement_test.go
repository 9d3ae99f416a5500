package databases_test

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/databases"
)

func TestChooseTakesTheMostFree(t *testing.T) {
	tests := map[string]struct {
		candidates []databases.Candidate
		want       types.UID
		wantOK     bool
	}{
		"the emptier one":       {[]databases.Candidate{{"a", 10, 8}, {"b", 10, 3}}, "b", true},
		"no bound beats bounds": {[]databases.Candidate{{"a", 10, 0}, {"b", -1, 500}}, "b", true},
		"a full one is passed":  {[]databases.Candidate{{"a", 5, 5}, {"b", 5, 4}}, "b", true},
		"all are full":          {[]databases.Candidate{{"a", 5, 5}, {"b", 0, 0}}, "", false},
		"there is none":         {nil, "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := databases.NewPlacement().Choose("tenant", tt.candidates)
			if got != tt.want || ok != tt.wantOK {
				t.Errorf("Choose() = %q, %v, want %q, %v", got, ok, tt.want, tt.wantOK)
			}
		})
	}
}

func TestChooseNeverPromisesMoreThanThereIs(t *testing.T) {
	p := databases.NewPlacement()
	seen := map[types.UID]int{}
	for i := range 30 {
		if uid, ok := p.Choose(types.UID(fmt.Sprint(i)), []databases.Candidate{{"a", 10, 0}, {"b", 10, 0}}); ok {
			seen[uid]++
		}
	}
	if seen["a"] != 10 || seen["b"] != 10 {
		t.Fatalf("placed %v, want 10 and 10", seen)
	}
	if _, ok := p.Choose("late", []databases.Candidate{{"a", 10, 6}, {"b", 10, 6}}); ok {
		t.Error("the count caught up with some promises and a place appeared from nowhere")
	}
	p.Release("29")
	p.Release("0")
	if got, ok := p.Choose("1", []databases.Candidate{{"a", 10, 6}, {"b", 10, 6}}); ok && got == "" {
		t.Error("an empty answer with ok")
	}
}

func TestChooseAnswersTheSameTenantTheSame(t *testing.T) {
	p := databases.NewPlacement()
	candidates := []databases.Candidate{{"a", 10, 0}, {"b", 10, 0}}
	first, _ := p.Choose("x", candidates)
	for range 5 {
		if again, _ := p.Choose("x", candidates); again != first {
			t.Fatalf("placed on %s, then on %s", first, again)
		}
	}
}
