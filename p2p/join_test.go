package p2p

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/identity"
)

func TestJoinsByBootstrapAndCallsOverStreams(t *testing.T) {
	for _, c := range []struct {
		name   string
		listen []string
	}{{"TCP", overTCP}, {"QUIC", overQUIC}} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, "a", func(cfg *Config) { cfg.Listen = c.listen })
			b := open(t, "b", func(cfg *Config) { cfg.Listen, cfg.Bootstrap = c.listen, a.Multiaddrs() })
			eventually(t, "b joins a", linked(b, a))
			eventually(t, "a sees b", linked(a, b))
			if l := b.Link(key(a)); l.Relayed || !strings.HasPrefix(l.Address, "/ip4/127.0.0.1/") {
				t.Errorf("link to a: %+v", l)
			}
			for _, pair := range [][2]*Host{{a, b}, {b, a}} {
				from, to := key(pair[0]), key(pair[1])
				status, text, err := get(t, pair[0], keyURL(to)+"/some/path", "body")
				if want := "true " + hex.EncodeToString(from[:]) + " /some/path body"; err != nil || status != 200 || text != want {
					t.Errorf("%d %q %v, want %q", status, text, err, want)
				}
			}
			if got := a.Connected(); len(got) != 1 || got[0] != key(b) {
				t.Errorf("a is connected to %v", got)
			}
			eventually(t, "the round trip is measured", func() bool { return a.Link(key(b)).Latency > 0 })
		})
	}
}

func TestUnknownHubIsAnErrorAtOnce(t *testing.T) {
	a := open(t, "a", func(c *Config) { c.DHT = true })
	b := open(t, "b", func(c *Config) { c.DHT, c.Bootstrap = true, a.Multiaddrs() })
	eventually(t, "b joins a", linked(b, a))
	_, _, err := get(t, b, keyURL(testKey(t, "nobody").Public())+"/", "")
	if err == nil || !strings.Contains(err.Error(), "no address of this hub is known") || strings.Contains(err.Error(), "deadline") {
		t.Errorf("%v", err)
	}
	if _, _, err := get(t, b, keyURL(key(b))+"/", ""); err == nil {
		t.Error("a hub called itself")
	}
	if _, _, err := get(t, b, keyURL(identity.PublicKey{})[:40], ""); err == nil {
		t.Error("half a key is a host")
	}
}
