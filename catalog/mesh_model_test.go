package catalog

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// Whatever an owner publishes, and in whatever order, how often and how incompletely
// its updates arrive: after one exchange of heads and fetches every receiver lists
// exactly what the owner does.
func TestMeshModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := &clock{now: testStart}
		ms := make([]*member, 3)
		for i := range ms {
			ms[i] = newMember(t, byte(i+1), c)
			defer ms[i].close(t)
		}
		a, ctx := ms[0], context.Background()
		var sent []*Update
		draw := func(t *rapid.T) Capability {
			r := row(rapid.SampledFrom([]string{"p1", "p2"}).Draw(t, "product"), rapid.SampledFrom([]string{"a@v1", "b@v1", "c@v1", "d@v1", "e@v1"}).Draw(t, "capability"))
			r.PriceMicros = rapid.Int64Range(0, 3).Draw(t, "price")
			return r
		}
		source := func(t *rapid.T) Source {
			return rapid.SampledFrom([]Source{byAuthor, byRelay}).Draw(t, "source")
		}
		fine := func(in Intake) {
			if in.Reason == ReasonStorage || in.Reason == ReasonMismatch || in.Reason == ReasonMalformed {
				t.Fatalf("%+v", in)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(t *rapid.T) {
				must0(t, a.Put(ctx, rapid.SliceOfN(rapid.Custom(draw), 1, 5).Draw(t, "rows")))
			},
			"unpublish": func(t *rapid.T) {
				if err := a.Remove(ctx, draw(t).Key); err != nil && !errors.Is(err, ErrUnknown) {
					t.Fatal(err)
				}
			},
			"measure": func(t *rapid.T) {
				a.Observe(draw(t).Key, true, 5*time.Millisecond)
				a.fold(c.Now())
			},
			"send": func(t *rapid.T) {
				c.add(time.Duration(rapid.Int64Range(0, 50).Draw(t, "ms")) * time.Millisecond)
				u, err := a.NextUpdate(ctx, rapid.Bool().Draw(t, "refresh"))
				must0(t, err)
				if u != nil {
					sent = append(sent, u)
				}
			},
			"deliver": func(t *rapid.T) {
				if len(sent) > 0 {
					u := rapid.SampledFrom(sent).Draw(t, "update")
					fine(ms[rapid.IntRange(1, 2).Draw(t, "to")].give(t, u, source(t)))
				}
			},
			"deliver head": func(t *rapid.T) {
				if len(sent) > 0 {
					u := rapid.SampledFrom(sent).Draw(t, "update")
					fine(ms[rapid.IntRange(1, 2).Draw(t, "to")].tell(t, u.Head, source(t)))
				}
			},
			"restart": func(t *rapid.T) { ms[rapid.IntRange(0, 2).Draw(t, "hub")].reopen(t) },
			"": func(t *rapid.T) {
				for _, m := range ms[1:] {
					p, ok := m.PeerByKey(a.pub())
					if ok && p.Held != "" {
						l, err := readListing(m.db, a.pub())
						if err != nil || l.digest() != p.Held {
							t.Fatalf("held is %s, stored %s, %v", p.Held, l.digest(), err)
						}
					}
				}
			},
		})
		a.next(t, true)
		for i, m := range ms[1:] {
			from := a
			if i == 1 {
				from = ms[1] // who was repaired serves the next
			}
			h, ok := from.HeadOf(a.pub())
			if !ok {
				t.Fatalf("no head of the owner")
			}
			if in := m.tell(t, h, byRelay); in.Want != nil {
				in = m.fetch(t, from, a.pub(), in.Want.Have)
				if in.Reason != ReasonApplied {
					t.Fatalf("fetched: %+v", in)
				}
			}
			if diff := cmp.Diff(a.offers(t, Local), m.offers(t, KeyURL(a.pub()))); diff != "" {
				t.Fatalf("rows differ (-owner +receiver):\n%s", diff)
			}
			consistent(t, m.Catalog)
		}
	})
}
