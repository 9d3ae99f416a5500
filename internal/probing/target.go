package probing

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Owner is the tenant that targets belong to.
type Owner struct {
	types.NamespacedName
	UID types.UID
}

// Target is one host of a tenant, asked by one way into the data plane.
type Target struct {
	// Host is asked for: the Host header and, with TLS, the name in the handshake and the one that
	// the certificate must have.
	Host string
	// Via names the way in for messages. Host and Via together name the target among its owner's.
	Via string
	// Addresses are where the data plane listens, as host:port. The first that takes the connection
	// is asked: a client with several records does the same.
	Addresses []string
	// TLS asks by https.
	TLS bool
	// CAs are certificates in PEM that are trusted in the place of the system's, if there are any.
	CAs string
	// Path of the request.
	Path string
	// Want is what the answer must be.
	Want Expectation
	// Timeout bounds one request, Interval is the longest time between two.
	Timeout, Interval time.Duration
	// Presumed is what was known of the target when the prober forgot, which a restart makes it do.
	// It is used for owners that the prober does not know, and stands until answers say otherwise.
	Presumed Verdict
}

// Expectation is what a good answer is.
type Expectation struct {
	// Status of the answer.
	Status int
	// RedirectTo is the host to which the answer must lead by a status of 301, 302 or 308. Status is
	// not asked then.
	RedirectTo string
}

// State is what is known of a target.
type State int

const (
	// Unknown : there was no good answer yet, and not enough time to call that a failure.
	Unknown State = iota
	// Good : it answers as it should.
	Good
	// Bad : it does not.
	Bad
)

// Verdict is a State and, if it is Bad, what came in the place of a good answer. The words stay the
// same while the cause does: no durations that were measured, no ports that change, no counters.
type Verdict struct {
	State   State
	Message string
}

type key struct{ host, via string }

func (t *Target) key() key { return key{t.Host, t.Via} }

// sameQuestion says whether an answer to one target is an answer to the other. How often it is asked
// does not matter.
func (t *Target) sameQuestion(o *Target) bool {
	return t.key() == o.key() && slices.Equal(t.Addresses, o.Addresses) && t.TLS == o.TLS && t.CAs == o.CAs &&
		t.Path == o.Path && t.Want == o.Want
}

func (t *Target) url() string {
	if t.TLS {
		return "https://" + t.Host + t.Path
	}
	return "http://" + t.Host + t.Path
}
