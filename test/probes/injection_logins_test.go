package probes

import (
	"testing"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/frameworks"
	"github.com/tenantry/tenantry/internal/postgres"
)

// loginPlaces are where texts reach SQL for Jobs, readers, shared logins, quotas and dry runs.
var loginPlaces = []place{
	{"schema of every call about logins and quotas", func(t *testing.T, s *stage, text string) (string, error) {
		if text == own {
			return text, nil
		}
		uid, ctx := "uid-"+own, t.Context()
		_, revoked, looked := s.db.InsertRevoked(ctx, text)
		if revoked {
			return "revoked", nil
		}
		return "", firstWithoutReason(s.db.FinishJobLogin(ctx, uid, text), s.db.DropReader(ctx, uid, text), s.db.LeaveClassLogins(ctx, uid, text),
			second(s.db.RevokeInsert(ctx, uid, text)), second(s.db.RestoreInsert(ctx, uid, text)), second(s.db.Record(ctx, uid, text, "1", "d", "proof")),
			second(s.db.SchemaSizes(ctx, []string{text})), looked)
	}},
	{"UID of a Tenant with a Job", func(t *testing.T, s *stage, text string) (string, error) {
		_, err := s.db.EnableJobLogin(t.Context(), text, postgres.JobTerms{MigrationSet: ownSet, Until: jobTime})
		return "", err
	}},
	{"MigrationSet of a Job", func(t *testing.T, s *stage, text string) (string, error) {
		_, err := s.beginJob(t, own, text, jobTime)
		return "", err
	}},
	{"shared schema of a Job", func(t *testing.T, s *stage, text string) (string, error) {
		if text == "" {
			return text, nil // stands for none
		}
		job, err := s.db.EnableJobLogin(t.Context(), "uid-"+own, postgres.JobTerms{MigrationSet: ownSet, SharedSchema: text, Until: jobTime})
		if err != nil {
			return "", err
		}
		got := s.pathOf(t, job.Config.User(), "acme, ", text)
		return got, s.db.FinishJobLogin(t.Context(), job.UID, own)
	}},
	{"shared schema of a class's login", func(t *testing.T, s *stage, text string) (string, error) {
		if text == "" {
			return text, nil
		}
		l := postgres.ClassLogin{UID: "uid-class", Class: "standard", SharedSchema: text}
		state, err := s.db.EnsureClassLogin(t.Context(), l)
		if err != nil {
			return "", err
		}
		got := s.pathOf(t, state.First, "", text)
		return got, s.db.DropClassLogin(t.Context(), l.UID, state.First)
	}},
	{"class, and its UID, of a shared login", func(t *testing.T, s *stage, text string) (string, error) {
		state, err := s.db.EnsureClassLogin(t.Context(), postgres.ClassLogin{UID: text, Class: text})
		if err != nil {
			return "", err
		}
		got := s.look(t, "SELECT class_name FROM tenantry.login WHERE class_uid = class_name AND role_name = $1", state.First)
		return got, s.db.DropClassLogin(t.Context(), text, state.First)
	}},
	{"shared login that is changed", func(t *testing.T, s *stage, text string) (string, error) {
		l, ctx := postgres.ClassLogin{UID: "uid-" + own, Class: "standard"}, t.Context()
		if found, err := s.db.OnlyIn(ctx, text, "nobody"); err == nil && len(found) > 0 {
			return "somebody's", nil
		}
		return "", firstWithoutReason(s.db.SetClassLogin(ctx, l, text, aVerifier), s.db.RetireClassLogin(ctx, l, text), s.db.DropClassLogin(ctx, l.UID, text))
	}},
	{"version, digest and proof of a login", func(t *testing.T, s *stage, text string) (string, error) {
		if _, err := s.db.Record(t.Context(), "uid-"+own, own, text, text, text); err != nil {
			return "", err
		}
		got := s.look(t, "SELECT login_proof FROM tenantry.tenant WHERE schema_name = $1 AND version = digest AND digest = login_proof", own)
		return got, second(s.db.Record(t.Context(), "uid-"+own, own, "", "", ""))
	}},
	{"UID and digest of a dry run", func(t *testing.T, s *stage, text string) (string, error) {
		scratch, err := s.db.OpenScratch(t.Context(), postgres.ScratchSpec{SetUID: text, Set: ownSet, Digest: text})
		if err != nil {
			return "", err
		}
		got := s.look(t, "SELECT set_uid FROM tenantry.scratch WHERE set_uid = digest")
		return got, scratch.Close(t.Context())
	}},
	{"schema and owner of a framework's table", func(t *testing.T, s *stage, text string) (string, error) {
		for _, framework := range []frameworks.Framework{frameworks.Django, frameworks.Rails, frameworks.Flyway, frameworks.Prisma, frameworks.Alembic, frameworks.Goose, frameworks.GolangMigrate} {
			for _, owner := range []string{text, s.target(own).Owner} {
				ledger, err := frameworks.Read(t.Context(), s.migrator(t, ownSet).Pool(), framework, text, owner)
				if err != nil && fault.ReasonOf(err) == "" {
					return "", err
				}
				if err == nil && !ledger.Empty() {
					return "rows", nil
				}
			}
		}
		return "", errNothing
	}},
}

// firstWithoutReason returns the first error that does not say what it means; errNothing if all do.
func firstWithoutReason(errs ...error) error {
	for _, err := range errs {
		if err != nil && fault.ReasonOf(err) == "" {
			return err
		}
	}
	return errNothing
}

// pathOf returns a text if the search_path of a login, behind what stands before it, is just that.
func (s *stage) pathOf(t *testing.T, login, before, text string) string {
	t.Helper()
	const sql = "SELECT substr(c, length('search_path=') + 1) FROM pg_db_role_setting s, unnest(setconfig) c WHERE setrole = $1::text::regrole AND c LIKE 'search\\_path=%'"
	if got := s.look(t, sql, quoted(login)); got != before+s.look(t, "SELECT quote_ident($1)", text) {
		return got
	}
	return text
}
