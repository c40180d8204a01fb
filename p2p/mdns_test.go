package p2p

import (
	"fmt"
	"net"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	dto "github.com/prometheus/client_model/go"
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

// TestSeenHubIsTriedAgain: a hub is told of once, and may not answer at that moment.
func TestSeenHubIsTriedAgain(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	a := open(t, "a", nil)
	id, err := peerIDOf(testKey(t, "b").Public())
	if err != nil {
		t.Fatal(err)
	}
	a.wg.Go(a.sightingLoop)
	a.HandlePeerFound(peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{ma.StringCast(at)}})
	eventually(t, "it was tried", func() bool {
		var m dto.Metric
		return a.metrics.dials.WithLabelValues("mdns", "failed").Write(&m) == nil && m.Counter.GetValue() == 1
	})
	b := open(t, "b", func(c *Config) { c.Listen = []string{at} })
	eventually(t, "they meet", linked(a, b))
}
