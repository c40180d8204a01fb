package catalog

import (
	"math"
	"time"
)

// Factors are the parts of a hub's trust score, each in 0…1 (federation notes §5).
// Where the reference rewards absence, these stay at what was seen: age counts from
// first sight, an unproven bond is 0, and no trade is a volume of 0.
type Factors struct {
	Age         float64 // days since first seen, of a year
	Bond        float64 // log10 of the proven bond in USD, of 4
	SuccessRate float64 // of calls in 30 days: this hub's own first, then what others signed; 0.5 if nobody knows
	Volume      float64 // log10 of the list price of this hub's own good calls, in USD, of 5
	Penalty     float64 // share of the weighed sum that proven lies take away
}

// Weights of the factors, fixed by the protocol.
const (
	weightAge         = 0.2
	weightBond        = 0.3
	weightSuccessRate = 0.35
	weightVolume      = 0.15
)

// unobservedSuccess is the neutral success rate of a hub that was never called.
const unobservedSuccess = 0.5

// strangerScore is the score of a hub that was seen just now and never called.
const strangerScore = weightSuccessRate * unobservedSuccess

// equivocationPenalty is what each pair of contradicting heads takes of what is left:
// the third one brings the rows of a stranger under the default floor.
const equivocationPenalty = 0.2

// Score weighs the factors into 0…1, rounded to 4 digits.
func (f Factors) Score() float64 {
	s := weightAge*clamp(f.Age) + weightBond*clamp(f.Bond) + weightSuccessRate*clamp(f.SuccessRate) + weightVolume*clamp(f.Volume)
	return round4(clamp(s * (1 - clamp(f.Penalty))))
}

// rowTrust is the trust of a hub's rows: what a stranger's score earns lies in the
// middle, so that an admitted stranger is found by a default search and a hub that
// fails sinks under every floor.
func rowTrust(score float64) float64 {
	score = clamp(score)
	if score <= strangerScore {
		return round4(score / strangerScore / 2)
	}
	return round4(0.5 + (score-strangerScore)/(1-strangerScore)/2)
}

func clamp(f float64) float64 {
	if !(f > 0) { // NaN too
		return 0
	}
	return min(f, 1)
}

// logFactor is log10(amount)/decades within 0…1; below one USD it is 0.
func logFactor(amountUSD, decades float64) float64 {
	return clamp(math.Log10(max(1, amountUSD)) / decades)
}

// Reputation is a hub's trust score and what it rests on.
type Reputation struct {
	HubURL       string
	TrustScore   float64 // 0…1
	Basis        string  // measured, unobserved, self
	Observations int64   // this hub's own calls in 30 days
	Factors      Factors
	Evidence     []Evidence // of Catalog.Reputation only
}

// Reputation judges a hub by what this hub has seen of it and, for little, by what
// others signed. It trusts itself fully, by construction; a hub that nobody has seen
// gets the score of a stranger.
func (c *Catalog) Reputation(hubURL string) Reputation {
	base, err := NormalizeHubURL(hubURL)
	if hubURL == Local || err == nil && c.isSelf(base) {
		return Reputation{
			HubURL: hubURL, TrustScore: 1, Basis: basisSelf, Observations: c.table.byHub()[Local].calls,
			Factors: Factors{Age: 1, Bond: 1, SuccessRate: 1, Volume: 1},
		}
	}
	p, known := c.Peer(hubURL)
	if !known {
		p = Peer{URL: hubURL}
	}
	rec := c.table.byHub()[p.URL]
	r := reputationOf(&p, rec, c.cfg.Now())
	r.HubURL = hubURL
	r.Evidence = evidenceOf(&p, rec)
	return r
}

// TrustScore is Reputation's number alone.
func (c *Catalog) TrustScore(hubURL string) float64 { return c.Reputation(hubURL).TrustScore }

func reputationOf(p *Peer, rec hubRecord, now time.Time) Reputation {
	f := Factors{SuccessRate: rec.successRate(), Volume: logFactor(rec.volume, 5)}
	if !p.FirstSeen.IsZero() {
		f.Age = clamp(now.Sub(p.FirstSeen).Hours() / 24 / 365)
	}
	if p.Equivocations > 0 {
		f.Penalty = 1 - math.Pow(1-equivocationPenalty, float64(p.Equivocations))
	}
	basis := basisUnobserved
	if rec.calls > 0 {
		basis = basisMeasured
	}
	return Reputation{HubURL: p.URL, TrustScore: f.Score(), Basis: basis, Observations: rec.calls, Factors: f}
}

// How much hearsay counts beside this hub's own calls. Own evidence has at least the
// weight of ownWeight calls, hearsay at most that of maxHearsay: a third of the whole
// while nothing was called, and less with every further call.
const (
	ownWeight   = 10.0
	maxHearsay  = 5.0
	perReporter = 3.0 // calls that one reporter's word stands for at most, before its trust
)

// successRate combines own calls with what others signed.
func (r hubRecord) successRate() float64 {
	own := unobservedSuccess
	if r.calls > 0 {
		own = float64(r.good) / float64(r.calls)
	}
	said := min(r.hearsay.weight, maxHearsay)
	if said <= 0 {
		return own
	}
	weight := max(ownWeight, float64(r.calls))
	return (weight*own + said*r.hearsay.good/r.hearsay.weight) / (weight + said)
}

// hearsay is what other hubs' signed events say of one hub.
type hearsay struct {
	weight    float64 // calls that it stands for, weighed by the trust in who said it
	good      float64 // the share of weight that succeeded
	events    int64   // as counted
	succeeded int64   // of events
	reporters int64
}

// add counts one reporter's events: n of them, good of those well, by a hub with this score.
func (h *hearsay) add(n, good int64, score float64) {
	if n <= 0 {
		return
	}
	w := min(float64(n), perReporter) * clamp(score)
	h.weight += w
	h.good += w * float64(good) / float64(n)
	h.events += n
	h.succeeded += good
	h.reporters++
}

// hubRecord sums the measurements of one hub's rows.
type hubRecord struct {
	calls  int64
	good   int64
	volume float64 // list price of the good calls, USD

	hearsay hearsay // of other hubs
}

// byHub is what was measured, by source hub, as of the last fold.
func (t *measureTable) byHub() map[string]hubRecord {
	if m := t.hubs.Load(); m != nil {
		return *m
	}
	return nil
}

// sumOwn sums this hub's own calls.
func (t *measureTable) sumOwn() map[string]hubRecord {
	out := map[string]hubRecord{}
	t.mu.RLock()
	defer t.mu.RUnlock()
	for k, m := range t.rows {
		if s := m.now.Load(); s != nil && s.calls > 0 {
			r := out[k.SourceHub]
			r.calls += s.calls
			r.good += s.good
			r.volume += s.volume
			out[k.SourceHub] = r
		}
	}
	return out
}

// Trust of community rows. A stake is only declared, so it lifts a row above the
// floors for search (0.3) and invoke (0.35) and little more: ten times the stake buys a
// tenth, and no declaration reaches what the operator gives its own rows.
const (
	stakeTrustBase = 0.4
	stakeTrustStep = 0.1
	stakeTrustTop  = 0.6
	stakeTrustUnit = 10 * usd
)

// StakeTrust is the trust of a publisher's rows: 0 below the hub's minimum, 0.4 at
// 10 USD, 0.5 at 100 USD, at most 0.6.
func StakeTrust(stakeMicros, minMicros int64) float64 {
	if stakeMicros < minMicros || stakeMicros < 0 {
		return 0
	}
	decades := math.Log10(max(1, float64(stakeMicros)/stakeTrustUnit))
	return round4(min(stakeTrustTop, stakeTrustBase+stakeTrustStep*decades))
}
