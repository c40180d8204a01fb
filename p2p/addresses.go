package p2p

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on the addresses of one hub.
const (
	maxAddresses    = 16 // as catalog.MaxMultiaddrs
	maxAddressBytes = 256
)

// Address ranges by who may be dialled there. never holds what no hub is behind, cloud
// metadata above all; private is fit for local networks only, in the ranges that IANA's
// special-purpose registries do not call globally reachable.
var (
	neverRanges = prefixes("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
		"::/128", "fe80::/10", "ff00::/8", "fd00:ec2::/32", "fd20:ce::254/128")
	privateRanges = prefixes("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
		"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"2001::/23", "2001:db8::/32", "2002::/16", "3ffe::/16", "3fff::/20")
	loopbackRanges = prefixes("127.0.0.0/8", "::1/128")
	globalUnicast  = netip.MustParsePrefix("2000::/3")
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

func within(ranges []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a) })
}

// reach says from how far an address can be one of a hub.
type reach uint8

const (
	reachNone     reach = iota // no hub is there
	reachLoopback              // this machine
	reachPrivate               // a local network
	reachPublic
)

// reachOf judges an IP address; an IPv4 address inside IPv6 counts as the IPv4 address.
func reachOf(a netip.Addr) reach {
	if !a.IsValid() || a.Zone() != "" {
		return reachNone
	}
	a = a.Unmap()
	switch {
	case within(neverRanges, a):
		return reachNone
	case within(loopbackRanges, a):
		return reachLoopback
	case within(privateRanges, a), a.Is6() && !globalUnicast.Contains(a):
		return reachPrivate
	}
	return reachPublic
}

// place is what matters of a multiaddr for judging it.
type place struct {
	reach reach
	ip    netip.Addr // invalid for a name, or when only a relay's peer ID is given
	name  bool       // begins with a DNS name that is not resolved yet
	relay peer.ID    // "" unless through a relay
}

// placeOf reads a multiaddr of the forms that hubs use: an IP address or DNS name with
// TCP or QUIC, perhaps through a relay. Everything else is refused.
func placeOf(a ma.Multiaddr) (place, error) {
	var p place
	var last peer.ID
	circuit, based, transport := false, false, false
	for i, c := range a {
		switch code := c.Protocol().Code; code {
		case ma.P_IP4, ma.P_IP6:
			ip, ok := netip.AddrFromSlice(c.RawValue())
			if !ok || i != 0 {
				return p, fmt.Errorf("an IP address in the wrong place in %s", a)
			}
			p.ip, p.reach, based = ip.Unmap(), reachOf(ip), true
		case ma.P_DNS, ma.P_DNS4, ma.P_DNS6:
			if i != 0 {
				return p, fmt.Errorf("a DNS name in the wrong place in %s", a)
			}
			p.name, p.reach, based = true, reachPublic, true
		case ma.P_TCP, ma.P_UDP:
			if i != 1 || !based {
				return p, fmt.Errorf("a port in the wrong place in %s", a)
			}
			transport = code == ma.P_TCP
		case ma.P_QUIC_V1:
			if i != 2 || a[1].Protocol().Code != ma.P_UDP {
				return p, fmt.Errorf("QUIC not over UDP in %s", a)
			}
			transport = true
		case ma.P_P2P:
			last = peer.ID(c.RawValue())
		case ma.P_CIRCUIT:
			if circuit || last == "" {
				return p, fmt.Errorf("no single relay in %s", a)
			}
			circuit, p.relay, last = true, last, ""
		default:
			return p, fmt.Errorf("%s in %s, which hubs do not speak", c.Protocol().Name, a)
		}
	}
	switch {
	case circuit && !based:
		p.reach = reachPublic // by the relay's peer ID alone; dialling it is judged in turn
	case !transport:
		return p, fmt.Errorf("neither TCP nor QUIC in %s", a)
	}
	return p, nil
}

// parseAddresses reads what somebody says are addresses of the hub id: at most
// maxAddresses, each of at most maxAddressBytes. It keeps those of which the host may
// know, without /p2p/<id> at the end.
func parseAddresses(id peer.ID, texts []string, local bool) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, text := range texts[:min(len(texts), maxAddresses)] {
		if len(text) > maxAddressBytes {
			continue
		}
		if a, err := ma.NewMultiaddr(text); err == nil {
			if a, ok := acceptable(id, a, local); ok {
				out = append(out, a)
			}
		}
	}
	return unique(out)
}

// acceptable reports whether a stranger's word that the hub id is at a is worth noting,
// and returns a without the peer ID.
func acceptable(id peer.ID, a ma.Multiaddr, local bool) (ma.Multiaddr, bool) {
	rest, said := peer.SplitAddr(a)
	if rest == nil || said != "" && said != id {
		return nil, false
	}
	p, err := placeOf(rest)
	if err != nil || p.relay != "" && p.relay == id || len(rest.String()) > maxAddressBytes {
		return nil, false
	}
	return rest, p.reach == reachPublic || local && p.reach != reachNone
}

// filterAddresses is acceptable for a list.
func filterAddresses(id peer.ID, addrs []ma.Multiaddr, local bool) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, a := range addrs {
		if a, ok := acceptable(id, a, local); ok && len(out) < maxAddresses {
			out = append(out, a)
		}
	}
	return unique(out)
}

// parseNamed reads the operator's multiaddrs of hubs, each with /p2p/<id>, and joins
// those of the same hub.
func parseNamed(what string, texts []string) ([]peer.AddrInfo, error) {
	var out []peer.AddrInfo
	for _, text := range texts {
		a, err := ma.NewMultiaddr(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("p2p: %s %q is no multiaddr such as /dns4/hub.example/tcp/4001/p2p/12D3…: %w", what, text, err)
		}
		info, err := peer.AddrInfoFromP2pAddr(a)
		if err != nil || len(info.Addrs) == 0 {
			return nil, fmt.Errorf("p2p: %s %q must name an address and end in /p2p/<peer ID>; the hub prints it at its start", what, text)
		}
		if i := slices.IndexFunc(out, func(o peer.AddrInfo) bool { return o.ID == info.ID }); i >= 0 {
			out[i].Addrs = append(out[i].Addrs, info.Addrs...)
		} else {
			out = append(out, *info)
		}
	}
	return out, nil
}

func parseMultiaddrs(what string, texts []string) ([]ma.Multiaddr, error) {
	var out []ma.Multiaddr
	for _, text := range texts {
		a, err := ma.NewMultiaddr(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("p2p: %s %q is no multiaddr such as /ip4/0.0.0.0/tcp/4001: %w", what, text, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// announcer returns which of its addresses the host tells others: those that they can
// dial under the same rules, best first, and what the operator adds.
func announcer(local bool, more []ma.Multiaddr) func([]ma.Multiaddr) []ma.Multiaddr {
	return func(addrs []ma.Multiaddr) []ma.Multiaddr {
		out := slices.Clone(more)
		for _, a := range addrs {
			rest, _ := peer.SplitAddr(a)
			if p, err := placeOf(rest); err == nil && (p.reach == reachPublic || local && p.reach != reachNone) {
				out = append(out, a)
			}
		}
		return unique(out)
	}
}

// rank orders addresses for a list that may be cut: public and direct ones first, then
// relayed, private and loopback ones.
func rank(a ma.Multiaddr) int {
	p, err := placeOf(a)
	switch {
	case err != nil:
		return 4
	case p.relay != "":
		return 1
	case p.reach == reachPublic:
		return 0
	case p.reach == reachPrivate:
		return 2
	}
	return 3
}

// peerIDOf is the libp2p peer ID of a hub's key.
func peerIDOf(key identity.PublicKey) (peer.ID, error) {
	pub, err := crypto.UnmarshalEd25519PublicKey(key[:])
	if err != nil {
		return "", fmt.Errorf("p2p: key %s: %w", key, err)
	}
	return peer.IDFromPublicKey(pub)
}

// keyOf is the key of a peer ID; false if it is none that a hub may have.
func keyOf(id peer.ID) (identity.PublicKey, bool) {
	pub, err := id.ExtractPublicKey()
	if err != nil || pub.Type() != crypto.Ed25519 {
		return identity.PublicKey{}, false
	}
	raw, err := pub.Raw()
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return identity.PublicKey{}, false
	}
	key, err := identity.ParsePublicKey(base64.StdEncoding.EncodeToString(raw))
	return key, err == nil
}

// unique leaves out repetitions and keeps the order.
func unique(addrs []ma.Multiaddr) []ma.Multiaddr {
	out := addrs[:0:0]
	for _, a := range addrs {
		if !ma.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}
