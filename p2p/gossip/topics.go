package gossip

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
)

// topic is one joined topic. Nothing subscribes to it: the validators take what comes,
// and Relay keeps this hub in the topic's mesh.
type topic struct {
	t      *pubsub.Topic
	events *pubsub.TopicEventHandler
	relay  pubsub.RelayCancelFunc
}

// messageID is the hash of a message's topic and content. The topic counts so that
// nobody can have a good message taken for seen by sending it to the wrong topic first.
func messageID(msg *pb.Message) string {
	h := sha256.New()
	h.Write([]byte(msg.GetTopic()))
	h.Write([]byte{0})
	h.Write(msg.GetData())
	return string(h.Sum(nil))
}

func (m *Mesh) join(ctx context.Context) error {
	params, thresholds := scoreParams(m.blame.score)
	router := pubsub.DefaultGossipSubParams()
	router.IDontWantMessageThreshold = dontWantFrom
	ps, err := pubsub.NewGossipSub(ctx, m.host,
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithGossipSubParams(router),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithPeerScore(params, thresholds),
		pubsub.WithPeerScoreInspect(pubsub.PeerScoreInspectFn(m.scores.set), scoreInspect),
		pubsub.WithRawTracer(tracer{m.count}),
		pubsub.WithPeerOutboundQueueSize(queueSize),
		pubsub.WithValidateQueueSize(queueSize),
		pubsub.WithValidateThrottle(validateAtOnce),
		pubsub.WithMaxMessageSize(maxRPC),
		pubsub.WithMaxControlMessageSize(maxControl),
		pubsub.WithFloodPublish(true),
		pubsub.WithSubscriptionFilter(pubsub.WrapLimitSubscriptionFilter(
			pubsub.NewAllowlistSubscriptionFilter(AnnounceTopic, ManifestTopic), maxTopicSubs)),
	)
	if err != nil {
		return fmt.Errorf("gossip: starting gossipsub: %w", err)
	}
	m.ps = ps
	for name, validate := range map[string]pubsub.ValidatorEx{AnnounceTopic: m.validateAnnounce, ManifestTopic: m.validateManifest} {
		if err := ps.RegisterTopicValidator(name, validate, pubsub.WithValidatorConcurrency(validateAtOnce)); err != nil {
			return fmt.Errorf("gossip: registering the validator of %s: %w", name, err)
		}
		t := &topic{}
		m.topics[name] = t
		if t.t, err = ps.Join(name); err != nil {
			return fmt.Errorf("gossip: joining %s: %w", name, err)
		}
		if t.events, err = t.t.EventHandler(); err != nil {
			return fmt.Errorf("gossip: watching %s: %w", name, err)
		}
		if t.relay, err = t.t.Relay(); err != nil {
			return fmt.Errorf("gossip: relaying %s: %w", name, err)
		}
	}
	return nil
}

// leave gives the topics back. The context of join has ended by then, so that pubsub
// itself is stopping.
func (m *Mesh) leave() {
	for _, t := range m.topics {
		if t.events != nil {
			t.events.Cancel()
		}
	}
}

// watchTopic notes when the first peer joins the announcements, and tells the publisher:
// what was published before reached nobody.
func (m *Mesh) watchTopic(ctx context.Context) {
	events, n := m.topics[AnnounceTopic].events, 0
	for {
		e, err := events.NextPeerEvent(ctx)
		if err != nil {
			return
		}
		switch e.Type {
		case pubsub.PeerJoin:
			if n++; n == 1 {
				m.since.Store(time.Now().UnixNano())
				select {
				case m.joined <- struct{}{}:
				default:
				}
			}
		case pubsub.PeerLeave:
			n--
		}
	}
}

// young tells whether this hub has just joined.
func (m *Mesh) young() bool {
	since := m.since.Load()
	return since == 0 || time.Since(time.Unix(0, since)) < youth
}

// alone tells whether nobody would receive what is published now.
func (m *Mesh) alone(name string) bool { return len(m.topics[name].t.ListPeers()) == 0 }
