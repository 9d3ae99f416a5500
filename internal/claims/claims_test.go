package claims_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/claims"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/internal/fault"
	"github.com/tenantry/tenantry/internal/namespaces"
	"github.com/tenantry/tenantry/test/platform"
)

var config *rest.Config

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	plane, err := platform.StartControlPlane(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		return 1
	}
	defer func() { _ = plane.Stop() }() // the process ends
	root, err := platform.RepoRoot()
	if err == nil {
		err = plane.Apply(ctx, filepath.Join(root, "config", "crd", "bases", "tenantry.dev_domainclaims.yaml"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "install:", err)
		return 1
	}
	config = plane.Config
	return m.Run()
}

// newKeeper is one operator's: it reads from a cache, as under a manager.
func newKeeper(t *testing.T) *claims.Keeper {
	t.Helper()
	scheme := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	c, err := cluster.New(config, func(o *cluster.Options) { o.Scheme = scheme })
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = c.Start(t.Context()) }() // it ends with the test
	if _, err := c.GetCache().GetInformer(t.Context(), &v1alpha1.DomainClaim{}); err != nil {
		t.Fatal(err)
	}
	if !c.GetCache().WaitForCacheSync(t.Context()) {
		t.Fatal("the cache does not fill")
	}
	return &claims.Keeper{Client: c.GetClient(), Live: c.GetAPIReader()}
}

func spec(tenant, host string) v1alpha1.DomainClaimSpec {
	return v1alpha1.DomainClaimSpec{
		Host: host, Role: v1alpha1.HostTenant,
		Holder: v1alpha1.ClaimHolder{Kind: "Tenant", Namespace: "shop", Name: tenant, UID: "uid-of-" + tenant},
	}
}

func hold(t *testing.T, k *claims.Keeper, tenant, host string) error {
	t.Helper()
	_, err := k.Hold(t.Context(), spec(tenant, host), map[string]string{"of": tenant})
	if err != nil && fault.ReasonOf(err) != v1alpha1.ReasonDomainTaken {
		t.Errorf("%s claims %s: %v", tenant, host, err)
	}
	return err
}

// unique is a domain of the test's own.
func unique(t *testing.T) string {
	return strings.ToLower(strings.NewReplacer("/", "-", "_", "-").Replace(t.Name())) + ".example"
}

// Of many who want a host at once, one has it, whichever operator they ask; he has it again when he asks
// again, and nobody learns whose it is.
func TestOneWinner(t *testing.T) {
	t.Parallel()
	first, second := newKeeper(t), newKeeper(t)
	host := unique(t)
	const rivals = 16
	winners := race(rivals, func(i int) error {
		return hold(t, []*claims.Keeper{first, second}[i%2], fmt.Sprintf("rival-%d", i), host)
	})
	if len(winners) != 1 {
		t.Fatalf("%d have the host, want one", len(winners))
	}
	winner := fmt.Sprintf("rival-%d", winners[0])
	if err := hold(t, first, winner, host); err != nil {
		t.Errorf("the winner asks again: %v", err)
	}
	loser := fmt.Sprintf("rival-%d", (winners[0]+1)%rivals)
	err := hold(t, second, loser, host)
	if err == nil || strings.Contains(err.Error(), winner) || fault.KindOf(err) != fault.Invalid {
		t.Errorf("a loser asks again: %v", err)
	}
}

func race(n int, claim func(int) error) (winners []int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			if claim(i) == nil {
				mu.Lock()
				defer mu.Unlock()
				winners = append(winners, i)
			}
		})
	}
	all.Wait()
	return winners
}

// Wildcards and hosts below them that are claimed at once by different tenants: however they fall, no two
// of them exclude each other.
func TestWildcardsRace(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	for round := range 8 {
		base := fmt.Sprintf("r%d.%s", round, unique(t))
		hosts := []string{"*." + base, "a." + base, "b.a." + base, "*.a." + base, "x.b." + base, "*.b." + base, base, "*.x." + base}
		winners := race(len(hosts), func(i int) error { return hold(t, k, fmt.Sprintf("t%d", i), hosts[i]) })
		if len(winners) == 0 {
			t.Errorf("round %d: nobody has anything", round)
		}
		for _, a := range winners {
			for _, b := range winners {
				if domains.Covers(hosts[a], hosts[b]) {
					t.Errorf("round %d: one has %s and another %s", round, hosts[a], hosts[b])
				}
			}
		}
	}
}

// A holder of a wildcard has it at each pass, and hosts below it besides; more claims than one page holds
// are below it, and one of them is another's.
func TestWildcardAmongMany(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	base := unique(t)
	const many = 520 // The API server answers 500 at a time.
	if n := len(race(many, func(i int) error { return hold(t, k, "acme", fmt.Sprintf("h%d.%s", i, base)) })); n != many {
		t.Fatalf("%d hosts of %d", n, many)
	}
	for range 3 {
		if err := hold(t, k, "acme", "*."+base); err != nil {
			t.Fatalf("the wildcard over its own hosts: %v", err)
		}
	}
	if err := hold(t, k, "globex", "new."+base); err == nil {
		t.Error("another has a host below the wildcard")
	}
	claim := &v1alpha1.DomainClaim{}
	claim.Name = domains.ClaimName("*." + base)
	get(t, k, claim)
	if err := k.Release(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return k.Get(t.Context(), client.ObjectKeyFromObject(claim), claim) != nil })
	if err := hold(t, k, "globex", "zz."+base); err != nil {
		t.Fatal(err)
	}
	rival, err := k.Hold(t.Context(), spec("acme", "*."+base), nil)
	if fault.ReasonOf(err) != v1alpha1.ReasonDomainTaken || rival == nil || rival.Spec.Host != "zz."+base {
		t.Errorf("the wildcard is claimed over another's host: %v, %v", rival, err)
	}
}

// An operator for some namespaces reads through a filter, which claims pass as they are: it claims wildcards, is
// refused those over hosts of others, and hands them to who proved them.
func TestWildcardsOfAnOperatorForSomeNamespaces(t *testing.T) {
	t.Parallel()
	all := newKeeper(t)
	some := namespaces.Set{"shop"}
	k := &claims.Keeper{Client: some.Client(all.Client), Live: some.Reader(all.Live, all.Client)}
	base := "x." + unique(t)
	for _, host := range []string{"*." + base, "a." + base} {
		if err := hold(t, k, "acme", host); err != nil {
			t.Fatal(err)
		}
	}
	if err := hold(t, k, "globex", "*.a."+base); err == nil {
		t.Error("a wildcard below another's is had")
	}
	if err := hold(t, k, "globex", "*."+unique(t)); err == nil {
		t.Error("a wildcard over another's is had")
	}
	if _, err := k.Take(t.Context(), spec("globex", "*."+base), map[string]string{"of": "globex"}, yields); err != nil {
		t.Fatal(err)
	}
	if has, below := holderOf(t, k, "*."+base), holderOf(t, k, "a."+base); has != "globex" || below != "" {
		t.Errorf("the wildcard is %q's, and the host below it %q's", has, below)
	}
}

// Two operators at once may both claim what excludes one another: then the older claim counts, for both.
func TestTheOlderCounts(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	base := unique(t)
	if err := hold(t, k, "older", "a."+base); err != nil {
		t.Fatal(err)
	}
	blind := &v1alpha1.DomainClaim{Spec: spec("newer", "*."+base)}
	blind.Name, blind.Spec.ClaimedAt = domains.ClaimName(blind.Spec.Host), new(metav1.NowMicro())
	if err := k.Create(t.Context(), blind); err != nil {
		t.Fatal(err)
	}
	await(t, func() bool { return k.Get(t.Context(), client.ObjectKeyFromObject(blind), blind) == nil })
	if err := hold(t, k, "newer", "*."+base); err == nil {
		t.Error("the newer claim counts")
	}
	if err := hold(t, k, "older", "a."+base); err != nil {
		t.Errorf("the older claim does not count: %v", err)
	}
}

// A class's host is any class's that declares it in the same role, and no tenant's.
func TestRoles(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	host := unique(t)
	of := func(class string, role v1alpha1.HostRole) v1alpha1.DomainClaimSpec {
		return v1alpha1.DomainClaimSpec{Host: host, Role: role, Holder: v1alpha1.ClaimHolder{Kind: "TenantClass", Name: class, UID: class}}
	}
	for _, tt := range []struct {
		name string
		spec v1alpha1.DomainClaimSpec
		says string
	}{
		{"a class", of("one", v1alpha1.HostShared), ""},
		{"another class", of("two", v1alpha1.HostShared), ""},
		{"in another role", of("two", v1alpha1.HostPublic), "one role"},
		{"a tenant", spec("acme", host), "is a Shared host of the platform"},
		{"a wildcard", spec("acme", "*."+strings.SplitN(host, ".", 2)[0]+".example"), ""},
	} {
		_, err := k.Hold(t.Context(), tt.spec, nil)
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
	for _, tenant := range []string{"acme", "globex"} {
		value := spec(tenant, host)
		value.Value = "acme"
		if _, err := k.Hold(t.Context(), value, map[string]string{"of": tenant}); (err != nil) != (tenant == "globex") {
			t.Errorf("%s claims the value: %v", tenant, err)
		}
	}
}

// Take gives a host to who proved it: all that is in its way yields, or nothing happens.
func TestTake(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	for name, tt := range map[string]struct {
		held []string // by others, before the base
		want string
		left []string // that stay although the taker has its host
	}{
		"same":     {held: []string{""}, want: ""},
		"above":    {held: []string{"*."}, want: "a."},
		"below":    {held: []string{"a.", "b.c.", "*.d."}, want: "*."},
		"beside":   {held: []string{"a.", "*.a."}, want: "b.", left: []string{"a.", "*.a."}},
		"nothing":  {want: ""},
		"the base": {held: []string{"*."}, want: "", left: []string{"*."}},
	} {
		t.Run(name, func(t *testing.T) {
			base := strings.ReplaceAll(unique(t), " ", "-")
			for i, prefix := range tt.held {
				if err := hold(t, k, fmt.Sprintf("holder-%d", i), prefix+base); err != nil {
					t.Fatal(err)
				}
			}
			if len(tt.held) > len(tt.left) {
				refuse(t, k, base, tt.held, tt.want+base)
			}
			_, err := k.Take(t.Context(), spec("taker", tt.want+base), map[string]string{"of": "taker"}, yields)
			if err != nil || holderOf(t, k, tt.want+base) != "taker" {
				t.Errorf("Take() = %v, and %s has the host", err, holderOf(t, k, tt.want+base))
			}
			for i, prefix := range tt.held {
				stays := slices.Contains(tt.left, prefix)
				if got := holderOf(t, k, prefix+base); prefix != tt.want && (got == fmt.Sprintf("holder-%d", i)) != stays {
					t.Errorf("%s is %q's afterwards", prefix+base, got)
				}
			}
			if _, err := k.Take(t.Context(), spec("taker", tt.want+base), nil, yields); err != nil {
				t.Errorf("taken twice: %v", err)
			}
		})
	}
}

// refuse takes a host over claims of which the last does not yield.
func refuse(t *testing.T, k *claims.Keeper, base string, held []string, want string) {
	t.Helper()
	asked := 0
	_, err := k.Take(t.Context(), spec("taker", want), nil, func(*v1alpha1.DomainClaim) (bool, error) {
		asked++
		return asked < len(held), nil
	})
	if fault.ReasonOf(err) != v1alpha1.ReasonDomainTaken || asked != len(held) {
		t.Errorf("Take() = %v while the last of %d does not yield; %d were asked", err, len(held), asked)
	}
	for _, prefix := range held {
		if holderOf(t, k, prefix+base) == "" {
			t.Errorf("%s went although another did not yield", prefix+base)
		}
	}
}

func yields(*v1alpha1.DomainClaim) (bool, error) { return true, nil }

// A claim that changed after it was judged is not taken: its holder may have proved it meanwhile.
func TestTakeOfWhatChanged(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	host := unique(t)
	if err := hold(t, k, "holder", host); err != nil {
		t.Fatal(err)
	}
	_, err := k.Take(t.Context(), spec("taker", host), nil, func(c *v1alpha1.DomainClaim) (bool, error) {
		before := c.DeepCopy()
		proved := c.DeepCopy()
		proved.Status.Verification = &v1alpha1.ClaimVerification{Method: v1alpha1.VerifiedTXT}
		return true, k.Status().Patch(t.Context(), proved, client.MergeFrom(before))
	})
	if err == nil || holderOf(t, k, host) != "holder" {
		t.Errorf("Take() = %v, and %s has the host", err, holderOf(t, k, host))
	}
}

// While one takes a host from another, that one cannot claim it again, or anything else that is in the way.
func TestTakeWinsTheRace(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	for round := range 5 {
		base := fmt.Sprintf("r%d.%s", round, unique(t))
		for i, host := range []string{"a." + base, "b." + base} {
			if err := hold(t, k, fmt.Sprintf("holder-%d", i), host); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var again sync.WaitGroup
		for i, host := range []string{"a." + base, "b." + base} {
			again.Go(func() {
				for ctx.Err() == nil {
					_, _ = k.Hold(ctx, spec(fmt.Sprintf("holder-%d", i), host), nil)
				}
			})
		}
		_, err := k.Take(t.Context(), spec("taker", "*."+base), nil, yields)
		cancel()
		again.Wait()
		if err != nil || holderOf(t, k, "*."+base) != "taker" {
			t.Errorf("round %d: Take() = %v", round, err)
		}
		for _, host := range []string{"a." + base, "b." + base} {
			if got := holderOf(t, k, host); got != "" {
				t.Errorf("round %d: %s has %s", round, got, host)
			}
		}
	}
}

// holderOf is who holds a host by the API server's word.
func holderOf(t *testing.T, k *claims.Keeper, host string) string {
	t.Helper()
	c := &v1alpha1.DomainClaim{}
	err := k.Live.Get(t.Context(), client.ObjectKey{Name: domains.ClaimName(host)}, c)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	return c.Spec.Holder.Name
}

func get(t *testing.T, k *claims.Keeper, c *v1alpha1.DomainClaim) {
	t.Helper()
	if err := k.Live.Get(t.Context(), client.ObjectKeyFromObject(c), c); err != nil {
		t.Fatal(err)
	}
}

// await waits for the cache.
func await(t *testing.T, wish func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(30 * time.Second)
	for !wish() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatal("the cache does not follow")
		}
	}
}
