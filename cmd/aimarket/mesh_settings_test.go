package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
)

// The mesh listens where the HTTP API does: a hub for this machine alone stays one.
func TestMeshAddresses(t *testing.T) {
	for listen, want := range map[string][]string{
		":9083":           {"/ip4/0.0.0.0/tcp/9084", "/ip4/0.0.0.0/udp/9084/quic-v1", "/ip6/::/tcp/9084", "/ip6/::/udp/9084/quic-v1"},
		"[::]:9083":       {"/ip4/0.0.0.0/tcp/9084", "/ip4/0.0.0.0/udp/9084/quic-v1", "/ip6/::/tcp/9084", "/ip6/::/udp/9084/quic-v1"},
		"0.0.0.0:80":      {"/ip4/0.0.0.0/tcp/81", "/ip4/0.0.0.0/udp/81/quic-v1"},
		"127.0.0.1:9083":  {"/ip4/127.0.0.1/tcp/9084", "/ip4/127.0.0.1/udp/9084/quic-v1"},
		"[::1]:9083":      {"/ip6/::1/tcp/9084", "/ip6/::1/udp/9084/quic-v1"},
		"127.0.0.1:0":     {"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"},
		"192.0.2.7:65535": {"/ip4/192.0.2.7/tcp/0", "/ip4/192.0.2.7/udp/0/quic-v1"},
		"nowhere":         nil,
	} {
		if got := meshAddresses(listen); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", listen, got, want)
		}
	}
	if got := meshAddresses("localhost:9083"); len(got) != 2 || (got[0] != "/ip4/127.0.0.1/tcp/9084" && got[0] != "/ip6/::1/tcp/9084") {
		t.Errorf("localhost: %v", got)
	}
}

func TestAgo(t *testing.T) {
	now := time.Date(2026, 5, 21, 12, 0, 0, 0, time.UTC)
	for at, want := range map[string]string{
		"": "never", "yesterday": "never",
		"2026-05-21T12:00:00Z": "0 s ago", "2026-05-21T12:00:30Z": "0 s ago", // a clock ahead of ours
		"2026-05-21T11:59:01Z": "59 s ago", "2026-05-21T11:00:01Z": "59 min ago",
		"2026-05-20T12:00:00Z": "24 h ago", "2026-05-19T11:00:00Z": "2 days ago",
	} {
		if got := ago(at, now); got != want {
			t.Errorf("%q: %s, want %s", at, got, want)
		}
	}
}

func TestPeerRow(t *testing.T) {
	const (
		key = "libp2p://615145c7cacc1f0140f5fc5fbc9849806e670d4c714747646e070981b7f14adf"
		id  = "12D3KooWDGp1PqnaKsKPAXV2z3PmV8bMxPtC4rbyQWERYYdTcu4X"
	)
	now := time.Date(2026, 5, 21, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		peer client.Peer
		want []string
	}{
		"an old hub's answer": {client.Peer{Name: "A", URL: "https://a", TrustScore: "0.5", LastCrawl: "2026-05-21T11:59:00Z"},
			[]string{"A", "https://a", "active", "0.5", "-", "-", "1 min ago", "", ""}},
		"connected": {client.Peer{Name: "A", URL: "https://a", Status: "active", TrustScore: "0.175", LastSeen: "2026-05-21T11:59:58Z", Discoverer: "mdns", Why: "active: it passed",
			Link: &client.Link{Connected: true, Address: "/ip4/192.0.2.1/tcp/9084", LatencyMS: 12.34}},
			[]string{"A", "https://a", "active", "0.175", "/ip4/192.0.2.1/tcp/9084", "12.3 ms", "2 s ago", "mdns", "it passed"}},
		"through a relay, stale": {client.Peer{URL: "libp2p://ab", Status: "active", RouteStatus: "stale", TrustScore: "0.1",
			Link: &client.Link{Connected: true, Address: "/p2p-circuit", Relayed: true}},
			[]string{"", "libp2p://ab", "active, stale", "0.1", "/p2p-circuit (relayed)", "-", "never", "", ""}},
		"a long story": {client.Peer{URL: "https://a", Status: "pending", Discoverer: "gossip:https://a-hub-with-a-long-name.example.org", Why: strings.Repeat("w", 200)},
			[]string{"", "https://a", "pending", "-", "-", "-", "never", "gossip:https://a-hub-wi…", strings.Repeat("w", 63) + "…"}},
		"known by its key": {client.Peer{Name: strings.Repeat("n", 99), URL: key, Status: "active", Discoverer: "gossip:" + id, Why: "active: it moved here from " + key + " since 2026-05-21T11:59:58Z",
			Link: &client.Link{Connected: true, Relayed: true, Address: "/ip4/192.0.2.1/tcp/9084/p2p/" + id + "/p2p-circuit"}},
			[]string{strings.Repeat("n", 19) + "…", "libp2p://615145c7…4adf", "active", "-", "/ip4/192.0.2.1/tcp/9084/p2p/…dTcu4X/p2p-cir… (relayed)", "-", "never", "gossip:…dTcu4X", "it moved here from libp2p://615145c7…4adf"}},
		"passed": {client.Peer{URL: "https://a", Status: "active", Why: "active: admitted by its trial at 2026-05-21T11:59:58Z: its documents verify, and more"},
			[]string{"", "https://a", "active", "-", "-", "-", "never", "", "admitted by its trial"}},
		"failed": {client.Peer{URL: "https://a", Status: "pending", Why: "pending: its trial failed: no receipt; the next one is at 2026-05-21T12:59:58Z"},
			[]string{"", "https://a", "pending", "-", "-", "-", "never", "", "its trial failed: no receipt"}},
		"not connected": {client.Peer{URL: "https://a", Status: "pending", Link: &client.Link{}, Multiaddrs: []string{"/ip4/192.0.2.1/tcp/9084", "/x"}},
			[]string{"", "https://a", "pending", "-", "(/ip4/192.0.2.1/tcp/9084)", "-", "never", "", ""}},
	} {
		if got := peerRow(c.peer, now); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}
