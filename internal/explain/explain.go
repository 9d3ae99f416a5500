// Package explain tells, for a host and what else a request says, which tenant, schema, database, login
// and route answer it, or exactly why nothing does. It reads objects of the cluster with the rights of
// whoever asks, writes nothing, and sends no request to the host itself: what it says is what the
// operator and the data plane have said. Rights that are missing make the answer smaller, and the answer
// says which. It never reads a password into an answer.
package explain

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Explain answers a query by what the reader may read. The error is one of the query's host or of the API
// server; a right that is missing is none.
func Explain(ctx context.Context, r client.Reader, q Query) (Answer, error) {
	q, err := q.normal()
	if err != nil {
		return Answer{}, err
	}
	in := &inquiry{reader: reader{Reader: r}, query: q, answer: Answer{Host: q.Host, Path: q.Path, Headers: q.Headers}}
	err = in.ask(ctx)
	in.answer.NotRead = in.refusals()
	return in.answer, err
}

// inquiry is one question on its way to the answer. It lives for one call.
type inquiry struct {
	reader

	query  Query
	answer Answer

	// claim on the host, or on a wildcard above it; nil if there is none. Set first.
	claim *v1alpha1.DomainClaim
	// class of the host: its tenant's, or one that declares it. Nil if it is gone or may not be read.
	class *v1alpha1.TenantClass
	// tenant that the request is for; nil if there is none, or it may not be read.
	tenant *v1alpha1.Tenant
	// classes that declare a shared or public host, and values that tenants hold on it. Set for such hosts.
	classes []*v1alpha1.TenantClass
	values  []v1alpha1.DomainClaim
	// routes of the cluster, as far as they may be read. Set before the verdict.
	routes routes
}

func (in *inquiry) ask(ctx context.Context) error {
	if err := in.findClaim(ctx); err != nil {
		return err
	}
	switch in.answer.Role {
	case v1alpha1.HostTenant:
		return in.ofTenant(ctx)
	case v1alpha1.HostShared:
		return in.ofShared(ctx)
	case v1alpha1.HostPublic:
		return in.ofPublic(ctx)
	}
	return in.unclaimed(ctx)
}

// say sets the verdict, unless there is one.
func (in *inquiry) say(v Verdict, summary, advice string) {
	if in.answer.Verdict == "" {
		in.answer.Verdict, in.answer.Summary, in.answer.Advice = v, summary, advice
	}
}
