package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// recalled are the sets and databases whose Jobs of before this process are known to it.
type recalled struct {
	mu    sync.Mutex
	known map[lane]bool
}

// lane are the tenants of a set on one database.
type lane struct {
	set      types.UID
	database string
}

// Recall tells of the Jobs of a set on a database, by its UID, that are at work, as the cache has them: when it is
// first asked for them in this process, and not again. Who asks meanwhile waits for that. After an error, also one of
// tell, the next one who asks tries it again.
func (k *Keeper) Recall(ctx context.Context, ms *v1alpha1.MigrationSet, database string, tell func(*batchv1.Job) error) error {
	of := lane{ms.UID, database}
	k.recalled.mu.Lock()
	defer k.recalled.mu.Unlock()
	if k.recalled.known[of] {
		return nil
	}
	var list batchv1.JobList
	if err := k.List(ctx, &list, client.InNamespace(ms.Namespace), client.MatchingLabels{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}); err != nil {
		return fmt.Errorf("list Jobs: %w", err)
	}
	ours, now := ownedBy(ms), time.Now()
	for i := range list.Items {
		if job := &list.Items[i]; ours(job) && job.Annotations[AnnotationDatabase] == database && AtWork(job, now) {
			if err := tell(job); err != nil {
				return err
			}
		}
	}
	if k.recalled.known == nil {
		k.recalled.known = map[lane]bool{}
	}
	k.recalled.known[of] = true
	return nil
}
