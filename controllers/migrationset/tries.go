package migrationset

import (
	"fmt"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/retries"
)

// tries remembers when to try a version again that failed its dry run: nothing tells us that a DBA mended
// its cause. After a restart the first pause begins anew, since the verdict itself is in the status.
type tries struct {
	failed retries.Memory[string, struct{}]
}

// pause is how long to wait with the next try of what failed, 0 for not at all: it is due, or a user
// asked for it.
func (t *tries) pause(ms *v1alpha1.MigrationSet, now time.Time) time.Duration {
	if !t.failed.Knows(key(ms)) {
		t.failed.Failed(key(ms), work(ms), struct{}{}, now)
	}
	_, due, known := t.failed.Last(key(ms), work(ms))
	if !known {
		return 0
	}
	return max(0, due.Sub(now))
}

// note keeps the outcome of a try.
func (t *tries) note(ms *v1alpha1.MigrationSet, failed bool, now time.Time) {
	if !failed {
		t.failed.Forget(key(ms))
		return
	}
	t.failed.Failed(key(ms), work(ms), struct{}{}, now)
}

// forget drops what is kept of a set that is gone.
func (t *tries) forget(name string) { t.failed.Forget(name) }

func key(ms *v1alpha1.MigrationSet) string { return ms.Namespace + "/" + ms.Name }

// work is what a verdict depends on that a user can change.
func work(ms *v1alpha1.MigrationSet) string {
	digest := ""
	if ms.Status.DryRun != nil {
		digest = ms.Status.DryRun.Digest
	}
	return fmt.Sprint(ms.UID, digest, ms.Generation, ms.Annotations[v1alpha1.AnnotationRetry])
}
