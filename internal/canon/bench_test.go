package canon_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
)

// invokeBody is a usual invoke request of about 200 bytes.
const invokeBody = `{"product_id":"prod-001","capability_id":"translate.multi@v2","source_hub":"local",` +
	`"input":{"text":"The quick brown fox jumps over the lazy dog","locales":["de","fr"],"max":3},"max_price_usd":0.01}`

func BenchmarkParseInvokeBody(b *testing.B) {
	body := []byte(invokeBody)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canon.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFloorUnmarshal is what the standard library needs for the same body.
func BenchmarkFloorUnmarshal(b *testing.B) {
	body := []byte(invokeBody)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseText64KiB(b *testing.B) {
	body := []byte(`{"text":"` + strings.Repeat("Zwölf Boxkämpfer jagen ", 1<<16/24) + `"}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canon.Parse(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReceiptMessage(b *testing.B) {
	raw, err := os.ReadFile("testdata/vectors/receipt-v2-signed.json")
	if err != nil {
		b.Fatal(err)
	}
	doc := parse(b, string(raw))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := canon.ReceiptMessage(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkManifestMessage1000Tools(b *testing.B) {
	raw, err := os.ReadFile("testdata/vectors/manifest-signed.json")
	if err != nil {
		b.Fatal(err)
	}
	one := string(parse(b, string(raw)).Get("tools").Raw())
	tool := one[strings.IndexByte(one, '{') : strings.LastIndexByte(one, '}')+1]
	doc := parse(b, `{"generated_at":"t","tools":[`+strings.Repeat(tool+",", 999)+tool+`]}`)
	b.SetBytes(int64(len(doc.Raw())))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canon.ManifestMessage(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendMicros(b *testing.B) {
	buf := make([]byte, 0, 32)
	b.ReportAllocs()
	for b.Loop() {
		buf = canon.AppendMicros(buf[:0], 4_997_000)
	}
}

func BenchmarkParseMicros(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canon.ParseMicros("0.001"); err != nil {
			b.Fatal(err)
		}
	}
}
