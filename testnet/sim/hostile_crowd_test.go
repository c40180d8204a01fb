package sim

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/p2p/gossip"
)

const (
	sybilKeys  = 1000     // of those that nobody admits
	keysPerHub = 10       // of those that are admitted, for each hub, at most sybilKeys
	perSybil   = 16 << 10 // bytes that an admitted hub with one capability may cost a hub
	sybilHosts = 2        // libp2p hosts of the Sybils, for each hub
	perAddress = 16       // connections that a hub takes from one IPv4 address
	tolerated  = 10       // neighbours under one address that cost none of them anything
	strangers  = 900_000  // author numbers of keys that no member has
)

// sybils are a thousand keys on one machine that speak through perHub libp2p hosts for
// each hub, or through as many as are tolerated under one address.
func sybils(perHub int) func(*attack) error {
	return func(a *attack) error {
		n := perHub * len(a.w.Hubs)
		if n == 0 {
			n = tolerated - 1
		}
		return speakAs(a, n)
	}
}

// keys is how many Sybils there are: as many as the machine that runs the test can store
// for every hub, where they are admitted.
func (a *attack) keys() int {
	if a.admitted {
		return min(sybilKeys, keysPerHub*len(a.w.Hubs))
	}
	return sybilKeys
}

func speakAs(a *attack, n int) error {
	at := a.address()
	var hosts []*member
	for i := range n {
		m, err := newMember(a.ctx, a.w, newAuthor(100+i), memberAt{index: at, port: 9000 + i})
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.members = append(a.members, m)
		a.mu.Unlock()
		hosts = append(hosts, m)
	}
	open := hosts[:0:0]
	for _, m := range hosts {
		dialled := 0
		for _, h := range a.first {
			if m.dial(a.ctx, h) == nil { // they refuse most of one address
				dialled++
			}
		}
		if dialled > 0 {
			open = append(open, m)
		}
	}
	if len(open) == 0 {
		return errors.New("no Sybil got in")
	}
	time.Sleep(3 * time.Second)
	a.every(50, 100*time.Millisecond, func(i int) error {
		for n := i; n < a.keys(); n += 50 {
			s := newAuthor(strangers + n)
			s.sell("prod-s", fmt.Sprintf("sybil-%d@v1", n), nil)
			head := s.head()
			m := open[n%len(open)]
			if err := errors.Join(m.say(a.ctx, gossip.ManifestTopic, updateOf(head, s.tools)), m.say(a.ctx, gossip.AnnounceTopic, head)); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

func crowded(a *attack) {
	for _, h := range a.w.Hubs {
		if n := h.Catalog.Counts().Pending; n > catalog.DefaultMaxPending {
			a.t.Errorf("%d hubs wait at hub %d, over %d", n, h.Index, catalog.DefaultMaxPending)
		}
	}
	for _, h := range a.first {
		connected, liked := 0, 0
		for _, m := range a.members[1:] {
			if h.Host.LibP2P().Network().Connectedness(m.host.ID()) == network.Connected {
				connected++
				if h.Mesh.Score(m.host.ID()) >= 0 {
					liked++
				}
			}
		}
		a.t.Logf("hub %d has %d Sybils connected, %d with a good score", h.Index, connected, liked)
		if connected > perAddress {
			a.t.Errorf("hub %d has %d connections of one address, over %d", h.Index, connected, perAddress)
		}
		if liked > tolerated {
			a.t.Errorf("hub %d has %d neighbours of one address that it trusts, over %d", h.Index, liked, tolerated)
		}
	}
}

// allAdmitted tells that the flood of keys was not lost on the way, which would prove
// nothing.
func allAdmitted(a *attack) {
	crowded(a)
	for _, h := range a.w.Hubs {
		if n := len(h.Catalog.Heads()); n != a.keys()+len(a.w.Hubs) {
			a.t.Errorf("hub %d knows %d heads, %d were to be admitted", h.Index, n, a.keys()+len(a.w.Hubs))
		}
	}
}

// Eclipse: who is around the victim at first, and who comes to crowd out the others.
const (
	eclipsers = 8
	crowd     = 28
	eclipseOf = 30 * time.Second
)

// eclipse starts a hub that knows nobody but hostile members. They pretend to agree with
// it in every comparison, tell it old listings and forgeries, and crowd around it. Then
// one honest hub finds it.
func eclipse(a *attack) error {
	var old [][]byte
	for _, h := range a.w.Hubs {
		u, err := h.Catalog.UpdateFor(a.ctx, h.Key.Public(), "")
		if err != nil {
			return err
		}
		old = append(old, u)
		if err := h.Publish(a.ctx, "since", 1000); err != nil {
			return err
		}
	}
	var around []*member
	var names []string
	recruit := func() error {
		m, err := newMember(a.ctx, a.w, newAuthor(100+len(around)), memberAt{index: a.address()})
		if err != nil {
			return err
		}
		a.mu.Lock()
		a.members = append(a.members, m)
		a.mu.Unlock()
		around = append(around, m)
		m.host.SetStreamHandler(protocol.ID(gossip.SyncProtocol), agreeAlways)
		names = append(names, m.addr())
		return nil
	}
	for range eclipsers {
		if err := recruit(); err != nil {
			return err
		}
	}
	if err := a.w.add(); err != nil {
		return err
	}
	a.victim = a.w.Hubs[len(a.w.Hubs)-1]
	if err := a.victim.start(a.ctx, names); err != nil {
		return err
	}
	if err := a.victim.Publish(a.ctx, "start-0", 1000); err != nil {
		return err
	}
	time.Sleep(5 * time.Second)
	forged := newAuthor(1)
	forged.sell("prod-0", "forged@v1", nil)
	for i, u := range old {
		false_ := strings.ReplaceAll(string(forged.update()), forged.key.PublicBase64(), a.w.Hubs[i].Key.PublicBase64())
		if err := errors.Join(around[i%len(around)].say(a.ctx, gossip.ManifestTopic, u), around[0].say(a.ctx, gossip.ManifestTopic, []byte(false_))); err != nil {
			return err
		}
	}
	time.Sleep(eclipseOf)
	if n := len(a.victim.Host.Connected()); n != eclipsers {
		a.t.Errorf("the victim has %d neighbours, %d are around it", n, eclipsers)
	}
	for _, h := range a.w.Hubs[:len(a.w.Hubs)-1] {
		if _, ok := a.victim.Price(a.ctx, h, "since"); ok {
			a.t.Errorf("the eclipsed hub has news of hub %d: it was not eclipsed", h.Index)
		}
		if _, err := a.victim.Catalog.Lookup(a.ctx, "prod-0", "forged@v1", h.URL()); err == nil {
			a.t.Errorf("the eclipsed hub believes a forgery of hub %d", h.Index)
		}
	}
	for range crowd {
		if err := recruit(); err != nil {
			return err
		}
		_ = around[len(around)-1].dial(a.ctx, a.victim) // as many as it takes
	}
	// One honest hub hears of it: by the DHT, on the local network or from its operator.
	a.first = a.w.Hubs[:firstHops]
	helper := a.w.Hubs[0]
	helper.Host.Learn(a.victim.Key.Public(), a.victim.Host.Multiaddrs())
	return helper.Host.Connect(a.ctx, a.victim.Key.Public())
}

// agreeAlways answers a comparison as if nothing differed: it sends the hello back.
func agreeAlways(s network.Stream) {
	defer s.Close()
	_ = s.SetDeadline(time.Now().Add(5 * time.Second))
	var head [5 + 1 + 32]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return
	}
	head[1], head[2], head[3], head[4] = 0, 0, 0, 1+32 // without the head
	_, _ = s.Write(head[:])
}

// eclipsed is checked when all catalogues are equal, the victim's among them.
func eclipsed(a *attack) {
	for i := range 3 { // connections are trimmed meanwhile
		time.Sleep(20 * time.Second)
		name := fmt.Sprintf("light-%d", i)
		took, err := a.w.spread(a.ctx, 1, name, spreadWithin, []int{1, a.victim.Index})
		if err != nil || len(took) == 0 {
			a.t.Fatalf("a change does not reach the victim any more: %v", err)
		}
		back, err := a.w.Spread(a.ctx, a.victim.Index, name, spreadWithin)
		if err != nil || len(back) < len(a.w.Hubs)-1 {
			a.t.Fatalf("a change of the victim reaches %d hubs: %v", len(back), err)
		}
		a.t.Logf("to the victim in %v, from it to all in %v, of %d neighbours", took[0], back[len(back)-1], len(a.victim.Host.Connected()))
	}
}

// unsafeURLs are addresses that no hub may call, in the forms in which they are tried.
var unsafeURLs = []string{
	"http://127.0.0.1", "http://localhost", "http://10.66.0.1", "http://192.168.1.1:8080", "http://172.16.0.1", "http://169.254.169.254",
	"http://100.64.0.1", "http://0.0.0.0", "http://[::1]", "http://[::]", "http://[fe80::1]", "http://[fd00:ec2::254]", "http://[::ffff:127.0.0.1]",
	"http://[64:ff9b::7f00:1]", "http://[2002:7f00:1::]", "http://2130706433", "http://0x7f.1", "http://0177.0.0.1", "http://127.1",
	"http://inside.example", "http://inside.example:8080",
}

// unsafeAddrs are multiaddrs that no hub may dial.
var unsafeAddrs = []string{
	"/ip4/127.0.0.1/udp/8000/quic-v1", "/ip4/10.66.0.1/udp/8000/quic-v1", "/ip4/192.168.1.1/udp/8000/quic-v1", "/ip4/169.254.169.254/udp/80/quic-v1",
	"/ip4/0.0.0.0/udp/8000/quic-v1", "/ip6/::1/udp/8000/quic-v1", "/ip6/fe80::1/udp/8000/quic-v1", "/ip6/fd00:ec2::254/udp/8000/quic-v1",
	"/ip6/::ffff:10.66.0.1/udp/8000/quic-v1", "/ip6/64:ff9b::a42:1/udp/8000/quic-v1", "/ip6/2002:a42:1::/udp/8000/quic-v1",
	"/dns4/inside.example/udp/8000/quic-v1", "/dns/rebind.example/udp/8000/quic-v1", "/dnsaddr/inside.example",
}

// lure announces addresses inside others' networks: as URLs, in heads, and as what its
// own libp2p host says of itself.
func lure(a *attack) error {
	var private []ma.Multiaddr
	for _, s := range unsafeAddrs {
		addr, err := ma.NewMultiaddr(s)
		if err != nil {
			return err
		}
		private = append(private, addr)
	}
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	for i := range 3 { // come, say where they are, and go: the hubs look for them again
		m, err := newMember(a.ctx, a.w, newAuthor(200+i), memberAt{index: a.address(), announce: private})
		if err != nil {
			return err
		}
		m.host.SetStreamHandler(protocol.ID(gossip.SyncProtocol), agreeAlways)
		if err := errors.Join(m.join(a.ctx, a.first...), m.close()); err != nil {
			return err
		}
	}
	n := 0
	a.every(40, 150*time.Millisecond, func(int) error {
		c.url, c.addrs = unsafeURLs[n%len(unsafeURLs)], unsafeAddrs
		c.sell("prod-h", "lure@v1", nil)
		// Others' heads through the same mouth: their listing is to be fetched from those addresses.
		s := newAuthor(strangers + n)
		s.url, s.addrs = unsafeURLs[n%len(unsafeURLs)], unsafeAddrs
		s.sell("prod-h", fmt.Sprintf("lure-%d@v1", n), nil)
		rebinding := newAuthor(strangers + 1000 + n)
		rebinding.url, rebinding.addrs = fmt.Sprintf("http://rebind-%d.example", n), unsafeAddrs
		rebinding.sell("prod-h", fmt.Sprintf("rebinding-%d@v1", n), nil)
		n++
		return errors.Join(c.tell(a.ctx), c.say(a.ctx, gossip.AnnounceTopic, s.head()), c.say(a.ctx, gossip.ManifestTopic, s.update()),
			c.say(a.ctx, gossip.ManifestTopic, rebinding.update()))
	})
	return nil
}

func lured(a *attack) {
	time.Sleep(5 * time.Minute) // who was lost is tried again meanwhile
	a.w.wire.mu.Lock()
	for to, n := range a.w.wire.nowhere {
		a.t.Errorf("%d packets went to %s, where nobody is", n, to)
	}
	a.w.wire.mu.Unlock()
	for _, h := range a.w.Hubs {
		for _, p := range h.Catalog.Peers(catalog.PeerActive) {
			for _, u := range unsafeURLs {
				if base, err := catalog.NormalizeHubURL(u); err == nil && (p.URL == base || strings.Contains(p.ManifestURL, base)) {
					a.t.Errorf("hub %d lists a hub at %s", h.Index, p.URL)
				}
			}
		}
		for i := range 40 {
			for _, u := range unsafeURLs {
				if _, err := h.Catalog.Lookup(a.ctx, "prod-h", fmt.Sprintf("lure-%d@v1", i), u); err == nil {
					a.t.Errorf("hub %d sells a capability of %s", h.Index, u)
				}
			}
		}
		discovery, err := h.Catalog.Discovery(a.ctx, catalog.Status{})
		if err != nil {
			a.t.Fatal(err)
		}
		for _, text := range []string{"127.0.0.1", "10.66.", "192.168.", "169.254.", "[::1]", "/::1/", "fe80:", "localhost", "inside.example"} {
			if strings.Contains(string(discovery.Body), text) {
				a.t.Errorf("the discovery document of hub %d names %s", h.Index, text)
			}
		}
	}
}
