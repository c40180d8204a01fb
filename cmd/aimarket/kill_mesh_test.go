package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
)

// TestKillLoopMesh kills two hubs of a mesh in turns while one of them changes what it
// lists. What was answered is listed after the restart; what was cut off is listed or is
// not; and the other hub ends with exactly that, without having caught the first one
// signing two listings under one sequence.
func TestKillLoopMesh(t *testing.T) {
	rounds, rng := soak(t)
	dir := t.TempDir()
	flags := []string{"--admission", "open", "--allow-local-publish", "--publishes-per-hour", "0", "--skip-seed"}
	watch := startMember(t, filepath.Join(dir, "watch"), append(flags, "--hub-name", "watch")...)
	shop := &shop{t: t, rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), listed: map[string]string{}}
	shop.process = startMember(t, filepath.Join(dir, "shop"), append(flags, "--hub-name", "shop", "--bootstrap", joins(t, watch))...)
	if _, err := newClient(t, shop.process).Stake(t.Context(), "", "keeper", "10"); err != nil {
		t.Fatal(err)
	}
	for round := range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); shop.changeUntilCut(ctx) }()
		time.Sleep(time.Duration(50+rng.IntN(400)) * time.Millisecond) // how long it lives is the experiment
		if rng.IntN(3) == 0 {
			watch.kill() // misses what comes then
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			watch = startMember(t, filepath.Join(dir, "watch"), append(flags, "--hub-name", "watch", "--bootstrap", joins(t, shop.process))...)
		}
		shop.kill()
		cancel()
		<-done
		shop.process = startMember(t, filepath.Join(dir, "shop"), append(flags, "--hub-name", "shop", "--bootstrap", joins(t, watch))...)
		shop.settle()
		c := newClient(t, watch)
		var seen map[string]string
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
			if seen = offers(t, c); maps.Equal(seen, shop.listed) {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: the shop lists %v, the other hub %v", round, shop.listed, seen)
			}
		}
		peers, err := c.Peers(t.Context(), "")
		if err != nil || len(peers.Peers) != 1 || peers.Peers[0].Status != "active" || strings.Contains(string(peers.Raw.Raw), "equivocations") {
			t.Fatalf("round %d: %v, %s", round, err, peers.Raw.Raw)
		}
	}
	t.Logf("%d changes in %d lives", shop.made, rounds)
	if shop.made < rounds {
		t.Errorf("%d changes in %d rounds prove little", shop.made, rounds)
	}
}

func joins(t *testing.T, p *process) string {
	t.Helper()
	address, err := joinAddress(p.url)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// offers are the prices of what a hub finds, by capability.
func offers(t *testing.T, c *client.Client) map[string]string {
	t.Helper()
	r, err := c.Search(t.Context(), client.Query{Intent: "product:shop", Limit: 100, MinTrust: "0"})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, m := range r.Matches {
		out[m.CapabilityID] = m.PriceUSD.String()
	}
	return out
}

// shop is a hub whose listing changes all the time.
type shop struct {
	*process
	t      *testing.T
	rng    *rand.Rand
	listed map[string]string // capability -> price, as far as it was answered
	cut    string            // the capability whose change was cut off, "" for none
	want   string            // the price that it would have; "" for none
	made   int               // changes that were answered
}

func (s *shop) changeUntilCut(ctx context.Context) {
	c := newClient(s.t, s.process)
	for ctx.Err() == nil {
		id, price := fmt.Sprintf("work-%d@v1", s.rng.IntN(12)), ""
		var err error
		if _, listed := s.listed[id]; listed && s.rng.IntN(3) == 0 {
			_, err = c.Unpublish(ctx, "", "shop", id, "keeper")
		} else {
			price = fmt.Sprintf("0.%d", 1+s.rng.IntN(99998))
			price = strings.TrimRight(price, "0")
			_, err = c.Publish(ctx, "", fmt.Appendf(nil, `{"product_id":"shop","capability_id":%q,"name":"work","description":"does some work",
				"invoke_url":"http://127.0.0.1:9/work","price_per_call_usd":%s,"publisher_id":"keeper"}`, id, price))
		}
		var refused *client.Error
		switch {
		case errors.As(err, &refused) && refused.Status != 0:
			s.t.Errorf("changing %s: %v", id, err)
			return
		case err != nil:
			s.cut, s.want = id, price
			return
		}
		s.list(id, price)
		s.made++
	}
}

func (s *shop) list(id, price string) {
	if price == "" {
		delete(s.listed, id)
		return
	}
	s.listed[id] = price
}

// settle looks what became of the change that was cut off; all others must be there.
func (s *shop) settle() {
	s.t.Helper()
	have := offers(s.t, newClient(s.t, s.process))
	if !maps.Equal(have, s.listed) && s.cut != "" {
		s.list(s.cut, s.want)
	}
	if !maps.Equal(have, s.listed) {
		s.t.Fatalf("the hub lists %v, answered were %v; %q was cut off on its way to %q", have, s.listed, s.cut, s.want)
	}
	s.cut = ""
}
