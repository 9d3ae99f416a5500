package tenant

import (
	"fmt"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
)

// scope is what the steps of one pass share. It lives for one pass; nothing in it is older.
type scope struct {
	// tenant is the object, whose status the steps write into. Set from the start.
	tenant *v1alpha1.Tenant
	// base is the object as it was last written. Set from the start.
	base *v1alpha1.Tenant
	// fresh says that this pass put the finalizer on: nothing can have been made before.
	fresh bool
	// started is when the pass began.
	started time.Time

	// class of the tenant. Set before the steps.
	class *v1alpha1.TenantClass
	// claimed says that every domain was looked at: only then may a host that is missing in hosts
	// be taken off. Set by claim.
	claimed bool
	// hosts that the tenant holds, canonical, in the order of the spec. Set by claim.
	hosts []string
	// tdb is the tenant's database and db the pool on it. Set by place.
	tdb *v1alpha1.TenantDatabase
	db  *postgres.DB
	// wanted is what the database should hold for the tenant, observed what it does hold. Set
	// by provision.
	wanted   postgres.Tenant
	observed postgres.Observation
	// secretVersion is the resource version of the Secret whose login was looked at. Set by
	// credentials.
	secretVersion string
	// login is the tenant's own login as the Secret says. Set by credentials, unless the proof
	// of an earlier pass still holds.
	login *postgres.Config
	// version at which the schema stands and digest of the set that took it there. Set by
	// migrate.
	version, digest string
}

// served says whether the tenant's domains were published before: its customer works, so a later
// failure in the schema must not keep its routes from being looked after.
func (s *scope) served() bool { return len(s.observed.Domains) > 0 }

func (s *scope) summary() string {
	at := ""
	if s.version != "" {
		at = " at version " + s.version
	}
	where := "without domains"
	if s.tenant.Status.PrimaryDomain != "" {
		where = "on " + s.tenant.Status.PrimaryDomain
	}
	return fmt.Sprintf("The tenant can work: schema %s%s, %s", s.wanted.Schema, at, where)
}
