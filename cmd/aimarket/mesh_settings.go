package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/node"
)

// meshSettings are what a hub can be told about other hubs.
type meshSettings struct {
	P2P         bool     `help:"Take part in the mesh of hubs over libp2p; --no-p2p speaks HTTP only." name:"p2p" default:"true" negatable:"" env:"AIMARKET_P2P"`
	P2PListen   []string `help:"Multiaddrs of the mesh; TCP and QUIC on the host of --listen and the port after its own if empty; none: only through relays." name:"p2p-listen" env:"AIMARKET_P2P_LISTEN" placeholder:"MULTIADDR"`
	P2PAnnounce []string `help:"Further multiaddrs at which others reach this hub, such as a forwarded port." name:"p2p-announce" env:"AIMARKET_P2P_ANNOUNCE" placeholder:"MULTIADDR"`
	Bootstrap   []string `help:"Multiaddrs, with /p2p/ and the peer ID, of hubs to join the mesh by." env:"AIMARKET_BOOTSTRAP" placeholder:"MULTIADDR"`
	MDNS        bool     `help:"Find hubs on the local network." name:"mdns" default:"true" negatable:"" env:"AIMARKET_MDNS"`
	Relay       bool     `help:"Relay for hubs that cannot be reached from outside." env:"AIMARKET_RELAY"`
	Admission   string   `help:"What makes a stranger's capabilities count: closed, only the operator; verified, a trial that proves its signatures and one call; open, its signed head (test networks)." enum:"closed,verified,open" default:"verified" env:"AIMARKET_ADMISSION"`
	MaxPending  int      `help:"Most host names of hubs that wait to be admitted." default:"2000" env:"AIMARKET_FEDERATION_OPEN_MAX_PENDING"`
	StaleAfter  seconds  `help:"Seconds of silence that hide a hub's capabilities." name:"stale-after-s" default:"21600" env:"AIMARKET_STALE_AFTER_S"`
	AwayAfter   seconds  `help:"Seconds of silence that take them off until the hub is heard again." name:"away-after-s" default:"86400" env:"AIMARKET_AWAY_AFTER_S"`

	SeedList      []string `help:"URLs of hubs to crawl from, also named in the discovery document." env:"AIMARKET_SEED_LIST" placeholder:"URL"`
	SeedPubkeys   []string `help:"Keys of seeds: a seed that shows its key at first contact is admitted at once." env:"AIMARKET_SEED_PUBKEYS" placeholder:"URL=KEY"`
	AutoCrawl     bool     `help:"Crawl soon after the start and then at the interval, if there are seeds or hubs without a link." default:"true" negatable:"" env:"AIMARKET_AUTO_CRAWL"`
	CrawlInterval seconds  `help:"Seconds between crawls." name:"crawl-interval-s" default:"3600" env:"AIMARKET_CRAWL_INTERVAL_S"`
	MaxCrawlDepth int      `help:"Hops from a seed that are crawled, 0…3." default:"3" env:"AIMARKET_MAX_CRAWL_DEPTH"`
}

// apply puts the settings into c, whose Listen is set.
func (s meshSettings) apply(c *node.Config) error {
	c.P2P, c.MDNS, c.Relay = s.P2P, s.MDNS, s.Relay
	c.P2PListen, c.P2PAnnounce, c.Bootstrap = trimmed(s.P2PListen), trimmed(s.P2PAnnounce), trimmed(s.Bootstrap)
	switch {
	case len(c.P2PListen) == 1 && c.P2PListen[0] == "none":
		c.P2PListen = nil
	case c.P2P && len(c.P2PListen) == 0:
		c.P2PListen = meshAddresses(c.Listen)
	}
	c.Admission = catalog.Admission(s.Admission)
	c.MaxPending = s.MaxPending
	c.StaleAfter, c.AwayAfter = s.StaleAfter.duration(), s.AwayAfter.duration()
	for _, n := range []struct {
		name  string
		value int64
	}{{"--max-pending", int64(s.MaxPending)}, {"--stale-after-s", int64(s.StaleAfter)}, {"--away-after-s", int64(s.AwayAfter)}} {
		if n.value < 1 {
			return fmt.Errorf("%s %d leaves no hub any room: give 1 or more", n.name, n.value)
		}
	}
	c.SeedList, c.CrawlInterval = trimmed(s.SeedList), s.CrawlInterval.duration()
	c.AutoCrawl, c.MaxCrawlDepth = s.AutoCrawl, s.MaxCrawlDepth
	for _, pair := range trimmed(s.SeedPubkeys) {
		url, key, ok := strings.Cut(pair, "=") // a key in base64 may end in more of them
		if url, key = strings.TrimSpace(url), strings.TrimSpace(key); !ok || url == "" {
			return fmt.Errorf("seed key %q is not URL=KEY", pair)
		}
		if _, err := identity.ParsePublicKey(key); err != nil {
			return fmt.Errorf("the key of seed %s: %w", url, err)
		}
		if c.SeedKeys == nil {
			c.SeedKeys = map[string]string{}
		}
		c.SeedKeys[url] = key
	}
	return nil
}

// meshAddresses are where the mesh listens if nobody says: on the host of the HTTP API,
// so that a hub for this machine alone stays one, and on the port after its own, TCP and
// UDP. Port 0, and one that has no next, let the system choose.
func meshAddresses(listen string) []string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil // Validate says so
	}
	next := 0
	if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 65535 {
		next = n + 1
	}
	var ips []net.IP
	switch {
	case host == "":
		ips = []net.IP{net.IPv4zero, net.IPv6unspecified}
	case net.ParseIP(host) != nil:
		ips = []net.IP{net.ParseIP(host)}
		if ips[0].Equal(net.IPv6unspecified) {
			ips = []net.IP{net.IPv4zero, net.IPv6unspecified}
		}
	default:
		a, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil // the HTTP API cannot listen there either, and says so
		}
		ips = []net.IP{a.IP}
	}
	var out []string
	for _, ip := range ips {
		family := "ip6"
		if ip.To4() != nil {
			family = "ip4"
		}
		out = append(out, fmt.Sprintf("/%s/%s/tcp/%d", family, ip, next), fmt.Sprintf("/%s/%s/udp/%d/quic-v1", family, ip, next))
	}
	return out
}
