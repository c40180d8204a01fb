package p2p

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/routing"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/aimarket/aimarket/internal/identity"
)

const (
	lookupTimeout  = 20 * time.Second // of a hub's address in the DHT
	maxDialReports = 4                // failed addresses named in an error
)

// ErrUnknown reports a hub for which no address is known.
var ErrUnknown = errors.New("p2p: no address of this hub is known")

// Learn notes addresses of a hub, with or without /p2p/<id>, and remembers them over
// restarts: at most 16 of at most 256 bytes, TCP and QUIC on IP addresses or DNS names,
// also through relays. They replace what was said of it earlier. Unless Config.Local,
// private addresses are left out.
func (h *Host) Learn(key identity.PublicKey, multiaddrs []string) {
	id, err := peerIDOf(key)
	if err != nil || id == h.id || h.peers.repeats(key, multiaddrs, h.cfg.Now()) {
		return
	}
	h.learn(key, id, parseAddresses(id, multiaddrs, h.cfg.Local))
}

func (h *Host) learn(key identity.PublicKey, id peer.ID, addrs []ma.Multiaddr) {
	if len(addrs) == 0 {
		return
	}
	h.peers.learn(key, addrs, h.cfg.Now())
	h.host.Peerstore().AddAddrs(id, addrs, peerstore.AddressTTL)
}

// Connect reaches a hub by its known addresses, directly or through relays; when none is
// known or none answers, the DHT is asked, and then the relays that are connected.
func (h *Host) Connect(ctx context.Context, key identity.PublicKey) error {
	id, err := peerIDOf(key)
	if err != nil {
		return err
	}
	return h.connect(ctx, id, "demand")
}

func (h *Host) connect(ctx context.Context, id peer.ID, why string) (err error) {
	if id == h.id {
		return errors.New("p2p: this hub is asked to connect to itself")
	}
	if h.connected(id) {
		return nil
	}
	defer func() { h.metrics.dials.WithLabelValues(why, result(err)).Inc() }()
	known := h.addrsOf(id)
	if len(known) > 0 {
		if err = h.dial(ctx, peer.AddrInfo{ID: id, Addrs: known}); err == nil {
			return nil
		}
	} else {
		err = ErrUnknown
	}
	if why != "demand" || ctx.Err() != nil {
		return describe(id, err, "")
	}
	asked := ""
	if h.dht != nil {
		found, lookup := h.lookup(ctx, id, known)
		if len(found) > 0 {
			if err = h.dial(ctx, peer.AddrInfo{ID: id, Addrs: found}); err == nil {
				return nil
			}
		} else {
			asked = fmt.Sprintf("; asked the DHT: %v", lookup)
		}
	}
	if relays := h.atRelays(id); len(relays) > 0 {
		if h.dial(ctx, peer.AddrInfo{ID: id, Addrs: relays}) == nil {
			return nil
		}
		asked += fmt.Sprintf("; asked %d relays: it is at none of them", len(relays))
	}
	return describe(id, err, asked)
}

// connected reports a connection, also one through a relay.
func (h *Host) connected(id peer.ID) bool {
	c := h.host.Network().Connectedness(id)
	return c == network.Connected || c == network.Limited
}

// addrsOf is everything known of where a hub is.
func (h *Host) addrsOf(id peer.ID) []ma.Multiaddr {
	var out []ma.Multiaddr
	if key, ok := keyOf(id); ok {
		out = parseAddresses(id, h.peers.addrs(key), h.cfg.Local)
	}
	out = append(out, h.host.Peerstore().Addrs(id)...)
	for _, info := range h.bootstrap {
		if info.ID == id {
			out = append(out, info.Addrs...)
		}
	}
	return unique(out)
}

func (h *Host) dial(ctx context.Context, info peer.AddrInfo) error {
	ctx, cancel := context.WithTimeout(network.WithAllowLimitedConn(ctx, userAgent), dialTimeout)
	defer cancel()
	if s, ok := h.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(info.ID) // how often to try is decided here
	}
	return h.host.Connect(ctx, info)
}

// lookup asks the DHT for addresses of a hub other than the known ones. The first answer
// that has some ends it: the DHT itself would go on and ask the hub, and if that is behind
// a relay wait for a direct connection that may never be.
func (h *Host) lookup(ctx context.Context, id peer.ID, known []ma.Multiaddr) ([]ma.Multiaddr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	fresh := func(addrs []ma.Multiaddr) []ma.Multiaddr {
		return ma.FilterAddrs(filterAddresses(id, addrs, h.cfg.Local), func(a ma.Multiaddr) bool { return !ma.Contains(known, a) })
	}
	ctx, answers := routing.RegisterForQueryEvents(ctx)
	var found peer.AddrInfo
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		found, err = h.dht.FindPeer(ctx, id)
	}()
	defer func() { cancel(); <-done }()
	for {
		select {
		case <-done:
			if err != nil {
				return nil, err
			}
			if addrs := fresh(found.Addrs); len(addrs) > 0 {
				return addrs, nil
			}
			return nil, errors.New("it knows no other address")
		case e, more := <-answers:
			if !more {
				answers = nil
				continue
			}
			for _, info := range e.Responses {
				if info.ID != id {
					continue
				}
				if addrs := fresh(info.Addrs); len(addrs) > 0 {
					return addrs, nil
				}
			}
		}
	}
}

// describe says in one line which addresses of a hub were tried and what came of it.
func describe(id peer.ID, err error, asked string) error {
	var dial *swarm.DialError
	if !errors.As(err, &dial) {
		return fmt.Errorf("p2p: reaching hub %s: %w%s", id, err, asked)
	}
	var tried []string
	for i, e := range dial.DialErrors {
		if i == maxDialReports {
			tried = append(tried, fmt.Sprintf("and %d more", len(dial.DialErrors)+dial.Skipped-i))
			break
		}
		tried = append(tried, fmt.Sprintf("%s (%v)", e.Address, e.Cause))
	}
	if len(tried) == 0 {
		return fmt.Errorf("p2p: reaching hub %s: %w%s", id, dial.Cause, asked)
	}
	return &DialError{hub: id, text: strings.Join(tried, ", ") + asked, cause: err}
}

// DialError is a hub that could not be reached at any of its addresses.
type DialError struct {
	hub   peer.ID
	text  string
	cause error
}

func (e *DialError) Error() string {
	return fmt.Sprintf("p2p: reaching hub %s: tried %s", e.hub, e.text)
}

// Unwrap is libp2p's error.
func (e *DialError) Unwrap() error { return e.cause }

// Link is the present connection to a hub.
type Link struct {
	Connected bool
	Address   string // remote multiaddr
	Relayed   bool
	Latency   time.Duration // smoothed round trip, 0 unknown
}

// Link tells how a hub is connected now; of several connections the direct one.
func (h *Host) Link(key identity.PublicKey) Link {
	id, err := peerIDOf(key)
	if err != nil {
		return Link{}
	}
	var l Link
	for _, c := range h.host.Network().ConnsToPeer(id) {
		if through := relayed(c); !l.Connected || l.Relayed && !through {
			l = Link{Connected: true, Address: c.RemoteMultiaddr().String(), Relayed: through}
		}
	}
	if l.Connected {
		l.Latency = h.latency.get(id)
	}
	return l
}

// Connected lists the keys of connected hubs (peers with an Ed25519 key).
func (h *Host) Connected() []identity.PublicKey {
	ids := h.host.Network().Peers()
	keys := make([]identity.PublicKey, 0, len(ids))
	for _, id := range ids {
		if key, ok := keyOf(id); ok {
			keys = append(keys, key)
		}
	}
	return keys
}

// keyOfURL is the key in the host part of a URL under catalog.KeyURL.
func keyOfURL(hostname string) (identity.PublicKey, error) {
	key, err := parseHexKey(hostname)
	if err != nil {
		return key, fmt.Errorf("p2p: host %q is no hub's key, 64 hex digits: %w", hostname, err)
	}
	return key, nil
}
