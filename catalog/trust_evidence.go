package catalog

import "strconv"

// Evidence is one thing that a hub's score rests on.
type Evidence struct {
	Factor string // the factor it bears on: age, bond, success_rate, volume, penalty, admission
	Source string // who knows it: "self" for this hub, "peers" for signed events, "hub" for the judged one's own signatures
	Detail string // one sentence for people
	Count  int64  // calls, events or heads; 0 where nothing is counted
	Good   int64  // of Count, those that speak for the hub
}

// Who knows a piece of evidence.
const (
	sourceSelf  = "self"
	sourcePeers = "peers"
	sourceHub   = "hub"
)

// evidenceOf lists what each factor of a hub's score rests on. A factor without
// evidence says so.
func evidenceOf(p *Peer, rec hubRecord) []Evidence {
	list := make([]Evidence, 0, 8)
	add := func(factor, source string, count, good int64, detail string) {
		list = append(list, Evidence{factor, source, detail, count, good})
	}
	if p.FirstSeen.IsZero() {
		add("age", sourceSelf, 0, 0, "this hub has never heard of it")
	} else {
		add("age", sourceSelf, 0, 0, "first seen "+stamp(p.FirstSeen))
	}
	add("bond", sourceSelf, 0, 0, "no bond is proven")
	if rec.calls == 0 {
		add("success_rate", sourceSelf, 0, 0, "this hub has not called it in 30 days; 0.5 is assumed")
	} else {
		add("success_rate", sourceSelf, rec.calls, rec.good, "calls of this hub in 30 days, and how many succeeded")
	}
	if h := rec.hearsay; h.events > 0 {
		add("success_rate", sourcePeers, h.events, h.succeeded,
			"signed events of "+strconv.FormatInt(h.reporters, 10)+" other hubs; together they weigh as much as "+
				strconv.FormatFloat(round4(min(h.weight, maxHearsay)), 'g', -1, 64)+" calls")
	}
	add("volume", sourceSelf, rec.good, rec.good, "list price of this hub's calls there that succeeded: "+usdText(int64(rec.volume*usd))+" USD")
	if p.Equivocations > 0 {
		add("penalty", sourceHub, int64(p.Equivocations), 0, "times it signed two different catalogues under one sequence")
	}
	if t := p.Trial; !t.At.IsZero() {
		good := int64(0)
		if t.Passed {
			good = 1
		}
		add("admission", sourceSelf, 1, good, "trial of "+stamp(t.At)+": "+t.Detail)
	}
	return list
}

// AppendJSON prints the evidence as GET /reputation shows it.
func (e Evidence) AppendJSON(dst []byte) []byte {
	o := openObject(dst)
	o.text("factor", e.Factor)
	o.text("source", e.Source)
	o.text("detail", e.Detail)
	if e.Count > 0 {
		o.int("count", e.Count)
		o.int("good", e.Good)
	}
	return o.close()
}
