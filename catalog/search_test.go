package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aimarket/aimarket/internal/canon"
)

func searchHub(t *testing.T) *hub {
	t.Helper()
	h := newHub(t)
	ctx := context.Background()
	_, err := h.Announce(ctx, Announcement{HubURL: "https://peer.example.org"})
	must(t, err)
	_, err = h.Approve(ctx, "https://peer.example.org", true)
	must(t, err)
	translate := row("lingua", "translate@v1")
	translate.Description, translate.PriceMicros, translate.P50LatencyMS = "Translates text between languages.", 400_000, 8100
	demo := row("toy", "translate.toy@v1")
	demo.Description, demo.Demo = "Translates text, badly.", true
	doubtful := row("shady", "translate.fast@v1")
	doubtful.Description, doubtful.TrustScore = "Translates text fast.", 0.2
	dead := row("dead", "translate.dead@v1")
	dead.Description, dead.Builtin = "Translates text no more.", false
	theirs := row("theirs", "translate.theirs@v1")
	theirs.Description, theirs.SourceHub, theirs.Builtin, theirs.PriceMicros = "Translates text elsewhere.", "https://peer.example.org", false, 400_000
	h.put(translate, demo, doubtful, dead, theirs, row("hash", "sha256@v1"))
	return h
}

func TestSearchFilters(t *testing.T) {
	h := searchHub(t)
	zero := 0.0
	tests := []struct {
		name  string
		query Query
		want  map[string]bool
	}{
		{"floor, demo, unexecutable", Query{Intent: "translate text", IncludeStale: true}, set("lingua", "theirs")},
		{"own trust floor", Query{Intent: "translate text", MinTrust: &zero}, set("lingua", "shady")},
		{"demo", Query{Intent: "translate text", IncludeDemo: true}, set("lingua", "toy")},
		{"local only", Query{Intent: "translate text", Hub: Local, IncludeStale: true}, set("lingua")},
		{"own URL", Query{Intent: "translate text", Hub: "https://hub.example.com", IncludeStale: true}, set("lingua")},
		{"one peer", Query{Intent: "translate text", Hub: "https://peer.example.org", IncludeStale: true}, set("theirs")},
		{"any", Query{Intent: "translate text", Hub: "any", IncludeStale: true}, set("lingua", "theirs")},
		{"stale hidden", Query{Intent: "translate text"}, set("lingua")},
		{"budget on the routed price", Query{Intent: "translate text", HasBudget: true, BudgetMicros: 400_000, IncludeStale: true}, set("lingua")},
		{"budget with the fee", Query{Intent: "translate text", HasBudget: true, BudgetMicros: 404_000, IncludeStale: true}, set("lingua", "theirs")},
		{"budget of nothing", Query{Intent: "translate text", HasBudget: true}, set()},
		{"latency", Query{Intent: "translate text", MaxLatencyMS: 100, IncludeStale: true}, set("theirs")},
		{"category in the description", Query{Category: "languages"}, set("lingua")},
		{"category of two words", Query{Category: "text between"}, set("lingua")},
		{"category part of a word", Query{Category: "anguage"}, set("lingua")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, err := h.Search(context.Background(), tt.query)
			must(t, err)
			got := map[string]bool{}
			for _, m := range res.Matches {
				got[m.ProductID] = true
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || res.Total != len(tt.want) {
				t.Fatalf("total %d, (-want +got):\n%s", res.Total, diff)
			}
			if res.HubsSearched != 2 {
				t.Fatalf("%d hubs searched, want this one and one peer", res.HubsSearched)
			}
		})
	}
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

func TestSearchPages(t *testing.T) {
	h := newHub(t)
	var rows []Capability
	for i := range 250 {
		rows = append(rows, row(fmt.Sprintf("p-%03d", i), "tool@v1"))
	}
	h.put(rows...)
	ctx := context.Background()
	seen := map[Key]bool{}
	for offset := 0; ; {
		res, err := h.Search(ctx, Query{Offset: offset, Limit: 500})
		must(t, err)
		if res.Total != 250 || res.Limit != MaxSearchLimit || res.Offset != offset {
			t.Fatalf("page at %d: total %d, limit %d, offset %d", offset, res.Total, res.Limit, res.Offset)
		}
		for _, m := range res.Matches {
			if seen[m.Key] {
				t.Fatalf("%v on two pages", m.Key)
			}
			seen[m.Key] = true
		}
		if offset += len(res.Matches); !res.HasMore() {
			break
		}
	}
	if len(seen) != 250 {
		t.Fatalf("pages hold %d rows", len(seen))
	}
	for _, tt := range []struct {
		q    Query
		want int
	}{{Query{}, DefaultSearchLimit}, {Query{LimitAll: true}, 250}, {Query{Limit: -1}, DefaultSearchLimit}, {Query{Offset: 1000}, 0}, {Query{Offset: -5, Limit: 1}, 1}} {
		res, err := h.Search(ctx, tt.q)
		must(t, err)
		if len(res.Matches) != tt.want {
			t.Errorf("%+v gives %d rows, want %d", tt.q, len(res.Matches), tt.want)
		}
	}
}

// A peer that was not read for hours is hidden by time alone.
func TestSearchHidesStalePeers(t *testing.T) {
	h := searchHub(t)
	ctx := context.Background()
	h.crawled("https://peer.example.org")
	q := Query{Intent: "translate text", Hub: "https://peer.example.org"}
	res, err := h.Search(ctx, q)
	must(t, err)
	if len(res.Matches) != 1 || res.Matches[0].Route.Status != RouteLive {
		t.Fatalf("a fresh peer: %+v", res)
	}
	h.clock.add(StaleAfter + time.Minute)
	res, err = h.Search(ctx, q)
	must(t, err)
	if len(res.Matches) != 0 {
		t.Fatalf("a stale peer is shown: %s", ids(res.Matches))
	}
	q.IncludeStale = true
	res, err = h.Search(ctx, q)
	must(t, err)
	if len(res.Matches) != 1 || res.Matches[0].Route.Status != RouteStale || res.Matches[0].Route.Age != StaleAfter+time.Minute {
		t.Fatalf("a stale peer that was asked for: %+v", res)
	}
}

func TestMatchJSON(t *testing.T) {
	h := market(t)
	res, err := h.Search(context.Background(), Query{Intent: "tool", IncludeStale: true, Hub: Local})
	must(t, err)
	if len(res.Matches) == 0 {
		t.Fatal("no match")
	}
	res.Matches[0].Score, res.Matches[0].MatchType = 0.5, "lexical" // ranks are the index's own matter
	body := AppendMatchJSON(nil, &res.Matches[0])
	v, err := canon.Parse(body)
	must(t, err)
	checkNumbersAgree(t, v)
	golden(t, "match.json", body)
	for _, name := range []string{"price_per_call_usd", "routed_price_usd", "trust_score", "p50_latency_ms", "score", "success_rate_30d"} {
		if v.Get(name).Kind() != canon.Number {
			t.Errorf("%s is no number", name)
		}
	}
	for _, name := range []string{"product_id", "capability_id", "name", "version", "description", "source_hub", "source_hub_name"} {
		if v.Get(name).Kind() != canon.String {
			t.Errorf("%s is no string", name)
		}
	}
	builtin := AppendMatchJSON(nil, &Match{Capability: row("a", "echo@v1")})
	var plain map[string]json.RawMessage
	must(t, json.Unmarshal(builtin, &plain))
	if string(plain["publisher_id"]) != "null" || string(plain["stake_usd"]) != "null" || string(plain["matched_terms"]) != "[]" {
		t.Errorf("a built-in row prints %s", builtin)
	}
	odd := Match{Capability: row("a", "echo@v1")}
	odd.InputSchema = []byte(`{"required":["a","a",1,"b"],"properties":{"a":{"type":["string"]}}}`)
	v, err = canon.Parse(AppendMatchJSON(nil, &odd))
	must(t, err)
	if got := string(v.Get("input_hint").Raw()); got != `{"a":{},"b":{}}` {
		t.Errorf("input_hint = %s", got)
	}
}
