package postgres_test

import (
	"slices"
	"strconv"
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

// The names are in databases: a release that makes others loses the roles of the one before.
func TestRoleNamesStayTheSame(t *testing.T) {
	type names struct{ app, group, migrator, shared, keeper string }
	tests := map[string]struct {
		database, schema string
		want             names
	}{
		"plain": {"shop", "acme", names{
			"tn_shop__acme_app", "tenantry_tenants_shop", "tenantry_mig_acme_074970f793950124", "tenantry_shared_shop__acme_owner", "tenantry_keeper_shop_15",
		}},
		"__ in the database": {"my__shop", "acme", names{
			"tn_acme_82fdc0dfbdb14158_app", "tenantry_tenants_my_shop__8c88478257f478ad", "tenantry_mig_acme_82fdc0dfbdb14158",
			"tenantry_shared_acme_82fdc0dfbdb14158_owner", "tenantry_keeper_my_shop__8c88478257f478ad_15",
		}},
		"_ at its end": {"shop_", "acme", names{
			"tn_acme_b864abf8ba91cc3f_app", "tenantry_tenants_shop_", "tenantry_mig_acme_b864abf8ba91cc3f",
			"tenantry_shared_acme_b864abf8ba91cc3f_owner", "tenantry_keeper_shop__15",
		}},
		"too long": {"shop", strings.Repeat("x", 50), names{
			"tn_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_1bb3842a11cc3397_app", "tenantry_tenants_shop", "tenantry_mig_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx_1bb3842a11cc3397",
			"tenantry_shared_xxxxxxxxxxxxxxxxxxxxxxxx_1bb3842a11cc3397_owner", "tenantry_keeper_shop_13",
		}},
		"no character of them fits": {"лавка", "ü", names{
			"tn_x_983282b9d65a9ea9_app", "tenantry_tenants_x__3a64df4f3454aa52", "tenantry_mig_x_983282b9d65a9ea9",
			"tenantry_shared_x_983282b9d65a9ea9_owner", "tenantry_keeper_x__3a64df4f3454aa52_10",
		}},
	}
	for name, tt := range tests {
		roles := postgres.TenantRoles(tt.database, tt.schema)
		got := names{
			roles.App, postgres.GroupRole(tt.database), postgres.MigratorRole(tt.database, tt.schema),
			postgres.SharedOwnerRole(tt.database, tt.schema), postgres.KeeperRole(tt.database, tt.schema),
		}
		if got != tt.want || strings.TrimSuffix(roles.Owner, "_owner") != strings.TrimSuffix(roles.App, "_app") {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
		if !slices.Contains(postgres.KeeperRoles(tt.database), got.keeper) {
			t.Errorf("%s: %s is no keeper", name, got.keeper)
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
			for i, keeper := range postgres.KeeperRoles(p.a) {
				see(keeper, [3]string{"keeper", p.a, strconv.Itoa(i)})
			}
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
