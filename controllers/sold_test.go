package controllers_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/domains"
	"github.com/tenantry/tenantry/test/operator"
)

// A tenant in trouble whose primary host was sold sends nobody to the buyer: its aliases led there.
func TestSoldPrimaryOfATenantInTrouble(t *testing.T) {
	t.Parallel()
	old := newZone(t)
	old.Class.Spec.Routing = gatewayRouting()
	old.Create(t, old.backend())
	old.settle(t)
	sold, alias, wild := old.Host("sold"), old.Host("alias"), "*."+old.Host("wild")
	seller := old.seller(t, sold, alias, wild)
	fresh := old.beside(t)
	fresh.settle(t)
	buyer := fresh.wants(t, "buyer", sold)

	secret := old.troubled(t, seller)
	if diff := cmp.Diff([]string{wild, alias, sold}, old.hostnames(t)); diff != "" {
		t.Errorf("hosts of the routes of a tenant in trouble (-want +got):\n%s", diff)
	}
	old.publish(domains.Challenge(old.clusterUID(t), client.ObjectKeyFromObject(buyer), sold))
	old.later(t, sold, time.Hour)
	old.Expect(t, old.later(t, sold, 4*day), unproved(v1alpha1.ReasonRecordMissing))
	old.later(t, sold, 15*time.Minute)
	old.pass(t, seller)
	if diff := cmp.Diff([]string{wild}, old.hostnames(t)); diff != "" {
		t.Errorf("hosts of the seller's routes (-want +got):\n%s", diff)
	}
	old.quietHere(t, "passes over a tenant in trouble", seller)
	old.now = old.now.Add(time.Minute)
	old.look(t, sold)
	if got := old.holder(t, sold); got != fresh.Namespace+"/buyer" {
		t.Errorf("%s has the host", got)
	}

	// Out of trouble, the seller serves what it has.
	old.Delete(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}})
	operator.Update(t, old.Servers, seller, func(tn *v1alpha1.Tenant) { tn.Spec.Domains = []string{alias, wild} })
	old.pass(t, seller)
	old.acceptRoutes(t, seller)
	old.pass(t, seller)
	old.Expect(t, seller, operator.Ready())
	if diff := cmp.Diff([]string{wild, alias}, old.hostnames(t)); diff != "" {
		t.Errorf("hosts of the seller's routes out of trouble (-want +got):\n%s", diff)
	}
}

// seller is a Ready tenant that has proved all its hosts.
func (z *zone) seller(t *testing.T, hosts ...string) *v1alpha1.Tenant {
	t.Helper()
	seller := z.wants(t, "seller", hosts...)
	for _, h := range hosts {
		z.publish(challenge(t, seller, h))
		z.look(t, h)
	}
	z.pass(t, seller)
	z.acceptRoutes(t, seller)
	z.pass(t, seller)
	z.Expect(t, seller, operator.Ready())
	return seller
}

// troubled puts a Secret of somebody else in the place of a tenant's own, so that its passes stop there.
func (z *zone) troubled(t *testing.T, tn *v1alpha1.Tenant) *corev1.Secret {
	t.Helper()
	secret := z.secret(t, tn)
	z.Delete(t, secret)
	z.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}})
	z.pass(t, tn)
	z.Expect(t, tn, operator.Waiting(v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonSecretNameTaken))
	return secret
}
