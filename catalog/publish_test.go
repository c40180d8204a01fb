package catalog

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestRegisterGates(t *testing.T) {
	ctx := context.Background()
	tests := []struct {
		name   string
		change func(*Registration)
		want   Gate // "" lists the row
	}{
		{"passes", func(*Registration) {}, ""},
		{"authenticated publisher fills the id", func(r *Registration) { r.PublisherID, r.Publisher = "", "alice" }, ""},
		{"version from the id", func(r *Registration) { r.Version = "" }, ""},
		{"free", func(r *Registration) { r.PriceMicros = 0 }, ""},
		{"no publisher", func(r *Registration) { r.PublisherID = "" }, GatePublisher},
		{"someone else's token", func(r *Registration) { r.Publisher = "bob" }, GatePublisher},
		{"publisher with a zero byte", func(r *Registration) { r.PublisherID = "ali\x00ce" }, GatePublisher},
		{"product with @", func(r *Registration) { r.ProductID = "a@b" }, GateShape},
		{"product begins with a dot", func(r *Registration) { r.ProductID = ".prod" }, GateShape},
		{"product climbs", func(r *Registration) { r.ProductID = "a..b" }, GateShape},
		{"product too long to invoke", func(r *Registration) { r.ProductID = strings.Repeat("a", 81) }, GateShape},
		{"capability without a version", func(r *Registration) { r.CapabilityID = "tool" }, GateShape},
		{"capability with a word for a version", func(r *Registration) { r.CapabilityID = "tool@vx" }, GateShape},
		{"capability with two versions", func(r *Registration) { r.CapabilityID = "tool@v1@v2" }, GateShape},
		{"capability with a slash", func(r *Registration) { r.CapabilityID = "a/b@v1" }, GateShape},
		{"no name", func(r *Registration) { r.Name = "" }, GateShape},
		{"name with a line break", func(r *Registration) { r.Name = "a\nb" }, GateShape},
		{"negative price", func(r *Registration) { r.PriceMicros = -1 }, GateShape},
		{"price above 1000 USD", func(r *Registration) { r.PriceMicros = MaxPriceMicros + 1 }, GateShape},
		{"latency above the bound", func(r *Registration) { r.P50LatencyMS = MaxLatencyMS + 1 }, GateShape},
		{"success above 1", func(r *Registration) { r.SuccessRate30d = 1.01 }, GateShape},
		{"success is no number", func(r *Registration) { r.SuccessRate30d = nan() }, GateShape},
		{"schema is a list", func(r *Registration) { r.InputSchema = []byte(`[]`) }, GateShape},
		{"schema is not JSON", func(r *Registration) { r.OutputSchema = []byte(`{"a":}`) }, GateShape},
		{"schema too deep", func(r *Registration) { r.InputSchema = nested(MaxSchemaDepth + 1) }, GateShape},
		{"schema too long", func(r *Registration) {
			r.InputSchema = []byte(`{"a":"` + strings.Repeat("x", MaxSchemaBytes) + `"}`)
		}, GateShape},
		{"description too long", func(r *Registration) { r.Description = strings.Repeat("x", MaxDescriptionLen+1) }, GateShape},
		{"description is not UTF-8", func(r *Registration) { r.Description = "\xff" }, GateShape},
		{"provider key of small order", func(r *Registration) {
			r.ProviderKey = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		}, GateProviderKey},
		{"provider key too short", func(r *Registration) { r.ProviderKey = "AAAA" }, GateProviderKey},
		{"provider key", func(r *Registration) { r.ProviderKey = testSigner{}.PublicBase64() }, ""},
		{"no URL", func(r *Registration) { r.InvokeURL = "" }, GateURL},
		{"URL of another scheme", func(r *Registration) { r.InvokeURL = "ftp://provider.example.com/x" }, GateURL},
		{"URL with a user", func(r *Registration) { r.InvokeURL = "https://u:p@provider.example.com/x" }, GateURL},
		{"local URL", func(r *Registration) { r.InvokeURL = "http://localhost:9/x" }, GateURL},
		{"no stake", func(r *Registration) { r.PublisherID = "poor" }, GateStake},
		{"another publisher's product", func(r *Registration) { r.ProductID = "bobs" }, GateProduct},
		{"another publisher's row", func(r *Registration) { r.ProductID, r.CapabilityID = "bobs", "tool@v1" }, GateProduct},
		{"the operator's product", func(r *Registration) { r.ProductID = "builtin" }, GateProduct},
		{"another product's URL", func(r *Registration) { r.InvokeURL = "https://provider.example.com/bobs" }, GateURLOwner},
		{"another product's URL in disguise", func(r *Registration) {
			r.InvokeURL = "HTTPS://Provider.Example.com.:443/bobs/"
		}, GateURLOwner},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			h.put(row("builtin", "echo@v1"))
			h.stake("alice", 10)
			h.stake("bob", 10)
			if _, err := h.Register(ctx, registration("bob", "bobs")); err != nil {
				t.Fatal(err)
			}
			before := h.Counts()
			r := registration("alice", "alices")
			tt.change(&r)
			got, err := h.Register(ctx, r)
			if tt.want != "" {
				if gateOf(err) != tt.want {
					t.Fatalf("gate = %s, want %s", gateOf(err), tt.want)
				}
				if h.Counts() != before {
					t.Fatalf("a refused registration changed the catalogue: %+v, was %+v", h.Counts(), before)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got.TrustScore != 0.4 || got.StakeMicros != 10*usd || got.PublisherID != "alice" || got.Version != "v1" {
				t.Fatalf("listed %+v", got)
			}
			if h.Counts().Local != before.Local+1 {
				t.Fatalf("counts %+v, were %+v", h.Counts(), before)
			}
		})
	}
}

func nan() float64 { var zero float64; return zero / zero }

func nested(depth int) []byte {
	return []byte(strings.Repeat(`{"a":`, depth) + "1" + strings.Repeat("}", depth))
}

func TestRegisterDeepestSchema(t *testing.T) {
	h := newHub(t)
	h.stake("alice", 10)
	r := registration("alice", "deep")
	r.InputSchema = nested(MaxSchemaDepth)
	if _, err := h.Register(context.Background(), r); err != nil {
		t.Fatal(err)
	}
}

// A publisher cannot say of itself what the hub decides.
func TestRegisterGrantsNothing(t *testing.T) {
	h := newHub(t)
	h.stake("alice", 10)
	r := registration("alice", "alices")
	r.Builtin, r.Demo, r.TrustScore, r.StakeMicros, r.Observations30d = true, true, 1, 1_000_000*usd, 1000
	r.SourceHub, r.SourceHubName, r.RoutedMicros, r.RoutingFeeBps = "https://peer.example.org", "Other", 1, 9000
	got, err := h.Register(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if got.Builtin || got.Demo || got.TrustScore != 0.4 || got.StakeMicros != 10*usd || got.Observations30d != 0 ||
		got.SourceHub != Local || got.SourceHubName != "Test Hub" || got.RoutedMicros != got.PriceMicros || got.RoutingFeeBps != 0 {
		t.Fatalf("listed %+v", got)
	}
}

func TestRegisterReplacesOwnRow(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	h.stake("alice", 10)
	r := registration("alice", "alices")
	first, err := h.Register(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.add(time.Hour)
	h.stake("alice", 90)
	r.PriceMicros, r.Description, r.InvokeURL = 2000, "Translates whole books.", "https://elsewhere.example.com/run"
	second, err := h.Register(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	got, err := h.Lookup(ctx, r.ProductID, r.CapabilityID, Local)
	if err != nil {
		t.Fatal(err)
	}
	if got.PriceMicros != 2000 || got.RoutedMicros != 2000 || got.Description != r.Description || got.TrustScore != 0.5 {
		t.Fatalf("the row was not replaced: %+v", got)
	}
	if !second.FirstSeen.Equal(first.FirstSeen) || !second.UpdatedAt.After(first.UpdatedAt) {
		t.Fatalf("first seen %v then %v, updated %v then %v", first.FirstSeen, second.FirstSeen, first.UpdatedAt, second.UpdatedAt)
	}
	if n := h.Counts(); n.Local != 1 || n.Products != 1 || n.Total != 1 {
		t.Fatalf("counts %+v", n)
	}
	// The old address is free again.
	h.stake("bob", 10)
	other := registration("bob", "bobs")
	other.InvokeURL = "https://provider.example.com/alices"
	if _, err := h.Register(ctx, other); err != nil {
		t.Fatalf("the address that alice left: %v", err)
	}
}

func TestRegisterRate(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	h.stake("alice", 10)
	h.stake("bob", 10)
	r := registration("alice", "alices")
	for i := range h.cfg.PublishPerHr {
		r.PriceMicros = int64(i)
		if _, err := h.Register(ctx, r); err != nil {
			t.Fatalf("publish %d: %v", i+1, err)
		}
	}
	_, err := h.Register(ctx, r)
	if gateOf(err) != GateRate {
		t.Fatalf("publish past the limit: %v", err)
	}
	if _, err := h.Register(ctx, registration("bob", "bobs")); err != nil {
		t.Fatalf("another publisher: %v", err)
	}
	h.clock.add(time.Hour + time.Second)
	if _, err := h.Register(ctx, r); err != nil {
		t.Fatalf("an hour later: %v", err)
	}
}

// Names are resolved only for publishers that have something at stake.
func TestRegisterResolvesNothingForStrangers(t *testing.T) {
	h := newHub(t)
	if _, err := h.Register(context.Background(), registration("poor", "prod")); gateOf(err) != GateStake {
		t.Fatal(err)
	}
	if h.urls.asked != 0 {
		t.Fatalf("%d URLs were resolved", h.urls.asked)
	}
}

func TestRegisterCapacity(t *testing.T) {
	h := newHub(t, func(c *Config) { c.MaxRows = 1 })
	h.stake("alice", 10)
	if _, err := h.Register(context.Background(), registration("alice", "one")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Register(context.Background(), registration("alice", "two")); gateOf(err) != GateCapacity {
		t.Fatal(err)
	}
}

func TestStake(t *testing.T) {
	ctx := context.Background()
	tests := []struct {
		name       string
		production bool
		requests   []StakeRequest
		want       Gate // of the last request
		total      int64
	}{
		{"one", false, []StakeRequest{{"alice", 10 * usd, "0xAA"}}, "", 10 * usd},
		{"adds up", false, []StakeRequest{{"alice", 10 * usd, "0xAA"}, {"alice", 1, "0xBB"}}, "", 10*usd + 1},
		{"without a transaction", false, []StakeRequest{{"alice", 5 * usd, ""}, {"alice", 5 * usd, ""}}, "", 10 * usd},
		{"replay", false, []StakeRequest{{"alice", usd, "0xAA"}, {"alice", usd, "0xAA"}}, GateReplay, 0},
		{"replay by another", false, []StakeRequest{{"alice", usd, "0xAA"}, {"bob", usd, " 0xaa "}}, GateReplay, 0},
		{"production without a transaction", true, []StakeRequest{{"alice", usd, ""}}, GateStakeTx, 0},
		{"production", true, []StakeRequest{{"alice", usd, "0xAA"}}, "", usd},
		{"nothing", false, []StakeRequest{{"alice", 0, ""}}, GateStake, 0},
		{"negative", false, []StakeRequest{{"alice", -1, ""}}, GateStake, 0},
		{"beyond any amount", false, []StakeRequest{{"alice", maxStakeMicros, ""}, {"alice", 1, ""}}, GateStake, 0},
		{"no id", false, []StakeRequest{{"", usd, ""}}, GatePublisher, 0},
		{"transaction with a zero byte", false, []StakeRequest{{"alice", usd, "0x\x00"}}, GateShape, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t, func(c *Config) { c.Production = tt.production })
			var st StakeStatus
			var err error
			for _, r := range tt.requests {
				st, err = h.Stake(ctx, r)
			}
			if tt.want != "" {
				if gateOf(err) != tt.want {
					t.Fatalf("gate = %s, want %s", gateOf(err), tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if st.StakeMicros != tt.total || st.Verified || st.TrustScore != StakeTrust(tt.total, h.cfg.MinStake) {
				t.Fatalf("status %+v", st)
			}
			h.reopen(t)
			again, err := h.stakeOf("alice")
			if err != nil || again != st {
				t.Fatalf("after a restart %+v, %v; before %+v", again, err, st)
			}
		})
	}
}

func TestStakesAreBounded(t *testing.T) {
	h := newHub(t)
	h.stakes = MaxStakes
	_, err := h.Stake(context.Background(), StakeRequest{PublisherID: "alice", AmountMicros: usd})
	if gateOf(err) != GateCapacity {
		t.Fatal(err)
	}
}

func TestStakeTrust(t *testing.T) {
	const min = 10 * usd
	for _, tt := range []struct {
		stake int64
		want  float64
	}{{0, 0}, {min - 1, 0}, {min, 0.4}, {25 * usd, 0.4398}, {100 * usd, 0.5}, {1000 * usd, 0.6}, {maxStakeMicros, 0.6}} {
		if got := StakeTrust(tt.stake, min); got != tt.want {
			t.Errorf("StakeTrust(%d) = %v, want %v", tt.stake, got, tt.want)
		}
	}
	if floor := StakeTrust(min, min); floor <= 0.35 {
		t.Errorf("a row that passed the gates has trust %v and could not be invoked", floor)
	}
}

// TestRegisterNeverTakesABuiltin: whoever called himself by the built-ins' publisher
// name could point the hub's own capability at an address of his.
func TestRegisterNeverTakesABuiltin(t *testing.T) {
	h := newHub(t)
	own := row("aimarket.text", "echo@v1")
	own.Builtin, own.InvokeURL, own.PublisherID = true, "", "aimarket-builtin"
	h.put(own)
	h.stake("aimarket-builtin", 100)
	r := registration("aimarket-builtin", "aimarket.text")
	r.CapabilityID = "echo@v1"
	if _, err := h.Register(context.Background(), r); gateOf(err) != GateProduct {
		t.Fatalf("registered over a built-in: %v", err)
	}
}
