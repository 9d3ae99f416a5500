package tenantdatabase

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// scope is what the steps of one pass share.
type scope struct {
	// tdb is the object, base the object as it was last written. Set from the start.
	tdb, base *v1alpha1.TenantDatabase
	// db is the pool of the operator's login. Set by connect.
	db *postgres.DB
	// report is what the server says of itself. Set by connect.
	report postgres.Report
}

// steps is what makes a database ready for tenants, in order.
var steps = []struct {
	condition string
	run       func(*Reconciler, context.Context, *scope) (message string, err error)
	// limit is the longest that the step may take: a network that swallows packets must not hold
	// a worker that other databases wait for.
	limit time.Duration
}{
	{v1alpha1.ConditionReachable, (*Reconciler).connect, 30 * time.Second},
	{v1alpha1.ConditionPrivileged, (*Reconciler).privileges, 30 * time.Second},
	{v1alpha1.ConditionBootstrapped, (*Reconciler).bootstrap, time.Minute},
	{v1alpha1.ConditionSharedMigrated, (*Reconciler).migrateShared, time.Hour},
}

// runSteps stops at the first step that fails. What was not reached keeps its condition.
func (r *Reconciler) runSteps(ctx context.Context, s *scope) error {
	for i, step := range steps {
		stepCtx, cancel := context.WithTimeout(ctx, step.limit)
		message, err := step.run(r, stepCtx, s)
		cancel()
		if err != nil {
			f := fault.Of(err, v1alpha1.ReasonRetrying)
			conditions.False(s.tdb, step.condition, f.Reason, f.Message)
			for _, later := range steps[i+1:] {
				if conditions.Get(s.tdb, later.condition) == nil {
					conditions.Unknown(s.tdb, later.condition, v1alpha1.ReasonPending, "Waits for "+step.condition)
				}
			}
			return err
		}
		conditions.True(s.tdb, step.condition, v1alpha1.ReasonSucceeded, message)
	}
	return nil
}

// connect logs in with what the Secret says now and asks the server who it is.
func (r *Reconciler) connect(ctx context.Context, s *scope) (string, error) {
	var err error
	if s.db, err = r.Pools.Refresh(ctx, s.tdb); err != nil {
		return "", err
	}
	if s.report, err = s.db.Preflight(ctx); err != nil {
		return "", err
	}
	s.tdb.Status.ServerVersion = s.report.ServerVersion
	s.tdb.Status.Endpoint, s.tdb.Status.Transport = s.db.Config().Endpoint(), s.db.Config().Transport()
	if err := usable(s.report); err != nil {
		if fault.ReasonOf(err) == v1alpha1.ReasonReadOnly {
			// Sessions keep what they began with, and the name may lead to the primary by now.
			r.Pools.Forget(s.tdb.UID)
		}
		return "", err
	}
	return fmt.Sprintf("Logged in as %s on PostgreSQL %s", s.report.Login, s.report.ServerVersion), nil
}

// usable says whether a server is one that can hold tenants.
func usable(report postgres.Report) error {
	if report.VersionNum < postgres.MinVersionNum {
		return fault.NewInvalid(v1alpha1.ReasonUnsupportedVersion,
			"The server is PostgreSQL %s; 15 is the oldest that works, and 16 the oldest that keeps the operator's login away from tenants' rows", report.ServerVersion)
	}
	if report.InRecovery || report.ReadOnly {
		return fault.NewWaiting(v1alpha1.ReasonReadOnly, 15*time.Second,
			"The server takes no writes: it is a standby or set to read-only; name the primary in the Secret")
	}
	return nil
}

// maxGrants bounds the text of the rights that miss, in bytes, so that no statement is cut in the
// condition's message. What is left out is named when these are given.
const maxGrants = 3000

// privileges names each missing right with the statement that gives it.
func (r *Reconciler) privileges(_ context.Context, s *scope) (string, error) {
	if len(s.report.Missing) > 0 {
		var what, grants []string
		length := 0
		for _, right := range s.report.Missing {
			if length += len(right.What) + len(right.Grant); length > maxGrants && len(what) > 0 {
				break
			}
			what = append(what, right.What)
			grants = append(grants, right.Grant+";")
		}
		return "", fault.NewWaiting(v1alpha1.ReasonMissingPrivileges, 30*time.Second,
			"Login %s may not %s. Run as an administrator: %s", s.report.Login, strings.Join(what, ", nor "), strings.Join(grants, " "))
	}
	if len(s.report.Warnings) > 0 {
		return "The login has the rights it needs, but " + strings.Join(s.report.Warnings, "; "), nil
	}
	return "The login has the rights it needs and no more", nil
}

// bootstrap makes the registry, or finds the one that this object made before.
func (r *Reconciler) bootstrap(ctx context.Context, s *scope) (string, error) {
	if err := r.checkIdentity(ctx, s); err != nil {
		r.Pools.Refute(s.tdb.UID)
		return "", err
	}
	if _, err := s.db.Bootstrap(ctx, marker(s), ""); err != nil {
		return "", err
	}
	r.Pools.Confirm(s.tdb.UID, s.db)
	s.tdb.Status.Identity = &v1alpha1.DatabaseIdentity{SystemIdentifier: s.report.SystemIdentifier, Marker: marker(s)}
	count(&s.tdb.Status, s.report)
	text := "The registry is in schema " + postgres.RegistrySchema
	left, err := s.db.SweepScratch(ctx)
	if err != nil {
		return "", err
	}
	if len(left) > 0 {
		text += "; a scratch schema of a dry run could not be dropped yet: " + strings.Join(left, "; ")
	}
	return text, r.countAdoptions(ctx, s)
}

func count(status *v1alpha1.TenantDatabaseStatus, report postgres.Report) {
	status.Tenants = int32(min(report.TenantCount, 1<<30))           //nolint:gosec // bounded by min
	status.RetainedTenants = int32(min(report.RetainedCount, 1<<30)) //nolint:gosec // bounded by min
	status.Retained = nil
	for _, k := range report.Retained {
		status.Retained = append(status.Retained, v1alpha1.RetainedSchema(k))
	}
}

// checkIdentity refuses a server that is not the one that was there before: the roles that a
// copy's registry names may be the original's, and an empty server would make every tenant anew.
func (r *Reconciler) checkIdentity(ctx context.Context, s *scope) error {
	accept := s.tdb.Annotations[v1alpha1.AnnotationAcceptIdentity]
	switch {
	case s.report.Bootstrapped && (!isOurs(s) || s.report.Moved):
		if accept == foreign(s) {
			s.report.Marker = string(s.tdb.UID) + "." + rand.Text()
			return s.db.AcceptIdentity(ctx, s.report.Marker)
		}
		return fault.NewInvalid(v1alpha1.ReasonIdentityMismatch,
			"The database holds a registry that another TenantDatabase or server wrote. If this database should be taken over and nobody else works on it, run: kubectl annotate --overwrite tenantdatabase %s -n %s %s=%s",
			s.tdb.Name, s.tdb.Namespace, v1alpha1.AnnotationAcceptIdentity, foreign(s))
	case !s.report.Bootstrapped && s.tdb.Status.Identity != nil:
		if accept == foreign(s) {
			s.report.Marker = string(s.tdb.UID) + "." + rand.Text()
			return nil
		}
		return fault.NewInvalid(v1alpha1.ReasonIdentityChanged,
			"The database has no registry any more: this is another or an emptied server (system identifier %s, before: %s). Point the Secret at the right one, or to start anew run: kubectl annotate --overwrite tenantdatabase %s -n %s %s=%s",
			s.report.SystemIdentifier, s.tdb.Status.Identity.SystemIdentifier, s.tdb.Name, s.tdb.Namespace, v1alpha1.AnnotationAcceptIdentity, foreign(s))
	}
	return nil
}

// foreign is what has to be accepted: the server, the database in it, and the mark in its registry, or the
// mark that was there before. Each acceptance makes a new mark, so that none is obeyed twice.
func foreign(s *scope) string {
	mark := s.report.Marker
	if !s.report.Bootstrapped && s.tdb.Status.Identity != nil {
		mark = s.tdb.Status.Identity.Marker
	}
	return fmt.Sprintf("%s/%d/%s", s.report.SystemIdentifier, s.report.DatabaseOID, mark)
}

// marker is the mark in the registry: one TenantDatabase has one database. It is the object's UID,
// and something new behind it after each takeover: an annotation that was obeyed once, and stays,
// takes nothing back from somebody who took over since.
func marker(s *scope) string {
	if isOurs(s) {
		return s.report.Marker
	}
	return string(s.tdb.UID)
}

func isOurs(s *scope) bool {
	uid, _, _ := strings.Cut(s.report.Marker, ".")
	return uid == string(s.tdb.UID)
}
