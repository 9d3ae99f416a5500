package tenant

import (
	"errors"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

func TestAttemptsPauseLongerEachTime(t *testing.T) {
	var a attempts
	now := time.Unix(0, 0)
	bad := fault.NewInvalid("MigrationFailed", "bad")
	if a.last("u", "v1", now) != nil {
		t.Error("a failure before the first try")
	}
	for _, want := range []time.Duration{2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute, time.Hour, time.Hour} {
		a.note("u", "v1", bad, now)
		err := a.last("u", "v1", now.Add(want-time.Second))
		if fault.ReasonOf(err) != "MigrationFailed" || fault.Of(err, "").After <= 0 {
			t.Fatalf("before %s: %v, want the failure with a delay", want, err)
		}
		if a.last("u", "v2", now) != nil || a.last("other", "v1", now) != nil {
			t.Fatal("the failure of other work holds this up")
		}
		now = now.Add(want + time.Second)
		if err := a.last("u", "v1", now); err != nil {
			t.Fatalf("after %s: %v, want another try", want, err)
		}
	}
	a.note("u", "v2", bad, now)
	if fault.Of(a.last("u", "v2", now), "").After > 3*time.Minute {
		t.Error("new work begins with the pause of old work")
	}
	a.note("u", "v2", errors.New("the network"), now)
	if a.last("u", "v2", now) != nil {
		t.Error("what ends by itself is held up")
	}
}
