package probes

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// otherLogin is a login besides a tenant's own that somebody may have. It makes all attempts of a
// tenant's login once more, on a stage of its own, and some that only it can make.
type otherLogin struct {
	by by
	// own are the attempts that only it can make.
	own group
	// make makes it on a stage.
	make func(t *testing.T, s *stage) postgres.Config
	// first is what its programs run first in a session.
	first []string
	// differs are the attempts of which something else comes than by a tenant's login, by name: what
	// they answer, what must come of them, on 15 too, and what undoes it.
	differs map[string]probe
}

// others are all such logins, in the order of the document.
func others() []otherLogin { return []otherLogin{jobsLogin, readersLogin, setRoleLogin, sharedLogin} }

// again are the attempts that every login makes.
func again() []group {
	return []group{othersData, becomingOthers, registryAndOperator, serverAndDatabases, sharing}
}

// repeated are the attempts of again with what must come of them by this login. Left out are those
// whose outcome is not the login's, and what undoes changes that a tenant's own login alone may make.
func (l *otherLogin) repeated() (all []probe) {
	for _, g := range again() {
		for _, p := range g.probes {
			if p.once {
				continue
			}
			if p.by, p.before = l.by, slices.Concat(l.first, p.before); p.do == nil {
				p.after = nil
			}
			if d, ok := l.differs[p.name]; ok {
				p.gives, p.want, p.want15, p.after = d.gives, d.want, d.want15, d.after
			}
			all = append(all, p)
		}
	}
	return all
}

func TestIsolationOfOtherLogins(t *testing.T) {
	for i, l := range others() {
		t.Run(string(l.by), func(t *testing.T) {
			onServers(t, majors, func(t *testing.T, server *platform.Postgres) {
				l.attack(t, newStage(t, server, fmt.Sprint("login", i)))
			})
		})
	}
}

func (l *otherLogin) attack(t *testing.T, s *stage) {
	t.Helper()
	s.logins[own] = l.make(t, s)
	s.before = s.snapshot(t)
	for _, p := range l.own.probes {
		t.Run(p.name, func(t *testing.T) { s.run(t, &p) })
	}
	for _, p := range l.repeated() {
		name := p.name
		p.name = "by " + string(l.by) + ": " + name
		t.Run(name, func(t *testing.T) { s.run(t, &p) })
	}
}
