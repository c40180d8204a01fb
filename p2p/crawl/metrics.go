package crawl

import "github.com/prometheus/client_golang/prometheus"

// metrics are the crawler's counters.
type metrics struct {
	cycles  prometheus.Counter
	seconds prometheus.Histogram
	hubs    *prometheus.CounterVec
	cut     prometheus.Counter
	dropped prometheus.Counter
}

func newMetrics(reg *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		cycles: prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_crawl_cycles_total", Help: "Crawl cycles that ended."}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "aimarket_crawl_cycle_seconds", Help: "Time from the start of a crawl cycle to its end.",
			Buckets: []float64{.1, .5, 1, 5, 15, 60, 180, 600, 900}}),
		hubs:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_crawl_hubs_total", Help: "Hubs that a crawl cycle came to, by outcome."}, []string{"outcome"}),
		cut:     prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_crawl_truncated_total", Help: "Crawl cycles that a bound on time, hubs or addresses ended early."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_crawl_notices_dropped_total", Help: "Crawlers seen at this hub that were not looked at because too many came at once."}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.cycles, m.seconds, m.hubs, m.cut, m.dropped} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
