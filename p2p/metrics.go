package p2p

import (
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what the host does. The counters work without a registry.
type metrics struct {
	refusedDials   prometheus.Counter
	dials          *prometheus.CounterVec
	served         prometheus.Counter
	refusedStreams prometheus.Counter
	sent           *prometheus.CounterVec
	evicted        prometheus.Counter
}

func newMetrics() *metrics {
	return &metrics{
		refusedDials:   prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_p2p_refused_dials_total", Help: "Addresses of other hubs that were not dialled because they are not public."}),
		dials:          prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_p2p_dials_total", Help: "Attempts to reach a hub by why and result."}, []string{"why", "result"}),
		served:         prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_p2p_http_streams_total", Help: "Streams with HTTP accepted from other hubs."}),
		refusedStreams: prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_p2p_http_streams_refused_total", Help: "Streams with HTTP refused because a bound was reached or the peer is no hub."}),
		sent:           prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_p2p_http_requests_total", Help: "HTTP requests to other hubs over streams by result."}, []string{"result"}),
		evicted:        prometheus.NewCounter(prometheus.CounterOpts{Name: "aimarket_p2p_forgotten_hubs_total", Help: "Hubs whose addresses were forgotten because too many are known."}),
	}
}

// result is the label of an outcome.
func result(err error) string {
	if err != nil {
		return "failed"
	}
	return "ok"
}

func (h *Host) register(r *prometheus.Registry) error {
	if r == nil {
		return nil
	}
	m := h.metrics
	all := []prometheus.Collector{m.refusedDials, m.dials, m.served, m.refusedStreams, m.sent, m.evicted,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "aimarket_p2p_connected_hubs", Help: "Hubs connected now."},
			func() float64 { return float64(len(h.Connected())) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "aimarket_p2p_relayed_connections", Help: "Connections through a relay."},
			func() float64 { return float64(h.relayedConns()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "aimarket_p2p_known_hubs", Help: "Hubs whose addresses are remembered."},
			func() float64 { return float64(h.peers.len()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "aimarket_p2p_dht_peers", Help: "Hubs in the DHT's routing table."},
			func() float64 {
				if h.dht == nil {
					return 0
				}
				return float64(h.dht.RoutingTable().Size())
			}),
	}
	for i, c := range all {
		if err := r.Register(c); err != nil {
			for _, done := range all[:i] {
				r.Unregister(done)
			}
			return err
		}
	}
	return nil
}

func (h *Host) relayedConns() (n int) {
	for _, c := range h.host.Network().Conns() {
		if relayed(c) {
			n++
		}
	}
	return n
}

func relayed(c network.Conn) bool {
	_, err := c.RemoteMultiaddr().ValueForProtocol(ma.P_CIRCUIT)
	return err == nil
}
