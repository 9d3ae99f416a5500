package faults

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
	"github.com/tenantry/tenantry/internal/postgres"
	"github.com/tenantry/tenantry/test/operator"
)

const (
	// born is the version at which the tenants are made.
	born = 3
	// maxInFlight of the rollouts.
	maxInFlight = 4
	// creators make the Tenants.
	creators = 8
	// quota is what a session may keep in temporary files, by the DBA's word.
	quota = "1MB"
)

// fleet is a world with tenants in four rings on one database.
type fleet struct {
	*operator.World

	// rings holds the tenants' names by ring: canary, dev, uat, rest.
	rings   [][]string
	ringOf  map[string]int
	schemas map[string]string
	// version is the newest that was shipped.
	version  int
	migrator string
	// limit bounds what takes the whole fleet's time.
	limit time.Duration
}

var ringNames = []string{"canary", "dev", "uat", v1alpha1.RestRing}

// newFleet makes so many tenants and waits until they are at work.
func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	f := &fleet{
		World: servers.World(t), ringOf: map[string]int{}, schemas: map[string]string{}, version: born,
		limit: 2*time.Minute + time.Duration(n)*time.Second,
	}
	f.migrator = postgres.MigratorRole(f.Name, f.Namespace+"/"+f.Set.Name)
	operator.Exec(t, f.AdminDSN, fmt.Sprintf("ALTER DATABASE %s SET temp_file_limit = '%s'", f.Name, quota))
	f.Files.Data = map[string]string{
		"0001_note.sql":    "CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL);\n",
		"0002_tally.sql":   "CREATE TABLE tally (version integer NOT NULL, notes bigint NOT NULL, bodies bigint NOT NULL);\n",
		"0003_counter.sql": "CREATE TABLE counter (n integer NOT NULL);\nINSERT INTO counter VALUES (0);\n",
	}
	f.Set.Spec.LockTimeoutMilliseconds = 50
	f.Set.Spec.Rollout = &v1alpha1.Rollout{
		MaxInFlight: maxInFlight, ProgressDeadlineSeconds: int32(15 + n/50), FailureBudget: new(intstr.FromInt32(0)),
	}
	for _, name := range ringNames[:3] {
		f.Set.Spec.Rollout.Rings = append(f.Set.Spec.Rollout.Rings, v1alpha1.RolloutRing{
			Name: name, SoakSeconds: 1, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": name}},
		})
	}
	f.Make(t)
	began := time.Now()
	f.order(t, n)
	f.awaitReady(t, n)
	f.awaitRollout(t, operator.Want{Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonSucceeded})
	t.Logf("%d tenants were Ready after %s", n, time.Since(began).Round(time.Second))
	return f
}

// order creates the Tenants: some canaries, a few for dev, more for uat, the rest for production.
func (f *fleet) order(t *testing.T, n int) {
	t.Helper()
	sizes := []int{max(2, n/100), max(4, n/25), max(6, n*15/100)}
	names := make(chan string)
	var made sync.WaitGroup
	for range creators {
		made.Go(func() {
			for name := range names {
				tenant := f.Tenant(name)
				tenant.Labels = map[string]string{"ring": ringNames[f.ringOf[name]]}
				if err := f.Admin.Create(t.Context(), tenant); err != nil {
					t.Error(err)
				}
			}
		})
	}
	f.rings = make([][]string, len(ringNames))
	for i := range n {
		ring, before := 0, 0
		for ring < len(sizes) && i >= before+sizes[ring] {
			before += sizes[ring]
			ring++
		}
		name := fmt.Sprintf("%s-%04d", ringNames[ring], len(f.rings[ring]))
		f.rings[ring] = append(f.rings[ring], name)
		f.ringOf[name] = ring
	}
	for _, ring := range f.rings {
		for _, name := range ring {
			names <- name
		}
	}
	close(names)
	made.Wait()
}

// awaitReady waits by the set's counts, and looks at each Tenant only then: a list of a thousand is dear.
func (f *fleet) awaitReady(t *testing.T, n int) {
	t.Helper()
	f.Await(t, f.limit, f.Set, func(bool) error {
		if st := f.Set.Status; int(st.UpdatedTenants) < n {
			return fmt.Errorf("%d of %d tenants are at version %d", st.UpdatedTenants, n, f.version)
		}
		return nil
	})
	operator.Poll(t, f.limit, func() error {
		ready, example := 0, ""
		for _, tenant := range f.list(t) {
			if conditions.Current(&tenant, v1alpha1.ConditionReady) {
				ready++
				f.schemas[tenant.Name] = tenant.Status.Schema
			} else {
				example = fmt.Sprintf("%s: %v", tenant.Name, conditions.Get(&tenant, v1alpha1.ConditionReady))
			}
		}
		if ready < n {
			return fmt.Errorf("%d of %d Tenants are Ready, not so %s", ready, n, example)
		}
		return nil
	})
}

func (f *fleet) list(t *testing.T) []v1alpha1.Tenant {
	t.Helper()
	var list v1alpha1.TenantList
	if err := f.Admin.List(t.Context(), &list, client.InNamespace(f.Namespace)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func (f *fleet) tenant(t *testing.T, name string) *v1alpha1.Tenant {
	t.Helper()
	tenant := f.Tenant(name)
	f.Get(t, tenant)
	return tenant
}

// ship adds the next version, with a failure budget. Each effect of its file is one that a second run
// would double, and each planted fault has a line to fail at.
func (f *fleet) ship(t *testing.T, budget int32) {
	t.Helper()
	f.version++
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) {
		ms.Spec.Rollout.FailureBudget = new(intstr.FromInt32(budget))
	})
	// The operator may see the file before the budget else.
	f.Await(t, f.limit, f.Set, func(bool) error {
		if seen := f.Set.Status.ObservedGeneration; seen != f.Set.Generation {
			return fmt.Errorf("the operator has seen generation %d of %d", seen, f.Set.Generation)
		}
		return nil
	})
	operator.Update(t, f.Servers, f.Files, func(files *corev1.ConfigMap) { files.Data[f.file()] = f.text() })
}

func (f *fleet) file() string { return fmt.Sprintf("%04d_mood.sql", f.version) }

func (f *fleet) text() string {
	return fmt.Sprintf(`ALTER TABLE note ADD CONSTRAINT note_%[1]d CHECK (body <> 'bad %[1]d');
CREATE TYPE mood_%[1]d AS ENUM ('calm', 'cross');
ALTER TABLE note ADD COLUMN mood_%[1]d mood_%[1]d;
WITH all_notes AS MATERIALIZED (SELECT body FROM note) INSERT INTO tally SELECT %[1]d, count(*), count(DISTINCT body) FROM all_notes;
DO $$ BEGIN
	IF to_regclass('slow_%[1]d') IS NOT NULL THEN
		IF nextval('slow_%[1]d') = 1 THEN PERFORM pg_sleep(120); END IF;
	END IF;
END $$;
UPDATE counter SET n = n + 1;
`, f.version)
}

// awaitRollout waits for what the set says of its rollout.
func (f *fleet) awaitRollout(t *testing.T, want operator.Want) {
	t.Helper()
	want.Condition = v1alpha1.ConditionRolledOut
	want.Message = append(want.Message, f.shipped()...)
	f.AwaitWant(t, f.limit, f.Set, want)
}

// shipped is in every message of the newest version. Before the first one the set may have no tenant yet.
func (f *fleet) shipped() []string { return []string{fmt.Sprintf("Version %d ", f.version)} }

// annotate asks something of the set, as a user does.
func (f *fleet) annotate(t *testing.T, name, value string) {
	t.Helper()
	operator.Update(t, f.Servers, f.Set, func(ms *v1alpha1.MigrationSet) {
		if ms.Annotations == nil {
			ms.Annotations = map[string]string{}
		}
		ms.Annotations[name] = value
	})
}

// at counts the tenants whose schema is at the newest version, by the registry's word.
func (f *fleet) at(ctx context.Context, conn *pgx.Conn) (names []string, err error) {
	rows, err := conn.Query(ctx, "SELECT name FROM tenantry.tenant WHERE namespace = $1 AND version = $2", f.Namespace, fmt.Sprint(f.version))
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
