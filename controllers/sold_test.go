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
	seller := old.wants(t, "seller", sold, alias, wild)
	for _, h := range []string{sold, alias, wild} {
		old.publish(challenge(t, seller, h))
		old.look(t, h)
	}
	old.pass(t, seller)
	old.acceptRoutes(t, seller)
	old.pass(t, seller)
	old.Expect(t, seller, operator.Ready())
	fresh := old.beside(t)
	fresh.settle(t)
	buyer := fresh.wants(t, "buyer", sold)

	secret := old.secret(t, seller)
	old.Delete(t, secret)
	old.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: secret.Name}})
	old.pass(t, seller)
	old.Expect(t, seller, operator.Waiting(v1alpha1.ConditionCredentialsReady, v1alpha1.ReasonSecretNameTaken))
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
