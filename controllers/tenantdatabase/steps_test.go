package tenantdatabase

import (
	"strings"
	"testing"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// A server that is too old is so before all else, also as a standby.
func TestUsableServers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		report postgres.Report
		reason string
	}{
		"too old":            {postgres.Report{VersionNum: 140023, ServerVersion: "14.23"}, v1alpha1.ReasonUnsupportedVersion},
		"an old standby":     {postgres.Report{VersionNum: 140023, ServerVersion: "14.23", InRecovery: true}, v1alpha1.ReasonUnsupportedVersion},
		"a standby":          {postgres.Report{VersionNum: 180004, InRecovery: true, ReadOnly: true}, v1alpha1.ReasonReadOnly},
		"set to read-only":   {postgres.Report{VersionNum: 160000, ReadOnly: true}, v1alpha1.ReasonReadOnly},
		"the oldest primary": {postgres.Report{VersionNum: 150000}, ""},
	} {
		err := usable(test.report)
		if got := fault.ReasonOf(err); got != test.reason {
			t.Errorf("%s: reason %q, want %q", name, got, test.reason)
		}
		if test.reason == v1alpha1.ReasonUnsupportedVersion && !strings.Contains(err.Error(), "PostgreSQL 14.23") {
			t.Errorf("%s: the message does not name the version: %v", name, err)
		}
	}
}
