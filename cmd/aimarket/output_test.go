package main

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode"
)

func TestPrintableSteersNoTerminal(t *testing.T) {
	got := printable("a\x1b[2Jb\x00c\u009bd\u202ee\u200bf\ng\th\x7fi")
	if got != "a [2Jb c d e f g h i" {
		t.Errorf("%q", got)
	}
}

func TestHarmlessIsTheSameJSON(t *testing.T) {
	for _, in := range []string{
		`{"text":"plain ü 漢 😀"}`, "{\r\n\t\"a\": 1\n}", `{"a":"` + "\u009b31m\u202e\u200b\u007f\U000e0041" + `"}`, `{"a":"\u001b[2J"}`, `[]`, "1.0",
		"\"\xff\"",
	} {
		out := harmless([]byte(in))
		var a, b any
		if err := json.Unmarshal([]byte(in), &a); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Errorf("%q became %q (%v)", in, out, err)
		}
		if bytes.ContainsFunc(out, func(r rune) bool {
			return r != '\n' && r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
		}) {
			t.Errorf("%q", out)
		}
	}
}

func TestAmount(t *testing.T) {
	for text, ok := range map[string]bool{
		"0.05": true, "5": true, "1e-3": true, "-1": true, "0.10": true,
		"": false, "NaN": false, "0x1": false, "five": false, `"5"`: false, "5 ": false, " 5": false, "1,5": false, ".5": false,
		"null": false, "true": false, "1 2": false,
	} {
		var a amount
		err := a.UnmarshalText([]byte(text))
		if (err == nil) != ok || ok && string(a) != text {
			t.Errorf("%q: %q, %v", text, a, err)
		}
	}
}

// A refusal quotes a stranger; it stays one line and plain.
func TestComplainIsOneHarmlessLine(t *testing.T) {
	var out bytes.Buffer
	complain(&out, &exitError{1, errText("first\nsecond\x1b[31m\u009b")})
	if got := out.String(); got != "aimarket: first; second [31m \n" || strings.Count(got, "\n") != 1 {
		t.Errorf("%q", got)
	}
}

type errText string

func (e errText) Error() string { return string(e) }
