package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Bounds of the waits. Three tenants take seconds; a busy machine, and an operator that has to wait
// for the lease of one that was killed, take longer.
const (
	tenantsReady = 2 * time.Minute
	// schemasReady is for what needs no data plane. It is no failure if it is too short.
	schemasReady = 30 * time.Second
	// stalledFor is how long all that is not Ready has to say that only an edit helps.
	stalledFor = 5 * time.Second
)

// tenants returns the sample's Tenants, and those that the user has added to them.
func (d *demo) tenants(ctx context.Context) ([]v1alpha1.Tenant, error) {
	var list v1alpha1.TenantList
	err := d.admin.List(ctx, &list, client.InNamespace(namespace))
	return list.Items, err
}

// waitForTenants lets kubectl wait, as a user would. What is not Ready in the end is explained.
func (d *demo) waitForTenants(ctx context.Context) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.cutShort(waiting, cancel)
	err := d.kubectl(waiting, "wait", "--for=condition=Ready", "tenant", "--all", "-A", "--timeout="+tenantsReady.String())
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		// The account says more than kubectl's own words.
		return fmt.Errorf("not every Tenant is Ready\n\n%s", strings.TrimRight(d.account(ctx), "\n"))
	}
	return d.kubectl(ctx, "get", "tenants", "-A")
}

// cutShort ends a wait that can have no good end: the operator died, or every Tenant that is not
// Ready says that only an edit helps.
func (d *demo) cutShort(ctx context.Context, cancel func()) {
	defer cancel()
	stalledSince := time.Time{}
	_ = poll(ctx, time.Second, func() bool {
		if !d.operator.Running() {
			return true
		}
		tenants, err := d.tenants(ctx)
		if err != nil || !hopeless(tenants) {
			stalledSince = time.Time{}
			return false
		}
		if stalledSince.IsZero() {
			stalledSince = time.Now()
		}
		return time.Since(stalledSince) > stalledFor
	})
}

// hopeless says whether there are Tenants that are not Ready, and all of these are Stalled.
func hopeless(tenants []v1alpha1.Tenant) bool {
	stalled := 0
	for _, t := range tenants {
		switch {
		case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionReady):
		case meta.IsStatusConditionTrue(t.Status.Conditions, v1alpha1.ConditionStalled):
			stalled++
		default:
			return false
		}
	}
	return stalled > 0
}

// waitForSchemas waits until all that is missing is the data plane, so that there is something to
// see while that is built, and shows it.
func (d *demo) waitForSchemas(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, schemasReady)
	defer cancel()
	all := func(condition string) func() bool {
		return func() bool {
			tenants, err := d.tenants(waiting)
			return err == nil && !slices.ContainsFunc(tenants, func(t v1alpha1.Tenant) bool {
				return !meta.IsStatusConditionTrue(t.Status.Conditions, condition)
			})
		}
	}
	_ = poll(waiting, 200*time.Millisecond, all(v1alpha1.ConditionVerified))
	if all(v1alpha1.ConditionReady)() {
		return nil
	}
	d.out.printf("\n")
	d.out.say("The Tenants have their data, and wait for the data plane:")
	return d.kubectl(ctx, "get", "tenants", "-A")
}

// poll asks until the answer is yes or the context ends, whose error it returns then.
func poll(ctx context.Context, every time.Duration, done func() bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !done() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
