package p2p

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on private addresses that may be dialled although Config.Local is off.
const (
	maxTrusted  = 1024
	trustedLAN  = 2 * time.Hour // mDNS tells them again every hour
	trustedLong = 100 * 365 * 24 * time.Hour
)

// gate judges every dial, after names were resolved, and every handshake.
type gate struct {
	local   bool
	meet    func(identity.PublicKey) bool
	now     func() time.Time
	metrics *metrics

	mu      sync.Mutex
	trusted map[trust]time.Time // until when
}

// trust is a private address at which a certain hub may be dialled: the operator named
// it, or it answered on the local network. An invalid ip stands for every address, for
// a hub that the operator named by DNS.
type trust struct {
	id peer.ID
	ip netip.Addr
}

// allow trusts the addresses of info, but of loopback addresses only those that the
// operator named.
func (g *gate) allow(info peer.AddrInfo, operator bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.now().Add(trustedLong)
	if !operator {
		until = g.now().Add(trustedLAN)
		if len(g.trusted) >= maxTrusted {
			g.forget()
		}
	}
	for _, a := range info.Addrs {
		p, err := placeOf(a)
		switch {
		case operator && (err != nil || p.name): // dnsaddr
			g.trusted[trust{id: info.ID}] = until
		case err != nil, p.reach == reachNone, !operator && p.reach == reachLoopback:
		case len(g.trusted) < maxTrusted || operator:
			at := info.ID
			if p.relay != "" {
				at = p.relay
			}
			g.trusted[trust{at, p.ip}] = until
		}
	}
}

// forget drops what has expired.
func (g *gate) forget() {
	now := g.now()
	for t, until := range g.trusted {
		if now.After(until) {
			delete(g.trusted, t)
		}
	}
}

func (g *gate) trusts(id peer.ID, ip netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	return now.Before(g.trusted[trust{id, ip}]) || now.Before(g.trusted[trust{id: id}])
}

// mayDial says whether the host may open a connection to a for the hub id.
func (g *gate) mayDial(id peer.ID, a ma.Multiaddr) bool {
	rest, _ := peer.SplitAddr(a)
	p, err := placeOf(rest)
	if err != nil || p.name {
		return false // a name that is still there would be resolved behind our back
	}
	switch {
	case p.reach == reachPublic:
		return true
	case p.reach == reachNone:
		return false
	case g.local:
		return true
	case p.relay != "":
		return g.trusts(p.relay, p.ip)
	}
	return g.trusts(id, p.ip)
}

func (g *gate) mayMeet(id peer.ID) bool {
	if g.meet == nil {
		return true
	}
	key, ok := keyOf(id)
	return !ok || g.meet(key)
}

// InterceptPeerDial implements connmgr.ConnectionGater.
func (g *gate) InterceptPeerDial(id peer.ID) bool { return g.mayMeet(id) }

// InterceptAddrDial implements connmgr.ConnectionGater.
func (g *gate) InterceptAddrDial(id peer.ID, a ma.Multiaddr) bool {
	if g.mayDial(id, a) {
		return true
	}
	g.metrics.refusedDials.Inc()
	return false
}

// InterceptAccept implements connmgr.ConnectionGater.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured implements connmgr.ConnectionGater.
func (g *gate) InterceptSecured(_ network.Direction, id peer.ID, _ network.ConnMultiaddrs) bool {
	return g.mayMeet(id)
}

// InterceptUpgraded implements connmgr.ConnectionGater.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
