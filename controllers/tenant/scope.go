package tenant

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/internal/routing"
)

// scope is what the steps of one pass share. It lives for one pass; nothing in it is older.
type scope struct {
	// tenant is the object, whose status the steps write into. Set from the start.
	tenant *v1alpha1.Tenant
	// base is the object as it was last written. Set from the start.
	base *v1alpha1.Tenant
	// first says that no pass of this process was over the Tenant before, and that none wrote into its status.
	first bool
	// fresh says that nothing was made for the tenant anywhere: this pass is the first one, and put the finalizer
	// on or learned, or guesses, that no registry knows the tenant. In the latter case there may be a Secret from a pass that was
	// killed. Set from the start, or by place.
	fresh bool
	// guessed says that fresh is what is most likely, and that no registry was asked. Set by place.
	guessed bool
	// recreates says that the user wants an empty schema in the place of one that is lost. Set by provision.
	recreates bool
	// begun says that this pass made the schema, which has nothing in it before migrate. Set by provision.
	begun bool
	// firstSecret is the Secret that was made for the login of a schema that this pass made. Set by provision.
	firstSecret *corev1.Secret
	// started is when the pass began, and busy says that tenants were being made or migrated then; works says that it
	// makes or migrates the tenant itself.
	started     time.Time
	busy, works bool

	// class of the tenant. Set before the steps.
	class *v1alpha1.TenantClass
	// claimed says that every domain was looked at: only then may a host that is missing in hosts
	// be taken off. Set by claim.
	claimed bool
	// hosts that the tenant holds and may be served on, canonical, in the order of the spec. Set by
	// claim.
	hosts []string
	// held is hosts as claim left it.
	held []string
	// custom are those of them that are no platform domains. Set by claim.
	custom []string
	// tls is what TLS means for the hosts; those that it keeps from being served are no longer in
	// hosts. Set by route.
	tls secured
	// routed says that the routes are the wanted ones, whatever the data plane says of them, and refused
	// for which hosts it has not accepted them. Set by route.
	routed  bool
	refused []string
	// shared are the values that the tenant holds on shared hosts. Set by claim.
	shared []routing.SharedValue
	// claims are the names of all that the tenant holds, also of what is not proved to be its own
	// yet. Set by claim.
	claims []string
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
	// leaves says that another login can be left as soon as verify has proved the one in use. Set by credentials.
	leaves bool
	// login is the tenant's own login as the Secret says. Set by credentials, unless the proof
	// of an earlier pass still holds.
	login *postgres.Config
	// user is the login that programs use, since when it came into its Secret. Set by credentials.
	user  string
	since metav1.Time
	// classSecret is the Secret with the class's shared login, if the class wants one and it is there.
	// Set by provision.
	classSecret *metav1.PartialObjectMetadata
	// examined says that the login was asked, in this pass or by a proof that holds, what it has beyond
	// its bounds, and excess what that is. Set by verify.
	examined bool
	excess   []postgres.Excess
	// again is when the next pass should come, if no other cause comes before; 0 for the usual time.
	again time.Duration
	// version at which the schema stands and digest of the set that took it there. Set by
	// migrate. behind says that the registry does not know them yet: verify tells it.
	version, digest string
	behind          bool
	// proof is what the registry is to keep of the login's proof, and unrecorded says that it does not know it yet, nor
	// the version. Set by verify.
	proof      string
	unrecorded bool
	// migrates says that the pass came as far as to migrate. Set by migrate.
	migrates bool
	// keepsProof says that migrations ran that change nothing of what was proved of the login before. Set by migrate.
	keepsProof bool
	// answer is what the migrations' session said of the rights of the tenant's own login when the last of them
	// was applied. Set by migrate.
	answer [][]byte
}

// next is when to come back to a tenant that needs nothing.
func (s *scope) next() time.Duration {
	if s.again > 0 {
		return min(s.again, recheck)
	}
	return recheck
}

// soonest is when to come back to a tenant of which something is wrong that wants to be seen after a time, 0 for no
// time. A migration that failed is not tried again for up to an hour; its customer, who may be served, is looked
// after as any other.
func (s *scope) soonest(after time.Duration) time.Duration {
	if s.again > 0 && (after == 0 || s.again < after) {
		after = s.again
	}
	return min(after, recheck)
}

// served says whether the tenant's domains were published before: its customer works, so a later
// failure in the schema must not keep its routes from being looked after.
func (s *scope) served() bool { return len(s.observed.Domains) > 0 }

// wish is what the tenant's routes are made from.
func (s *scope) wish() routing.Wish {
	return routing.Wish{
		Tenant: s.tenant, Routing: s.class.Spec.Routing, Schema: s.wanted.Schema, Hosts: s.hosts, Shared: s.shared,
		Listeners: s.tls.listeners, Secrets: s.tls.secrets,
	}
}

// away is what is left of it while the tenant is not served: its hosts go to the class's holding
// backend, or nowhere.
func (s *scope) away() routing.Wish {
	w := s.wish()
	if w.Routing == nil || w.Routing.Holding == nil {
		return routing.Wish{Tenant: s.tenant}
	}
	w.Held = true
	return w
}

func (s *scope) awayState() v1alpha1.DomainState {
	if s.away().Held {
		return v1alpha1.DomainHolding
	}
	return v1alpha1.DomainClaimed
}

// entries are the hosts, and values on shared hosts, on which the tenant is to be served, as the registry
// has them.
func (s *scope) entries() []string {
	return slices.Concat(s.hosts, s.sharedEntries())
}

func (s *scope) sharedEntries() (entries []string) {
	for _, v := range s.shared {
		entries = append(entries, v.Entry())
	}
	return entries
}

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
