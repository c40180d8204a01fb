package safety

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aimarket/aimarket/internal/canon"
)

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"", "abc", "Ёлка \u200b x", "ΙΚǅẞΩK", "\xff\xfe", "ﷺ", "각\u3164", "а\u0301b", "i\u0307İ"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := normalize(s)
		if twice := normalize(once); twice != once && !isASCII(once) {
			t.Errorf("not idempotent: %q, %q, %q", s, once, twice)
		}
		if utf8.ValidString(s) && !utf8.ValidString(once) {
			t.Errorf("%q became invalid: %q", s, once)
		}
	})
}

// FuzzGate: no panic, the same answer twice, and no more than linear time.
func FuzzGate(f *testing.F) {
	r, err := compile(Contract{BlockedCategories: categoryNames[:]})
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range readCorpus(f) {
		f.Add(e.Text)
	}
	for _, s := range []string{"\xff@\xff.", "a@", "@a", strings.Repeat("ignore ", 50), "4111", "GB82", "====", "\n\n:", "i g n", "0x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, b := r.pre(s, canon.Value{}), r.pre(s, canon.Value{})
		if a != b {
			t.Errorf("%q: %+v then %+v", s, a, b)
		}
		r.post(s, canon.Value{})
		if v, err := canon.Parse([]byte(s)); err == nil {
			findPII(s, v)
		}
	})
}

// TestHostileTextTakesLinearTime feeds texts that set off as many rules as
// possible. Doubling the text may at most about double the time; the bound is
// wide because machines are noisy, a quadratic scan would miss it by far.
func TestHostileTextTakesLinearTime(t *testing.T) {
	var words []string
	for i := range allRules {
		words = append(words, strings.Fields(allRules[i].words)...)
	}
	r := testRules(t, true)
	for _, unit := range []string{
		strings.Join(words, " ") + " ",
		"ignore the of and ",
		"a@b.",
		"1 ",
		"i g n o ",
		"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo= ",
		"how to the the the the ",
		"іgnоrе ",
	} {
		text := func(n int) string { return strings.Repeat(unit, n/len(unit)+1)[:n] }
		small, large := 8_000, 32_000
		took := func(n int) time.Duration {
			s, best := text(n), time.Hour
			for range 3 {
				start := time.Now()
				r.pre(s, canon.Value{})
				best = min(best, time.Since(start))
			}
			return best
		}
		a, b := took(small), took(large)
		if b > 10*a+20*time.Millisecond {
			t.Errorf("%.30q: %d bytes %v, %d bytes %v", unit, small, a, large, b)
		}
		t.Logf("%.30q: %d bytes %v, %d bytes %v", unit, small, a, large, b)
	}
}
