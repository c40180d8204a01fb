package factory

import (
	"context"
	"log/slog"
	"testing"
)

var quiet = slog.New(slog.DiscardHandler)

// Whatever pipeline.json holds, what it yields can be listed.
func FuzzPipeline(f *testing.F) {
	for _, s := range []string{
		`{"products":{"p1":{"idea":"poem api","state":"COMPLETED","spec":{"product_name":"Odes"}}}}`,
		`{"products":{"p1":{"state":"completed","spec":"{\"capability_price_per_call_usd\":0.5}","capability_price_per_call_usd":1e-6}}}`,
		`{"products":{"../x":{"state":"COMPLETED"},"a":[]}}`, `{"products":null}`, `[]`, ``, `{"products":{"..":{}}}`,
	} {
		f.Add([]byte(s))
	}
	m := newMarket(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := &Report{seen: map[string]bool{}, log: quiet}
		found, err := parsePipeline(raw, r)
		if err != nil && len(found) > 0 && len(found) != MaxProducts {
			t.Fatalf("%v, and %d products", err, len(found))
		}
		for _, p := range found {
			listable(t, m, p)
		}
	})
}

// Whatever a specification or marketing file holds, it is refused or listed.
func FuzzProductFiles(f *testing.F) {
	f.Add([]byte(`{"product_name":"Odes","delivery_profile":"cloud","capability_price_per_call_usd":0.25}`), []byte(`{"marketing":{"product_name":"Rhyme Bot"}}`))
	f.Add([]byte(`{"product_name":7,"capability_price_per_call_usd":"inf"}`), []byte(`{"marketing":7}`))
	f.Add([]byte(`{"capability_price_per_call_usd":-0}`), []byte(`{}`))
	f.Add([]byte(`null`), []byte(`null`))
	m := newMarket(f)
	f.Fuzz(func(t *testing.T, spec, marketing []byte) {
		p := product{id: "p1", idea: "poems", spec: spec}
		var err error
		if p.file, err = parseSpecification(spec); err != nil {
			return
		}
		if p.marketingName, err = parseMarketing(marketing); err != nil {
			return
		}
		listable(t, m, p)
	})
}

func listable(t *testing.T, m *market, p product) {
	rows, err := p.rows(testURL)
	if err != nil {
		return
	}
	if len(rows) == 0 {
		t.Fatal("neither rows nor an error")
	}
	if err := m.Put(context.Background(), rows); err != nil {
		t.Fatal(err)
	}
}
