package canon_test

import (
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/gowebpki/jcs"
)

func TestPrintIsPythons(t *testing.T) {
	for _, row := range golden(t, "documents.tsv") {
		text, compact, spaced := unquote(t, row[0]), unquote(t, row[1]), unquote(t, row[2])
		v := parse(t, text)
		if got := string(v.AppendCompact(nil)); got != compact {
			t.Errorf("compact form of %s\n got %s\nwant %s", text, got, compact)
		}
		if got := string(v.AppendSpaced([]byte("x"))); got != "x"+spaced {
			t.Errorf("spaced form of %s\n got %s\nwant %s", text, got[1:], spaced)
		}
	}
}

// TestJCSAgreesWithAnother cross-checks with another implementation, which takes
// every text that ours takes here.
func TestJCSAgreesWithAnother(t *testing.T) {
	for _, row := range golden(t, "documents.tsv") {
		text := unquote(t, row[0])
		if !strings.ContainsAny(text[:1]+strings.TrimSpace(text)[:1], "[{") {
			continue // it takes only arrays and objects
		}
		want, err := jcs.Transform([]byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got, err := parse(t, text).AppendJCS(nil); err != nil || string(got) != string(want) {
			t.Errorf("%s\n got %s (%v)\nwant %s", text, got, err, want)
		}
	}
}

// TestKeyOrders shows where the two orders part: U+1F600 begins with the surrogate
// D83D in UTF-16, below U+E000 and U+FFFD, but above them as a code point.
func TestKeyOrders(t *testing.T) {
	v := parse(t, `{"😀":1,"\ue000":2,"\ufffd":3,"é":4,"\ud7ff":5,"𐀀":6,"a😀":7,"a\ufffd":8}`)
	if got, want := string(v.AppendCompact(nil)), `{"a`+"\ufffd"+`":8,"a😀":7,"é":4,"`+"\ud7ff"+`":5,"`+"\ue000"+`":2,"`+"\ufffd"+`":3,"𐀀":6,"😀":1}`; got != want {
		t.Errorf("code points: %s, want %s", got, want)
	}
	got, err := v.AppendJCS(nil)
	if want := `{"a😀":7,"a` + "\ufffd" + `":8,"é":4,"` + "\ud7ff" + `":5,"𐀀":6,"😀":1,"` + "\ue000" + `":2,"` + "\ufffd" + `":3}`; err != nil || string(got) != want {
		t.Errorf("UTF-16: %s (%v), want %s", got, err, want)
	}
}

func TestAppendString(t *testing.T) {
	for _, c := range []struct{ s, want string }{
		{"", `""`}, {"plain", `"plain"`}, {`"\`, `"\"\\"`}, {"\b\f\n\r\t", `"\b\f\n\r\t"`}, {"\x00\x01\x0b\x1f", `"\u0000\u0001\u000b\u001f"`},
		{"<>&'/\x7f", "\"<>&'/\x7f\""}, {"\u2028\u2029é中😀", "\"\u2028\u2029é中😀\""}, {"a\xffb\xc3", "\"a\ufffdb\ufffd\""}, {"\ufffd", "\"\ufffd\""},
	} {
		got := string(canon.AppendString(nil, c.s))
		if got != c.want {
			t.Errorf("AppendString(%q) = %s, want %s", c.s, got, c.want)
		}
		if back := parse(t, got).Str(); back != strings.ToValidUTF8(strings.ReplaceAll(c.s, "\xff", "\ufffd"), "\ufffd") {
			t.Errorf("%s reads back as %q", got, back)
		}
	}
}

func TestCompactWithout(t *testing.T) {
	v := parse(t, `{"b":{"signature":1},"signature":{"value":"x"},"a":1.0}`)
	if got := string(v.AppendCompact(nil, "signature")); got != `{"a":1.0,"b":{"signature":1}}` {
		t.Errorf("without the top-level signature: %s", got)
	}
	if got := string(v.AppendCompact(nil, "a", "b", "signature")); got != `{}` {
		t.Errorf("without everything: %s", got)
	}
}

func TestAppendTokens(t *testing.T) {
	v := parse(t, `{"b":1.50,"a":[1E5,0.00001,-0],"\u0063":12345678901234567890}`)
	if got := string(v.AppendTokens(nil)); got != `{"a":[1E5,0.00001,-0],"b":1.50,"c":12345678901234567890}` {
		t.Errorf("tokens: %s", got)
	}
}
