package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tenantry/tenantry/internal/fault"
)

func TestOfFindsTheFaultInAChain(t *testing.T) {
	cause := errors.New("cause")
	tests := map[string]struct {
		err         error
		wantKind    fault.Kind
		wantReason  string
		wantMessage string
		wantAfter   time.Duration
	}{
		"invalid": {
			err:      fault.NewInvalid("NotFound", "class %q does not exist", "gold"),
			wantKind: fault.Invalid, wantReason: "NotFound", wantMessage: `class "gold" does not exist`,
		},
		"waiting, wrapped": {
			err:      fmt.Errorf("place: %w", fault.NewWaiting("DatabaseFull", time.Minute, "no room")),
			wantKind: fault.Waiting, wantReason: "DatabaseFull", wantMessage: "no room", wantAfter: time.Minute,
		},
		"a cause stays out of the user's message": {
			err:      fault.NewInvalid("Bad", "bad").Because(cause),
			wantKind: fault.Invalid, wantReason: "Bad", wantMessage: "bad",
		},
		"a plain error is transient": {
			err:      cause,
			wantKind: fault.Transient, wantReason: "Fallback", wantMessage: "cause",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := fault.Of(tt.err, "Fallback")
			if got.Kind != tt.wantKind || got.Reason != tt.wantReason || got.Message != tt.wantMessage || got.After != tt.wantAfter {
				t.Errorf("Of() = %+v, want %+v", got, tt)
			}
		})
	}
	if fault.Of(nil, "x") != nil {
		t.Error("Of(nil) is not nil")
	}
	if !errors.Is(fault.NewInvalid("Bad", "bad").Because(cause), cause) {
		t.Error("the cause is not in the chain")
	}
}
