package safehttp

import "net/netip"

// The refused ranges: federation.md §3 [S §7.4] and §9.13, plus what IANA's
// special-purpose registries mark as not globally reachable.
var (
	privateRanges = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
	loopback      = prefixes("127.0.0.0/8", "::1/128")

	refusedRanges = prefixes(
		"0.0.0.0/8",       // this network
		"100.64.0.0/10",   // shared by carriers
		"169.254.0.0/16",  // link-local, cloud metadata
		"192.0.0.0/24",    // IETF protocol assignments
		"192.0.2.0/24",    // documentation
		"192.88.99.0/24",  // 6to4 relays, withdrawn
		"198.18.0.0/15",   // benchmarks
		"198.51.100.0/24", // documentation
		"203.0.113.0/24",  // documentation
		"224.0.0.0/4",     // multicast
		"240.0.0.0/4",     // reserved, broadcast
		"2001::/23",       // IETF protocol assignments, with Teredo
		"2001:db8::/32",   // documentation
		"2002::/16",       // 6to4
		"3ffe::/16",       // returned by the 6bone
		"3fff::/20",       // documentation
	)
	// globalUnicast is all that is given out of IPv6. Outside are ::, the
	// IPv4-compatible ::a.b.c.d, NAT64 (64:ff9b::), link-local, site-local,
	// multicast and whatever may come.
	globalUnicast = netip.MustParsePrefix("2000::/3")

	// localMetadata is a metadata service inside a private range: refused also
	// where private addresses pass.
	localMetadata = prefixes("fd00:ec2::/32", "fd20:ce::254/128")
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

func in(ranges []netip.Prefix, a netip.Addr) bool {
	for _, p := range ranges {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// publicAddress reports whether a may be connected to: it is globally routable,
// or local and allowed to be. An IPv4-mapped address is judged as the IPv4 in it.
// NAT64, 6to4, Teredo and IPv4-compatible addresses are refused whatever they
// carry, an address with a zone too.
func publicAddress(a netip.Addr, allowLocal bool) bool {
	if !a.IsValid() || a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if in(loopback, a) || in(privateRanges, a) {
		return allowLocal && !in(localMetadata, a)
	}
	if a.Is6() && !globalUnicast.Contains(a) {
		return false
	}
	return !in(refusedRanges, a)
}
