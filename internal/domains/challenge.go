package domains

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// challengeLabel stands before a host whose control is to be proved.
const challengeLabel = "_tenantry-challenge."

// challengePrefix stands before every value, so that whoever finds the record knows what it is for.
const challengePrefix = "tenantry-verification="

// Challenge returns the DNS record that proves that a tenant controls a host; a wildcard's is that of
// its base. The value is bound to cluster, tenant and host, so that a record made for one proves
// nothing for another. It does not change when the Tenant is made anew, which a customer's DNS could
// not follow. It is no secret: what proves control is that somebody could create the record.
func Challenge(cluster types.UID, tenant types.NamespacedName, host string) v1alpha1.DNSRecord {
	sum := sha256.Sum256([]byte(strings.Join([]string{"v1", string(cluster), tenant.Namespace, tenant.Name, host}, "\n")))
	value := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
	return v1alpha1.DNSRecord{Type: "TXT", Name: challengeName(host), Value: challengePrefix + value}
}

func challengeName(host string) string { return challengeLabel + strings.TrimPrefix(host, wildcard) }
