package sources

import (
	"context"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/migrations"
)

// Published returns the migrations of the state that the set's status names: what tenants are taken to,
// and start from. The files may hold more by now, which waits for its approval, or has not been looked at
// yet: as long as files only grow, what was published is still in them. It is nil where it is not:
// a file of it was changed or taken away.
func (l *Loader) Published(ctx context.Context, ms *v1alpha1.MigrationSet) (*migrations.Set, error) {
	set, err := l.Load(ctx, ms)
	if err != nil || set.Digest == ms.Status.Digest {
		return set, err
	}
	if upto := set.Upto(migrations.Version(ms.Status.Version)); upto != nil && upto.Digest == ms.Status.Digest {
		return upto, nil
	}
	return nil, nil
}
