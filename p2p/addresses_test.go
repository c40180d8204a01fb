package p2p

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
)

const someID = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

func TestReachOfAddresses(t *testing.T) {
	for want, texts := range map[reach][]string{
		reachNone:     {"0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:169.254.1.1", "fd00:ec2::254"},
		reachLoopback: {"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"},
		reachPrivate:  {"10.1.2.3", "100.64.0.1", "172.31.0.1", "192.168.1.1", "198.18.0.1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "::7f00:1", "fec0::1"},
		reachPublic:   {"1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"},
	} {
		for _, text := range texts {
			if got := reachOf(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s: %d, want %d", text, got, want)
			}
		}
	}
}

func TestAcceptableAddresses(t *testing.T) {
	id, _ := peer.Decode(someID)
	other, _ := peerIDOf(testKey(t, "other").Public())
	for _, c := range []struct {
		addr              string
		anywhere, locally bool
	}{
		{"/ip4/8.8.8.8/tcp/4001", true, true},
		{"/ip4/8.8.8.8/udp/4001/quic-v1", true, true},
		{"/ip6/2606:4700::1/udp/4001/quic-v1/p2p/" + someID, true, true},
		{"/dns4/hub.example/tcp/4001", true, true},
		{"/ip4/8.8.8.8/tcp/1/p2p/" + other.String() + "/p2p-circuit", true, true},
		{"/p2p/" + other.String() + "/p2p-circuit/p2p/" + someID, true, true},
		{"/ip4/192.168.0.1/tcp/4001", false, true},
		{"/ip4/10.0.0.1/tcp/1/p2p/" + other.String() + "/p2p-circuit", false, true},
		{"/ip4/127.0.0.1/udp/1/quic-v1", false, true},
		{"/ip4/169.254.169.254/tcp/80", false, false},
		{"/ip6zone/eth0/ip6/fe80::1/tcp/1", false, false},
		{"/ip4/8.8.8.8/tcp/4001/p2p/" + other.String(), false, false},
		{"/ip4/8.8.8.8/tcp/1/p2p/" + someID + "/p2p-circuit", false, false},
		{"/ip4/8.8.8.8/tcp/1/p2p/" + other.String() + "/p2p-circuit/p2p/" + other.String() + "/p2p-circuit", false, false},
		{"/ip4/8.8.8.8", false, false},
		{"/ip4/8.8.8.8/udp/4001", false, false},
		{"/ip4/8.8.8.8/tcp/4001/ws", false, false},
		{"/ip4/8.8.8.8/tcp/4001/ip4/127.0.0.1/tcp/1", false, false},
		{"/ip4/8.8.8.8/udp/1/quic-v1/webtransport", false, false},
		{"/dnsaddr/hub.example", false, false},
		{"/unix/tmp/socket", false, false},
		{"/memory/1", false, false},
		{"/p2p/" + someID, false, false},
		{"/tcp/1", false, false},
	} {
		a, err := ma.NewMultiaddr(c.addr)
		if err != nil {
			t.Fatalf("%s: %v", c.addr, err)
		}
		_, anywhere := acceptable(id, a, false)
		rest, locally := acceptable(id, a, true)
		if anywhere != c.anywhere || locally != c.locally {
			t.Errorf("%s: anywhere %v, locally %v", c.addr, anywhere, locally)
		}
		if locally && strings.Contains(rest.String(), someID) {
			t.Errorf("%s: %s still has the peer ID", c.addr, rest)
		}
	}
}

// rebinding resolves every name to one address.
type rebinding struct{ to ma.Multiaddr }

func (r rebinding) ResolveDNSAddr(context.Context, peer.ID, ma.Multiaddr, int, int) ([]ma.Multiaddr, error) {
	return nil, nil
}

func (r rebinding) ResolveDNSComponent(_ context.Context, a ma.Multiaddr, _ int) ([]ma.Multiaddr, error) {
	return []ma.Multiaddr{ma.Join(r.to, a[1:])}, nil
}

func TestPrivateAddressesAreNotDialledForStrangers(t *testing.T) {
	victim := open(t, "victim", nil)
	reachable := victim.Multiaddrs()[0]
	port := strings.Split(reachable, "/")[4]
	relay, _ := peerIDOf(testKey(t, "relay").Public())
	h := open(t, "h", func(c *Config) {
		c.Local = false
		c.Options = []libp2p.Option{libp2p.Transport(tcp.NewTCPTransport), libp2p.MultiaddrResolver(rebinding{ma.StringCast("/ip4/127.0.0.1")})}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, text := range []string{reachable, "/dns4/rebind.example/tcp/" + port, "/ip6/::ffff:127.0.0.1/tcp/" + port,
		"/dns4/rebind.example/tcp/" + port + "/p2p/" + relay.String() + "/p2p-circuit"} {
		h.Learn(key(victim), []string{text})
		if err := h.Connect(ctx, key(victim)); err == nil {
			t.Errorf("%s was dialled", text)
		}
		// Whatever libp2p itself was told, by identify or the DHT.
		rest, _ := peer.SplitAddr(ma.StringCast(text))
		h.host.Peerstore().AddAddr(victim.id, rest, time.Minute)
		if err := h.Connect(ctx, key(victim)); err == nil {
			t.Errorf("%s was dialled", text)
		}
		h.host.Peerstore().ClearAddrs(victim.id)
	}
	if len(victim.Connected()) != 0 {
		t.Error("the victim was reached")
	}
	if got := h.Multiaddrs(); len(got) != 0 {
		t.Errorf("announces %q", got)
	}
	// What the operator names is dialled.
	joins := open(t, "joins", func(c *Config) {
		c.Local, c.Bootstrap, c.Announce = false, []string{reachable}, []string{"/dns4/joins.example/tcp/4001"}
		c.Options = []libp2p.Option{libp2p.Transport(tcp.NewTCPTransport)}
	})
	eventually(t, "the operator's bootstrap hub is joined", linked(joins, victim))
	if got := joins.Multiaddrs(); len(got) != 1 || got[0] != "/dns4/joins.example/tcp/4001/p2p/"+joins.PeerID() {
		t.Errorf("announces %q", got)
	}
}

func TestTrustOnTheLocalNetworkEnds(t *testing.T) {
	id, _ := peer.Decode(someID)
	other, _ := peerIDOf(testKey(t, "other").Public())
	now := time.Unix(1_700_000_000, 0)
	g := &gate{now: func() time.Time { return now }, metrics: newMetrics(), trusted: map[trust]time.Time{}}
	lan, loop := ma.StringCast("/ip4/192.168.1.7/tcp/1"), ma.StringCast("/ip4/127.0.0.1/tcp/1")
	g.allow(peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{lan, loop}}, false)
	if !g.InterceptAddrDial(id, lan) || g.InterceptAddrDial(id, loop) || g.InterceptAddrDial(other, lan) {
		t.Error("trust is for that hub at that address, not on this machine")
	}
	now = now.Add(trustedLAN + time.Second)
	if g.InterceptAddrDial(id, lan) {
		t.Error("trust did not end")
	}
	for i := range 2 * maxTrusted {
		g.allow(peer.AddrInfo{ID: peer.ID(string(rune(i))), Addrs: []ma.Multiaddr{lan}}, false)
	}
	if len(g.trusted) > maxTrusted {
		t.Errorf("%d trusted addresses", len(g.trusted))
	}
	if g.InterceptAddrDial(id, ma.StringCast("/dns4/x.example/tcp/1")) {
		t.Error("an unresolved name was let through")
	}
}

func FuzzParseAddresses(f *testing.F) {
	id, err := peer.Decode(someID)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"/ip4/8.8.8.8/tcp/1", "/dns4/a.example/udp/1/quic-v1/p2p/" + someID, "/p2p/" + someID + "/p2p-circuit", "/ip6/::1/tcp/1"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, text string, local bool) {
		for _, a := range parseAddresses(id, []string{text}, local) {
			p, err := placeOf(a)
			if err != nil || p.reach == reachNone || !local && p.reach != reachPublic {
				t.Errorf("%q is noted as %s", text, a)
			}
			if again := parseAddresses(id, []string{a.String()}, local); len(again) != 1 || !again[0].Equal(a) {
				t.Errorf("%q is noted as %s, which is read as %v", text, a, again)
			}
		}
	})
}
