package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An owner that changes and a receiver that takes, searches, serves and judges at the
// same time end with the same rows, and every head that leaves can be served.
func TestMeshConcurrently(t *testing.T) {
	ms := mesh(t, 2)
	a, b, ctx := ms[0], ms[1], context.Background()
	const rounds = 60
	updates := make(chan *Update, 2*rounds)
	var owners, others sync.WaitGroup
	stop := make(chan struct{})
	fail := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for w := range 2 {
		owners.Go(func() {
			for i := range rounds {
				r := row(fmt.Sprintf("prod-%d", w), fmt.Sprintf("tool%d@v1", i%7))
				r.PriceMicros = int64(i)
				fail(a.Put(ctx, []Capability{r}))
				u, err := a.NextUpdate(ctx, i%5 == 0)
				fail(err)
				if u != nil {
					updates <- u
				}
			}
		})
	}
	loop := func(f func()) {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					f()
				}
			}
		})
	}
	loop(func() {
		select {
		case u := <-updates:
			if in := b.give(t, u, byRelay); in.Verdict == Reject || in.Reason == ReasonStorage {
				t.Errorf("%+v", in)
			}
		case <-stop:
		}
	})
	loop(func() {
		raw, err := a.UpdateFor(ctx, a.pub(), "")
		if errors.Is(err, ErrUnknown) {
			return // before the first head
		}
		fail(err)
		u, err := ParseUpdate(raw)
		fail(err)
		if err == nil {
			b.TakeUpdate(ctx, u, byStream)
		}
	})
	loop(func() {
		b.Heads()
		b.HeadOf(a.pub())
		_, err := b.Search(ctx, Query{Intent: "tool1"})
		fail(err)
		_, err = b.UpdateFor(ctx, a.pub(), "")
		if err != nil && !errors.Is(err, ErrUnknown) {
			t.Error(err)
		}
		a.SetAddresses("peer", []string{fmt.Sprintf("/ip4/192.0.2.%d/tcp/1", len(updates)%5)}, "")
	})
	owners.Wait()
	close(stop)
	others.Wait()
	a.next(t, true)
	b.fetch(t, a, a.pub(), "")
	if diff := cmp.Diff(a.offers(t, Local), b.offers(t, KeyURL(a.pub()))); diff != "" {
		t.Fatalf("rows differ (-owner +receiver):\n%s", diff)
	}
	consistent(t, b.Catalog)
}
