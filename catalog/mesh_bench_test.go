package catalog

import (
	"context"
	"slices"
	"testing"

	"github.com/aimarket/aimarket/internal/store"
)

// diskMember is a member on a real disk.
func diskMember(b *testing.B, n byte, c *clock) *member {
	b.Helper()
	db, err := store.Open(b.TempDir(), store.Options{CacheBytes: 64 << 20})
	if err != nil {
		b.Fatal(err)
	}
	m := &member{hub: &hub{t: b, db: db, clock: c, urls: &publicOnly{}}, key: keyOf(n)}
	m.cfg = Config{Store: db, Signer: m.key, URLs: m.urls, Now: c.Now, HubURL: "http://localhost:9083", HubName: "Bench", MinTrust: 0.3, Admission: AdmitAll}
	if m.Catalog, err = Open(context.Background(), m.cfg); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.hub.close(b) })
	return m
}

// A one-tool change to a listing of 1,000 tools must cost less than a twentieth of
// taking the whole: "whole" and "change" below.
func BenchmarkIntake(b *testing.B) {
	take := func(b *testing.B, m *member, raw []byte) {
		u, err := ParseUpdate(raw)
		if err != nil {
			b.Fatal(err)
		}
		if in := m.TakeUpdate(context.Background(), u, byAuthor); in.Verdict != Accept || !in.Changed {
			b.Fatalf("%+v", in)
		}
	}
	setup := func(b *testing.B) (owner, receiver *member, rows []Capability) {
		c := &clock{now: testStart}
		owner, receiver = diskMember(b, 1, c), diskMember(b, 2, c)
		rows = benchRows(MaxListed)
		owner.put(rows...)
		return owner, receiver, rows
	}
	b.Run("whole", func(b *testing.B) {
		owner, receiver, rows := setup(b)
		for i := range b.N {
			b.StopTimer()
			for j := range rows {
				rows[j].PriceMicros = int64(i + 1)
			}
			owner.put(rows...)
			raw := owner.next(b, false).Raw()
			b.StartTimer()
			take(b, receiver, raw)
		}
	})
	b.Run("change", func(b *testing.B) {
		owner, receiver, rows := setup(b)
		take(b, receiver, owner.next(b, false).Raw())
		b.ResetTimer()
		for i := range b.N {
			b.StopTimer()
			r := rows[i%len(rows)]
			r.PriceMicros = int64(1_000_000 + i)
			owner.put(r)
			raw := slices.Clone(owner.next(b, false).Raw())
			b.StartTimer()
			take(b, receiver, raw)
		}
	})
	b.Run("next", func(b *testing.B) {
		owner, _, rows := setup(b)
		owner.next(b, false)
		b.ResetTimer()
		for i := range b.N {
			b.StopTimer()
			r := rows[i%len(rows)]
			r.PriceMicros = int64(1_000_000 + i)
			owner.put(r)
			b.StartTimer()
			owner.next(b, false)
		}
	})
}
