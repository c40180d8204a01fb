package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/routing"
)

func parse(t testing.TB, s string) canon.Value {
	t.Helper()
	v, err := canon.Parse([]byte(s))
	if err != nil {
		t.Fatalf("%.200s: %v", s, err)
	}
	return v
}

func capability(t testing.TB, id string) Capability {
	t.Helper()
	for _, c := range All() {
		if c.Row.CapabilityID == id {
			return c
		}
	}
	t.Fatalf("no capability %s", id)
	return Capability{}
}

// cases are conversations with every capability. want is the exact result, or
// "…" and pieces of it; wantErr is a piece of the InputError.
var cases = []struct{ id, in, want, wantErr string }{
	{"echo@v1", `{"text":"hi \u00e9\n\u2028<&>"}`, `{"text":"hi é\n` + "\u2028" + `<&>"}`, ""},
	{"echo@v1", `{"text":"","extra":1}`, `{"text":""}`, ""},
	{"echo@v1", `{}`, "", "input.text is missing"},
	{"echo@v1", `{"text":5}`, "", "input.text must be a string"},

	{"hash@v1", `{"text":"abc"}`, `{"algorithm":"sha256","hex":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","base64":"ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=","bytes":3,"secure":true}`, ""},
	{"hash@v1", `{"base64":"YWJj","algorithm":"md5"}`, `{"algorithm":"md5","hex":"900150983cd24fb0d6963f7d28e17f72","base64":"kAFQmDzST7DWlj99KOF/cg==","bytes":3,"secure":false}`, ""},
	{"hash@v1", `{"text":"123456789","algorithm":"crc32"}`, `…"hex":"cbf43926"`, ""},
	{"hash@v1", `{"text":"abc","algorithm":"sha3-256"}`, `…"hex":"3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"`, ""},
	{"hash@v1", `{"text":"abc","algorithm":"sha1"}`, `…"hex":"a9993e364706816aba3e25717850c26c9cd0d89d"`, ""},
	{"hash@v1", `{"text":"abc","algorithm":"sha512"}`, `…"hex":"ddaf35a193617abacc417349ae204131`, ""},
	{"hash@v1", `{"text":"a","base64":"YQ=="}`, "", "must not come together"},
	{"hash@v1", `{"base64":"%"}`, "", "is not base64"},
	{"hash@v1", `{"text":"a","algorithm":"rot13"}`, "", "must be one of"},
	{"hash@v1", `{}`, "", "input.text is missing"},

	{"unit-convert@v1", `{"value":1,"from":"mile","to":"km"}`, `{"value":1.609344,"from":"mi","to":"km","quantity":"length"}`, ""},
	{"unit-convert@v1", `{"value":100,"from":"°C","to":"°F"}`, `{"value":212,"from":"°C","to":"°F","quantity":"temperature"}`, ""},
	{"unit-convert@v1", `{"value":-40,"from":"fahrenheit","to":"Celsius"}`, `…"value":-40`, ""},
	{"unit-convert@v1", `{"value":1,"from":"MiB","to":"MB"}`, `…"value":1.048576`, ""},
	{"unit-convert@v1", `{"value":1,"from":"gallon","to":"L"}`, `…"value":3.785411784`, ""},
	{"unit-convert@v1", `{"value":1,"from":"mW","to":"MW"}`, `…"value":1e-09`, ""},
	{"unit-convert@v1", `{"value":180,"from":"deg","to":"rad"}`, `…"value":3.14159265358979`, ""},
	{"unit-convert@v1", `{"value":1,"from":"lb","to":"kg"}`, `…"value":0.45359237`, ""},
	{"unit-convert@v1", `{"value":1,"from":"km","to":"kg"}`, "", "is a unit of mass, but from is one of length"},
	{"unit-convert@v1", `{"value":1,"from":"furlong?","to":"kg"}`, "", "is not a known unit"},
	{"unit-convert@v1", `{"value":"1","from":"m","to":"km"}`, "", "input.value must be a number"},
	{"unit-convert@v1", `{"value":1e308,"from":"ly","to":"nm"}`, "", "too large"},
	{"unit-convert@v1", `{"value":-300,"from":"C","to":"K"}`, "", "below absolute zero"},

	{"validate-json@v1", `{"schema":{"type":"object","required":["a"],"properties":{"a":{"type":"integer","minimum":2}}},"instance":{"a":3}}`, `{"valid":true,"errors":[],"truncated":false}`, ""},
	{"validate-json@v1", `{"schema":{"properties":{"a/b":{"type":"integer"}}},"instance":{"a/b":"x"}}`, `…"valid":false|"path":"/a~1b"|"schema_path":"/properties/a~1b/type"|got string, want integer`, ""},
	{"validate-json@v1", `{"schema":false,"instance":1}`, `…"valid":false|"errors":[{`, ""},
	{"validate-json@v1", `{"schema":{"$defs":{"t":{"type":"string"}},"items":{"$ref":"#/$defs/t"}},"instance":["a",1]}`, `…"valid":false|"path":"/1"`, ""},
	{"validate-json@v1", `{"schema":{"$ref":"#/definitions/n","definitions":{"n":{"properties":{"next":{"$ref":"#/definitions/n"},"v":{"type":"number"}}}}},"instance":{"next":{"next":{"v":"x"}}}}`, `…"valid":false|"path":"/next/next/v"`, ""},
	{"validate-json@v1", `{"schema":{"format":"date"},"instance":"nope"}`, `…"valid":true`, ""},
	{"validate-json@v1", `{"schema":{"format":"date"},"instance":"nope","formats":true}`, `…"valid":false`, ""},
	{"validate-json@v1", `{"schema":{"$schema":"http://json-schema.org/draft-07/schema#","$id":"https://x.example/s","properties":{"$id":{"type":"string"},"id":{}}},"instance":{"$id":4}}`, `…"valid":false`, ""},
	{"validate-json@v1", `{"schema":{"$ref":"https://evil.example/s.json"},"instance":1}`, "", "not a path inside the schema"},
	{"validate-json@v1", `{"schema":{"$ref":"file:///etc/passwd"},"instance":1}`, "", "not a path inside the schema"},
	{"validate-json@v1", `{"schema":{"$schema":"https://evil.example/meta"},"instance":1}`, "", "is not valid"},
	{"validate-json@v1", `{"schema":{"$ref":"#"},"instance":1}`, "", "refers to itself without end"},
	{"validate-json@v1", `{"schema":{"$ref":"#/nope"},"instance":1}`, "", "not a path inside the schema"},
	{"validate-json@v1", `{"schema":{"type":"strin"},"instance":1}`, "", "is not valid"},
	{"validate-json@v1", `{"schema":{"pattern":"("},"instance":"x"}`, "", "is not valid"},
	{"validate-json@v1", `{"schema":{"properties":{"a":{"$dynamicRef":"#x"}}},"instance":1}`, "", "$dynamicRef"},
	{"validate-json@v1", `{"schema":{"properties":{"a":{"$id":"https://x.example/"}}},"instance":1}`, "", "nested $id"},
	{"validate-json@v1", `{"schema":{"minimum":1},"instance":1e-999999999}`, "", "exponent"},
	{"validate-json@v1", `{"schema":{"multipleOf":1e-99999999},"instance":1}`, "", "exponent"},
	{"validate-json@v1", `{"schema":[],"instance":1}`, "", "must be an object or a boolean"},
	{"validate-json@v1", `{"schema":{}}`, "", "input.instance is missing"},

	{"text-stats@v1", `{"text":"One two. Two three!\n\nVersion 3.14 isn't e-mail? No","top":2}`, `{"characters":50,"characters_without_spaces":41,"bytes":50,"words":9,"unique_words":8,"sentences":4,"lines":3,"paragraphs":2,"average_word_length":4.22,"reading_seconds":3,"top_words":[{"word":"two","count":2},{"word":"3.14","count":1}]}`, ""},
	{"text-stats@v1", `{"text":""}`, `…"words":0|"lines":0|"paragraphs":0|"top_words":[]`, ""},
	{"text-stats@v1", `{"text":"Привет, мир! Как дела?"}`, `…"words":4|"sentences":2`, ""},
	{"text-stats@v1", `{"text":1}`, "", "must be a string"},
	{"text-stats@v1", `{"text":"a","top":101}`, "", "whole number from 0 to 100"},

	{"qr-code@v1", `{"text":"https://aimarket.example","format":"svg"}`, `…"format":"svg"|"media_type":"image/svg+xml"|"modules":33|<svg xmlns=`, ""},
	{"qr-code@v1", `{"text":"hi"}`, `…"format":"png"|"modules":29|iVBORw0KGgo`, ""},
	{"qr-code@v1", `{"text":"hi","format":"terminal"}`, `…█████`, ""},
	{"qr-code@v1", `{"text":""}`, "", "nothing to encode"},
	{"qr-code@v1", `{"text":"x","scale":17}`, "", "whole number from 1 to 16"},
	{"qr-code@v1", `{"text":"x","level":"Z"}`, "", "must be one of"},

	{"transcode@v1", `{"data":"héllo","from":"text","to":"base64"}`, `{"data":"aMOpbGxv","bytes":6}`, ""},
	{"transcode@v1", `{"data":"aMOpbGxv","from":"base64","to":"hex"}`, `{"data":"68c3a96c6c6f","bytes":6}`, ""},
	{"transcode@v1", `{"data":"nbswy3dp","from":"base32","to":"text"}`, `{"data":"hello","bytes":5}`, ""},
	{"transcode@v1", `{"data":"a b&c","from":"text","to":"url"}`, `{"data":"a%20b%26c","bytes":5}`, ""},
	{"transcode@v1", `{"data":"ff","from":"hex","to":"text"}`, "", "is not UTF-8"},
	{"transcode@v1", `{"data":"xyz","from":"hex","to":"text"}`, "", "is not hex"},
	{"transcode@v1", `{"data":"%zz","from":"url","to":"text"}`, "", "is not url"},
	{"transcode@v1", `{"data":"x","from":"text"}`, "", "input.to is missing"},
	{"transcode@v1", `{"data":"x","from":"rot13","to":"text"}`, "", "input.from must be one of"},

	{"csv-to-json@v1", `{"csv":"a,b\n1,\"x, \"\"y\"\"\"\n2,\n"}`, `{"columns":["a","b"],"rows":[{"a":"1","b":"x, \"y\""},{"a":"2","b":""}],"count":2}`, ""},
	{"csv-to-json@v1", `{"csv":"1;2\n3;4","delimiter":";","header":false}`, `{"columns":[],"rows":[["1","2"],["3","4"]],"count":2}`, ""},
	{"csv-to-json@v1", `{"csv":""}`, `{"columns":[],"rows":[],"count":0}`, ""},
	{"csv-to-json@v1", `{"csv":"a,b\n1"}`, "", "is not valid"},
	{"csv-to-json@v1", `{"csv":"a,a\n1,2"}`, "", "names the column \"a\" twice"},
	{"csv-to-json@v1", `{"csv":"a\n\"x"}`, "", "is not valid"},
	{"csv-to-json@v1", `{"csv":"a","header":"yes"}`, "", "true or false"},

	{"diff@v1", `{"before":"a\nb\nc\n","after":"a\nB\nc\n"}`, `{"equal":false,"diff":"@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n","added":1,"removed":1,"unchanged":2,"minimal":true}`, ""},
	{"diff@v1", `{"before":"x","after":"x"}`, `{"equal":true,"diff":"","added":0,"removed":0,"unchanged":1,"minimal":true}`, ""},
	{"diff@v1", `{"before":"","after":"x\n"}`, `…"diff":"@@ -0,0 +1 @@\n+x\n"`, ""},
	{"diff@v1", `{"before":"x","after":"x\n"}`, `…No newline at end of file|"added":1|"removed":1`, ""},
	{"diff@v1", `{"before":"x"}`, "", "input.after is missing"},

	{"slug@v1", `{"text":"  Größe & Café: L'été — Привет! "}`, `{"slug":"groesse-cafe-lete-privet"}`, ""},
	{"slug@v1", `{"text":"Hello wonderful world","max_length":12}`, `{"slug":"hello-wonder"}`, ""},
	{"slug@v1", `{"text":"Hello wonderful world","max_length":18}`, `{"slug":"hello-wonderful"}`, ""},
	{"slug@v1", `{"text":"!!!"}`, `{"slug":""}`, ""},
	{"slug@v1", `{"text":"a","max_length":0}`, "", "whole number from 1 to 200"},

	{"date-math@v1", `{"date":"2024-01-31","months":1}`, `{"date":"2024-02-29","weekday":"Thursday","iso_week":"2024-W09","day_of_year":60,"unix":1709164800}`, ""},
	{"date-math@v1", `{"date":"2024-12-30","days":2,"weeks":-1}`, `…"date":"2024-12-25"`, ""},
	{"date-math@v1", `{"date":"2024-05-01T23:30:00+02:00","hours":1}`, `…"date":"2024-05-02T00:30:00+02:00"`, ""},
	{"date-math@v1", `{"date":"2024-01-31","until":"2025-03-01"}`, `…"difference":{"seconds":34128000,"days":395,"years":1,"months":1,"remaining_days":1}`, ""},
	{"date-math@v1", `{"date":"2024-03-01","until":"2024-02-01"}`, `…"days":-29|"months":-1`, ""},
	{"date-math@v1", `{"date":"9999-12-31","days":1}`, "", "year 10000"},
	{"date-math@v1", `{"date":"2024-02-30"}`, "", "must be YYYY-MM-DD"},
	{"date-math@v1", `{"date":"2024-02-01","days":1.5}`, "", "whole number"},

	{"extract@v1", `{"text":"a1 b22","pattern":"(?P<l>[a-z])(\\d+)|(z)"}`, `{"matches":[{"text":"a1","start":0,"end":2,"groups":["a","1",null],"named":{"l":"a"}},{"text":"b22","start":3,"end":6,"groups":["b","22",null],"named":{"l":"b"}}],"count":2,"truncated":false}`, ""},
	{"extract@v1", `{"text":"aaa","pattern":"a","limit":2}`, `…"count":2,"truncated":true`, ""},
	{"extract@v1", `{"text":"x","pattern":"("}`, "", "is not an RE2 expression"},
	{"extract@v1", `{"text":"x","pattern":"(a{1000}){1000}"}`, "", "is not an RE2 expression"},

	{"statistics@v1", `{"numbers":[1,2,3,4]}`, `{"count":4,"sum":10,"min":1,"max":4,"mean":2.5,"median":2.5,"p25":1.75,"p75":3.25,"p95":3.85,"variance_population":1.25,"stdev_population":1.11803398874989,"variance_sample":1.66666666666667,"stdev_sample":1.29099444873581}`, ""},
	{"statistics@v1", `{"numbers":[0.1,0.2,0.3]}`, `…"sum":0.6`, ""},
	{"statistics@v1", `{"numbers":[7]}`, `…"stdev_population":0|"stdev_sample":null`, ""},
	{"statistics@v1", `{"numbers":[]}`, "", "is empty"},
	{"statistics@v1", `{"numbers":[1,"2"]}`, "", "element 1"},
	{"statistics@v1", `{"numbers":[1e200]}`, "", "element 0"},
	{"statistics@v1", `{"numbers":5}`, "", "array of numbers"},

	{"uuid5@v1", `{"name":"www.example.com","namespace":"dns"}`, `{"uuid":"2ed6657d-e927-568b-95e1-2665a8aea6a2"}`, ""},
	{"uuid5@v1", `{"name":"x","namespace":"6ba7b811-9dad-11d1-80b4-00c04fd430c8"}`, `…"uuid":"`, ""},
	{"uuid5@v1", `{"name":"x","namespace":"nope"}`, "", "must be dns, url"},
}

func TestCapabilities(t *testing.T) {
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			out, err := capability(t, c.id).Run(context.Background(), parse(t, c.in))
			if c.wantErr != "" {
				var in *InputError
				if !errors.As(err, &in) || !strings.Contains(err.Error(), c.wantErr) {
					t.Fatalf("%s: got %s, %v; want an InputError with %q", c.in, out, err, c.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", c.in, err)
			}
			if pieces, ok := strings.CutPrefix(c.want, "…"); ok {
				for _, p := range strings.Split(pieces, "|") {
					if !bytes.Contains(out, []byte(p)) {
						t.Errorf("%s:\n got %.500s\nwant %s", c.in, out, p)
					}
				}
			} else if string(out) != c.want {
				t.Errorf("%s:\n got %s\nwant %s", c.in, out, c.want)
			}
		})
	}
}

// Every result fits its own output schema, every accepted input its input
// schema, and both are schemas that the metaschema accepts.
func TestSchemasDescribeTheTruth(t *testing.T) {
	compiled := func(raw json.RawMessage) *jsonschema.Schema {
		s, err := compileSchema(parse(t, string(raw)), true)
		if err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		return s
	}
	valid := func(s *jsonschema.Schema, raw []byte) error {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return err
		}
		return s.Validate(doc)
	}
	tried := map[string]bool{}
	for _, c := range cases {
		b := capability(t, c.id)
		in, out := compiled(b.Row.InputSchema), compiled(b.Row.OutputSchema)
		res, err := b.Run(context.Background(), parse(t, c.in))
		if err != nil {
			continue
		}
		tried[c.id] = true
		if err := valid(in, []byte(c.in)); err != nil {
			t.Errorf("%s accepts %s, its schema does not: %v", c.id, c.in, err)
		}
		if err := valid(out, res); err != nil {
			t.Errorf("%s gives %s, its schema does not: %v", c.id, res, err)
		}
	}
	for _, b := range All() {
		if !tried[b.Row.CapabilityID] {
			t.Errorf("%s has no good case", b.Row.CapabilityID)
		}
	}
}

func TestRows(t *testing.T) {
	id := regexp.MustCompile(`^[A-Za-z0-9_.@-]{2,80}$`)
	product := regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	seen := map[string]bool{}
	for _, c := range All() {
		r := c.Row
		if !id.MatchString(r.CapabilityID) || !strings.HasSuffix(r.CapabilityID, "@v1") || !id.MatchString(r.ProductID) || !product.MatchString(r.ProductID) || strings.Contains(r.ProductID, "..") {
			t.Errorf("ids %q, %q", r.ProductID, r.CapabilityID)
		}
		if seen[r.CapabilityID] {
			t.Errorf("%s twice", r.CapabilityID)
		}
		seen[r.CapabilityID] = true
		if r.PriceMicros < 1000 || r.PriceMicros > 10_000 || r.RoutedMicros != r.PriceMicros {
			t.Errorf("%s costs %d", r.CapabilityID, r.PriceMicros)
		}
		if r.SourceHub != catalog.Local || !r.Builtin || r.Demo || r.TrustScore < 0.35 || r.Name == "" || len(r.Description) < 80 || r.InvokeURL != "" || c.Run == nil {
			t.Errorf("%+v", r)
		}
	}
	if len(seen) < 10 || capability(t, "echo@v1").Row.PriceMicros != 1000 {
		t.Errorf("%d capabilities", len(seen))
	}
}

// Results are the canonical spelling of themselves but for key order, so that a
// digest never depends on who reprints the numbers.
func TestResultsAreCanonical(t *testing.T) {
	for _, c := range cases {
		out, err := capability(t, c.id).Run(context.Background(), parse(t, c.in))
		if err != nil {
			continue
		}
		v := parse(t, string(out))
		compact := v.AppendCompact(nil)
		if len(compact) != len(out) {
			t.Errorf("%s: %s reprints as %s", c.id, out, compact)
		}
		again, _ := capability(t, c.id).Run(context.Background(), parse(t, c.in))
		if !bytes.Equal(out, again) {
			t.Errorf("%s: %s, then %s", c.id, out, again)
		}
	}
}

func TestBounds(t *testing.T) {
	long := func(n int) string { return strings.Repeat("a", n) }
	bomb := `{"$defs":{"a0":{"type":"object"}`
	for i := 1; i < 40; i++ {
		bomb += fmt.Sprintf(`,"a%d":{"allOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, i, i-1, i-1)
	}
	bomb += `},"$ref":"#/$defs/a39"}`
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for name, c := range map[string]struct{ id, in string }{
		"schema bomb by references": {"validate-json@v1", `{"schema":` + bomb + `,"instance":{}}`},
		"schema bomb by depth":      {"validate-json@v1", `{"schema":{"items":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}},"instance":` + deep + `}`},
		"schema bomb by patterns":   {"validate-json@v1", `{"schema":{"$defs":{"p":{"pattern":"(a|b)*c{300}d"}},"allOf":[` + strings.Repeat(`{"$ref":"#/$defs/p"},`, 1000) + `{}]},"instance":"` + long(200_000) + `"}`},
		"schema bomb by names":      {"validate-json@v1", `{"schema":{"$defs":{"p":{"propertyNames":{"pattern":"(a|b)*c{300}d"}}},"allOf":[` + strings.Repeat(`{"$ref":"#/$defs/p"},`, 1000) + `{}]},"instance":{"` + long(200_000) + `":1}}`},
		"schema bomb by formats":    {"validate-json@v1", `{"formats":true,"schema":{"$defs":{"p":{"format":"regex"}},"allOf":[` + strings.Repeat(`{"$ref":"#/$defs/p"},`, 1000) + `{}]},"instance":"` + long(200_000) + `"}`},
		"long echo":                 {"echo@v1", `{"text":"` + long(maxEcho) + `"}`},
		"long schema":               {"validate-json@v1", `{"schema":{"title":"` + long(maxSchema) + `"},"instance":1}`},
		"long instance":             {"validate-json@v1", `{"schema":{},"instance":"` + long(maxInstance) + `"}`},
		"long hash text":            {"hash@v1", `{"text":"` + long(maxText+1) + `"}`},
		"long QR text":              {"qr-code@v1", `{"text":"` + long(maxQRText+1) + `"}`},
		"long CSV":                  {"csv-to-json@v1", `{"csv":"` + long(maxCSV+1) + `"}`},
		"CSV that grows":            {"csv-to-json@v1", `{"csv":"` + long(2000) + `\n` + strings.Repeat(`1\n`, 100_000) + `"}`},
		"wide CSV":                  {"csv-to-json@v1", `{"csv":"` + strings.Repeat(",", maxCSVColumns) + `"}`},
		"many lines":                {"diff@v1", `{"before":"` + strings.Repeat(`\n`, maxDiffLines+1) + `","after":""}`},
		"dear expression":           {"extract@v1", `{"text":"` + long(100_000) + `","pattern":"(x+x+)+(y?){500}(z?){400}"}`},
		"many groups":               {"extract@v1", `{"text":"a","pattern":"` + strings.Repeat("(a)", maxGroups+1) + `"}`},
		"many numbers":              {"statistics@v1", `{"numbers":[` + strings.Repeat("1,", maxNumbers) + `1]}`},
		"long slug text":            {"slug@v1", `{"text":"` + long(maxSlugText+1) + `"}`},
	} {
		out, err := capability(t, c.id).Run(context.Background(), parse(t, c.in))
		var in *InputError
		if !errors.As(err, &in) {
			t.Errorf("%s: %.100s, %v", name, out, err)
		}
	}
	// The largest that is allowed works and stays within MaxOutput.
	for _, c := range []struct{ id, in string }{
		{"qr-code@v1", `{"text":"` + long(maxQRText) + `","level":"H","scale":16}`},
		{"qr-code@v1", `{"text":"` + long(maxQRText) + `","level":"H","format":"svg"}`},
		{"qr-code@v1", `{"text":"` + long(maxQRText) + `","level":"H","format":"terminal"}`},
		{"text-stats@v1", `{"text":"` + strings.Repeat("ab ", maxText/3) + `"}`},
		{"transcode@v1", `{"data":"` + strings.Repeat("é", maxText/2) + `","from":"text","to":"url"}`},
	} {
		if out, err := capability(t, c.id).Run(context.Background(), parse(t, c.in)); err != nil || len(out) > MaxOutput {
			t.Errorf("%s: %d bytes, %v", c.id, len(out), err)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := capability(t, "diff@v1").Run(ctx, parse(t, `{"before":"a","after":"b"}`))
	var in *InputError
	if !errors.Is(err, context.Canceled) || errors.As(err, &in) {
		t.Errorf("got %v", err)
	}
}

// TestInputErrorsAreTheCallersFault: the router answered a bad input with 502, as
// if the capability had failed.
func TestInputErrorsAreTheCallersFault(t *testing.T) {
	for _, c := range All() {
		input, err := canon.Parse([]byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Run(t.Context(), input)
		var fault routing.InputFault
		if !errors.As(err, &fault) || !fault.InvalidInput() {
			t.Errorf("%s answers an empty input with %v, which the router does not know for the caller's fault", c.Row.CapabilityID, err)
		}
	}
}
