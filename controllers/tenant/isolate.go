package tenant

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

// whileBreached is how often a login is examined that has a right too many.
const whileBreached = time.Minute

// isolate says whether the tenant is apart from others: by what its login has beyond its bounds, as
// verify asked the server, and by the rights that others were given on what is the
// tenant's, as provision saw them. It asks nothing itself.
//
// What it finds is a False condition, an event and a metric, and no failure: Ready says whether the
// customer can work, and taking it off the net would punish it for what a DBA did. Only a tenant that
// is not served yet waits until its login reaches nobody else.
func (r *Reconciler) isolate(_ context.Context, s *scope) (outcome, error) {
	found := tooMuch(s)
	if len(found) == 0 && !s.examined {
		return outcome{
			reason: v1alpha1.ReasonPending, status: metav1.ConditionUnknown,
			message: "Waits for a free connection of the tenant's own login",
		}, nil
	}
	if len(found) == 0 && s.mode() != v1alpha1.LoginDedicated {
		return outcome{reason: v1alpha1.ReasonSharedLogin, status: metav1.ConditionFalse, message: sharedIsolation(s)}, nil
	}
	if len(found) == 0 {
		return done(fmt.Sprintf("By PostgreSQL's word on the tenant's own login, it has none of %d kinds of rights beyond its schema; "+
			"nobody but its own roles has rights on the schema", len(postgres.Limits))), nil
	}
	reason, message := v1alpha1.ReasonForeignRights, told(found)
	if slices.ContainsFunc(found, isOutward) {
		reason = v1alpha1.ReasonIsolationBreached
		s.lookAgain(whileBreached)
		if !s.served() && len(s.entries()) > 0 {
			return outcome{}, fault.NewWaiting(reason, whileBreached, "%s. The tenant is not published before that", message)
		}
	}
	return outcome{reason: reason, message: message, status: metav1.ConditionFalse}, nil
}

// sharedIsolation says what keeps tenants apart that share a login.
func sharedIsolation(s *scope) string {
	if s.inUse() == v1alpha1.LoginShared {
		return fmt.Sprintf("Login %s has the rights of all tenants of class %s at once: only the program keeps them apart", s.user, s.class.Name)
	}
	return fmt.Sprintf("Login %s can SET ROLE to every tenant of class %s: after that it reaches the one tenant alone, but the program chooses which", s.user, s.class.Name)
}

// bounds are what the tenant's login may reach.
func bounds(s *scope) postgres.Bounds {
	return postgres.Bounds{
		Schema: s.wanted.Schema, Shared: s.wanted.SharedSchema,
		Roles: s.observed.Roles, Group: postgres.GroupRole(s.db.Config().Database()),
	}
}

// tooMuch puts both findings together, those of the login first. Some of them tell of the same right.
func tooMuch(s *scope) []postgres.Excess {
	found := slices.Clone(s.excess)
	for _, e := range s.observed.Foreign {
		if !slices.ContainsFunc(found, func(f postgres.Excess) bool { return f.Mend == e.Mend }) {
			found = append(found, e)
		}
	}
	return found
}

func isOutward(e postgres.Excess) bool { return e.Outward }

// told names the rights, and what takes them back.
func told(found []postgres.Excess) string {
	var what, mend []string
	for _, e := range found[:min(len(found), maxNames)] {
		what, mend = append(what, e.What), append(mend, e.Mend+";")
	}
	more := ""
	if len(found) > maxNames {
		more = fmt.Sprintf(" and %d more", len(found)-maxNames)
	}
	return fmt.Sprintf("%s%s. To take back what nobody meant to give, run as a superuser: %s", strings.Join(what, ", "), more, strings.Join(mend, " "))
}
