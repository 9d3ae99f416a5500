package bench

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// cost is what one run took.
type cost struct {
	clock, processor time.Duration
	// by program: postgres, api (API server, etcd, controller manager), client (this process: the operator,
	// or the bare program, and who applies the Tenants).
	by usage
}

// measure runs something and tells what it cost.
func measure(run func()) cost {
	clock, processor := time.Now(), processorTime()
	run()
	by := processorTime().since(processor)
	return cost{time.Since(clock), by.total(), by}
}

// row is one line of the table: so many things done several times, beside their bound.
type row struct {
	what  string
	n     int
	costs []cost
	// bounds are those of the same rounds; none for the bound itself.
	bounds []cost
	// goal for the ratio of clocks; 0 for none.
	goal float64
}

func (r row) print(w io.Writer) {
	clock, processor := median(r.costs, func(c cost) time.Duration { return c.clock }), median(r.costs, func(c cost) time.Duration { return c.processor })
	each := func(d time.Duration) string {
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000/float64(r.n))
	}
	ratios, goal := "\t", ""
	if len(r.bounds) > 0 {
		ratios = fmt.Sprintf("%.2f\t%.2f", r.ratio(func(c cost) time.Duration { return c.clock }), r.ratio(func(c cost) time.Duration { return c.processor }))
	}
	if r.goal > 0 {
		goal = fmt.Sprintf("%.2f", r.goal)
	}
	part := func(program string) string {
		return each(median(r.costs, func(c cost) time.Duration { return c.by[program] }))
	}
	_, _ = fmt.Fprintf(w, "%s\t%d\t%.1f s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
		r.what, r.n, clock.Seconds(), each(clock), each(processor), part("postgres"), part("api"), part("client"), ratios, goal)
}

// ratio is the median of the rounds' ratios: what disturbs a machine disturbs both sides of a round.
func (r row) ratio(of func(cost) time.Duration) float64 {
	ratios := r.ratios(of)
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

func (r row) ratios(of func(cost) time.Duration) (ratios []float64) {
	for i := range min(len(r.costs), len(r.bounds)) {
		ratios = append(ratios, of(r.costs[i]).Seconds()/of(r.bounds[i]).Seconds())
	}
	return ratios
}

// fastest is the ratio of the least that both sides took in any round: what disturbs a machine only adds, and may meet
// one side of a round alone.
func (r row) fastest(of func(cost) time.Duration) float64 {
	least := func(costs []cost) time.Duration {
		return of(slices.MinFunc(costs, func(a, b cost) int { return cmp.Compare(of(a), of(b)) }))
	}
	return least(r.costs).Seconds() / least(r.bounds).Seconds()
}

// roundsOf tells how far the rounds' ratios are apart, by the clock: that is how sure the table is.
func roundsOf(rows []row) (notes []string) {
	for _, r := range rows {
		if len(r.bounds) > 1 {
			notes = append(notes, fmt.Sprintf("Ratios of the rounds, %s: %.2f; of the fastest ones: %.2f, of processor time %.2f.", r.what,
				r.ratios(func(c cost) time.Duration { return c.clock }), r.fastest(func(c cost) time.Duration { return c.clock }),
				r.fastest(func(c cost) time.Duration { return c.processor })))
		}
	}
	return notes
}

func median(costs []cost, of func(cost) time.Duration) time.Duration {
	var all []time.Duration
	for _, c := range costs {
		all = append(all, of(c))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// printTable prints all rows under one head.
func printTable(out io.Writer, rows []row) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "what\ttenants\ttook\teach\tprocessor\tpostgres\tapi\tclient\tratio to bound\tof processor time\tgoal")
	for _, r := range rows {
		r.print(w)
	}
	_ = w.Flush()
}
