package catalog

import (
	"context"
	"strings"
	"testing"
	"time"
)

func (h *hub) take(d *CrawledDiscovery) Sighting {
	return h.TakeDiscovery(context.Background(), d, "gossip:https://teller.example.org", 2)
}

func mustPeer(t testing.TB, h *hub, url string) Peer {
	t.Helper()
	p, ok := h.Peer(url)
	if !ok {
		t.Fatalf("%s is no peer", url)
	}
	return p
}

func TestDiscoveryFirstContact(t *testing.T) {
	const at = "https://a.example.org/hub"
	key := func(h *hub) string { return newStranger(h, at).key.PublicBase64() }
	tests := []struct {
		name      string
		admission Admission
		seeds     func(*hub) map[string]string
		changes   members
		want      PeerState
		why       string
	}{
		{"verified waits for a trial", AdmitVerified, nil, nil, PeerPending, ""},
		{"closed waits for the operator", AdmitNone, nil, nil, PeerPending, ""},
		{"open", AdmitAll, nil, nil, PeerActive, "open policy"},
		{"open, but it says it lives elsewhere", AdmitAll, nil, members{"manifest_url": "https://b.example.org" + manifestPath}, PeerPending, ""},
		{"open, without a key", AdmitAll, nil, members{"signer_public_key": ""}, PeerPending, ""},
		{"pinned seed", AdmitNone, func(h *hub) map[string]string { return map[string]string{at + "/.well-known/ai-market.json": key(h)} }, nil, PeerActive, "pinned"},
		{"pinned seed in the other alphabet", AdmitNone, func(h *hub) map[string]string {
			return map[string]string{at: strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(key(h)), "=")}
		}, nil, PeerActive, "pinned"},
		{"seed with another key", AdmitAll, func(h *hub) map[string]string { return map[string]string{at: testSigner{}.PublicBase64()} }, nil, PeerPending, "the operator pinned"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plain := newHub(t)
			h := newHub(t, func(c *Config) {
				c.Admission = tt.admission
				if tt.seeds != nil {
					c.SeedKeys = tt.seeds(plain)
				}
				if tt.name == "seed with another key" { // which must not be this hub's own
					c.Signer = newStrangerNamed(plain, "self", "").key
				}
			})
			s := newStranger(h, at)
			out := h.take(s.found(tt.changes))
			p := mustPeer(t, h, at)
			if out.Peer != at || out.State != tt.want || p.Status != tt.want || !strings.Contains(p.Why, tt.why) {
				t.Fatalf("%s, why %q; want %s because of %q", show(out.Intake), p.Why, tt.want, tt.why)
			}
			hasKey := tt.changes["signer_public_key"] == nil
			if out.FetchManifest != (tt.want == PeerActive) || out.FetchPreview != (tt.want == PeerPending && hasKey) || (p.PublicKey == s.key.PublicBase64()) != hasKey {
				t.Fatalf("%+v of %+v", out, p)
			}
			if p.Discoverer != "gossip:https://teller.example.org" || p.Depth != 2 || p.ManifestURL == "" || !p.LastCrawl.IsZero() || !p.LastSeen.Equal(h.clock.Now()) {
				t.Fatalf("recorded as %+v", p)
			}
			h.reopen(t)
			if again := mustPeer(t, h, at); again.Status != tt.want || again.PublicKey != p.PublicKey {
				t.Fatalf("after a restart: %+v", again)
			}
		})
	}
}

// Nobody signs for the neighbours that an unsigned stranger names.
func TestDiscoveryNeighboursFollowed(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	if out := h.take(parsedAt(t, s.url, jsonText(t, s.discoveryDoc(nil)))); out.FollowNeighbour {
		t.Error("an unsigned pending hub leads on")
	}
	if out := h.take(s.found(nil)); !out.FollowNeighbour {
		t.Error("a signed pending hub does not lead on")
	}
	_, err := h.Approve(context.Background(), s.url, true)
	must(t, err)
	if out := h.take(parsedAt(t, s.url, jsonText(t, s.discoveryDoc(nil)))); !out.FollowNeighbour || !out.FetchManifest {
		t.Error("an admitted hub does not lead on")
	}
}

func TestDiscoveryOfSelf(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "http://HUB.example.com/") // our own URL over another scheme
	if out := h.take(s.found(nil)); out.Reason != ReasonSelf || out.Peer != "" {
		t.Errorf("own URL: %s", show(out.Intake))
	}
	h.SetAddresses("12D3KooWSelf", nil, "https://public.example.com")
	if out := h.take(newStranger(h, "https://public.example.com").found(nil)); out.Reason != ReasonSelf {
		t.Errorf("own public URL: %s", show(out.Intake))
	}
	// Our key at a foreign address: an alias of ours, whose record goes.
	const alias = "https://alias.example.org"
	_, err := h.Announce(context.Background(), Announcement{HubURL: alias})
	must(t, err)
	mine := &CrawledDiscovery{BaseURL: alias, PublicKey: testSigner{}.PublicBase64(), ManifestURL: alias + manifestPath, Signed: true}
	if out := h.take(mine); out.Reason != ReasonOwnKey || out.FollowNeighbour {
		t.Errorf("own key: %s", show(out.Intake))
	}
	if _, known := h.Peer(alias); known {
		t.Error("another address of this hub stays a peer")
	}
	// At the address of an admitted peer it is a changed key like any other.
	peer := newStranger(h, "https://peer.example.org")
	h.sell(peer, tool("p", "do@v1", nil))
	mine.BaseURL = peer.url
	if out := h.take(mine); out.State != PeerKeyMismatch || out.Reason != ReasonKeyChanged {
		t.Errorf("own key at a peer: %s", show(out.Intake))
	}
}

func TestKeyChange(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	s := newStranger(h, "https://a.example.org")
	h.sell(s, tool("prod", "do@v1", nil))
	thief := newStrangerNamed(h, "thief", s.url)

	out := h.take(thief.found(nil))
	p := mustPeer(t, h, s.url)
	if out.Verdict == Accept || out.Reason != ReasonKeyChanged || out.FetchManifest || out.FetchPreview || out.FollowNeighbour {
		t.Fatalf("%+v", out)
	}
	if p.Status != PeerKeyMismatch || p.PublicKey != s.key.PublicBase64() || p.AdvertisedKey != thief.key.PublicBase64() || p.Why == "" {
		t.Fatalf("%+v", p)
	}
	check := func(shown bool) {
		t.Helper()
		res, err := h.Search(ctx, Query{IncludeStale: true})
		must(t, err)
		_, lookErr := h.Lookup(ctx, "prod", "do@v1", s.url)
		if (res.Total == 1) != shown || (lookErr == nil) != shown || strings.Contains(h.documents(), s.url) != shown || h.route(s.url, h.clock.Now()).Status == RouteUnavailable == shown {
			t.Fatalf("shown should be %v: %d hits, look-up %v, route %+v", shown, res.Total, lookErr, h.route(s.url, h.clock.Now()))
		}
	}
	check(false)
	if in := h.TakeManifest(ctx, s.url, thief.manifest()); in.Reason != ReasonKeyChanged {
		t.Fatalf("a manifest of the thief: %s", show(in))
	}
	if in := h.TakeUnchanged(ctx, s.url); in.Reason != ReasonKeyChanged {
		t.Fatalf("unchanged: %s", show(in))
	}
	h.reopen(t)
	check(false)
	if kept, err := h.hubHasRows(s.url); err != nil || !kept {
		t.Fatal("the rows of a peer with a changed key went")
	}
	// Since when stays; a missing key changes nothing; the old key heals.
	h.clock.add(time.Hour)
	h.take(thief.found(nil))
	if again := mustPeer(t, h, s.url); again.Why != p.Why {
		t.Fatalf("why became %q", again.Why)
	}
	h.take(s.found(members{"signer_public_key": ""}))
	check(false)
	if out := h.take(s.found(nil)); out.State != PeerActive || !out.FetchManifest {
		t.Fatalf("healing: %s", show(out.Intake))
	}
	check(true)
	if p := mustPeer(t, h, s.url); p.AdvertisedKey != "" {
		t.Fatalf("healed: %+v", p)
	}
}

// A pin without effect moves; nothing is published of either key.
func TestPendingKeyChange(t *testing.T) {
	h := newHub(t, func(c *Config) { c.Admission = AdmitVerified })
	ctx := context.Background()
	s := newStranger(h, "https://a.example.org")
	h.meet(s)
	h.TakeManifest(ctx, s.url, s.manifest(tool("prod", "do@v1", nil)))
	_, err := h.NoteTrial(ctx, s.url, Trial{Detail: "no"})
	must(t, err)
	next := newStrangerNamed(h, "next", s.url)
	out := h.take(next.found(nil))
	p := mustPeer(t, h, s.url)
	if out.State != PeerPending || p.PublicKey != next.key.PublicBase64() || p.AdvertisedKey != "" || p.Trial.Failures != 0 {
		t.Fatalf("%s, %+v", show(out.Intake), p)
	}
	rows, err := h.Preview(ctx, s.url, 10)
	must(t, err)
	if len(rows) != 0 {
		t.Fatal("the preview of the former key stays")
	}
	if in := h.TakeManifest(ctx, s.url, s.manifest()); in.Reason != ReasonSignature {
		t.Fatalf("the former key still signs: %s", show(in))
	}
	select {
	case <-h.AdmissionDue():
	default:
		t.Fatal("the new key is not tried")
	}
	// A missing key keeps the pin.
	h.take(s.found(members{"signer_public_key": ""}))
	if p := mustPeer(t, h, s.url); p.PublicKey != next.key.PublicBase64() {
		t.Fatal("a document without a key moved the pin")
	}
}

// One key is one peer: a second address is a move only on the word of the first, of
// the key's newer signature, or of its head.
func TestMoveOrAlias(t *testing.T) {
	const oldURL, newURL = "https://old.example.org", "https://new.example.org/hub"
	tests := []struct {
		name  string
		at    func(h *hub, old, now *stranger) *CrawledDiscovery
		moved bool
	}{
		{"the old address names the new one", func(h *hub, old, now *stranger) *CrawledDiscovery {
			out := h.take(old.found(members{"manifest_url": newURL + manifestPath}))
			if out.Elsewhere != newURL {
				h.t.Fatalf("nothing says where to look: %+v", out)
			}
			return parsedAt(h.t, newURL, jsonText(h.t, now.discoveryDoc(nil))) // even unsigned
		}, true},
		{"signed since the old one answered last", func(h *hub, old, now *stranger) *CrawledDiscovery {
			h.clock.add(time.Hour)
			return now.found(nil)
		}, true},
		{"signed, but the old one answered since", func(h *hub, old, now *stranger) *CrawledDiscovery {
			d := now.found(nil)
			h.clock.add(time.Hour)
			h.take(old.found(nil))
			return d
		}, false},
		{"unsigned", func(h *hub, old, now *stranger) *CrawledDiscovery {
			h.clock.add(time.Hour)
			return parsedAt(h.t, newURL, jsonText(h.t, now.discoveryDoc(nil)))
		}, false},
		{"its own document, copied by a thief", func(h *hub, old, now *stranger) *CrawledDiscovery {
			h.clock.add(time.Hour)
			return parsedAt(h.t, newURL, old.discovery(nil))
		}, false},
		{"signed long ago", func(h *hub, old, now *stranger) *CrawledDiscovery {
			h.clock.add(time.Hour)
			d := now.found(nil)
			h.clock.add(MaxManifestAge + time.Hour)
			return d
		}, false},
		{"signed without a date", func(h *hub, old, now *stranger) *CrawledDiscovery {
			h.clock.add(time.Hour)
			return now.found(members{"generated_at": nil})
		}, false},
	}
	for _, tt := range tests {
		for _, admitted := range []bool{true, false} {
			t.Run(tt.name, func(t *testing.T) {
				h := newHub(t)
				ctx := context.Background()
				old, now := newStrangerNamed(h, "key", oldURL), newStrangerNamed(h, "key", newURL)
				h.meet(old)
				if admitted {
					h.sell(old, tool("prod", "do@v1", nil))
				}
				_, err := h.Sight(ctx, newURL, "gossip:x", 1) // its new address was heard of
				must(t, err)
				before := mustPeer(t, h, oldURL)
				out := h.take(tt.at(h, old, now))
				url, gone := newURL, oldURL
				if !tt.moved {
					url, gone = gone, url
				}
				p := mustPeer(t, h, url)
				if _, known := h.Peer(gone); known {
					t.Fatalf("%s is a second peer of the key", gone)
				}
				if p.PublicKey != old.key.PublicBase64() || p.Status != before.Status || !p.FirstSeen.Equal(before.FirstSeen) || out.Peer != url {
					t.Fatalf("%+v, %s", p, show(out.Intake))
				}
				if tt.moved != (out.Moved == oldURL) || tt.moved == (out.Reason == ReasonAlias) || !tt.moved && (out.FetchManifest || out.FetchPreview) {
					t.Fatalf("%+v", out)
				}
				if admitted {
					if got := h.findable(url); len(got) != 1 && h.route(url, h.clock.Now()).Status == RouteLive {
						t.Fatalf("its rows: %v", got)
					}
					if rows, err := h.hubHasRows(gone); err != nil || rows {
						t.Fatalf("rows stay at %s (%v)", gone, err)
					}
				}
			})
		}
	}
}

// The key of one peer at the address of another is nobody's move.
func TestKeyOfAnotherPeer(t *testing.T) {
	h := newHub(t)
	victim, thief := newStranger(h, "https://victim.example.org"), newStranger(h, "https://thief.example.org")
	h.sell(victim, tool("prod", "do@v1", nil))
	h.sell(thief, tool("prod", "do@v1", nil))
	h.clock.add(time.Hour)
	out := h.take(newStrangerNamed(h, victim.url, thief.url).found(nil))
	if out.State != PeerKeyMismatch || mustPeer(t, h, victim.url).Status != PeerActive || mustPeer(t, h, thief.url).PublicKey != thief.key.PublicBase64() {
		t.Fatalf("%s", show(out.Intake))
	}
	// The operator admitted an address before its key was known; the key is pending elsewhere.
	ctx := context.Background()
	waiting := newStranger(h, "https://waiting.example.org")
	h.meet(waiting)
	const bare = "https://bare.example.org"
	_, err := h.Announce(ctx, Announcement{HubURL: bare, Operator: true})
	must(t, err)
	_, err = h.Approve(ctx, bare, true)
	must(t, err)
	if out := h.take(newStrangerNamed(h, waiting.url, bare).found(nil)); out.Peer != bare || out.State != PeerActive || !out.FetchManifest {
		t.Fatalf("%s", show(out.Intake))
	}
	if _, known := h.Peer(waiting.url); known {
		t.Fatal("one key has two peers")
	}
}

// A hub reached by its key is the hub that is known by its URL.
func TestDiscoveryOverStreams(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	h.sell(s, tool("prod", "do@v1", nil))
	byKey := KeyURL(s.key.Public())
	out := h.take(parsedAt(t, byKey, s.discovery(nil)))
	if out.Peer != s.url || !out.FetchManifest || out.Moved != "" {
		t.Fatalf("%+v", out)
	}
	if in := h.TakeManifest(context.Background(), byKey, s.manifest(tool("prod", "other@v1", nil))); in.Peer != s.url || !in.Changed {
		t.Fatalf("%s", show(in))
	}
	// And one that is known by its key alone gets its URL once that signs for itself.
	lone := newStrangerNamed(h, "lone", "https://lone.example.org")
	byKey = KeyURL(lone.key.Public())
	h.take(parsedAt(t, byKey, lone.discovery(members{"manifest_url": "http://localhost:9083" + manifestPath})))
	if p := mustPeer(t, h, byKey); p.Status != PeerPending {
		t.Fatalf("%+v", p)
	}
	if out := h.take(lone.found(nil)); out.Moved != byKey || out.Peer != lone.url {
		t.Fatalf("%+v", out)
	}
}

func TestRejectedStaysOut(t *testing.T) {
	h := newHub(t, func(c *Config) { c.Admission = AdmitAll })
	ctx := context.Background()
	s := newStrangerNamed(h, "bad", "https://bad.example.org")
	h.take(s.found(members{"manifest_url": "https://elsewhere.example.org" + manifestPath})) // pending under this policy
	_, err := h.Reject(ctx, s.url)
	must(t, err)
	for _, url := range []string{s.url, "https://again.example.org"} {
		again := newStrangerNamed(h, "bad", url)
		if out := h.take(again.found(nil)); out.Reason != ReasonRejected || out.FetchManifest || out.FetchPreview {
			t.Errorf("%s: %s", url, show(out.Intake))
		}
	}
	if in := h.TakeManifest(ctx, s.url, s.manifest()); in.Reason != ReasonRejected {
		t.Errorf("manifest: %s", show(in))
	}
}

func TestTakeUnreachable(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	h.sell(s, tool("prod", "do@v1", nil))
	h.documents()
	version := h.version.Load()
	h.TakeUnreachable(context.Background(), s.url, "connection\nrefused")
	p := mustPeer(t, h, s.url)
	if p.Status != PeerActive || !strings.Contains(p.Why, "did not answer at 2026-11-24T09:00:00Z: connectionrefused") {
		t.Fatalf("%+v", p)
	}
	if len(h.findable(s.url)) != 1 || h.version.Load() != version {
		t.Fatal("one missed answer changed what is shown")
	}
	h.take(s.found(nil))
	if p := mustPeer(t, h, s.url); p.Why != "" {
		t.Fatalf("why %q after it answered", p.Why)
	}
	h.TakeUnreachable(context.Background(), "https://unknown.example.org", "x") // nobody
}

// Pending hubs are bounded whatever the crawler brings; seeds with a pinned key are not
// kept out by strangers.
func TestDiscoveryIsBounded(t *testing.T) {
	trusted := newStranger(newHub(t), "https://seed.example.org")
	h := newHub(t, func(c *Config) {
		c.MaxPending = 2
		c.SeedKeys = map[string]string{trusted.url: trusted.key.PublicBase64()}
	})
	for i, want := range []string{ReasonPending, ReasonPending, ReasonFull} {
		s := newStranger(h, "https://"+string(rune('a'+i))+".example.org")
		if out := h.take(s.found(nil)); out.Reason != want {
			t.Fatalf("hub %d: %s", i, show(out.Intake))
		}
	}
	if out := h.meet(trusted); out.State != PeerActive {
		t.Fatalf("the seed: %s", show(out.Intake))
	}
	if out := h.TakeDiscovery(context.Background(), nil, "", 0); out.Verdict != Reject || out.Peer != "" {
		t.Fatalf("no document: %+v", out)
	}
}
