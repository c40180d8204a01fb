package gossip

import (
	"errors"
	"fmt"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
)

// counters is what the mesh counts. Label values are constants of this package, of the
// catalogue and of pubsub: no sender can add one.
type counters struct {
	messages  *prometheus.CounterVec // by topic, verdict and reason
	bounds    *prometheus.CounterVec // things dropped or refused because a bound was reached, by bound
	published *prometheus.CounterVec // by kind
	pulls     *prometheus.CounterVec // by outcome
	syncs     *prometheus.CounterVec // by outcome
	repairs   *prometheus.CounterVec // what gossip had not brought, by the door it came in
	blames    *prometheus.CounterVec // offences on streams, by kind
	mesh      *prometheus.CounterVec // peers taken into and put out of the topics' meshes
	bytes     *prometheus.CounterVec // of listings, pulled and served
}

func newCounters(r *prometheus.Registry) (*counters, error) {
	var failed error
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_gossip_" + name, Help: help}, labels)
		if r == nil {
			return v
		}
		if err := r.Register(v); err != nil {
			var have prometheus.AlreadyRegisteredError
			if errors.As(err, &have) {
				if old, ok := have.ExistingCollector.(*prometheus.CounterVec); ok {
					return old // several hubs in one process share a registry
				}
			}
			failed = errors.Join(failed, fmt.Errorf("gossip: registering %s: %w", name, err))
		}
		return v
	}
	c := &counters{
		messages:  vec("messages_total", "Gossip messages judged.", "topic", "verdict", "reason"),
		bounds:    vec("bounds_total", "Messages, requests or jobs dropped or put off because a bound was reached.", "bound"),
		published: vec("published_total", "Messages this hub published.", "kind"),
		pulls:     vec("pulls_total", "Listings pulled over streams.", "outcome"),
		syncs:     vec("syncs_total", "Comparisons of catalogues.", "outcome"),
		repairs:   vec("repairs_total", "Heads and listings that gossip had not brought.", "door"),
		blames:    vec("offences_total", "Offences of peers on streams.", "kind"),
		mesh:      vec("mesh_changes_total", "Peers taken into and put out of a topic's mesh.", "change"),
		bytes:     vec("listing_bytes_total", "Bytes of listings over streams.", "direction"),
	}
	return c, failed
}

func (c *counters) message(topic string, v catalog.Verdict, reason string) {
	c.messages.WithLabelValues(topicName(topic), verdictName(v), reason).Inc()
}

func (c *counters) bound(name string) { c.bounds.WithLabelValues(name).Inc() }

func topicName(topic string) string {
	switch topic {
	case AnnounceTopic:
		return "announce"
	case ManifestTopic:
		return "manifest"
	}
	return "other"
}

func verdictName(v catalog.Verdict) string {
	switch v {
	case catalog.Accept:
		return "accept"
	case catalog.Ignore:
		return "ignore"
	}
	return "reject"
}

// tracer counts what pubsub drops before or beside the validators.
type tracer struct{ count *counters }

func (t tracer) RejectMessage(_ *pubsub.Message, reason string) {
	switch reason {
	case pubsub.RejectValidationQueueFull:
		t.count.bound("validation_queue")
	case pubsub.RejectValidationThrottled:
		t.count.bound("validation_at_once")
	case pubsub.RejectUnexpectedAuthInfo, pubsub.RejectUnexpectedSignature:
		t.count.bound("author_fields")
	}
}

func (t tracer) DropRPC(*pubsub.RPC, peer.ID) { t.count.bound("outbound_queue") }
func (t tracer) Graft(peer.ID, string)        { t.count.mesh.WithLabelValues("graft").Inc() }
func (t tracer) Prune(peer.ID, string)        { t.count.mesh.WithLabelValues("prune").Inc() }

func (tracer) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (tracer) OnClosedOutboundStream(peer.ID)                       {}
func (tracer) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (tracer) Join(string)                                          {}
func (tracer) Leave(string)                                         {}
func (tracer) ValidateMessage(*pubsub.Message)                      {}
func (tracer) DeliverMessage(*pubsub.Message)                       {}
func (tracer) DuplicateMessage(*pubsub.Message)                     {}
func (tracer) ThrottlePeer(peer.ID)                                 {}
func (tracer) RecvRPC(*pubsub.RPC)                                  {}
func (tracer) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (tracer) UndeliverableMessage(*pubsub.Message)                 {}
