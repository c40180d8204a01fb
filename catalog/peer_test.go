package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNormalizeHubURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://Hub.Example.com":          "https://hub.example.com",
		"HTTPS://hub.example.com:443/":     "https://hub.example.com",
		"http://hub.example.com:80//":      "http://hub.example.com",
		"http://hub.example.com:8080/path": "http://hub.example.com:8080/path",
		"http://[2001:DB8::1]:9083":        "http://[2001:db8::1]:9083",
		"https://hub.example.com.":         "https://hub.example.com",
		"":                                 "",
		"local":                            "",
		"ftp://hub.example.com":            "",
		"https://":                         "",
		"https://a b":                      "",
		"https://user@hub.example.com":     "",
		"https://hub.example.com/?q":       "",
		"https://hub.example.com/#f":       "",
		"https://hub.example.com/\x00":     "",
		"https://hub.example.com/" + strings.Repeat("a", 256): "",
	} {
		got, err := NormalizeHubURL(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("NormalizeHubURL(%q) = %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestAnnounce(t *testing.T) {
	key := testSigner{}.PublicBase64()
	tests := []struct {
		name  string
		a     Announcement
		field string // of the refusal
	}{
		{"open", Announcement{HubURL: "https://a.example.org"}, ""},
		{"with its document", Announcement{HubURL: "https://a.example.org/hub", WellKnownURL: "https://A.example.org:443/hub/.well-known/ai-market.json"}, ""},
		{"operator", Announcement{HubURL: "https://a.example.org", PublicKey: key, Operator: true}, ""},
		{"a stranger's key is not read", Announcement{HubURL: "https://a.example.org", PublicKey: "garbage"}, ""},
		{"document elsewhere", Announcement{HubURL: "https://a.example.org", WellKnownURL: "https://b.example.org/.well-known/ai-market.json"}, "well_known_url"},
		{"document on another port", Announcement{HubURL: "https://a.example.org", WellKnownURL: "https://a.example.org:8443/x"}, "well_known_url"},
		{"document over another scheme", Announcement{HubURL: "https://a.example.org", WellKnownURL: "http://a.example.org/x"}, "well_known_url"},
		{"ourselves", Announcement{HubURL: "https://HUB.example.com/"}, "hub_url"},
		{"no URL", Announcement{}, "hub_url"},
		{"line break", Announcement{HubURL: "https://a.example.org\r\n"}, "hub_url"},
		{"not public", Announcement{HubURL: "http://localhost:9083"}, "hub_url"},
		{"name too long", Announcement{HubURL: "https://a.example.org", HubName: strings.Repeat("n", 129)}, "hub_name"},
		{"negative count", Announcement{HubURL: "https://a.example.org", Capabilities: -1}, "capabilities_count"},
		{"operator with a bad key", Announcement{HubURL: "https://a.example.org", PublicKey: "garbage", Operator: true}, "signer_public_key"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			res, err := h.Announce(context.Background(), tt.a)
			if tt.field != "" {
				var bad *InvalidError
				if !errors.As(err, &bad) || bad.Field != tt.field {
					t.Fatalf("err = %v, want one about %s", err, tt.field)
				}
				return
			}
			must(t, err)
			p, ok := h.Peer(res.URL)
			if !ok || !res.Added || res.Status != PeerPending || p.Status != PeerPending {
				t.Fatalf("result %+v, peer %+v", res, p)
			}
			if (p.PublicKey != "") != tt.a.Operator {
				t.Fatalf("key %q from an announcement with operator=%v", p.PublicKey, tt.a.Operator)
			}
			h.reopen(t)
			again, _ := h.Peer(res.URL)
			if diff := cmp.Diff(p, again); diff != "" {
				t.Fatalf("after a restart (-before +after):\n%s", diff)
			}
		})
	}
}

// An open announcement of a known hub changes nothing; the operator's fills gaps
// and never replaces a key.
func TestAnnounceKnown(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	const hubURL = "https://a.example.org"
	_, err := h.Announce(ctx, Announcement{HubURL: hubURL, HubName: "First"})
	must(t, err)
	before, _ := h.Peer(hubURL)
	res, err := h.Announce(ctx, Announcement{HubURL: hubURL, HubName: "Second", Capabilities: 9, PublicKey: testSigner{}.PublicBase64()})
	must(t, err)
	after, _ := h.Peer(hubURL)
	if diff := cmp.Diff(before, after); diff != "" || !res.Known || res.Added {
		t.Fatalf("an open announcement changed a known hub (%+v):\n%s", res, diff)
	}
	_, err = h.Announce(ctx, Announcement{HubURL: hubURL, PublicKey: testSigner{}.PublicBase64(), Operator: true})
	must(t, err)
	pinned, _ := h.Peer(hubURL)
	if pinned.PublicKey == "" {
		t.Fatal("the operator's key was not pinned")
	}
	_, err = h.Announce(ctx, Announcement{HubURL: hubURL, PublicKey: "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=", Operator: true})
	must(t, err)
	if p, _ := h.Peer(hubURL); p.PublicKey != pinned.PublicKey {
		t.Fatal("an announcement replaced a pinned key")
	}
}

// One host with many ports neither fills the list nor escapes the bound.
func TestPendingIsBounded(t *testing.T) {
	h := newHub(t, func(c *Config) { c.MaxPending = 3 })
	ctx := context.Background()
	try := func(u string) error {
		_, err := h.Announce(ctx, Announcement{HubURL: u})
		return err
	}
	for i := range MaxPendingPerHost {
		must(t, try(fmt.Sprintf("https://a.example.org:%d", 1000+i)))
	}
	if err := try("https://a.example.org:2000"); !errors.Is(err, ErrFull) {
		t.Fatalf("too many addresses of one host: %v", err)
	}
	must(t, try("https://b.example.org"))
	must(t, try("https://c.example.org"))
	if err := try("https://d.example.org"); !errors.Is(err, ErrFull) {
		t.Fatalf("too many hosts: %v", err)
	}
	must(t, try("https://c.example.org/second"))
	_, err := h.Approve(ctx, "https://b.example.org", true)
	must(t, err)
	must(t, try("https://d.example.org"))
}

// Nothing of a pending hub is read by anything, and nothing stays of one that left.
func TestAdmission(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	const hubURL = "https://a.example.org"
	theirs := row("theirs", "sum@v1")
	theirs.SourceHub, theirs.Builtin = hubURL, false
	if err := h.Put(ctx, []Capability{theirs}); !errors.Is(err, ErrUnknown) {
		t.Fatalf("rows of a hub nobody knows: %v", err)
	}
	_, err := h.Announce(ctx, Announcement{HubURL: hubURL})
	must(t, err)
	if err := h.Put(ctx, []Capability{theirs}); !errors.Is(err, ErrUnknown) {
		t.Fatalf("rows of a pending hub: %v", err)
	}
	if n := h.Counts(); n.Pending != 1 || n.Peers != 0 {
		t.Fatalf("counts %+v", n)
	}
	p, err := h.Approve(ctx, hubURL, true)
	must(t, err)
	if p.Status != PeerActive {
		t.Fatalf("approved %+v", p)
	}
	h.put(theirs)
	got, err := h.Lookup(ctx, "theirs", "sum@v1", hubURL)
	must(t, err)
	if got.RoutedMicros != 1010 || got.RoutingFeeBps != 100 {
		t.Fatalf("a peer's row costs %d through us at %d basis points", got.RoutedMicros, got.RoutingFeeBps)
	}
	visible := func() int {
		res, err := h.Search(ctx, Query{Intent: "sum", IncludeStale: true})
		must(t, err)
		return len(res.Matches)
	}
	if visible() != 1 {
		t.Fatal("an active hub's row is not found")
	}
	for _, leave := range []func() error{
		func() error { _, err := h.Approve(ctx, hubURL, false); return err },
		func() error { return h.RemovePeer(ctx, hubURL) },
	} {
		must(t, leave())
		if visible() != 0 || h.Counts().Total != 0 {
			t.Fatalf("rows of a hub that is not active any more: %+v", h.Counts())
		}
		if _, err := h.Lookup(ctx, "theirs", "sum@v1", hubURL); !errors.Is(err, ErrUnknown) {
			t.Fatalf("lookup at a hub that is not active any more: %v", err)
		}
		_, err := h.Announce(ctx, Announcement{HubURL: hubURL})
		must(t, err)
		_, err = h.Approve(ctx, hubURL, true)
		must(t, err)
		h.put(theirs)
	}
	if _, err := h.Approve(ctx, "https://nobody.example.org", true); !errors.Is(err, ErrUnknown) {
		t.Fatalf("approving an unknown hub: %v", err)
	}
	if err := h.RemovePeer(ctx, "https://nobody.example.org"); !errors.Is(err, ErrUnknown) {
		t.Fatalf("removing an unknown hub: %v", err)
	}
}

func TestApproveRefusesDuplicateIdentity(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	for _, u := range []string{"https://a.example.org", "https://b.example.org"} {
		_, err := h.Announce(ctx, Announcement{HubURL: u, PublicKey: testSigner{}.PublicBase64(), Operator: true})
		must(t, err)
	}
	_, err := h.Approve(ctx, "https://a.example.org", true)
	must(t, err)
	if _, err := h.Approve(ctx, "https://b.example.org", true); !errors.Is(err, ErrDuplicateIdentity) {
		t.Fatalf("one key at two addresses: %v", err)
	}
}

func TestTrustScore(t *testing.T) {
	for _, tt := range []struct {
		name string
		f    Factors
		want float64
	}{
		{"stranger", Factors{SuccessRate: 0.5}, 0.175},
		{"perfect", Factors{Age: 1, Bond: 1, SuccessRate: 1, Volume: 1}, 1},
		{"year of good service", Factors{Age: 1, SuccessRate: 1, Volume: 0.6}, 0.64},
		{"nothing", Factors{}, 0},
		{"out of range", Factors{Age: -3, Bond: 7, SuccessRate: nan(), Volume: -0.4}, 0.3},
	} {
		if got := tt.f.Score(); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestReputation(t *testing.T) {
	h := searchHub(t)
	const peer = "https://peer.example.org"
	for _, own := range []string{Local, "https://hub.example.com", "https://hub.example.com/"} {
		if r := h.Reputation(own); r.TrustScore != 1 || r.Basis != basisSelf {
			t.Errorf("own reputation as %q: %+v", own, r)
		}
	}
	stranger := h.Reputation("http://nobody.example.org")
	if stranger.TrustScore != 0.175 || stranger.Basis != basisUnobserved || stranger.HubURL != "http://nobody.example.org" {
		t.Errorf("a stranger: %+v", stranger)
	}
	if r := h.Reputation("not a URL"); r.TrustScore != 0.175 {
		t.Errorf("nonsense: %+v", r)
	}
	// Age counts from first sight, and trade counts without ever being negative.
	h.clock.add(365 * 24 * time.Hour / 2)
	aged := h.TrustScore(peer)
	if aged != 0.275 {
		t.Errorf("half a year old: %v", aged)
	}
	k := Key{"theirs", "translate.theirs@v1", peer}
	for i := range 100 {
		h.Observe(k, i%10 != 0, time.Millisecond)
	}
	h.fold(h.clock.Now())
	r := h.Reputation(peer)
	// 90 good calls of 0.4 USD: success 0.9, volume log10(36)/5 = 0.3113.
	if r.Basis != basisMeasured || r.Observations != 100 || r.Factors.SuccessRate != 0.9 || r.TrustScore != 0.4617 {
		t.Errorf("after trade: %+v", r)
	}
}
