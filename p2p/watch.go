package p2p

import (
	"fmt"
	"strings"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	ma "github.com/multiformats/go-multiaddr"
)

// eventQueue bounds the events that wait; libp2p waits for whoever falls behind.
const eventQueue = 256

// watch follows who comes and goes, and this host's own addresses.
func (h *Host) watch() error {
	sub, err := h.host.EventBus().Subscribe([]any{
		new(event.EvtPeerConnectednessChanged), new(event.EvtPeerIdentificationCompleted), new(event.EvtPeerProtocolsUpdated),
		new(event.EvtLocalAddressesUpdated),
	}, eventbus.BufSize(eventQueue), eventbus.Name("aimarket"))
	if err != nil {
		return fmt.Errorf("p2p: following the host's events: %w", err)
	}
	h.wg.Go(func() {
		defer sub.Close()
		for {
			select {
			case <-h.ctx.Done():
				return
			case e, ok := <-sub.Out():
				if !ok {
					return
				}
				h.happened(e)
			}
		}
	})
	return nil
}

func (h *Host) happened(e any) {
	switch e := e.(type) {
	case event.EvtLocalAddressesUpdated:
		select {
		case h.changed <- struct{}{}:
		default:
		}
	case event.EvtPeerConnectednessChanged:
		if e.Connectedness == network.NotConnected {
			h.down(e.Peer)
			h.latency.forget(e.Peer)
		}
	case event.EvtPeerIdentificationCompleted:
		h.identified(e.Peer, e.Protocols, e.ListenAddrs)
	case event.EvtPeerProtocolsUpdated: // a hub that had just started when it was connected
		h.identified(e.Peer, e.Added, h.host.Peerstore().Addrs(e.Peer))
	}
}

// identified notes a hub once it has said what it speaks: other libp2p nodes, such as
// the dialers of AutoNAT, are none.
func (h *Host) identified(id peer.ID, protocols []protocol.ID, addrs []ma.Multiaddr) {
	key, ok := keyOf(id)
	if !ok || !isHub(protocols) {
		return
	}
	if h.connected(id) {
		h.up(id)
	}
	h.learn(key, id, filterAddresses(id, addrs, h.cfg.Local))
	var at ma.Multiaddr
	for _, c := range h.host.Network().ConnsToPeer(id) {
		if a, ok := acceptable(id, c.RemoteMultiaddr(), h.cfg.Local); ok && c.Stat().Direction == network.DirOutbound {
			at = a
		}
	}
	h.peers.connected(key, at, h.cfg.Now())
	h.provide.again()
	select {
	case h.pings <- id:
	default: // its turn comes
	}
}

func isHub(protocols []protocol.ID) bool {
	for _, p := range protocols {
		if strings.HasPrefix(string(p), protocolPrefix) {
			return true
		}
	}
	return false
}
