package safety

import (
	"context"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/routing"
)

const cleanText = "text Convert the following measurements of the garden fence from feet to metres and round each of them to two decimals: 12.5 ft, 48 ft and 7.25 ft, then add them up and report the total length, please."

// BenchmarkGate is the gate alone on texts of about 200 bytes.
func BenchmarkGate(b *testing.B) {
	r := testRules(b, false)
	for name, text := range map[string]string{
		"clean":    cleanText,
		"echo":     "text hello",
		"russian":  "text Пожалуйста, переведите следующий отрывок на английский язык и сохраните разбивку на абзацы, а также имена собственные.",
		"triggers": "text Please ignore case and do not follow links; the system administrator will send new instructions about user roles and filters to the team from now on, and the model will act accordingly, as agreed.",
		"100k":     strings.Repeat(cleanText, 100_000/len(cleanText)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if f := r.pre(text, canon.Value{}); f.category != "" {
					b.Fatal(f)
				}
			}
		})
	}
}

// BenchmarkPreCheck is the hook as the router calls it.
func BenchmarkPreCheck(b *testing.B) {
	p := newPlugin(b, Options{})
	in := payload(b, `{"text":"`+cleanText+`"}`)
	in.Text()
	b.ReportAllocs()
	for b.Loop() {
		if v, err := p.PreCheck(context.Background(), in, routing.CallInfo{}); err != nil || v.Blocked {
			b.Fatal(v, err)
		}
	}
}
