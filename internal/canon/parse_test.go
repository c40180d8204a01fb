package canon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
)

func parse(t testing.TB, text string) canon.Value {
	t.Helper()
	v, err := canon.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%.80q: %v", text, err)
	}
	return v
}

func TestParseRefuses(t *testing.T) {
	big := func(last string) string { // more names than are compared pairwise
		var b strings.Builder
		b.WriteString(`{`)
		for i := range 40 {
			fmt.Fprintf(&b, `"k%02d":%d,`, 39-i, i)
		}
		return b.String() + last + `:0}`
	}
	for name, c := range map[string]struct {
		text   string
		offset int
		reason string
	}{
		"empty":                    {"", 0, "the text ends"},
		"only space":               {" \n", 2, "the text ends"},
		"byte order mark":          {"\ufeff{}", 0, "byte order mark"},
		"text after":               {"{} x", 3, "text after the end"},
		"two values":               {"1 2", 2, "text after the end"},
		"NaN":                      {`{"price_usd":NaN}`, 13, "not finite"},
		"Infinity":                 {`[Infinity]`, 1, "not finite"},
		"negative Infinity":        {`[-Infinity]`, 1, "not finite"},
		"overflow by exponent":     {`[1e400]`, 1, "not finite as a double"},
		"overflow negative":        {`-1e309`, 0, "not finite as a double"},
		"overflow written out":     {strings.Repeat("9", 400) + ".5", 0, "not finite as a double"},
		"leading zero":             {`[01]`, 1, "leading zero"},
		"negative leading zero":    {`-00`, 0, "leading zero"},
		"plus sign":                {`[+1]`, 1, "where a value should be"},
		"bare minus":               {`[-]`, 2, "where a digit should be"},
		"point without digits":     {`1.`, 2, "after a decimal point"},
		"point first":              {`.5`, 0, "where a value should be"},
		"exponent without digits":  {`1e+`, 3, "in an exponent"},
		"hexadecimal":              {`0x1`, 1, "text after the end"},
		"cut word":                 {`tru`, 0, "where a value should be"},
		"long word":                {`nullx`, 4, "text after the end"},
		"single quotes":            {`{'a':1}`, 1, "member name"},
		"bare name":                {`{a:1}`, 1, "member name"},
		"no colon":                 {`{"a" 1}`, 5, `after member name "a"`},
		"no comma":                 {`[1 2]`, 3, "where ',' or"},
		"trailing comma, array":    {`[1,]`, 3, "comma before the closing"},
		"trailing comma, object":   {`{"a":1,}`, 7, "comma before the closing"},
		"wrong bracket":            {`[1}`, 2, "where ',' or"},
		"open array":               {`[1`, 2, "before the closing"},
		"open object":              {`{"a":1`, 6, "before the closing"},
		"open name":                {`{`, 1, "the end of the text"},
		"comment":                  {`/**/1`, 0, "where a value should be"},
		"open string":              {`"ab`, 0, "without its closing quote"},
		"open string after escape": {`"\n`, 0, "without its closing quote"},
		"backslash at end":         {`"\`, 1, "backslash at the end"},
		"raw newline":              {"\"a\nb\"", 2, "control byte 0x0a"},
		"raw tab after escape":     {"\"\\n\tb\"", 3, "control byte 0x09"},
		"raw zero":                 {"\"\x00\"", 1, "control byte 0x00"},
		"unknown escape":           {`"\x41"`, 1, "unknown escape"},
		"short hex":                {`"\u12"`, 1, "four hex digits"},
		"bad hex":                  {`"\u12g4"`, 1, "four hex digits"},
		"lone high surrogate":      {`"\ud83d"`, 1, "surrogate"},
		"lone low surrogate":       {`"a\ude00"`, 2, "surrogate"},
		"high and high":            {`"\ud83d\ud83d"`, 1, "surrogate"},
		"high and letter":          {`"\ud83d\u0041"`, 1, "surrogate"},
		"swapped pair":             {`"\ude00\ud83d"`, 1, "surrogate"},
		"lone continuation":        {"\"a\x80\"", 2, "not valid UTF-8"},
		"cut code point":           {"\"\xe4\xb8\"", 1, "not valid UTF-8"},
		"overlong":                 {"\"\xc0\x80\"", 1, "not valid UTF-8"},
		"surrogate in UTF-8":       {"\"\xed\xa0\x80\"", 1, "not valid UTF-8"},
		"beyond Unicode":           {"\"\xf4\x90\x80\x80\"", 1, "not valid UTF-8"},
		"bad byte after escape":    {"\"\\n\xff\"", 3, "not valid UTF-8"},
		"bad byte in a name":       {"{\"\xff\":1}", 2, "not valid UTF-8"},
		"bad byte outside":         {"\xff", 0, "byte 0xff"},
		"duplicate":                {`{"a":1,"a":1}`, 7, `"a" occurs twice`},
		"duplicate, not adjacent":  {`{"a":1,"b":2,"a":3}`, 13, `"a" occurs twice`},
		"duplicate by escape":      {`{"a":1,"\u0061":2}`, 7, `"a" occurs twice`},
		"duplicate inside":         {`[{"x":{"b":0,"b":0}}]`, 13, `"b" occurs twice`},
		"duplicate empty":          {`{"":1,"":2}`, 6, `"" occurs twice`},
		"duplicate of many":        {big(`"k07"`), 0, `"k07" occurs twice`},
		"the first of two":         {big(`"k07":0,"k03"`), 0, `"k07" occurs twice`},
		"too deep":                 {strings.Repeat("[", canon.MaxDepth+1), canon.MaxDepth, "nesting deeper than 128"},
		"too deep, objects":        {strings.Repeat(`{"a":`, canon.MaxDepth+1), 5 * canon.MaxDepth, "nesting deeper"},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := canon.Parse([]byte(c.text))
			var syntax *canon.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v, value %v", err, v.Kind())
			}
			if v.Exists() {
				t.Error("a value came with the error")
			}
			if !strings.Contains(syntax.Reason, c.reason) {
				t.Errorf("reason %q, want %q in it", syntax.Reason, c.reason)
			}
			if many := name == "duplicate of many" || name == "the first of two"; !many && syntax.Offset != c.offset {
				t.Errorf("byte %d, want %d", syntax.Offset, c.offset)
			} else if many && !strings.HasPrefix(c.text[syntax.Offset:], `"k07":0`) {
				t.Errorf("byte %d is not the repeated name", syntax.Offset)
			}
			if syntax.Advice == "" || !strings.Contains(err.Error(), fmt.Sprint(syntax.Offset)) {
				t.Errorf("no advice or no position in %q", err)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	for _, text := range []string{
		"{}", "[]", `""`, "0", "-0", "1e5", "1E+5", "-1.5e-7", "true", "false", "null", " \t\r\n1 \n",
		`"\ud83d\ude00"`, "\"\x7f\"", "\"\ufffd\"", "\"\ufeff\"", "\"\U0010ffff\"", `"\u0000"`,
		strings.Repeat("9", 400), "1e-400", strings.Repeat("[", canon.MaxDepth) + strings.Repeat("]", canon.MaxDepth),
		`[[],[]]`, `{"a":{"a":{"a":1}}}`, `{"b":1,"a":1}`,
	} {
		if _, err := canon.Parse([]byte(text)); err != nil {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

func TestValueReads(t *testing.T) {
	const text = ` {"s":"a\u00e9\n","n":-1.50,"i":42,"t":true,"f":false,"z":null,"a":[1,"two",{"three":3}],"plain":"é"} `
	v := parse(t, text)
	if v.Kind() != canon.Object || v.Len() != 8 || string(v.Raw()) != strings.TrimSpace(text) || v.Offset() != 1 {
		t.Errorf("root: %v, %d members, at %d", v.Kind(), v.Len(), v.Offset())
	}
	if got := v.Get("s").Str(); got != "aé\n" {
		t.Errorf("s = %q", got)
	}
	if got := v.Get("n"); got.Token() != "-1.50" || string(got.Raw()) != "-1.50" {
		t.Errorf("n = %q", got.Token())
	}
	if f, ok := v.Get("n").Float64(); !ok || f != -1.5 {
		t.Errorf("n = %v, %v", f, ok)
	}
	if _, ok := v.Get("n").Int64(); ok {
		t.Error("-1.50 read as an integer")
	}
	if i, ok := v.Get("i").Int64(); !ok || i != 42 {
		t.Errorf("i = %v, %v", i, ok)
	}
	if !v.Get("t").Bool() || v.Get("f").Bool() || v.Get("z").Bool() || v.Get("z").Kind() != canon.Null {
		t.Error("true, false, null misread")
	}
	var names []string
	for name := range v.Members {
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != "s n i t f z a plain" {
		t.Errorf("members %s", got)
	}
	var kinds []string
	for e := range v.Get("a").Elements {
		kinds = append(kinds, e.Kind().String())
	}
	if got := strings.Join(kinds, " "); got != "number string object" || v.Get("a").Len() != 3 {
		t.Errorf("elements %s", got)
	}
	for range v.Members {
		break // stopping early must not run on
	}
}

func TestAbsentValue(t *testing.T) {
	var v canon.Value
	if v.Exists() || v.Kind() != canon.Invalid || v.Len() != 0 || v.Raw() != nil || v.Str() != "" || v.Token() != "" || v.Bool() {
		t.Error("the zero Value is not empty")
	}
	if v.Get("x").Exists() || parse(t, "[1]").Get("0").Exists() || parse(t, `{"a":1}`).Get("b").Exists() {
		t.Error("a member that is not there exists")
	}
	if got := string(v.AppendCompact(nil)); got != "null" {
		t.Errorf("it prints %s", got)
	}
	if _, ok := v.Float64(); ok {
		t.Error("it reads as a number")
	}
}

// TestParseAgreesWithJSON holds the strings and structure against the standard
// library, which accepts a superset.
func TestParseAgreesWithJSON(t *testing.T) {
	for _, row := range golden(t, "documents.tsv") {
		text := unquote(t, row[0])
		var ours, theirs any
		if err := json.Unmarshal([]byte(text), &theirs); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(parse(t, text).AppendTokens(nil), &ours); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if fmt.Sprint(ours) != fmt.Sprint(theirs) {
			t.Errorf("%s reads as %v, want %v", text, ours, theirs)
		}
	}
}

// TestParseIsFrugal holds the allocations of a usual invoke body: slab, tree.
func TestParseIsFrugal(t *testing.T) {
	body := []byte(invokeBody)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := canon.Parse(body); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("%v allocations, want 2", n)
	}
}
