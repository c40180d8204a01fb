package safety

import (
	"bufio"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
)

var (
	update = flag.Bool("update", false, "rewrite MEASURED.md")
	misses = flag.String("misses", "", "print the wrong answers of this part: train, held-out or fresh")
)

// example is one line of testdata/corpus.jsonl.
type example struct {
	Text     string `json:"text"`
	Label    string `json:"label"` // a category, or benign
	Side     string `json:"side"`  // in, out
	Disguise string `json:"disguise"`
	Fresh    bool   `json:"fresh"`
	Tuned    bool   `json:"tuned"`
}

// part is the fixed rule of the split: fresh examples were written after the
// rules and never looked at again; of the others, those whose SHA-256 begins with
// an odd byte are held out, and the rules were tuned on the rest alone.
func (e example) part() string {
	switch {
	case e.Fresh:
		return "fresh"
	case e.Tuned: // once fresh, then learned from
		return "train"
	case sha256.Sum256([]byte(e.Text))[0]&1 == 1:
		return "held-out"
	}
	return "train"
}

func readCorpus(t testing.TB) []example {
	t.Helper()
	f, err := os.Open("testdata/corpus.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []example
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var e example
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatalf("line %d: %v", len(list)+1, err)
		}
		list = append(list, e)
	}
	return list
}

// contractFor switches every category on, and medical only where it is asked
// for, as the default contract leaves it off.
func testRules(t testing.TB, medical bool) *rules {
	t.Helper()
	c := DefaultContract()
	if medical {
		c.BlockedCategories = append(c.BlockedCategories, Medical)
	}
	r, err := compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func decide(r *rules, e example) string {
	f := r.pre(e.Text, canon.Value{})
	if e.Side == "out" {
		f = r.post(e.Text, canon.Value{})
	}
	if f.category == "" {
		return "benign"
	}
	return f.category
}

type score struct{ tp, fp, fn int }

func (s score) precision() float64 { return ratio(s.tp, s.tp+s.fp) }
func (s score) recall() float64    { return ratio(s.tp, s.tp+s.fn) }

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

// TestCorpus holds the gate to measured precision and recall. The floors of the
// held-out half are what may be claimed; the others guard against regressions.
func TestCorpus(t *testing.T) {
	corpus := readCorpus(t)
	if len(corpus) < 400 {
		t.Fatalf("corpus has %d examples", len(corpus))
	}
	plain, withMedical := testRules(t, false), testRules(t, true)
	halves := map[string]map[string]*score{"train": {}, "held-out": {}, "fresh": {}}
	disguised := score{}
	benign := map[string][2]int{} // blocked, all
	for _, e := range corpus {
		half := e.part()
		r := plain
		if e.Label == Medical {
			r = withMedical
		}
		got := decide(r, e)
		at := func(c string) *score {
			if halves[half][c] == nil {
				halves[half][c] = new(score)
			}
			return halves[half][c]
		}
		if got != e.Label && *misses == half {
			t.Logf("%s %s: want %s, got %s: %q", half, e.Side, e.Label, got, e.Text)
		}
		if e.Disguise != "" {
			if got == e.Label {
				disguised.tp++
			} else {
				disguised.fn++
			}
		}
		if e.Label == "benign" {
			b := benign[half]
			if b[1]++; got != "benign" {
				b[0]++
			}
			benign[half] = b
		}
		switch {
		case got == e.Label && got != "benign":
			at(got).tp++
		case got != e.Label:
			if got != "benign" {
				at(got).fp++
			}
			if e.Label != "benign" {
				at(e.Label).fn++
			}
		}
	}
	table := report(halves, disguised, benign, len(corpus))
	t.Log("\n" + table)
	for half, floor := range map[string]score100{"train": {98, 98}, "held-out": {95, 93}, "fresh": {95, 90}} {
		var all score
		for c, s := range halves[half] {
			all.tp, all.fp, all.fn = all.tp+s.tp, all.fp+s.fp, all.fn+s.fn
			if p := 100 * s.precision(); p < 80 {
				t.Errorf("%s %s: precision %.1f %%, floor 80", half, c, p)
			}
			if r := 100 * s.recall(); r < 70 {
				t.Errorf("%s %s: recall %.1f %%, floor 70", half, c, r)
			}
		}
		if p := 100 * all.precision(); p < floor.precision {
			t.Errorf("%s: precision %.1f %%, floor %.0f", half, p, floor.precision)
		}
		if r := 100 * all.recall(); r < floor.recall {
			t.Errorf("%s: recall %.1f %%, floor %.0f", half, r, floor.recall)
		}
	}
	if *update {
		if err := os.WriteFile("MEASURED.md", []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was, _ := os.ReadFile("MEASURED.md"); string(was) != table {
		t.Error("MEASURED.md is out of date: go test ./plugins/safety -run TestCorpus -update")
	}
}

type score100 struct{ precision, recall float64 }

// parts of the corpus, in the order of the report.
var parts = []string{"train", "held-out", "fresh"}

func report(halves map[string]map[string]*score, disguised score, benign map[string][2]int, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# What the safety gate reaches\n\nMeasured on the %d examples of `testdata/corpus.jsonl`, written by hand for this project, by the hand that wrote the rules: it flatters them.\n"+
		"Fresh examples were written after the rules and never used to change them; of the others, an example is held out if\n"+
		"the first byte of its SHA-256 is odd, and the rules were tuned on the rest only. An earlier fresh batch of 42 attacks\n"+
		"and 40 harmless texts gave 100 %% precision and 61.9 %% recall at first sight; the rules then learned from it and it counts\n"+
		"as train. For attacks in words nobody thought of, expect that figure rather than the ones below.\n"+
		"These are figures about this corpus. Traffic differs from it, and an attacker who has read the rules differs most.\n"+
		"Regenerate: `go test ./plugins/safety -run TestCorpus -update`. The same test holds the floors.\n\n"+
		"| Part | Category | Examples | Precision | Recall |\n|---|---|---|---|---|\n", n)
	for _, half := range parts {
		var all score
		for _, c := range []string{Injection, PII, Medical, Children, Illegal, Harassment} {
			s := halves[half][c]
			if s == nil {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s | %d | %.1f %% | %.1f %% |\n", half, c, s.tp+s.fn, 100*s.precision(), 100*s.recall())
			all.tp, all.fp, all.fn = all.tp+s.tp, all.fp+s.fp, all.fn+s.fn
		}
		fmt.Fprintf(&b, "| %s | all | %d | %.1f %% | %.1f %% |\n", half, all.tp+all.fn, 100*all.precision(), 100*all.recall())
	}
	fmt.Fprintf(&b, "\nBenign texts, most of them chosen to look like attacks, that were blocked: %d of %d (train), %d of %d (held out), %d of %d (fresh).\n",
		benign["train"][0], benign["train"][1], benign["held-out"][0], benign["held-out"][1], benign["fresh"][0], benign["fresh"][1])
	fmt.Fprintf(&b, "Disguised attacks (zero-width, look-alike, full-width, spaced, accented, digits for letters, tags, base64, hex) found: %d of %d.\n",
		disguised.tp, disguised.tp+disguised.fn)
	return b.String()
}

// TestPrefilterLosesNothing compares the scanner with running every expression
// over the whole text: a rule whose trigger words are incomplete shows here.
func TestPrefilterLosesNothing(t *testing.T) {
	var all ruleSet
	for i := range allRules {
		all.add(i)
	}
	for _, e := range readCorpus(t) {
		text := normalize(e.Text)
		var s signals
		s.critical = -1
		for i := range s.hits {
			s.hits[i] = -1
		}
		scan(text, &all, &s)
		for i := range allRules {
			r := &allRules[i]
			if !r.matches(strings.ToLower(text)) {
				continue
			}
			found := r.critical && s.critical >= 0 || r.cat == injection && s.strong.has(i) ||
				r.cat == medical && s.medicalGroups.has(i) || r.cat != injection && r.cat != medical && s.hits[r.cat] >= 0
			if !found {
				t.Errorf("rule %q matches but its words do not trigger it: %q", r.name, e.Text)
			}
		}
	}
}

// TestRulesRunSeldom shows which rules' words are so common that their
// expression runs on harmless text, and bounds how often.
func TestRulesRunSeldom(t *testing.T) {
	r := testRules(t, false)
	runs := make([]int, len(allRules))
	texts, total := 0, 0
	for _, e := range readCorpus(t) {
		if e.Label != "benign" || e.Side != "in" {
			continue
		}
		texts++
		z := scanner{text: normalize(e.Text), out: new(signals), also: needsOneList}
		z.read()
		due := r.preSet.and(z.seen).and(z.also)
		for i := range allRules {
			if due.has(i) {
				runs[i]++
				total++
			}
		}
	}
	for i, n := range runs {
		if n > texts/25 {
			t.Logf("%3d of %d: %s", n, texts, allRules[i].name)
		}
	}
	// The benign corpus is made of hard negatives; ordinary text sets off less.
	if total > texts {
		t.Errorf("%d runs on %d harmless texts", total, texts)
	}
}
