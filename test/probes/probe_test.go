package probes

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/migrations"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/platform"
)

// by is who tries it.
type by string

const (
	// byLogin : whoever has the tenant's Secret.
	byLogin by = "login"
	// byMigration : whoever writes the tenant's migrations. They run through the real engine.
	byMigration by = "migration"
	// byOperator : whoever has the operator's own login.
	byOperator by = "operator's login"
	// byJob : whoever has the login of a Job that migrates the tenant.
	byJob by = "Job's login"
	// byReader : whoever has the tenant's login that can only read.
	byReader by = "reader's login"
	// bySetRole and byShared : whoever has the login that the tenants of a class share.
	bySetRole by = "SetRole login"
	byShared  by = "Shared login"
)

// probe is one attempt. {words} in its SQL stand for names, see stage.names.
type probe struct {
	name, tries string
	by          by
	// before is run first, in the same session; it must succeed.
	before []string
	// sql is the attempt: of a login, statements in one session; of a migration, a file.
	sql string
	// do is the attempt where SQL is not enough. Its text is what came of it.
	do func(t *testing.T, s *stage) (string, error)
	// gives is what the last statement must answer, in its first column, for the outcome to be true.
	gives string
	// want is what must come of it, on want15 on PostgreSQL 15 if that differs.
	want, want15 outcome
	// after undoes what the attempt was allowed to do, by the operator's own means where it can.
	after func(t *testing.T, s *stage)
	// once : what comes of it has nothing to do with which login tries it.
	once bool
}

// outcome is what comes of an attempt.
type outcome struct {
	kind kind
	// state is the SQLSTATE, or the reason of the operator's refusal.
	state string
	// why it is harmless, or open; and what to do instead.
	why string
}

type kind string

const (
	isRefused  kind = "refused"
	isHarmless kind = "harmless"
	isOpen     kind = "open"
)

// denied is insufficient_privilege, the answer to most probes.
const denied = "42501"

func refused(state string) outcome { return outcome{kind: isRefused, state: state} }

// harmless is an attempt that PostgreSQL allows and that reaches nobody.
func harmless(why string) outcome { return outcome{kind: isHarmless, why: why} }

// open is an attempt that reaches somebody and cannot be closed in one database.
func open(why, instead string) outcome { return outcome{kind: isOpen, why: why + ". " + instead} }

func (o outcome) String() string {
	switch o.kind {
	case isRefused:
		return "refused, " + o.state
	case isHarmless:
		return "allowed and harmless: " + o.why
	}
	return "open: " + o.why
}

func (p *probe) wants(major int) outcome {
	if major == 15 && p.want15.kind != "" {
		return p.want15
	}
	return p.want
}

// probes are all attempts, in the order of the document.
func probes() []group {
	all := byTenants()
	for _, l := range others() {
		all = append(all, l.own)
	}
	return all
}

// byTenants are those of a tenant's login, of its migrations and of the operator's login.
func byTenants() []group {
	return []group{othersData, becomingOthers, ownRole, registryAndOperator, serverAndDatabases, catalogs, sharing, planting, migrating, operatorsLogin}
}

// group is a part of the table.
type group struct {
	title  string
	probes []probe
}

func TestIsolation(t *testing.T) {
	onServers(t, majors, func(t *testing.T, server *platform.Postgres) {
		s := newStage(t, server, "")
		s.before = s.snapshot(t)
		for _, g := range byTenants() {
			for i := range g.probes {
				p := &g.probes[i]
				t.Run(p.name, func(t *testing.T) { s.run(t, p) })
			}
		}
	})
}

// run makes the attempt, holds what came of it against the table and looks whether anything but
// that changed. A probe that itself fails is recorded too.
func (s *stage) run(t *testing.T, p *probe) {
	want := p.wants(s.server.Major)
	r := result{table: isolation, where: s.where, name: p.name, want: want.String(), got: "the probe failed", unexpected: true}
	defer func() { results.add(t, r) }()
	answer, err := s.attempt(t, p)
	if p.after != nil {
		p.after(t, s)
	}
	after := s.snapshot(t)
	diff := changes(s.before, after)
	s.before = after
	if t.Failed() {
		return
	}
	r.got, r.unexpected = judge(want, p.gives, answer, err)
	if diff != "" {
		r.got, r.unexpected = r.got+"; changed:\n"+diff, true
	}
}

func judge(want outcome, gives, answer string, err error) (got string, unexpected bool) {
	if err != nil {
		state := stateOf(err)
		got = "refused, " + state
		if unexpected = want.kind != isRefused || state != want.state; unexpected {
			got += ": " + err.Error()
		}
		return got, unexpected
	}
	got = "allowed"
	if answer != "" {
		got += fmt.Sprintf(", answer %q", answer)
	}
	return got, want.kind == isRefused || answer != gives
}

// stateOf is the SQLSTATE of an error, or the reason for which the operator's own code refused.
func stateOf(err error) string {
	if partial, ok := errors.AsType[*migrations.PartialError](err); ok && partial.SQLState != "" {
		return partial.SQLState
	}
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	if reason := fault.ReasonOf(err); reason != "" {
		return reason
	}
	return "no SQLSTATE"
}

func (s *stage) attempt(t *testing.T, p *probe) (string, error) {
	t.Helper()
	switch {
	case p.do != nil:
		return p.do(t, s)
	case p.by == byMigration:
		return "", s.migrate(t, p.sql)
	case p.by == byOperator:
		return s.session(t, s.db.Config().URI(), p.before, p.sql)
	}
	return s.session(t, s.uri(own), p.before, p.sql)
}

// session runs statements in one session and returns the first value of the last answer.
func (s *stage) session(t *testing.T, uri string, before []string, sql string) (string, error) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), uri)
	if err != nil {
		return "", err
	}
	defer hangUp(t, conn)
	names := s.names()
	for _, q := range before {
		if _, err := conn.Exec(t.Context(), names.Replace(q)); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	return lastValue(t, conn, names.Replace(sql))
}

// lastValue runs statements in one message of the simple protocol.
func lastValue(t *testing.T, conn *pgx.Conn, sql string) (string, error) {
	t.Helper()
	answers, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil || len(answers) == 0 {
		return "", err
	}
	last := answers[len(answers)-1]
	if len(last.Rows) == 0 {
		return "", nil
	}
	return string(last.Rows[0][0]), nil
}

// attacker is a tenant for one attempt, whose migrations are the attacker's.
const attacker = "mallory"

// migrate runs a migration for a tenant that is made for it and deleted behind it: whatever the
// migration left must go with it.
func (s *stage) migrate(t *testing.T, sql string) error {
	t.Helper()
	target := s.add(t, attacker, ownSet)
	defer s.leave(t, attacker)
	roles := postgres.TenantRoles(s.db.Config().Database(), attacker)
	sql = s.names("{mallory_app}", roles.App, "{mallory_owner}", roles.Owner).Replace(sql)
	set, err := migrations.Load([]migrations.File{
		{Name: "0001_file.sql", Content: []byte(tenantFiles)}, {Name: "0002_attack.sql", Content: []byte(sql)},
	}, migrations.Plain)
	if err != nil {
		return err
	}
	_, err = migrations.Apply(t.Context(), s.migrator(t, ownSet).Pool(), target, set, "")
	return err
}

// leave deletes a tenant that was made for one attempt.
func (s *stage) leave(t *testing.T, schema string) {
	t.Helper()
	s.drop(t, schema)
	delete(s.logins, schema)
}
