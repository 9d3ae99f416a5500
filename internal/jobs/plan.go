package jobs

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Digest is a SHA-256 in hex over what decides which schema a tenant gets: framework, version, what is
// expected, and what runs. How it runs (resources, nodes, deadlines, size of a batch) is left out: it
// changes no schema, and no tenant is rolled out anew for it.
func Digest(job *v1alpha1.MigrationJob) string {
	expect := slices.Sorted(slices.Values(job.Expect))
	t := job.Template
	text, err := json.Marshal([]any{job.Framework, job.Version, expect, t.Image, t.Command, t.Args, t.Env})
	if err != nil {
		panic(err) // Strings alone can always be written.
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// nameHash is in hexadecimal digits.
const nameHash = 16

// Name is that of the Job that takes these tenants to a digest. The same wish has the same name, so that
// the API server lets one of two through.
func Name(ms *v1alpha1.MigrationSet, digest string, uids []string) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{string(ms.UID), digest}, slices.Sorted(slices.Values(uids))...), "\x00")))
	const most = 63 // The name is a label of its Pods.
	stem := strings.ReplaceAll(ms.Name, ".", "-")
	if room := most - 1 - nameHash; len(stem) > room {
		stem = strings.TrimRight(stem[:room], "-")
	}
	return stem + "-" + hex.EncodeToString(sum[:])[:nameHash]
}
