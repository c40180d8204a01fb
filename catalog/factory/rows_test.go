package factory

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/catalog"
)

func TestTriggerWords(t *testing.T) {
	all := ".desktop@v1 .landing@v1 .app@v1 .api@v1 .agent@v1"
	table := []struct{ words, want string }{
		{"desktop|electron|tauri|flutter|native client|system tray", ".desktop@v1"},
		{"landing|hero|marketing|one-pager", ".landing@v1"},
		{"saas|app|platform|dashboard|scheduling", ".landing@v1 .app@v1"},
		{"api|service|endpoint|integration", ".api@v1"},
		{"agent|assistant|bot|automation", ".agent@v1"},
		{"poems|", "@v1"},
		{"Therapist|capital|mapping|bottle|agenda|heroic|appliance|desktopless|rapid", "@v1"}, // letters within another word
		{"APIs|Web-API|the api.|api/v2|(API)", ".api@v1"},
		{"client, native|native or client|system|tray|one|pager", "@v1"},
		{"Native\n Client", ".desktop@v1"},
		{"A SaaS with a REST API, an agent and an Electron shell", all},
		{"ÄPI|apiü|аpi", "@v1"}, // the last begins with a Cyrillic letter
	}
	for _, row := range table {
		for _, w := range strings.Split(row.words, "|") {
			for _, text := range []string{w, strings.ToUpper(w), "make a " + w + " for me"} {
				var got []string
				for _, o := range applicable(text) {
					got = append(got, o.suffix)
				}
				if s := strings.Join(got, " "); s != row.want {
					t.Errorf("%q is %s, want %s", text, s, row.want)
				}
			}
		}
	}
}

// The figures of HTTP API notes §8, written out once more.
func TestOfferFigures(t *testing.T) {
	p := product{id: "prod-1", idea: "dashboard api agent desktop"}
	rows, err := p.rows(testURL)
	must(t, err)
	p.idea = "poems"
	other, err := p.rows(testURL)
	must(t, err)
	want := []struct {
		id      string
		micros  int64
		p50     int
		success float64
	}{
		{"dashboard-api-agent-desktop.desktop@v1", 2_500_000, 1200, .96},
		{"dashboard-api-agent-desktop.landing@v1", 500_000, 3000, .95},
		{"dashboard-api-agent-desktop.app@v1", 5_000_000, 60000, .92},
		{"dashboard-api-agent-desktop.api@v1", 100_000, 500, .99},
		{"dashboard-api-agent-desktop.agent@v1", 1_000_000, 15000, .93},
		{"poems@v1", 500_000, 5000, .95},
	}
	rows = append(rows, other...)
	if len(rows) != len(want) {
		t.Fatalf("got %s", ids(rows))
	}
	for i, w := range want {
		r := rows[i]
		if r.CapabilityID != w.id || r.PriceMicros != w.micros || r.P50LatencyMS != w.p50 || r.SuccessRate30d != w.success {
			t.Errorf("row %d is %s %d %d %v, want %v", i, r.CapabilityID, r.PriceMicros, r.P50LatencyMS, r.SuccessRate30d, w)
		}
		if r.ProductID != "prod-1" || r.SourceHub != catalog.Local || r.SourceHubName != "AI-Factory" || r.TrustScore != Trust || r.Version != "v1" ||
			r.Name != strings.TrimSuffix(w.id, "@v1") || r.InvokeURL != testURL+"/capabilities/prod-1/"+w.id+"/invoke" || !Mine(&r) {
			t.Errorf("row %+v", r)
		}
	}
}

func TestSlug(t *testing.T) {
	for name, want := range map[string]string{
		"Poem Maker":                           "poem-maker",
		"  Über—Größe  x.y!! ":                 "ber-gr-e-x.y",
		"a..b...c":                             "a.b.c",
		".-.hidden.":                           "hidden",
		"../../etc/passwd":                     "etc-passwd",
		"学习":                                   "",
		"":                                     "",
		"exactly thirty characters long":       "exactly-thirty-characters-long",
		"exactly thirty characters long, yes":  "exactly-thirty-characters-long",
		"exactly thirty characters longer":     "exactly-thirty-characters",
		"abcdefghijklmnopqrstuvwxyz0123456789": "abcdefghijklmnopqrstuvwxyz0123",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaa.-bbbbbb": "aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		if got := slug(name); got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

func TestPriceOverride(t *testing.T) {
	for _, c := range []struct {
		file, column, beside string
		micros               int64
		fails                bool
	}{
		{"", "", "", 500_000, false},
		{"0.42", "", "", 420_000, false},
		{"0.42", "0.5", "0.6", 420_000, false},
		{"0", "0.5", "0.6", 500_000, false},
		{"null", "-1", "0.6", 600_000, false},
		{"0.000001", "", "", 1, false},
		{"1000", "", "", 1000_000_000, false},
		{"0.0000001", "", "", 0, true},
		{"1000.01", "", "", 0, true},
		{"1e400", "", "", 0, true},
		{`"0.42"`, "", "", 0, true},
		{`"inf"`, "", "", 0, true},
		{"[1]", "", "", 0, true},
	} {
		p := product{id: "p1", idea: "poems", price: json.RawMessage(c.beside)}
		p.file.Price = json.RawMessage(c.file)
		if c.column != "" {
			p.spec = []byte(`{"capability_price_per_call_usd":` + c.column + `}`)
		}
		rows, err := p.rows(testURL)
		if (err != nil) != c.fails || err == nil && rows[0].PriceMicros != c.micros {
			t.Errorf("%+v: %v, %v", c, rows, err)
		}
	}
}

func TestDescription(t *testing.T) {
	for _, c := range []struct{ name, idea, category, delivery, want string }{
		{"Poems", "Poems", "", "", "Poems"},
		{"Rhyme", "It writes\n\x00poems.", "art", "cloud", "Rhyme: It writes poems. Category: art. Delivery: cloud."},
		{"Rhyme", " ", "", "cloud", "Rhyme. Delivery: cloud."},
		{"bad\xffbyte", "", "", "", "bad\uFFFDbyte"},
	} {
		if got := describe(c.name, c.idea, c.category, c.delivery); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if n := len(describe(strings.Repeat("é", 9000), "x", strings.Repeat("c", 9000), "d")); n > catalog.MaxDescriptionLen || n < catalog.MaxDescriptionLen-4 {
		t.Errorf("a long one has %d bytes", n)
	}
}

// Whatever a product says, what is offered of it has ids and texts that the
// catalogue takes, and slugs keep their rule.
func TestEverythingOfferedIsListable(t *testing.T) {
	m := newMarket(t)
	rapid.Check(t, func(r *rapid.T) {
		p := product{
			id:       rapid.StringMatching(`[A-Za-z0-9_.@-]{2,80}`).Draw(r, "id"),
			idea:     rapid.OneOf(rapid.String(), rapid.StringMatching(`([a-c.]{1,12}[ .-]){0,6}(api|bot)?`)).Draw(r, "idea"),
			category: rapid.String().Draw(r, "category"), marketingName: rapid.String().Draw(r, "name"),
		}
		if checkID(p.id) != nil {
			return
		}
		s := slug(p.idea)
		if len(s) > maxSlugLen || strings.Trim(s, "-.") != s || strings.Contains(s, "..") || strings.Contains(s, "--") || slug(s) != s {
			r.Fatalf("slug %q of %q", s, p.idea)
		}
		rows, err := p.rows(testURL)
		if err != nil {
			if slug(p.id) != "" {
				r.Fatal(err)
			}
			return
		}
		if err := m.Put(t.Context(), rows); err != nil {
			r.Fatal(err)
		}
	})
}
