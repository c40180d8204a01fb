package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/aimarket/aimarket/p2p/gossip"
)

// member is a libp2p host on the wire that speaks the mesh's protocols and is no hub.
type member struct {
	*author
	asks
	index  int
	host   host.Host
	topics map[string]*pubsub.Topic
	stop   context.CancelFunc

	mu     sync.Mutex
	pruned map[peer.ID]bool // who put it out of a topic's mesh
	heard  map[[32]byte]peer.ID
	said   map[[32]byte]bool
}

// memberAt says how a member joins the wire.
type memberAt struct {
	index    int            // of its address, after those of the hubs
	port     int            // 0: hubPort
	announce []ma.Multiaddr // what it tells others of its addresses; nil: the truth
	listens  bool           // remembers what it hears and passes nothing on
}

func newMember(ctx context.Context, w *World, a *author, at memberAt) (_ *member, err error) {
	m := &member{author: a, index: at.index, topics: map[string]*pubsub.Topic{}, pruned: map[peer.ID]bool{}, heard: map[[32]byte]peer.ID{}, said: map[[32]byte]bool{}}
	ctx, m.stop = context.WithCancel(ctx)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("hostile member %d: %w", at.index, err), m.close())
		}
	}()
	private, err := crypto.UnmarshalEd25519PrivateKey(a.key.Private())
	if err != nil {
		return m, err
	}
	if at.port == 0 {
		at.port = hubPort
	}
	options := append(w.wire.optionsAt(at.index, at.port), bareOptions()...)
	if at.announce != nil {
		options = append(options, libp2p.AddrsFactory(func([]ma.Multiaddr) []ma.Multiaddr { return at.announce }))
	}
	if m.host, err = libp2p.New(append(options, libp2p.Identity(private))...); err != nil {
		return m, err
	}
	// Far over the honest hubs' sizes: what is lost is to be lost at them.
	ps, err := pubsub.NewGossipSub(ctx, m.host, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID), pubsub.WithFloodPublish(true), pubsub.WithPeerOutboundQueueSize(20_000),
		pubsub.WithRawTracer(prunes{member: m}))
	if err != nil {
		return m, err
	}
	for _, name := range []string{gossip.AnnounceTopic, gossip.ManifestTopic} {
		if at.listens {
			if err := ps.RegisterTopicValidator(name, m.hear, pubsub.WithValidatorInline(true)); err != nil {
				return m, err
			}
		}
		if m.topics[name], err = ps.Join(name); err != nil {
			return m, err
		}
		if _, err = m.topics[name].Relay(); err != nil {
			return m, err
		}
	}
	return m, nil
}

// messageID is the mesh's: a member with another one would not be one of it.
func messageID(msg *pb.Message) string {
	h := sha256.New()
	h.Write([]byte(msg.GetTopic()))
	h.Write([]byte{0})
	h.Write(msg.GetData())
	return string(h.Sum(nil))
}

func (m *member) hear(_ context.Context, from peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heard[sha256.Sum256(msg.GetData())] = from
	return pubsub.ValidationIgnore
}

// say publishes to everybody that it is connected to.
func (m *member) say(ctx context.Context, topic string, data []byte) error {
	m.mu.Lock()
	m.said[sha256.Sum256(data)] = true
	m.mu.Unlock()
	return m.topics[topic].Publish(ctx, append([]byte(nil), data...))
}

// tell says an update of the whole listing and the head that follows it.
func (m *member) tell(ctx context.Context) error {
	head := m.head()
	return errors.Join(m.say(ctx, gossip.ManifestTopic, updateOf(head, m.tools)), m.say(ctx, gossip.AnnounceTopic, head))
}

// join connects to hubs and waits until it is in their meshes.
func (m *member) join(ctx context.Context, hubs ...*Hub) error {
	for _, h := range hubs {
		if err := m.dial(ctx, h); err != nil {
			return err
		}
	}
	time.Sleep(3 * time.Second)
	m.mu.Lock()
	clear(m.pruned)
	m.mu.Unlock()
	return nil
}

func (m *member) dial(ctx context.Context, h *Hub) error {
	a, err := ma.NewMultiaddr(h.addr())
	if err != nil {
		return err
	}
	info, err := peer.AddrInfoFromP2pAddr(a)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return m.host.Connect(ctx, *info)
}

// addr is where it can be reached.
func (m *member) addr() string { return address(m.index) + "/p2p/" + m.host.ID().String() }

func (m *member) close() error {
	if m.stop != nil {
		m.stop()
	}
	if m.host == nil {
		return nil
	}
	err := m.host.Close()
	m.serving.Wait()
	return err
}

// prunes notes who puts a member out of a mesh.
type prunes struct{ *member }

func (p prunes) Prune(by peer.ID, _ string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pruned[by] = true
}

func (prunes) OnNewOutboundStream(peer.ID, protocol.ID)             {}
func (prunes) OnClosedOutboundStream(peer.ID)                       {}
func (prunes) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {}
func (prunes) Join(string)                                          {}
func (prunes) Leave(string)                                         {}
func (prunes) Graft(peer.ID, string)                                {}
func (prunes) ValidateMessage(*pubsub.Message)                      {}
func (prunes) DeliverMessage(*pubsub.Message)                       {}
func (prunes) RejectMessage(*pubsub.Message, string)                {}
func (prunes) DuplicateMessage(*pubsub.Message)                     {}
func (prunes) ThrottlePeer(peer.ID)                                 {}
func (prunes) RecvRPC(*pubsub.RPC)                                  {}
func (prunes) SendRPC(*pubsub.RPC, peer.ID)                         {}
func (prunes) DropRPC(*pubsub.RPC, peer.ID)                         {}
func (prunes) UndeliverableMessage(*pubsub.Message)                 {}
