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
	SuccessRate float64 // of this hub's own calls there in 30 days; 0.5 if there were none
	Volume      float64 // log10 of the list price of those that succeeded, in USD, of 5
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

// Score weighs the factors into 0…1, rounded to 4 digits.
func (f Factors) Score() float64 {
	s := weightAge*clamp(f.Age) + weightBond*clamp(f.Bond) + weightSuccessRate*clamp(f.SuccessRate) + weightVolume*clamp(f.Volume)
	return round4(clamp(s))
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
	Observations int64   // calls in 30 days
	Factors      Factors
}

// Reputation judges a hub by what this hub has seen of it. It trusts itself fully, by
// construction; a hub that nobody has seen gets the score of a stranger.
func (c *Catalog) Reputation(hubURL string) Reputation {
	base, err := NormalizeHubURL(hubURL)
	if hubURL == Local || err == nil && base == c.cfg.HubURL {
		return Reputation{
			HubURL: hubURL, TrustScore: 1, Basis: basisSelf, Observations: c.table.byHub()[Local].calls,
			Factors: Factors{Age: 1, Bond: 1, SuccessRate: 1, Volume: 1},
		}
	}
	p, known := c.Peer(hubURL)
	if !known {
		p = Peer{URL: hubURL}
	}
	r := reputationOf(&p, c.table.byHub()[p.URL], c.cfg.Now())
	r.HubURL = hubURL
	return r
}

// TrustScore is Reputation's number alone.
func (c *Catalog) TrustScore(hubURL string) float64 { return c.Reputation(hubURL).TrustScore }

func reputationOf(p *Peer, rec hubRecord, now time.Time) Reputation {
	f := Factors{SuccessRate: unobservedSuccess, Volume: logFactor(rec.volume, 5)}
	if !p.FirstSeen.IsZero() {
		f.Age = clamp(now.Sub(p.FirstSeen).Hours() / 24 / 365)
	}
	basis := basisUnobserved
	if rec.calls > 0 {
		f.SuccessRate, basis = float64(rec.good)/float64(rec.calls), basisMeasured
	}
	return Reputation{HubURL: p.URL, TrustScore: f.Score(), Basis: basis, Observations: rec.calls, Factors: f}
}

// hubRecord sums the measurements of one hub's rows.
type hubRecord struct {
	calls  int64
	good   int64
	volume float64 // list price of the good calls, USD
}

// byHub is what was measured, by source hub, as of the last fold.
func (t *measureTable) byHub() map[string]hubRecord {
	if m := t.hubs.Load(); m != nil {
		return *m
	}
	return nil
}

// sumHubs computes byHub anew.
func (t *measureTable) sumHubs() {
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
	t.hubs.Store(&out)
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
