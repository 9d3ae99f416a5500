package probing

import (
	"testing"

	"go.uber.org/goleak"
)

// No test may leave a request, a timer's goroutine or a connection behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
