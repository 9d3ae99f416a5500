package migrationset

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/lint"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
)

// history is what the databases of a set know of it.
type history struct {
	databases []*v1alpha1.TenantDatabase
	// applied are the files that schemas have, as far as a database could be asked.
	applied []postgres.AppliedFile
}

// Bounds of status.lint, by the API's schema.
const (
	maxFindings       = 20
	maxFindingFile    = 253
	maxFindingObject  = 200
	maxFindingMessage = 512
)

func policyOf(ms *v1alpha1.MigrationSet) v1alpha1.LintPolicy {
	if ms.Spec.Lint == nil {
		return v1alpha1.LintWarn
	}
	return cmp.Or(ms.Spec.Lint.Policy, v1alpha1.LintWarn)
}

// actionOf is what follows from a finding: by its rule's own entry, its category's, or the policy.
// Nobody has to approve a notice unless its rule says so.
func actionOf(ms *v1alpha1.MigrationSet, f lint.Finding) v1alpha1.LintPolicy {
	if ms.Spec.Lint != nil {
		for _, name := range []string{f.Name, string(f.Category)} {
			for _, rule := range ms.Spec.Lint.Rules {
				if string(rule.Name) == name && (name == f.Name || f.Severity == lint.Danger || rule.Action != v1alpha1.LintRequireApproval) {
					return rule.Action
				}
			}
		}
	}
	if policy := policyOf(ms); policy != v1alpha1.LintRequireApproval || f.Severity == lint.Danger {
		return policy
	}
	return v1alpha1.LintWarn
}

// asksForFindings says whether anybody wants to know.
func asksForFindings(ms *v1alpha1.MigrationSet) bool {
	return policyOf(ms) != v1alpha1.LintAllow || len(ms.Spec.Lint.Rules) > 0
}

// asksForApproval says whether any finding could make a version wait.
func asksForApproval(ms *v1alpha1.MigrationSet) bool {
	return policyOf(ms) == v1alpha1.LintRequireApproval || ms.Spec.Lint != nil &&
		slices.ContainsFunc(ms.Spec.Lint.Rules, func(r v1alpha1.LintRule) bool { return r.Action == v1alpha1.LintRequireApproval })
}

// findings lints what is new to tenants; nil if nobody wants to know.
func findings(ms *v1alpha1.MigrationSet, set *migrations.Set, had history) *v1alpha1.LintStatus {
	if !asksForFindings(ms) {
		return nil
	}
	fresh := newTo(ms, set, had.applied)
	st := &v1alpha1.LintStatus{MigrationSetVersion: v1alpha1.MigrationSetVersion{Version: string(set.Latest()), Digest: set.Digest}}
	for i := range set.Migrations {
		if fresh(&set.Migrations[i]) {
			st.Checked++
		}
	}
	counts := map[v1alpha1.LintCategory]*v1alpha1.LintCategoryStatus{}
	for _, f := range lint.Check(set, options(ms, had, fresh)) {
		action := actionOf(ms, f)
		if action == v1alpha1.LintAllow {
			continue
		}
		category := v1alpha1.LintCategory(f.Category)
		if counts[category] == nil {
			counts[category] = &v1alpha1.LintCategoryStatus{Category: category}
		}
		if allowed(ms, f) {
			counts[category].Suppressed++
			continue
		}
		blocks := action == v1alpha1.LintRequireApproval
		if blocks {
			st.Blocking++
		}
		if f.Severity == lint.Danger {
			counts[category].Dangers++
		} else {
			counts[category].Notices++
		}
		st.Findings = append(st.Findings, finding(f, blocks))
	}
	slices.SortStableFunc(st.Findings, func(a, b v1alpha1.LintFinding) int { return cmp.Compare(weight(b), weight(a)) })
	st.Findings = st.Findings[:min(maxFindings, len(st.Findings))]
	for _, category := range []v1alpha1.LintCategory{
		v1alpha1.LintDestructive, v1alpha1.LintLock, v1alpha1.LintSession, v1alpha1.LintCrossSchema, v1alpha1.LintUnparsed,
	} {
		if count := counts[category]; count != nil {
			st.Categories = append(st.Categories, *count)
		}
	}
	return st
}

// allowed says whether a comment in the file takes the finding away.
func allowed(ms *v1alpha1.MigrationSet, f lint.Finding) bool {
	return f.Allowed != "" && (ms.Spec.Lint == nil || ms.Spec.Lint.Suppressions != v1alpha1.SuppressionsIgnore)
}

func weight(f v1alpha1.LintFinding) (w int) {
	if f.Blocking {
		w += 2
	}
	if f.Severity == v1alpha1.LintDanger {
		w++
	}
	return w
}

func finding(f lint.Finding, blocks bool) v1alpha1.LintFinding {
	return v1alpha1.LintFinding{
		Rule: f.Name, Category: v1alpha1.LintCategory(f.Category), Severity: v1alpha1.LintSeverity(f.Severity), Blocking: blocks,
		File: conditions.ClipTo(f.File, maxFindingFile), Line: int32(min(max(f.Line, 1), migrations.MaxFileBytes)),
		Object: conditions.ClipTo(f.Object, maxFindingObject), Message: conditions.ClipTo(f.Message, maxFindingMessage),
	}
}

// newTo says which migrations no tenant has. The published version is still in files that only grew. Where
// a file of it is another one now, the databases say what was applied; a database that cannot be asked
// makes more of the set count as new, which harms nobody.
func newTo(ms *v1alpha1.MigrationSet, set *migrations.Set, applied []postgres.AppliedFile) func(*migrations.Migration) bool {
	published := migrations.Version(ms.Status.Version)
	if upto := set.Upto(published); upto != nil && upto.Digest == ms.Status.Digest {
		return func(m *migrations.Migration) bool { return !m.Repeatable && m.Version.Compare(published) > 0 }
	}
	had := map[string]bool{}
	for _, f := range applied {
		had[f.Version+" "+f.Checksum] = true
	}
	return func(m *migrations.Migration) bool { return !had[string(m.Version)+" "+m.Checksum] }
}

// options name the schemas that the set's files may speak of.
func options(ms *v1alpha1.MigrationSet, had history, fresh func(*migrations.Migration) bool) lint.Options {
	o := lint.Options{New: fresh}
	for _, tdb := range had.databases {
		shared := tdb.Spec.Shared
		switch {
		case shared == nil:
		case tdb.Namespace == ms.Namespace && shared.MigrationSetRef.Name == ms.Name:
			o.Own = append(o.Own, shared.SchemaName)
		default:
			o.Shared = append(o.Shared, shared.SchemaName)
		}
	}
	return o
}

// warn sends one event for each state of the files in which something was found.
func (r *Reconciler) warn(base, ms *v1alpha1.MigrationSet) {
	st := ms.Status.Lint
	written := base.ResourceVersion != ms.ResourceVersion
	if !written || r.Status.Recorder == nil || st == nil || len(st.Findings) == 0 || st.Blocking > 0 || st.Findings[0].Severity != v1alpha1.LintDanger ||
		base.Status.Lint != nil && base.Status.Lint.Digest == st.Digest {
		return
	}
	f := st.Findings[0]
	r.Status.Recorder.Eventf(ms, nil, corev1.EventTypeWarning, eventDanger, "Lint",
		"Version %s can do harm: %s in %s line %d: %s (status.lint has all findings)", st.Version, f.Rule, f.File, f.Line, f.Message)
}

// eventDanger is the reason of the event; it is no condition's.
const eventDanger = "DangerousSQL"
