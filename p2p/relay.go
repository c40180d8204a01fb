package p2p

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	relayv2 "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	ma "github.com/multiformats/go-multiaddr"
)

// Relays are sought by hubs that others cannot reach directly.
const (
	wantedRelays       = 2
	maxRelayCandidates = 16
	relayBootDelay     = 0
	relaySearchEvery   = 5 * time.Second
	relayBackoff       = time.Minute
	relayRenew         = 10 * time.Minute // before a reservation ends
	relayTag           = "aimarket-relay"
	maxRelaysAsked     = 3 // for a hub of which nothing else is known
)

// openRelay serves as a relay at once: the operator said so. Libp2p's own switch waits
// for AutoNAT, which needs other reachable hubs, and a young mesh may have just this one.
// A relay that nobody can dial does no harm, for only hubs that dialled it use it.
func (h *Host) openRelay() error {
	opts := []relayv2.Option{relayv2.WithResources(relayResources())}
	if h.cfg.Local {
		opts = append(opts, relayv2.WithReservationAddressFilter(func(ma.Multiaddr) bool { return true }))
	}
	r, err := relayv2.New(h.host, opts...)
	if err != nil {
		return fmt.Errorf("p2p: serving as a relay: %w", err)
	}
	h.relay = r
	return nil
}

// relayCandidates offers the hubs that may be relays: the bootstrap hubs and those that
// are connected directly.
func (h *Host) relayCandidates(opened <-chan struct{}) func(context.Context, int) <-chan peer.AddrInfo {
	return func(ctx context.Context, n int) <-chan peer.AddrInfo {
		out := make(chan peer.AddrInfo, max(n, 0))
		defer close(out)
		select {
		case <-opened:
		case <-ctx.Done():
			return out
		}
		offer := func(info peer.AddrInfo) {
			if len(out) < cap(out) {
				out <- info
			}
		}
		for _, c := range h.host.Network().Conns() {
			if c.Stat().Direction == network.DirOutbound && !relayed(c) {
				offer(peer.AddrInfo{ID: c.RemotePeer(), Addrs: []ma.Multiaddr{c.RemoteMultiaddr()}})
			}
		}
		for _, info := range h.bootstrap {
			offer(info)
		}
		return out
	}
}

// localRelays keeps reservations at relays for a hub that listens nowhere on a local
// network. Elsewhere libp2p's AutoRelay does, which offers no private addresses.
func (h *Host) localRelays() {
	addrs, err := h.host.EventBus().Emitter(new(event.EvtAutoRelayAddrsUpdated), eventbus.Stateful)
	if err != nil {
		h.log.Warn("relayed addresses cannot be announced", "error", err)
		return
	}
	defer addrs.Close()
	held := map[peer.ID]time.Time{} // until when
	for {
		before := slices.Collect(maps.Keys(held))
		now := time.Now()
		for id, until := range held {
			if !h.directly(id) || until.Sub(now) < relayRenew {
				delete(held, id)
				h.host.ConnManager().Unprotect(id, relayTag)
			}
		}
		for _, id := range h.host.Network().Peers() {
			if _, ok := held[id]; ok || len(held) >= wantedRelays || !h.directly(id) {
				continue
			}
			if until, err := h.reserve(id); err == nil {
				held[id] = until
				h.host.ConnManager().Protect(id, relayTag)
			} else if !errors.Is(err, errNoRelay) {
				h.log.Debug("a relay takes no reservation", "hub", id, "error", err)
			}
		}
		if after := slices.Collect(maps.Keys(held)); !sameIDs(before, after) {
			if err := addrs.Emit(event.EvtAutoRelayAddrsUpdated{RelayAddrs: h.through(after)}); err != nil {
				h.log.Debug("announcing relayed addresses", "error", err)
			}
		}
		wait := relaySearchEvery
		if len(held) == 0 {
			wait = relaySearchEvery / 10 // it is not reachable at all
		}
		if !h.sleep(h.jitter(wait)) {
			return
		}
	}
}

var errNoRelay = errors.New("not a relay")

func (h *Host) reserve(id peer.ID) (until time.Time, err error) {
	if ps, err := h.host.Peerstore().SupportsProtocols(id, proto.ProtoIDv2Hop); err != nil || len(ps) == 0 {
		return until, errNoRelay
	}
	ctx, cancel := context.WithTimeout(h.ctx, dialTimeout)
	defer cancel()
	r, err := client.Reserve(ctx, h.host, peer.AddrInfo{ID: id})
	if err != nil {
		return until, err
	}
	return r.Expiration, nil
}

// atRelays are addresses at which a hub might be: through relays that are connected.
func (h *Host) atRelays(id peer.ID) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, relay := range h.host.Network().Peers() {
		if relay == id || len(out) == maxRelaysAsked || !h.directly(relay) {
			continue
		}
		if ps, err := h.host.Peerstore().SupportsProtocols(relay, proto.ProtoIDv2Hop); err == nil && len(ps) > 0 {
			out = append(out, ma.StringCast("/p2p/"+relay.String()+"/p2p-circuit"))
		}
	}
	return out
}

// directly reports a connection to a hub that is not through a relay.
func (h *Host) directly(id peer.ID) bool {
	return slices.ContainsFunc(h.host.Network().ConnsToPeer(id), func(c network.Conn) bool { return !relayed(c) })
}

// through are this hub's addresses by way of relays.
func (h *Host) through(relays []peer.ID) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, id := range relays {
		for _, a := range h.host.Peerstore().Addrs(id) {
			if a, ok := acceptable(id, a, h.cfg.Local); ok && isDirect(a) {
				out = append(out, ma.Join(a, ma.StringCast("/p2p/"+id.String()+"/p2p-circuit")))
			}
		}
	}
	return unique(out)
}

func sameIDs(a, b []peer.ID) bool {
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
