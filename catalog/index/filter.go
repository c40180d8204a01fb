package index

// filter decides which rows a query may see. It is bound to one view.
type filter struct {
	hidden     Flags
	hub        uint32
	oneHub     bool
	nothing    bool // no row can pass
	minTrust   float64
	maxLatency uint32 // 0: none
	budget     int64
	hasBudget  bool
	category   []uint64 // bit per row; nil: none
	hubFlags   []Flags
}

// pass says whether row i of block b, which is doc, is one that the query may see.
func (f *filter) pass(b *block, doc uint32) bool {
	i := doc & blockMask
	hub := b.hub[i]
	switch {
	case b.isDead(i),
		(b.flags[i]|f.hubFlags[hub])&f.hidden != 0,
		f.oneHub && hub != f.hub,
		!(b.trust[i] >= f.minTrust),
		f.maxLatency > 0 && b.latency[i] > f.maxLatency,
		f.hasBudget && b.price[i] > f.budget,
		f.category != nil && f.category[doc>>6]>>(doc&63)&1 == 0:
		return false
	}
	return true
}

func newFilter(q *Query) filter {
	f := filter{
		hidden: Demo | Stale | Unexecutable, minTrust: q.MinTrust,
		hasBudget: q.HasBudget, budget: q.BudgetMicros,
	}
	if q.IncludeDemo {
		f.hidden &^= Demo
	}
	if q.IncludeStale {
		f.hidden &^= Stale
	}
	if q.MaxLatencyMS > 0 {
		f.maxLatency = uint32(min(q.MaxLatencyMS, 1<<31-1))
	}
	if !(f.minTrust > 0) { // NaN too: it filters nothing
		f.minTrust = 0
	}
	return f
}
