package postgres_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/postgres"
)

func TestValidateSchemaName(t *testing.T) {
	long := strings.Repeat("a", postgres.MaxSchemaNameLength)
	for _, name := range []string{"a", "acme", "acme_2", "user", "select", "shared_2", "tenantry2", "pgx", long} {
		if err := postgres.ValidateSchemaName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "A", "Acme", "1a", "_a", "a-b", "a.b", "a b", `a"b`, "a;b", "a\x00", "a\n", "ä", "а", "a'b", "a$b", "$user", long + "a", strings.Repeat("a", 5000),
		"pg_", "pg_catalog", "pg_temp_1", "public", "information_schema", "tenantry", "shared", "default", "none", "postgres",
	} {
		if err := postgres.ValidateSchemaName(name); fault.ReasonOf(err) != postgres.ReasonInvalidSchemaName || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestRoleNames(t *testing.T) {
	tests := map[string]struct{ database, schema, want string }{
		"plain":               {"shop", "acme", "tn_shop__acme_owner"},
		"underscores":         {"my_shop", "a_b", "tn_my_shop__a_b_owner"},
		"joint in database":   {"my__shop", "acme", "tn_acme_87cd7dc4ea0b91ea_owner"},
		"database ends in _":  {"shop_", "acme", "tn_acme_da4ecf60f64a9c4b_owner"},
		"upper case":          {"Shop", "acme", "tn_acme_7d1d5a2fe0f1ba5e_owner"},
		"too long":            {"shop", strings.Repeat("x", 50), ""},
		"hostile database":    {`sh"op; --`, "acme", ""},
		"another language":    {"лавка", "acme", ""},
		"nothing of it is ok": {"лавка", "ü", ""},
	}
	for name, tt := range tests {
		got := postgres.TenantRoles(tt.database, tt.schema)
		if len(got.Owner) > 63 || len(got.App) > 63 || strings.TrimSuffix(got.Owner, "_owner") != strings.TrimSuffix(got.App, "_app") {
			t.Errorf("%s: %+v", name, got)
		}
		if strings.HasPrefix(tt.want, "tn_"+tt.database+"__") && got.Owner != tt.want {
			t.Errorf("%s: %s, want %s", name, got.Owner, tt.want)
		}
		if tt.want != "" && strings.Contains(tt.want, "__") != strings.Contains(got.Owner, "__") {
			t.Errorf("%s: %s", name, got.Owner)
		}
	}
}

// name draws names in which the joints of role names are likely.
func name() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringOfN(rapid.SampledFrom([]rune("ab_0")), 0, 12, -1),
		rapid.StringMatching(`[a-z_0-9]{0,60}`),
		rapid.StringOfN(rapid.Rune(), 0, 70, -1),
		rapid.Just("tn_shop__acme"), rapid.Just("shop__acme_owner"),
	)
}

// Different pairs have different names, and every name is one that PostgreSQL takes as it is.
func TestRoleNamesAreInjective(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type pair struct{ a, b string }
		draw := rapid.Custom(func(t *rapid.T) pair { return pair{name().Draw(t, "database"), name().Draw(t, "other")} })
		pairs := rapid.SliceOfN(draw, 2, 40).Draw(t, "pairs")
		// Cuts of the same text at other places are the likeliest to meet.
		whole := pairs[0].a + "__" + pairs[0].b
		for i := range len(whole) - 1 {
			if whole[i:i+2] == "__" {
				pairs = append(pairs, pair{whole[:i], whole[i+2:]})
			}
		}
		seen := map[string]any{}
		see := func(role string, key any) {
			if len(role) > 63 || strings.ContainsFunc(role, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
				t.Errorf("%v has the name %q", key, role)
			}
			if was, ok := seen[role]; ok && was != key {
				t.Errorf("%v and %v have the name %s", was, key, role)
			}
			seen[role] = key
		}
		for _, p := range pairs {
			r := postgres.TenantRoles(p.a, p.b)
			see(r.Owner, [3]string{"owner", p.a, p.b})
			see(r.App, [3]string{"app", p.a, p.b})
			see(postgres.GroupRole(p.a), [3]string{"group", p.a})
			see(postgres.MigratorRole(p.a, p.b), [3]string{"migrator", p.a, p.b})
			see(postgres.SharedOwnerRole(p.a, p.b), [3]string{"shared", p.a, p.b})
		}
	})
}

// A name made to look like the hashed name of another pair does not become it.
func TestHashedNamesCannotBeForged(t *testing.T) {
	victim := postgres.TenantRoles("shop", strings.Repeat("x", 50)).Owner
	stem := strings.TrimSuffix(strings.TrimPrefix(victim, "tn_"), "_owner")
	for i := range stem {
		for _, p := range [][2]string{{stem[:i], stem[i:]}, {"shop", stem[i:]}, {stem[:i], strings.TrimLeft(stem[i:], "_")}, {"", stem}} {
			if got := postgres.TenantRoles(p[0], p[1]).Owner; got == victim {
				t.Errorf("%q has the victim's role", p)
			}
		}
	}
}
