package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxCapabilityLabels bounds the capability label of aimarket_hub_invokes_total;
// calls of further capabilities are counted together as "other".
const maxCapabilityLabels = 1000

// metrics are the counters of the HTTP surface. Routes are labelled by their
// pattern, never by the path asked for: a stranger must not make label values.
type metrics struct {
	inFlight prometheus.Gauge
	panics   prometheus.Counter
	requests *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	invokes  *prometheus.CounterVec
	unrouted *routeStats

	capabilities sync.Map // capability id → struct{}
	known        atomic.Int64
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "aimarket_http_requests_in_flight", Help: "Requests being answered now."}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_http_panics_total", Help: "Handlers that panicked and were answered with 500."}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_http_requests_total", Help: "Answered requests by route pattern and status."}, []string{"route", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "aimarket_http_request_seconds", Help: "Time from the first header to the last byte, by route pattern.",
			Buckets: []float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, []string{"route"}),
		invokes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_hub_invokes_total", Help: "Calls by capability and result; refused calls are counted under the capability \"\"."}, []string{"capability", "result"}),
	}
	up := prometheus.NewGauge(prometheus.GaugeOpts{Name: "aimarket_hub_up", Help: "1 while the hub answers requests."})
	up.Set(1)
	for _, c := range []prometheus.Collector{m.inFlight, m.panics, m.requests, m.latency, m.invokes, up} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	m.unrouted = m.route("unmatched")
	return m, nil
}

// routeStats are one route's counters, looked up once so that a request costs no
// label hashing.
type routeStats struct {
	pattern  string
	latency  prometheus.Observer
	requests *prometheus.CounterVec
	byStatus [600]atomic.Pointer[prometheus.Counter]
}

func (m *metrics) route(pattern string) *routeStats {
	return &routeStats{pattern: pattern, latency: m.latency.WithLabelValues(pattern), requests: m.requests}
}

func (rs *routeStats) observe(status int, took time.Duration) {
	rs.latency.Observe(took.Seconds())
	if status < 0 || status >= len(rs.byStatus) {
		status = 0
	}
	c := rs.byStatus[status].Load()
	if c == nil {
		counter := rs.requests.WithLabelValues(rs.pattern, strconv.Itoa(status))
		rs.byStatus[status].Store(&counter)
		c = &counter
	}
	(*c).Inc()
}

// invoked counts one call. capability is "" unless the call succeeded: only then
// is it known to be the name of something real.
func (m *metrics) invoked(capability, result string) {
	if capability != "" {
		if _, ok := m.capabilities.Load(capability); !ok {
			if m.known.Add(1) > maxCapabilityLabels {
				m.known.Add(-1)
				capability = "other"
			} else {
				m.capabilities.Store(capability, struct{}{})
			}
		}
	}
	m.invokes.WithLabelValues(capability, result).Inc()
}

// metricsPage serves /metrics: to everybody, to who has the token, or to nobody.
func (s *Server) metricsPage(w http.ResponseWriter, r *http.Request, rt *route) {
	if !s.cfg.MetricsPublic {
		if s.cfg.MetricsToken == "" {
			s.fail(w, r, refuse(http.StatusNotFound, "not_found",
				"metrics are not published here: the operator may set AIMARKET_METRICS_PUBLIC=1 or AIMARKET_METRICS_TOKEN"))
			return
		}
		given, right := sameToken(r, s.cfg.MetricsToken)
		if !given {
			s.fail(w, r, refuse(http.StatusUnauthorized, "missing_token", "send Authorization: Bearer with the hub's metrics token"))
			return
		}
		if !right {
			s.fail(w, r, refuse(http.StatusForbidden, "wrong_token", "the Bearer token is not this hub's metrics token"))
			return
		}
	}
	s.metricsHandler.ServeHTTP(w, r)
}

func metricsHandler(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{DisableCompression: true})
}
