package catalog

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestScore(t *testing.T) {
	for _, tt := range []struct {
		f    Factors
		want float64
	}{
		{Factors{}, 0},
		{Factors{SuccessRate: 0.5}, 0.175},
		{Factors{1, 1, 1, 1, 0}, 1},
		{Factors{1, 0, 1, 0, 0}, 0.55},
		{Factors{1, 1, 1, 1, 1}, 0},
		{Factors{SuccessRate: 0.5, Penalty: 0.2}, 0.14},
		{Factors{5, -3, math.NaN(), math.Inf(1), math.NaN()}, 0.35},
	} {
		if got := tt.f.Score(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.f, got, tt.want)
		}
	}
	for _, tt := range []struct{ score, want float64 }{{0, 0}, {0.0875, 0.25}, {strangerScore, 0.5}, {0.5875, 0.75}, {1, 1}, {2, 1}, {-1, 0}} {
		if got := rowTrust(tt.score); got != tt.want {
			t.Errorf("row trust of %v: %v, want %v", tt.score, got, tt.want)
		}
	}
}

// However many others say what, hearsay neither leaves 0…1 nor weighs a third; beside 20
// calls of one's own less than a fifth.
func TestHearsayIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		calls := rapid.Int64Range(0, 500).Draw(t, "calls")
		r := hubRecord{calls: calls, good: rapid.Int64Range(0, calls).Draw(t, "good")}
		own := r.successRate()
		for i := range rapid.IntRange(0, 30).Draw(t, "reporters") {
			n := rapid.Int64Range(0, 100).Draw(t, fmt.Sprint("n", i))
			r.hearsay.add(n, rapid.Int64Range(0, n).Draw(t, fmt.Sprint("g", i)), rapid.Float64Range(-1, 2).Draw(t, fmt.Sprint("score", i)))
		}
		got := r.successRate()
		limit := 1.0 / 3
		if calls >= 20 {
			limit = 0.2
		}
		if !fraction(got) || math.Abs(got-own) > limit+1e-9 {
			t.Fatalf("own %v of %d calls, with hearsay %+v: %v", own, calls, r.hearsay, got)
		}
	})
}

// observe has this hub call a row n times and fold it in.
func (h *hub) observe(k Key, n int, success bool) {
	h.t.Helper()
	for range n {
		h.Observe(k, success, 20*time.Millisecond)
	}
	h.clock.add(FoldInterval)
	h.fold(h.clock.Now())
}

// The score takes part: an admitted stranger is found, one that fails sinks under the
// default floor and comes last where it is asked for, one that delivers rises.
func TestTrustRanks(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	var hubs [3]*stranger
	for i, name := range []string{"bad", "fresh", "good"} {
		hubs[i] = newStranger(h, "https://"+name+".example.org")
		h.sell(hubs[i], tool("prod", "translate@v1", nil))
	}
	bad, fresh, good := hubs[0].url, hubs[1].url, hubs[2].url
	found := func(q Query) string {
		t.Helper()
		q.Intent = "translate"
		res, err := h.Search(ctx, q)
		must(t, err)
		var out []string
		for _, m := range res.Matches {
			out = append(out, strings.TrimSuffix(strings.TrimPrefix(m.SourceHub, "https://"), ".example.org"))
		}
		return strings.Join(out, " ")
	}
	if got := found(Query{}); strings.Count(got, " ") != 2 {
		t.Fatalf("strangers found: %q", got)
	}
	h.observe(Key{"prod", "translate@v1", bad}, 30, false)
	h.observe(Key{"prod", "translate@v1", good}, 30, true)
	if got := found(Query{}); got != "good fresh" {
		t.Fatalf("found: %q", got)
	}
	if got := found(Query{MinTrust: new(float64)}); got != "good fresh bad" {
		t.Fatalf("found without a floor: %q", got)
	}
	check := func() {
		t.Helper()
		for hub, want := range map[string]float64{bad: rowTrust(0), fresh: 0.5, good: rowTrust(0.35)} {
			r, err := h.Lookup(ctx, "prod", "translate@v1", hub)
			must(t, err)
			if math.Abs(r.TrustScore-want) > trustStep {
				t.Errorf("%s: row trust %v, want %v", hub, r.TrustScore, want)
			}
		}
		doc, err := h.Manifest(ctx)
		must(t, err)
		body := string(doc.Body)
		if !(strings.Index(body, `"source_hub":"`+good) < strings.Index(body, `"source_hub":"`+fresh) && strings.Index(body, `"source_hub":"`+fresh) < strings.Index(body, `"source_hub":"`+bad)) {
			t.Error("the manifest does not list by trust")
		}
	}
	check()
	h.reopen(t)
	check()
	if got := found(Query{}); got != "good fresh" {
		t.Fatalf("found after a restart: %q", got)
	}
	// It gets better, and is found again.
	h.observe(Key{"prod", "translate@v1", bad}, 100, true)
	if got := found(Query{}); !strings.Contains(got, "bad") {
		t.Fatalf("found: %q", got)
	}
	// A catalogue that comes anew does not wash it clean.
	h.observe(Key{"prod", "translate@v1", good}, 500, false)
	h.clock.add(time.Minute)
	h.sell(hubs[2], tool("prod", "translate@v1", members{"price_per_call_usd": 0.01}), tool("prod", "translate.more@v1", nil))
	if got := found(Query{}); strings.Contains(got, "good") {
		t.Fatalf("found: %q", got)
	}
}

// What others signed moves the score a little, by the trust in who signed.
func TestTrustOfEvents(t *testing.T) {
	h := newHub(t)
	p := newStranger(h, "https://p.example.org")
	h.sell(p, tool("prod", "do@v1", nil))
	fold := func() float64 {
		h.clock.add(FoldInterval)
		h.fold(h.clock.Now())
		return h.Reputation(p.url).Factors.SuccessRate
	}
	say := func(c *stranger, n int, kind string) {
		t.Helper()
		for i := range n {
			if counts, _ := h.report(c.event(p.url, members{"type": kind, "latency_ms": i})); counts.Received != 1 {
				t.Fatalf("%+v", counts)
			}
		}
	}
	say(p, 5, "invoke_success") // of itself
	if got := fold(); got != 0.5 {
		t.Fatalf("self-praise: %v", got)
	}
	liar := newStranger(h, "https://liar.example.org")
	h.admit(liar)
	say(liar, maxOfReporter, "invoke_failure")
	one := fold()
	if one >= 0.5 || one < 0.45 {
		t.Fatalf("one stranger's word: %v", one)
	}
	for i := range 9 { // nine more of the same
		s := newStranger(h, fmt.Sprintf("https://liar%d.example.org", i))
		h.admit(s)
		say(s, maxOfReporter, "invoke_failure")
	}
	ten := fold()
	if ten >= one || ten < 1.0/3 {
		t.Fatalf("ten strangers' word: %v", ten)
	}
	if len(h.findable(p.url)) != 1 {
		t.Fatal("hearsay alone hid a hub")
	}
	rep := h.Reputation(p.url)
	if rep.Basis != basisUnobserved || rep.Observations != 0 {
		t.Fatalf("%+v", rep)
	}
	h.observe(Key{"prod", "do@v1", p.url}, 200, true)
	if got := fold(); got < 0.97 {
		t.Fatalf("beside 200 calls of its own: %v", got)
	}
	say(liar, 1, "applause") // says nothing
	before := h.Reputation(p.url).Factors
	if fold(); h.Reputation(p.url).Factors.SuccessRate < before.SuccessRate-1e-9 {
		t.Fatal("an event of an unknown type counts")
	}
}

func TestEquivocationLowersTrust(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	h.sell(s, tool("prod", "do@v1", nil))
	for n, want := range []struct {
		score float64
		found bool
	}{{0.175, true}, {0.14, true}, {0.112, true}, {0.0896, false}} {
		p := mustPeer(t, h, s.url)
		p.Equivocations = n
		h.mu.Lock()
		err := h.keepPeer(&p)
		h.mu.Unlock()
		must(t, err)
		h.clock.add(FoldInterval)
		h.fold(h.clock.Now())
		if got := h.TrustScore(s.url); math.Abs(got-want.score) > 1e-4 || (len(h.findable(s.url)) == 1) != want.found {
			t.Errorf("after %d: score %v, found %v", n, got, h.findable(s.url))
		}
	}
}

func TestEvidence(t *testing.T) {
	h, p, c := pair(t)
	if e := h.Reputation("https://nobody.example.org").Evidence; len(e) < 4 || !strings.Contains(e[0].Detail, "never heard") {
		t.Fatalf("of nobody: %+v", e)
	}
	h.sell(p, tool("prod", "do@v1", nil))
	h.observe(Key{"prod", "do@v1", p.url}, 10, true)
	h.report(c.event(p.url, nil), c.event(p.url, members{"type": "invoke_failure"}))
	peer := mustPeer(t, h, p.url)
	peer.Equivocations, peer.Trial = 2, Trial{At: testStart, Passed: true, Detail: "receipt verified"}
	h.mu.Lock()
	must(t, h.keepPeer(&peer))
	h.mu.Unlock()
	h.clock.add(FoldInterval)
	h.fold(h.clock.Now())
	var got []string
	for _, e := range h.Reputation(p.url).Evidence {
		got = append(got, fmt.Sprintf("%s/%s %d/%d", e.Factor, e.Source, e.Good, e.Count))
		if e.Detail == "" {
			t.Errorf("%+v says nothing", e)
		}
	}
	want := "age/self 0/0, bond/self 0/0, success_rate/self 10/10, success_rate/peers 1/2, volume/self 10/10, penalty/hub 0/2, admission/self 1/1"
	if s := strings.Join(got, ", "); s != want {
		t.Fatalf("evidence\n%s, want\n%s", s, want)
	}
}

// A hundred hubs that are heard of every minute do not have the documents signed for
// each of them.
func TestDocumentsAreNotSignedForSignsOfLife(t *testing.T) {
	h := newHub(t)
	ctx := context.Background()
	var hubs []*stranger
	for i := range 20 {
		s := newStranger(h, fmt.Sprintf("https://h%d.example.org", i))
		h.sell(s, tool("prod", "do@v1", nil))
		hubs = append(hubs, s)
	}
	first, err := h.Manifest(ctx)
	must(t, err)
	h.clock.add(MaxDocumentAge / 2)
	for _, s := range hubs {
		h.meet(s)
		if in := h.TakeManifest(ctx, s.url, s.manifest(tool("prod", "do@v1", nil))); in.Changed || in.Verdict != Accept {
			t.Fatalf("%s", show(in))
		}
		if in := h.TakeUnchanged(ctx, s.url); in.Verdict != Accept {
			t.Fatalf("%s", show(in))
		}
	}
	if again, err := h.Manifest(ctx); err != nil || again.ETag != first.ETag {
		t.Fatalf("signed anew without a change (%v)", err)
	}
	h.clock.add(MaxDocumentAge / 2)
	later, err := h.Manifest(ctx)
	must(t, err)
	if later.ETag == first.ETag || !strings.Contains(string(later.Body), `"last_crawl":"2026-11-24T09:00:30Z"`) {
		t.Fatal("the time of the last crawl never comes through")
	}
}

// A hub takes its record along when it moves.
func TestTrustMovesAlong(t *testing.T) {
	h := newHub(t)
	old, now := newStrangerNamed(h, "key", "https://old.example.org"), newStrangerNamed(h, "key", "https://new.example.org")
	h.sell(old, tool("prod", "do@v1", nil))
	h.observe(Key{"prod", "do@v1", old.url}, 30, false)
	h.clock.add(time.Hour)
	if out := h.take(now.found(nil)); out.Moved != old.url {
		t.Fatalf("%s", show(out.Intake))
	}
	h.sell(now, tool("prod", "do@v1", nil))
	if got := h.findable(now.url); len(got) != 0 {
		t.Fatalf("a new address washed it clean: %v", got)
	}
	h.clock.add(FoldInterval)
	h.fold(h.clock.Now())
	if r := h.Reputation(now.url); r.Observations != 30 || r.TrustScore > 0.01 || len(h.findable(now.url)) != 0 {
		t.Fatalf("%+v, found %v", r, h.findable(now.url))
	}
	// Its rows are the same whatever it earns: a catalogue that did not change is not written.
	h.observe(Key{"prod", "do@v1", now.url}, 300, true)
	h.clock.add(time.Minute)
	if in := h.sell(now, tool("prod", "do@v1", nil)); in.Changed {
		t.Fatalf("%s", show(in))
	}
	if got := h.findable(now.url); len(got) != 1 {
		t.Fatalf("found %v", got)
	}
}
