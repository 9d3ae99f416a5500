package probing

import (
	"container/heap"
	"time"
)

// line is where probes wait until they are due, the first one in front.
type line []*probe

func (l *line) Len() int           { return len(*l) }
func (l *line) Less(i, j int) bool { return (*l)[i].due.Before((*l)[j].due) }

func (l *line) Swap(i, j int) {
	all := *l
	all[i], all[j] = all[j], all[i]
	all[i].place, all[j].place = i, j
}

// Push implements heap.Interface.
func (l *line) Push(x any) {
	p := x.(*probe)
	p.line, p.place = l, len(*l)
	*l = append(*l, p)
}

// Pop implements heap.Interface.
func (l *line) Pop() any {
	last := len(*l) - 1
	p := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	p.line = nil
	return p
}

func (l *line) add(p *probe) { heap.Push(l, p) }

// first returns the probe in front if it is due, and takes it out.
func (l *line) first(now time.Time) *probe {
	if len(*l) == 0 || (*l)[0].due.After(now) {
		return nil
	}
	return heap.Pop(l).(*probe)
}

// leave takes a probe out of its line, if it waits in one.
func leave(p *probe) {
	if p.line != nil {
		heap.Remove(p.line, p.place)
	}
}
