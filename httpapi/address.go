package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"strings"
)

// maxForwardedHops bounds how far back X-Forwarded-For is followed.
const maxForwardedHops = 32

// maxAddressText is the longest address text that limits tell apart as it is.
const maxAddressText = 64

// clientAddress is the address that limits are counted against: the socket's peer,
// or, if that is a trusted proxy, the nearest hop of X-Forwarded-For that is not
// one. Read from the right, because everything left of the first untrusted hop is
// whatever the client cared to write. A hub that calls over a libp2p stream has no
// address but its key, and is counted by that.
func (s *Server) clientAddress(r *http.Request) string {
	host := hostOf(r.RemoteAddr)
	if len(s.cfg.TrustedProxies) == 0 {
		return host
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !s.trusted(peer) {
		return host
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	client := peer
	for i, n := len(hops)-1, 0; i >= 0 && n < maxForwardedHops; i, n = i-1, n+1 {
		hop, ok := parseHop(strings.TrimSpace(hops[i]))
		if !ok {
			break // what a trusted proxy cannot name is not believed
		}
		client = hop
		if !s.trusted(hop) {
			break
		}
	}
	return client.String()
}

// hostOf is a remote address without its port. What is no host:port, such as the key
// of a hub at the other end of a stream, stays whole: were it cut at a colon, all hubs
// would share one allowance. A text too long to tell apart by its beginning, such as a
// multiaddr through a relay, becomes its hash.
func hostOf(remote string) string {
	if i := strings.LastIndexByte(remote, ':'); i >= 0 && isPort(remote[i+1:]) {
		switch host := remote[:i]; {
		case strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]"):
			return host[1 : len(host)-1]
		case strings.IndexByte(host, ':') < 0:
			return host
		}
	}
	if len(remote) > maxAddressText {
		sum := sha256.Sum256([]byte(remote))
		return hex.EncodeToString(sum[:maxAddressText/2])
	}
	return strings.Trim(remote, "[]")
}

// isPort reports 1 to 5 decimal digits.
func isPort(s string) bool {
	if s == "" || len(s) > 5 {
		return false
	}
	return strings.Trim(s, "0123456789") == ""
}

// parseHop reads one entry of X-Forwarded-For, which some proxies write with a port.
func parseHop(hop string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(hop); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(hop); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

func (s *Server) trusted(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range s.cfg.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
