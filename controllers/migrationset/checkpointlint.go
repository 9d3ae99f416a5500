package migrationset

import (
	"context"
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/lint"
	"github.com/tenantry/tenantry/internal/migrations"
)

// needsApproval begins the message of a checkpoint that nothing is wrong with but what an approval would be asked
// for. It can become another one by the set's own words.
const needsApproval = "It would need an approval, which a checkpoint cannot get: "

// holdBack refuses checkpoints in which something is found that a set's migrations could not do without an
// approval. An approval is bound to the migrations' digest, in which checkpoints are not, and comparing one runs
// it: on an empty schema, but as a login that may become every tenant's owner.
func (r *Reconciler) holdBack(ctx context.Context, ms *v1alpha1.MigrationSet, set *migrations.Set, list []v1alpha1.CheckpointStatus) error {
	var had history
	for i := range list {
		st := &list[i]
		ours := st.State == v1alpha1.CheckpointRefused && strings.HasPrefix(st.Message, needsApproval)
		if st.State != v1alpha1.CheckpointPending && !ours {
			continue
		}
		if had.databases == nil && asksForApproval(ms) {
			var err error
			if had.databases, err = r.databases(ctx, ms); err != nil {
				return err
			}
		}
		switch f := blocking(ms, had, &set.Checkpoints[i]); {
		case f != nil:
			st.State = v1alpha1.CheckpointRefused
			st.Message = conditions.ClipTo(needsApproval+fmt.Sprintf("%s in line %d. %s", f.Name, f.Line, f.Message), maxVerdict)
		case ours:
			st.State, st.Message = v1alpha1.CheckpointPending, notCompared
		}
	}
	return nil
}

// blocking is the first finding in a checkpoint for which the set asks for an approval.
func blocking(ms *v1alpha1.MigrationSet, had history, c *migrations.Checkpoint) *lint.Finding {
	if !asksForApproval(ms) {
		return nil
	}
	for _, f := range lint.CheckCheckpoint(c, options(ms, had, nil)) {
		if actionOf(ms, f) == v1alpha1.LintRequireApproval && !allowed(ms, f) {
			return &f
		}
	}
	return nil
}
