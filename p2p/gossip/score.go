package gossip

import (
	"math"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Scores. One invalid message costs invalidWeight, n of them n² times as much, until
// they fade over invalidMemory: the first puts a peer out of the mesh, the fourth makes
// us deaf to it. A peer can save up at most topicScoreCap, less than one invalid message
// costs.
const (
	gossipThreshold   = -40  // below: no gossip about messages to or from it
	publishThreshold  = -80  // below: own messages are not sent to it
	graylistThreshold = -160 // below: whatever it sends is ignored

	invalidWeight   = -10
	invalidMemory   = 10 * time.Minute
	topicScoreCap   = 8
	offenceScore    = -40 // of one offence on a stream
	offenceHalf     = 10 * time.Minute
	behaviourWeight = -10
	behaviourFree   = 6 // grafts too early and broken promises that cost nothing
	behaviourMemory = time.Hour
	retainScore     = time.Hour // after a peer disconnected
	colocateWeight  = -5
	colocateFree    = 10 // peers under one public address
	scoreInspect    = time.Second
)

// scoreParams are the score's parameters. Mesh delivery rates (P3) are not scored: a
// quiet market has no rate that a peer could fall short of.
func scoreParams(offences func(peer.ID) float64) (*pubsub.PeerScoreParams, *pubsub.PeerScoreThresholds) {
	one := func() *pubsub.TopicScoreParams {
		return &pubsub.TopicScoreParams{
			SkipAtomicValidation:           true,
			TopicWeight:                    1,
			TimeInMeshWeight:               0.002,
			TimeInMeshQuantum:              time.Second,
			TimeInMeshCap:                  1000,
			FirstMessageDeliveriesWeight:   0.1,
			FirstMessageDeliveriesDecay:    pubsub.ScoreParameterDecay(5 * time.Minute),
			FirstMessageDeliveriesCap:      40,
			InvalidMessageDeliveriesWeight: invalidWeight,
			InvalidMessageDeliveriesDecay:  pubsub.ScoreParameterDecay(invalidMemory),
		}
	}
	return &pubsub.PeerScoreParams{
			Topics:                      map[string]*pubsub.TopicScoreParams{AnnounceTopic: one(), ManifestTopic: one()},
			TopicScoreCap:               topicScoreCap,
			AppSpecificScore:            offences,
			AppSpecificWeight:           1,
			IPColocationFactorWeight:    colocateWeight,
			IPColocationFactorThreshold: colocateFree,
			IPColocationFactorWhitelist: privateNetworks(),
			BehaviourPenaltyWeight:      behaviourWeight,
			BehaviourPenaltyThreshold:   behaviourFree,
			BehaviourPenaltyDecay:       pubsub.ScoreParameterDecay(behaviourMemory),
			DecayInterval:               pubsub.DefaultDecayInterval,
			DecayToZero:                 pubsub.DefaultDecayToZero,
			RetainScore:                 retainScore,
		}, &pubsub.PeerScoreThresholds{
			GossipThreshold:             gossipThreshold,
			PublishThreshold:            publishThreshold,
			GraylistThreshold:           graylistThreshold,
			AcceptPXThreshold:           math.MaxFloat32, // peers are found by the DHT, never named by peers
			OpportunisticGraftThreshold: 1,
		}
}

// privateNetworks are where many hubs under one address are no sign of a Sybil: one
// machine, one home, one provider's NAT.
func privateNetworks() (list []*net.IPNet) {
	for _, cidr := range []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
		"::1/128", "fc00::/7", "fe80::/10"} {
		_, n, err := net.ParseCIDR(cidr)
		if err == nil {
			list = append(list, n)
		}
	}
	return list
}

// blame remembers offences on streams, which gossipsub does not see. They count into
// the peer's score and fade by half every offenceHalf.
type blame struct {
	mu   sync.Mutex
	now  func() time.Time
	list *simplelru.LRU[peer.ID, offences]
}

type offences struct {
	n  float64
	at time.Time
}

func newBlame(now func() time.Time) *blame {
	list, _ := simplelru.NewLRU[peer.ID, offences](maxBlamed, nil) // fails only for sizes ≤ 0
	return &blame{now: now, list: list}
}

// of is the number of a peer's offences that have not faded.
func (b *blame) of(p peer.ID) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	o, ok := b.list.Peek(p)
	if !ok {
		return 0
	}
	return o.n * math.Exp2(-float64(b.now().Sub(o.at))/float64(offenceHalf))
}

func (b *blame) add(p peer.ID) {
	n := b.of(p) + 1
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list.Add(p, offences{n, b.now()})
}

func (b *blame) score(p peer.ID) float64 { return offenceScore * b.of(p) }

// offend notes an offence on a stream.
func (m *Mesh) offend(p peer.ID, kind, detail string) {
	m.blame.add(p)
	m.count.blames.WithLabelValues(kind).Inc()
	m.log.Info("a peer broke the rules of a stream; its score falls", "peer", p, "offence", kind, "detail", detail)
}

// scores is gossipsub's last look at everybody's score.
type scores struct {
	mu   sync.Mutex
	last map[peer.ID]float64
}

func (s *scores) set(all map[peer.ID]float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = all
}

// Score is a peer's gossip score as of the last second: 0 for one that is not known,
// negative for one that misbehaved, ignored below -160.
func (m *Mesh) Score(p peer.ID) float64 {
	m.scores.mu.Lock()
	defer m.scores.mu.Unlock()
	return m.scores.last[p]
}
