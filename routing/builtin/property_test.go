package builtin

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/internal/canon"
)

func TestEncodingsInvert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		data := []byte(rapid.String().Draw(t, "data"))
		for _, e := range encodings {
			got, err := decode(e, encode(e, data))
			if err != nil || string(got) != string(data) {
				t.Fatalf("%s: %q became %q (%v)", e, data, got, err)
			}
		}
	})
}

func TestUnitsRoundTrip(t *testing.T) {
	byQuantity := map[string][]unit{}
	for _, name := range sortedUnitNames() {
		u := units[name]
		byQuantity[u.quantity] = append(byQuantity[u.quantity], u)
	}
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.SampledFrom(sortedKeys(byQuantity)).Draw(t, "quantity")
		from, to := rapid.SampledFrom(byQuantity[q]).Draw(t, "from"), rapid.SampledFrom(byQuantity[q]).Draw(t, "to")
		x := rapid.Float64Range(-1e6, 1e6).Draw(t, "x")
		back := convert(convert(x, from, to), to, from)
		// Adding an offset costs absolute digits, multiplying relative ones, and next to
		// zero doubles lose precision.
		tolerance := 1e-280 + 1e-12*math.Abs(x) + 1e-12*math.Abs(from.offset-to.offset)/from.factor
		if math.Abs(back-x) > tolerance {
			t.Fatalf("%v %s is %v %s and back %v", x, from.symbol, convert(x, from, to), to.symbol, back)
		}
	})
}

// A diff applied to the first text gives the second.
func TestDiffApplies(t *testing.T) {
	line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d\n"})
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(line, 0, 30).Draw(t, "a"), rapid.SliceOfN(line, 0, 30).Draw(t, "b")
		script, minimal, err := compare(context.Background(), a, b)
		if err != nil || !minimal {
			t.Fatal(minimal, err)
		}
		var before, after []string
		kept := 0
		for _, e := range script {
			if e.op != '+' {
				before = append(before, e.line)
			}
			if e.op != '-' {
				after = append(after, e.line)
			}
			if e.op == ' ' {
				kept++
			}
		}
		if strings.Join(before, "") != strings.Join(a, "") || strings.Join(after, "") != strings.Join(b, "") {
			t.Fatalf("%q to %q by %v", a, b, script)
		}
		if want := longestCommon(a, b); kept != want {
			t.Fatalf("%q to %q keeps %d lines, %d are possible", a, b, kept, want)
		}
	})
}

// longestCommon is the textbook dynamic programme, as the model.
func longestCommon(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			up := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(row[j], up)
			}
			diagonal = up
		}
	}
	return row[len(b)]
}

func TestDatesInvert(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		day := time.Unix(86400*rapid.Int64Range(-700_000, 2_000_000).Draw(t, "day"), 0).UTC()
		later := day.AddDate(0, 0, rapid.IntRange(0, 100_000).Draw(t, "n"))
		years, months, days := calendarSpan(day, later)
		if got := addMonths(day, 12*years+months).AddDate(0, 0, days); !got.Equal(later) {
			t.Fatalf("%v and %d years %d months %d days is %v, not %v", day, years, months, days, got, later)
		}
		if months < 0 || months > 11 || days < 0 || days > 30 {
			t.Fatalf("%v to %v: %d months, %d days", day, later, months, days)
		}
	})
}

func TestSlugIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 200).Draw(t, "limit")
		s := slugify(rapid.String().Draw(t, "s"), limit)
		if len(s) > limit || slugify(s, 200) != s || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Contains(s, "--") {
			t.Fatalf("%q", s)
		}
	})
}

// Any input, of any shape, is answered or refused: no panic, valid JSON, bounded.
func fuzzCapability(f *testing.F, ids ...string) {
	f.Helper()
	for _, c := range cases {
		for _, id := range ids {
			if c.id == id {
				f.Add(c.in)
			}
		}
	}
	var list []Capability
	for _, c := range All() {
		for _, id := range ids {
			if c.Row.CapabilityID == id {
				list = append(list, c)
			}
		}
	}
	f.Fuzz(func(t *testing.T, doc string) {
		v, err := canon.Parse([]byte(doc))
		if err != nil || v.Kind() != canon.Object {
			return
		}
		for _, c := range list {
			start := time.Now()
			out, err := c.Run(context.Background(), v)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%s took %v", c.Row.CapabilityID, took)
			}
			if err == nil && (!json.Valid(out) || !utf8.Valid(out) || len(out) > MaxOutput) {
				t.Errorf("%s: %q", c.Row.CapabilityID, out)
			}
		}
	})
}

func FuzzValidateJSON(f *testing.F) { fuzzCapability(f, "validate-json@v1") }
func FuzzCSV(f *testing.F)          { fuzzCapability(f, "csv-to-json@v1") }
func FuzzDate(f *testing.F)         { fuzzCapability(f, "date-math@v1") }
func FuzzTranscode(f *testing.F)    { fuzzCapability(f, "transcode@v1", "hash@v1", "uuid5@v1") }
func FuzzText(f *testing.F) {
	fuzzCapability(f, "text-stats@v1", "slug@v1", "extract@v1", "diff@v1", "qr-code@v1", "unit-convert@v1", "statistics@v1", "echo@v1")
}

func BenchmarkEcho(b *testing.B) {
	in, err := canon.Parse([]byte(`{"text":"a text of the usual length for a call that is only a test"}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := echo(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}
