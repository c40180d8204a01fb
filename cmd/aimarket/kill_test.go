package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
)

// soak is how often to kill, and when: as the environment says, or a few times at random.
func soak(t *testing.T) (rounds int, rng *rand.Rand) {
	rounds = 3
	if v, err := strconv.Atoi(os.Getenv("AIMARKET_SOAK_ROUNDS")); err == nil {
		rounds = v
	}
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv("AIMARKET_SEED"), 10, 64); err == nil {
		seed = v
	}
	t.Logf("AIMARKET_SEED=%d", seed)
	return rounds, rand.New(rand.NewPCG(seed, 0))
}

// TestKillLoop kills the real program under load, again and again on the same
// folder, and then holds it to the promise of payments invariant 12: an answered
// call is billed exactly once; a call whose answer was cut off is not billed, or
// billed once with its answer waiting under its request id; the books balance.
func TestKillLoop(t *testing.T) {
	rounds, rng := soak(t)
	data := filepath.Join(t.TempDir(), "data")

	const buyers = 8
	var all []*buyer
	hub := startProcess(t, data)
	for i := range buyers {
		ch, err := newClient(t, hub).OpenChannel(t.Context(), client.OpenRequest{DepositUSD: "100"})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &buyer{name: fmt.Sprint("b", i), channel: ch, answers: map[string][]byte{}})
	}
	for round := range rounds {
		var wg sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for _, b := range all {
			wg.Go(func() { b.callUntilCut(ctx, newClient(t, hub), round) })
		}
		time.Sleep(time.Duration(50+rng.IntN(400)) * time.Millisecond) // how long it lives is the experiment
		hub.kill()
		cancel()
		wg.Wait()

		if out, err := exec.Command("aimarket", "check", "--data", data).CombinedOutput(); err != nil {
			t.Fatalf("round %d: check: %v\n%s", round, err, out)
		}
		hub = startProcess(t, data)
		for _, b := range all {
			b.settle(t, newClient(t, hub))
		}
	}
}

// buyer calls one capability, each time with a request id of its own.
type buyer struct {
	name    string
	channel client.Channel
	answers map[string][]byte // by request id: the answer that arrived
	cut     []string          // request ids whose answer did not arrive
}

func newClient(t *testing.T, p *process) *client.Client {
	t.Helper()
	c, err := client.New(p.url, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (b *buyer) call(ctx context.Context, c *client.Client, id string) ([]byte, error) {
	o, err := c.Invoke(ctx, client.Invocation{
		ProductID: "aimarket.text", CapabilityID: "echo@v1", Input: json.RawMessage(fmt.Sprintf(`{"text":%q}`, id)),
		Channel: b.channel.ID, Secret: b.channel.Secret, RequestID: id,
	})
	return o.Raw.Raw, err
}

func (b *buyer) callUntilCut(ctx context.Context, c *client.Client, round int) {
	for i := 0; ctx.Err() == nil; i++ {
		id := fmt.Sprintf("%s-%d-%d", b.name, round, i)
		answer, err := b.call(ctx, c, id)
		if err != nil {
			b.cut = append(b.cut, id)
			return
		}
		b.answers[id] = bytes.Clone(answer)
	}
}

// settle checks what the restarted hub says and repeats what was cut off.
func (b *buyer) settle(t *testing.T, c *client.Client) {
	t.Helper()
	const price = 1000 // micro-USD
	billed := b.used(t, c) / price
	if billed < len(b.answers) || billed > len(b.answers)+len(b.cut) {
		t.Fatalf("%s: %d calls billed, %d answered and %d cut off", b.name, billed, len(b.answers), len(b.cut))
	}
	for _, id := range b.cut {
		answer, err := b.call(t.Context(), c, id)
		if err != nil {
			t.Fatalf("%s: repeating %s: %v", b.name, id, err)
		}
		var a struct{ Receipt struct{ Nonce string } }
		if err := json.Unmarshal(answer, &a); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Receipt(t.Context(), a.Receipt.Nonce); err != nil {
			t.Fatalf("%s: receipt of %s: %v", b.name, id, err)
		}
		b.answers[id] = answer
	}
	b.cut = nil
	n := 0
	for id, first := range b.answers {
		if n++; n > 20 {
			break
		}
		again, err := b.call(t.Context(), c, id)
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("%s: %s answered %s, then %s (%v)", b.name, id, first, again, err)
		}
	}
	if billed := b.used(t, c) / price; billed != len(b.answers) {
		t.Fatalf("%s: %d calls billed for %d answers", b.name, billed, len(b.answers))
	}
}

// used is what the channel has spent, in micro-USD.
func (b *buyer) used(t *testing.T, c *client.Client) int {
	t.Helper()
	ch, err := c.Channel(t.Context(), b.channel.ID)
	if err != nil {
		t.Fatal(err)
	}
	f, err := ch.Used.Float64()
	if err != nil {
		t.Fatal(err)
	}
	return int(f*1e6 + 0.5)
}
