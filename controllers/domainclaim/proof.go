package domainclaim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/conditions"
)

const (
	// askFor bounds all questions of one pass.
	askFor = 10 * time.Second
	// maxOthers is how many hosts of rivals one pass asks about beside the claim's own.
	maxOthers = 8
)

// answer is what DNS says about a claim.
type answer struct {
	// method by which the holder proved control; empty if it did not.
	method v1alpha1.VerificationMethod
	// disputed says that the host is the right alias, and that this says nothing: a rival wants it
	// by the same.
	disputed bool
	// unanswered says why nobody knows whether the holder has proved it; empty if it is known.
	unanswered string
	// winner is a rival that proved what the holder did not.
	winner *party
}

// ask asks DNS whether the holder has proved that it controls the host, and if not, whether a rival
// has. Rivals for the same host cost no question more: their values would be in the same record. Of
// those whose hosts a wildcard excludes, some are asked about each time: those that changed first,
// the others in turn.
func (r *Reconciler) ask(ctx context.Context, claim *v1alpha1.DomainClaim, holder *party, rivals []rival, m *memory) (answer, error) {
	questions, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	same, others, err := r.parties(ctx, claim, rivals, m)
	if err != nil {
		return answer{}, err
	}
	delete(m.fresh, holder.tenant.UID)
	here := r.look(questions, append([]*party{holder}, same...))
	a := answer{}
	if !holder.barred {
		a.method = here.proof(holder)
	}
	if a.method == v1alpha1.VerifiedCNAME && !conditions.IsTrue(claim, v1alpha1.ConditionVerified) && here.disputed(holder, same) {
		a = answer{disputed: true}
	}
	if a.method != "" {
		return a, nil
	}
	a.unanswered = here.trouble(holder)
	for _, p := range same {
		if here.wins(p, append(same, holder)) {
			a.winner = p
			return a, nil
		}
	}
	for _, group := range others {
		there := r.look(questions, group)
		for _, p := range group {
			if there.wins(p, group) {
				a.winner = p
				return a, nil
			}
		}
	}
	return a, nil
}

// sight is what DNS says about one host.
type sight struct {
	texts, targets       []string
	textsErr, targetsErr error
}

// look asks about the host that all parties want. It leaves out what cannot matter: the alias, if a
// value was found, or if it proves nobody's control.
func (r *Reconciler) look(ctx context.Context, parties []*party) sight {
	var s sight
	s.texts, s.textsErr = r.DNS.TXT(ctx, parties[0].record.Name)
	aliases := slices.ContainsFunc(parties, func(p *party) bool { return p.target != "" })
	if aliases && !slices.ContainsFunc(parties, s.hasValue) {
		s.targets, s.targetsErr = r.DNS.CNAME(ctx, parties[0].host)
	}
	return s
}

func (s sight) proof(p *party) v1alpha1.VerificationMethod {
	switch {
	case s.hasValue(p):
		return v1alpha1.VerifiedTXT
	case s.isAlias(p):
		return v1alpha1.VerifiedCNAME
	}
	return ""
}

// hasValue does not mind quotes and spaces around the value, as some forms of DNS providers add.
func (s sight) hasValue(p *party) bool {
	return slices.ContainsFunc(s.texts, func(text string) bool { return strings.Trim(text, "\" \t") == p.record.Value })
}

func (s sight) isAlias(p *party) bool { return p.target != "" && slices.Contains(s.targets, p.target) }

// disputed says whether another party would prove the host by the same alias.
func (s sight) disputed(p *party, parties []*party) bool {
	return slices.ContainsFunc(parties, func(other *party) bool {
		return other.tenant.UID != p.tenant.UID && s.isAlias(other)
	})
}

// wins says whether a rival proved the host, and nobody else by the same.
func (s sight) wins(p *party, parties []*party) bool {
	return s.hasValue(p) || s.isAlias(p) && !s.disputed(p, parties)
}

// trouble says why it is not known whether a party has proved the host, or nothing.
func (s sight) trouble(p *party) string {
	switch {
	case s.textsErr != nil:
		return fmt.Sprintf("TXT %s: %s", p.record.Name, s.textsErr)
	case s.targetsErr != nil && p.target != "":
		return fmt.Sprintf("CNAME %s: %s", p.host, s.targetsErr)
	}
	return ""
}
