package p2p

import (
	"net"
	"testing"
)

// canMulticast tries what mDNS needs: multicast that comes back to this machine.
func canMulticast() bool {
	group := &net.UDPAddr{IP: net.IPv4(224, 0, 0, 251), Port: 5353}
	l, err := net.ListenMulticastUDP("udp4", nil, group)
	if err != nil {
		return false
	}
	defer l.Close()
	return true
}

func TestHubsOnOneNetworkFindEachOther(t *testing.T) {
	if testing.Short() || !canMulticast() {
		t.Skip("this machine does not take part in multicast")
	}
	lan := func(c *Config) { c.MDNS = true }
	a, b := open(t, "a", lan), open(t, "b", lan)
	if a.mdns == nil || b.mdns == nil {
		t.Skip("mDNS does not start on this machine")
	}
	eventually(t, "they meet without being told of each other", linked(a, b))
}
