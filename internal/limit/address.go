package limit

import (
	"net/netip"
	"strings"
)

// ipv6Prefix is the network that one IPv6 customer commonly has to himself, so
// changing the address within it buys nothing.
const ipv6Prefix = 64

// maxAddressText bounds the key of a text that is no address.
const maxAddressText = 64

// AddressKey folds a client address into the key that limits it: an IPv4 address,
// or the /64 of an IPv6 address. A port, brackets and a zone are taken off, an
// IPv4 address inside IPv6 (::ffff:a.b.c.d) counts as IPv4. What is no address
// stays as it is, cut to 64 bytes.
func AddressKey(addr string) string {
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		if ap, perr := netip.ParseAddrPort(addr); perr == nil {
			ip, err = ap.Addr(), nil
		} else if inner, ok := strings.CutPrefix(addr, "["); ok {
			ip, err = netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		}
	}
	if err != nil {
		return addr[:min(len(addr), maxAddressText)]
	}
	ip = ip.WithZone("").Unmap()
	if ip.Is4() {
		return ip.String()
	}
	p, _ := ip.Prefix(ipv6Prefix) // fails only for bits above 128
	return p.String()
}
