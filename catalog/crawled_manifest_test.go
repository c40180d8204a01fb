package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// The protocol's own signed manifest verifies, and with one byte changed does not.
func TestReadManifestVector(t *testing.T) {
	raw := vector(t, "manifest-signed.json")
	key, err := identity.ParsePublicKey(testSigner{}.PublicBase64())
	must(t, err)
	now := time.Date(2026, 8, 28, 10, 0, 0, 0, time.UTC)
	m, refused := readManifest(raw, key, now)
	if refused != nil || m.tools.Len() != 1 {
		t.Fatalf("%+v", refused)
	}
	for old, changed := range map[string]string{"0.4,": "0.5,", "09:00:50Z": "09:00:51Z", `"capabilities_count": 5`: `"capabilities_count": 6`} {
		if _, refused := readManifest(bytes.Replace(raw, []byte(old), []byte(changed), 1), key, now); refused == nil || refused.reason != ReasonSignature {
			t.Errorf("with %s for %s: %+v", changed, old, refused)
		}
	}
	other := keyOf(7).Public()
	if _, refused := readManifest(raw, other, now); refused == nil || refused.reason != ReasonSignature {
		t.Errorf("under another pin, though it names its own key: %+v", refused)
	}
}

func TestManifestRefused(t *testing.T) {
	tests := []struct {
		name    string
		changes members
		reason  string
	}{
		{"good", nil, ReasonApplied},
		{"version 1", members{"protocol_version": "v1"}, ReasonApplied},
		{"a count of its own is signed", members{"capabilities_count": 4}, ReasonApplied},
		{"unknown members", members{"x": nil, "pq": "y", "mcp": []int{1}}, ReasonApplied},
		{"no version", members{"protocol_version": nil}, ReasonMalformed},
		{"unknown version", members{"protocol_version": "v3"}, ReasonMalformed},
		{"no date", members{"generated_at": nil}, ReasonMalformed},
		{"a date that is none", members{"generated_at": "yesterday"}, ReasonMalformed},
		{"no tools", members{"tools": nil}, ReasonMalformed},
		{"tools of no array", members{"tools": members{}}, ReasonMalformed},
		{"by_hub of no object", members{"by_hub": []int{}}, ReasonMalformed},
		{"by_hub entry of no object", members{"by_hub": members{"local": 1}}, ReasonMalformed},
		{"by_hub with an unknown basis", members{"by_hub": members{"local": members{"trust_basis": "gut"}}}, ReasonMalformed},
		{"count below zero", members{"total_capabilities": -1}, ReasonMalformed},
		{"seven days old", members{"generated_at": stamp(testStart.Add(-MaxManifestAge))}, ReasonApplied},
		{"older", members{"generated_at": stamp(testStart.Add(-MaxManifestAge - time.Second))}, ReasonExpired},
		{"an hour ahead", members{"generated_at": stamp(testStart.Add(MaxManifestLead))}, ReasonApplied},
		{"further ahead", members{"generated_at": stamp(testStart.Add(MaxManifestLead + time.Second))}, ReasonFuture},
		{"dated with a zone", members{"generated_at": "2026-11-24T11:00:00+02:00"}, ReasonApplied},
		{"dated without one", members{"generated_at": "2026-11-24T09:00:00.123456"}, ReasonApplied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHub(t)
			s := newStranger(h, "https://a.example.org")
			h.admit(s)
			h.sellAt(s, stamp(testStart.Add(-8*24*time.Hour))) // rows of earlier, taken when they were fresh
			raw := s.signed(s.manifestDoc(nil, tool("new", "do@v1", nil)).with(tt.changes), canon.ManifestMessage)
			in := h.TakeManifest(context.Background(), s.url, raw)
			want := []string{"old/do@v1"}
			verdict := Ignore
			switch tt.reason {
			case ReasonApplied:
				want, verdict = []string{"new/do@v1"}, Accept
			case ReasonMalformed:
				verdict = Reject
			}
			if in.Reason != tt.reason || in.Verdict != verdict || in.Changed != (verdict == Accept) {
				t.Fatalf("%s; want %s", show(in), tt.reason)
			}
			if diff := cmp.Diff(want, h.rowsOf(s.url)); diff != "" {
				t.Fatalf("rows (-want +got):\n%s", diff)
			}
		})
	}
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	h.admit(s)
	good := s.manifest(tool("new", "do@v1", nil))
	for name, raw := range map[string][]byte{
		"unsigned":              jsonText(t, s.manifestDoc(nil)),
		"by another key":        signedBy(t, keyOf(3), s.manifestDoc(nil), canon.ManifestMessage),
		"by another algorithm":  bytes.Replace(good, []byte(`"ed25519"`), []byte(`"ml-dsa-65"`), 1),
		"signature of text":     jsonText(t, s.manifestDoc(members{"signature": "x"})),
		"duplicate keys":        bytes.Replace(good, []byte(`{`), []byte(`{"base_url":"x",`), 1),
		"lone surrogate":        bytes.Replace(good, []byte("Does"), []byte(`\ud800`), 1),
		"changed by one letter": bytes.Replace(good, []byte("Does"), []byte("Doez"), 1),
		"NaN":                   bytes.Replace(good, []byte("0.02"), []byte("NaN"), 1),
		"a bomb":                bytes.Repeat([]byte(" "), MaxDocumentBytes+1),
		"deep":                  []byte(strings.Repeat(`{"tools":[`, 500)),
		"nothing":               nil,
	} {
		if in := h.TakeManifest(context.Background(), s.url, raw); in.Verdict != Reject {
			t.Errorf("%s: %s", name, show(in))
		}
	}
	if in := h.TakeManifest(context.Background(), "https://nobody.example.org", good); in.Reason != ReasonUnknown {
		t.Errorf("of nobody: %s", show(in))
	}
}

// sellAt takes a manifest made at a time when that was now.
func (h *hub) sellAt(s *stranger, at string) {
	h.t.Helper()
	made, ok := parseStamp(at)
	if !ok {
		h.t.Fatalf("%q is no time", at)
	}
	now := h.clock.Now()
	h.clock.add(made.Sub(now))
	in := h.TakeManifest(context.Background(), s.url, s.manifest(tool("old", "do@v1", nil)))
	if !in.Changed {
		h.t.Fatalf("%s", show(in))
	}
	h.clock.add(now.Sub(made))
}

// rowsOf lists what is stored of a hub.
func (h *hub) rowsOf(hub string) []string {
	h.t.Helper()
	var out []string
	must(h.t, h.scanRows(rangeRow, hub, func(r *Capability) (bool, error) {
		out = append(out, r.ProductID+"/"+r.CapabilityID)
		return true, nil
	}))
	return out
}

func TestManifestTools(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org/hub")
	h.admit(s)
	tests := []struct {
		name string
		tool any
		want string // part of why it is dropped, "" if it is not
		is   func(r Capability) bool
	}{
		{"not an object", "x", "object", nil},
		{"no name", tool("p", "aa@v1", members{"name": nil}), "name", nil},
		{"no description", tool("p1", "aa@v1", members{"description": nil}), "description", nil},
		{"no input schema", tool("p2", "aa@v1", members{"input_schema": nil}), "input_schema", nil},
		{"input schema of text", tool("p3", "aa@v1", members{"input_schema": "x"}), "input_schema", nil},
		{"deep schema", tool("p4", "aa@v1", members{"input_schema": nestedObject(40)}), "input_schema", nil},
		{"price below zero", tool("p5", "aa@v1", members{"price_per_call_usd": -0.01}), "price", nil},
		{"price above 1000", tool("p6", "aa@v1", members{"price_per_call_usd": 1000.01}), "price", nil},
		{"price of text", tool("p7", "aa@v1", members{"price_per_call_usd": "1"}), "price", nil},
		{"bad id", tool("p8", "a/b", nil), "capability_id", nil},
		{"no product", tool("p9", "aa@v1", members{"product_id": nil}), "product_id", nil},
		{"re-exported", tool("pa", "aa@v1", members{"source_hub": "https://third.example.org"}), "source_hub", nil},
		{"under another path of its host", tool("pb", "aa@v1", members{"source_hub": "https://a.example.org"}), "source_hub", nil},
		{"source of a number", tool("pc", "aa@v1", members{"source_hub": 5}), "source_hub", nil},
		{"own URL over another scheme", tool("r1", "aa@v1", members{"source_hub": "http://A.example.org/hub/"}), "", nil},
		{"source empty", tool("r2", "aa@v1", members{"source_hub": ""}), "", nil},
		{"source absent", tool("r3", "aa@v1", members{"source_hub": nil}), "", nil},
		{"no price means 0.35", tool("r4", "aa@v1", members{"price_per_call_usd": nil}), "", func(r Capability) bool { return r.PriceMicros == 350_000 }},
		{"free", tool("r5", "aa@v1", members{"price_per_call_usd": 0}), "", func(r Capability) bool { return r.PriceMicros == 0 && r.RoutedMicros == 0 }},
		{"dearest", tool("r6", "aa@v1", members{"price_per_call_usd": 1000}), "", func(r Capability) bool { return r.RoutedMicros == 1_010_000_000 }},
		{"smallest unit", tool("r7", "aa@v1", members{"price_per_call_usd": json.RawMessage("1e-05")}), "", func(r Capability) bool { return r.PriceMicros == 10 }},
		{"no latency", tool("r8", "aa@v1", members{"p50_latency_ms": nil}), "", func(r Capability) bool { return r.P50LatencyMS == 3000 }},
		{"latency of a truth", tool("r9", "aa@v1", members{"p50_latency_ms": true}), "", func(r Capability) bool { return r.P50LatencyMS == 3000 }},
		{"latency beyond", tool("ra", "aa@v1", members{"p50_latency_ms": 1e12}), "", func(r Capability) bool { return r.P50LatencyMS == 300_000 }},
		{"latency below", tool("rb", "aa@v1", members{"p50_latency_ms": -5}), "", func(r Capability) bool { return r.P50LatencyMS == 0 }},
		{"measured under a millisecond", tool("rc", "aa@v1", members{"p50_latency_ms": 0, "reputation_basis": "measured"}), "", func(r Capability) bool { return r.P50LatencyMS == 1 }},
		{"capability by name", tool("rd", "aa@v1", members{"capability_id": nil, "name": "by.name@v1"}), "", func(r Capability) bool { return r.CapabilityID == "by.name@v1" }},
		{"praise of itself", tool("re", "aa@v1", members{"success_rate_30d": 1, "trust_score": 1, "observations_30d": 1e6, "reputation_basis": "measured", "invoke_url": "https://a.example.org/x"}), "",
			func(r Capability) bool {
				return r.SuccessRate30d == 0.5 && r.TrustScore == 0.5 && r.Observations30d == 0 && r.InvokeURL == ""
			}},
		{"null where numbers belong", tool("rf", "aa@v1", members{"routed_price_usd": json.RawMessage("null"), "output_schema": json.RawMessage("null")}), "", func(r Capability) bool { return string(r.OutputSchema) == "{}" }},
		{"display name", tool("rg", "aa@v1", members{"display_name": "Nice name"}), "", func(r Capability) bool { return r.Name == "Nice name" }},
		{"name around which the product stands", tool("rh", "aa@v1", members{"name": "rh.aa@v1"}), "", func(r Capability) bool { return r.Name == "aa" }},
		{"twice", tool("r1", "aa@v1", members{"price_per_call_usd": 0.5}), "twice", nil},
		{"same capability of another product", tool("ri", "aa@v1", nil), "", nil},
	}
	var tools []any
	for _, tt := range tests {
		tools = append(tools, tt.tool)
	}
	in := h.TakeManifest(context.Background(), s.url, s.manifest(tools...))
	if in.Verdict != Accept {
		t.Fatal(show(in))
	}
	dropped := in.Dropped
	kept := 0
	for _, tt := range tests {
		if tt.want != "" {
			if len(dropped) == 0 || !strings.Contains(dropped[0].Reason, tt.want) {
				t.Fatalf("%s: dropped next is %+v, want one because of %s", tt.name, dropped, tt.want)
			}
			dropped = dropped[1:]
			continue
		}
		kept++
		m := tt.tool.(members)
		id, _ := m["capability_id"].(string)
		if id == "" {
			id, _ = m["name"].(string)
		}
		r, err := h.Lookup(context.Background(), m["product_id"].(string), id, s.url)
		if err != nil || r.SourceHub != s.url || tt.is != nil && !tt.is(r) {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
	}
	if got := h.rowsOf(s.url); len(got) != kept || len(dropped) != 0 {
		t.Fatalf("%d rows of %d, still dropped: %+v", len(got), kept, dropped)
	}
}

func nestedObject(depth int) any {
	var v any = "x"
	for range depth {
		v = members{"a": v}
	}
	return v
}

// Rows that the hub does not list any more go, by product and capability.
func TestManifestPrunes(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	h.sell(s, tool("one", "do@v1", nil), tool("two", "do@v1", nil), tool("two", "else@v1", nil))
	h.clock.add(time.Minute)
	h.sell(s, tool("two", "do@v1", members{"price_per_call_usd": 0.03}))
	if diff := cmp.Diff([]string{"two/do@v1"}, h.findable(s.url)); diff != "" {
		t.Fatal(diff)
	}
	r, err := h.Lookup(context.Background(), "two", "do@v1", s.url)
	must(t, err)
	if r.PriceMicros != 30_000 || r.RoutedMicros != 30_300 {
		t.Fatalf("%+v", r)
	}
	h.clock.add(time.Minute)
	older := s.signed(s.manifestDoc(members{"generated_at": stamp(testStart)}, tool("one", "do@v1", nil)), canon.ManifestMessage)
	if in := h.TakeManifest(context.Background(), s.url, older); in.Reason != ReasonStale || in.Verdict == Accept {
		t.Fatalf("an older manifest: %s", show(in))
	}
	h.reopen(t)
	if in := h.TakeManifest(context.Background(), s.url, older); in.Reason != ReasonStale {
		t.Fatalf("after a restart: %s", show(in))
	}
	if in := h.sell(s); !in.Changed || len(h.findable(s.url)) != 0 {
		t.Fatalf("an empty manifest: %s", show(in))
	}
}

func TestManifestIsBounded(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	var tools []any
	for i := range MaxForeignTools + 7 {
		tools = append(tools, tool("prod", fmt.Sprintf("do.%d@v1", i), nil))
	}
	in := h.sell(s, tools...)
	if len(in.Dropped) != 1 || !strings.HasPrefix(in.Dropped[0].Reason, "7 more") || len(h.rowsOf(s.url)) != MaxForeignTools {
		t.Fatalf("%+v, %d rows", in.Dropped, len(h.rowsOf(s.url)))
	}
}

// What a pending hub offers is to look at, and nothing else reads it.
func TestPendingManifest(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	s := newStranger(h, "https://pending.example.org")
	if out := h.meet(s); !out.FetchPreview {
		t.Fatalf("%+v", out)
	}
	tools := []any{tool("prod", "bad@v1", members{"description": nil})}
	for i := range 40 {
		tools = append(tools, tool("prod", fmt.Sprintf("do.%02d@v1", i), nil))
	}
	in := h.TakeManifest(ctx, s.url, s.manifest(tools...))
	if in.Verdict != Accept || in.Reason != ReasonPending || in.Changed || len(in.Dropped) != 1 {
		t.Fatalf("%s, %+v", show(in), in.Dropped)
	}
	rows, err := h.Preview(ctx, s.url, 500)
	must(t, err)
	if len(rows) != maxPreview {
		t.Fatalf("%d rows to look at", len(rows))
	}
	res, err := h.Search(ctx, Query{Intent: "do.01", IncludeStale: true, IncludeDemo: true})
	must(t, err)
	if _, lookErr := h.Lookup(ctx, "prod", "do.01@v1", s.url); res.Total != 0 || lookErr == nil || h.Counts().Total != 0 {
		t.Fatal("a pending hub's capability is found")
	}
	docs := h.documents()
	observed := strings.Count(docs, s.url)
	if observed != 1 || !strings.Contains(docs, `"observed_hubs":[{"url":"`+s.url+`"`) || strings.Contains(docs, "do.01") {
		t.Fatalf("documents mention a pending hub %d times:\n%s", observed, docs)
	}
	if in := h.TakeUnchanged(ctx, s.url); in.Reason != ReasonPending || in.Verdict != Accept {
		t.Fatalf("%s", show(in))
	}
	if p := mustPeer(t, h, s.url); !p.LastCrawl.IsZero() {
		t.Fatalf("%+v", p)
	}
}

// A manifest that was verified under a key counts only while that key is pinned.
func TestManifestUnderMovedPin(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	h.admit(s)
	raw := s.manifest(tool("prod", "do@v1", nil))
	was := mustPeer(t, h, s.url)
	m, refused := readManifest(raw, s.key.Public(), h.clock.Now())
	if refused != nil {
		t.Fatal(refused)
	}
	_, err := h.Repin(context.Background(), RepinRequest{URL: s.url, PublicKey: keyOf(9).PublicBase64()})
	must(t, err)
	h.mu.Lock()
	in := h.manifestLocked(was, m, judgeTools(m.tools, was.isItself), h.clock.Now())
	h.mu.Unlock()
	if in.Reason != ReasonKeyChanged || len(h.rowsOf(s.url)) != 0 {
		t.Fatalf("%s", show(in))
	}
}

func TestTakeUnchanged(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	s := newStranger(h, "https://a.example.org")
	h.admit(s)
	if in := h.TakeUnchanged(ctx, s.url); in.Reason != ReasonAbsent || in.Verdict == Accept {
		t.Fatalf("before anything was taken: %s", show(in))
	}
	h.sell(s, tool("prod", "do@v1", nil))
	h.clock.add(StaleAfter + time.Minute)
	if got := h.findable(s.url); got != nil {
		t.Fatalf("stale rows are found: %v", got)
	}
	if in := h.TakeUnchanged(ctx, s.url); in.Verdict != Accept || in.Changed {
		t.Fatalf("%s", show(in))
	}
	if got := h.findable(s.url); len(got) != 1 || h.route(s.url, h.clock.Now()).Status != RouteLive {
		t.Fatalf("confirmed rows are not found: %v", got)
	}
	h.clock.add(AwayAfter + time.Minute)
	h.judgeStale(h.clock.Now())
	if in := h.TakeUnchanged(ctx, s.url); in.Reason != ReasonAbsent {
		t.Fatalf("of a hub whose rows are off: %s", show(in))
	}
	h.sell(s, tool("prod", "do@v1", nil))
	made := h.clock.Now()
	for h.clock.Now().Sub(made) < MaxManifestAge {
		if in := h.TakeUnchanged(ctx, s.url); in.Verdict != Accept {
			t.Fatalf("after %s: %s", h.clock.Now().Sub(made), show(in))
		}
		h.clock.add(12 * time.Hour)
	}
	h.clock.add(time.Minute)
	if in := h.TakeUnchanged(ctx, s.url); in.Reason != ReasonExpired {
		t.Fatalf("a manifest of seven days: %s", show(in))
	}
}

// What a hub announces by heads is newer than its manifest; the manifest only confirms
// that it is there, until the heads fall silent.
func TestManifestOfMeshMember(t *testing.T) {
	ctx := context.Background()
	clock := &clock{now: testStart}
	author := newMember(t, 1, clock)
	author.t = t
	defer author.close(t)
	h := newMember(t, 2, clock)
	h.t = t
	defer h.close(t)
	const url = "https://author.example.org"
	author.SetAddresses("12D3KooWAuthor", []string{"/ip4/192.0.2.1/tcp/1"}, url)
	author.put(row("mine", "now@v1"))
	if in := h.TakeUpdate(ctx, author.next(t, false), byAuthor); !in.Changed || in.Peer != url {
		t.Fatalf("%s", show(in))
	}
	s := &stranger{t: t, key: author.key, url: url, clock: clock}
	clock.add(time.Hour)
	take := func() Intake { return h.TakeManifest(ctx, url, s.manifest(tool("mine", "then@v1", nil))) }
	in := take()
	p := mustPeer(t, h.hub, url)
	if in.Verdict != Accept || in.Reason != ReasonDuplicate || in.Changed || in.Taken != 0 || !p.LastCrawl.Equal(clock.Now()) || p.Held == "" {
		t.Fatalf("%s, %+v", show(in), p)
	}
	if diff := cmp.Diff([]string{"mine/now@v1"}, h.findable(url)); diff != "" {
		t.Fatal(diff)
	}
	clock.add(headSilence)
	if in := take(); !in.Changed || in.Taken != 1 {
		t.Fatalf("its heads fell silent: %s", show(in))
	}
	if diff := cmp.Diff([]string{"mine/then@v1"}, h.findable(url)); diff != "" {
		t.Fatal(diff)
	}
	for _, ref := range h.Heads() {
		if ref.Key == author.pub() && ref.Held != "" {
			t.Fatalf("a listing that is not in effect is offered: %+v", ref)
		}
	}
	// The next head takes over again.
	u := author.next(t, true)
	in = h.TakeHead(ctx, u.Head, byAuthor)
	if in.Want == nil {
		t.Fatalf("%s", show(in))
	}
	raw, err := author.UpdateFor(ctx, author.pub(), in.Want.Have)
	must(t, err)
	whole, err := ParseUpdate(raw)
	must(t, err)
	if in := h.TakeUpdate(ctx, whole, byStream); !in.Changed {
		t.Fatalf("%s", show(in))
	}
	if diff := cmp.Diff([]string{"mine/now@v1"}, h.findable(url)); diff != "" {
		t.Fatal(diff)
	}
}

// FuzzReadManifest: whatever is signed, what is taken stays within the rules of rows.
func FuzzReadManifest(f *testing.F) {
	key := keyOf(4)
	f.Add(`{"protocol_version":"v2","generated_at":"2026-11-24T09:00:00Z","tools":[{"name":"p.a@v1","description":"","input_schema":{},"product_id":"pp","capability_id":"aa"}]}`)
	f.Add(`{"protocol_version":"v1","generated_at":"2026-11-24T09:00:00Z","tools":[1,{"name":"x","description":"d","input_schema":{"a":[1e400]},"price_per_call_usd":-0.0,"p50_latency_ms":1e99}],"by_hub":{"a":{}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := canon.Parse([]byte(text))
		if err != nil || v.Kind() != canon.Object || v.Get("signature").Exists() {
			return
		}
		msg, err := canon.ManifestMessage(v)
		if err != nil {
			return
		}
		end := strings.LastIndexByte(text, '}')
		comma := ","
		if v.Len() == 0 {
			comma = ""
		}
		raw := text[:end] + comma + `"signature":{"algorithm":"ed25519","public_key":"","value":"` + key.SignBase64(msg) + `"}}`
		m, refused := readManifest([]byte(raw), key.Public(), testStart)
		if refused != nil {
			if refused.reason == ReasonSignature {
				t.Fatalf("signed, and refused: %s", refused.detail)
			}
			return
		}
		p := Peer{URL: "https://a.example.org", PublicKey: key.PublicBase64()}
		got := judgeTools(m.tools, p.isItself)
		if len(got.rows)+len(got.dropped) < min(m.tools.Len(), MaxForeignTools) || len(got.rows) > MaxForeignTools {
			t.Fatalf("%d rows and %d dropped of %d tools", len(got.rows), len(got.dropped), m.tools.Len())
		}
		for _, r := range got.rows {
			if _, err := checkRow(r, 100); err != nil {
				t.Fatalf("a row that breaks the rules of rows: %v", err)
			}
		}
	})
}
