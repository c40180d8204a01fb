package p2p

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"
)

// mdnsService is what hubs on a local network ask for.
const mdnsService = "_aimarket-hub._udp"

// maxSightings bounds the hubs seen on the local network that wait to be dialled.
const maxSightings = 64

// openMDNS looks for hubs on the local network. A machine without multicast goes without.
func (h *Host) openMDNS() {
	h.wg.Go(h.sightingLoop)
	s := mdns.NewMdnsService(h.host, mdnsService, h)
	if err := s.Start(); err != nil {
		h.log.Warn("hubs on the local network are not looked for: mDNS does not start", "error", err)
		if err := s.Close(); err != nil {
			h.log.Debug("closing mDNS", "error", err)
		}
		return
	}
	h.mdns = s
}

// HandlePeerFound implements mdns.Notifee.
func (h *Host) HandlePeerFound(info peer.AddrInfo) {
	select {
	case h.sightings <- info:
	default: // it is told again when its record ends, which takes an hour
	}
}

// sightingLoop connects to hubs on the local network, one at a time. A hub is told of once
// in an hour, so one that does not answer at once is tried again like a lost one. Private
// addresses are trusted for a while, loopback ones never: who answers on the network is
// no friend of this machine.
func (h *Host) sightingLoop() {
	for {
		select {
		case <-h.ctx.Done():
			return
		case info := <-h.sightings:
			info.Addrs = slices.DeleteFunc(slices.Clone(info.Addrs), func(a ma.Multiaddr) bool {
				p, err := placeOf(a)
				return err != nil || p.name || p.relay != "" || p.reach == reachNone || p.reach == reachLoopback && !h.cfg.Local
			})
			info.Addrs = info.Addrs[:min(len(info.Addrs), maxAddresses)]
			if len(info.Addrs) == 0 || info.ID == h.id {
				continue
			}
			h.gate.allow(info, false)
			h.host.Peerstore().AddAddrs(info.ID, info.Addrs, trustedLAN)
			if h.enough() {
				h.later(info.ID)
			} else if err := h.connect(h.ctx, info.ID, "mdns"); err != nil {
				h.log.Debug("a hub seen on the local network does not answer yet", "error", err)
				h.later(info.ID)
			}
		}
	}
}
