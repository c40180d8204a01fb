package routing

import "sync/atomic"

// The results that are not refusals, beside the kinds in Metrics.Invokes.
const (
	resultOK       = "ok"
	resultReplayed = "replayed"
)

// counters are the Router's running numbers. The maps are filled once and only
// read afterwards.
type counters struct {
	results  map[string]*atomic.Uint64
	provider atomic.Uint64
}

func (c *counters) init() {
	c.results = map[string]*atomic.Uint64{resultOK: {}, resultReplayed: {}}
	for _, k := range kinds {
		c.results[string(k)] = &atomic.Uint64{}
	}
}

func (c *counters) refused(k Kind) {
	n := c.results[string(k)]
	if n == nil { // a kind that a plugin or peer transport made up
		n = c.results[string(Internal)]
	}
	n.Add(1)
}

func (c *counters) served(replayed bool) {
	name := resultOK
	if replayed {
		name = resultReplayed
	}
	c.results[name].Add(1)
}

// Metrics is a snapshot of the Router's counters, for a monitor to scrape. All
// but Breakers and InFlight only grow.
type Metrics struct {
	Invokes          map[string]uint64 // by "ok", "replayed" or the Kind of the refusal
	ProviderFailures uint64            // faults that a breaker counted
	Breakers         map[string]int    // provider origins by state: closed, half-open, open
	HookFailures     map[string]uint64 // by plugin: errors, panics, deadlines
	QuotesClamped    map[string]uint64 // by plugin: prices outside 0…list
	RateRefused      uint64            // by the invoke limit per address
	TrialRateRefused uint64            // by the trial limit per address
	InFlight         int               // calls under way now
}

// Metrics takes the snapshot.
func (r *Router) Metrics() Metrics {
	m := Metrics{
		Invokes:          make(map[string]uint64, len(r.counters.results)),
		ProviderFailures: r.counters.provider.Load(),
		Breakers:         r.breakers.states(),
		HookFailures:     make(map[string]uint64, len(r.plugins)),
		QuotesClamped:    map[string]uint64{},
		RateRefused:      r.rate.Refused(),
		TrialRateRefused: r.trials.byAddr.Refused(),
	}
	for name, n := range r.counters.results {
		m.Invokes[name] = n.Load()
	}
	for _, p := range r.plugins {
		m.HookFailures[p.info.Name] = p.failures.Load()
		if p.quoter != nil {
			m.QuotesClamped[p.info.Name] = p.clamped.Load()
		}
	}
	r.gate.mu.Lock()
	m.InFlight = r.gate.inside
	r.gate.mu.Unlock()
	return m
}
