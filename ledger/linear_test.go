package ledger_test

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/aimarket/aimarket/ledger"
)

// One operation on one channel, as its caller saw it.
type (
	linearIn struct {
		op     string // hold, capture, release, close, read
		ref    string
		amount ledger.Money
	}
	linearOut struct {
		kind ledger.Kind // "" success
		ch   ledger.Channel
		bal  ledger.Money
	}
	// linearState is the channel of the sequential specification. Its holds are
	// a sorted text so that states compare with ==.
	linearState struct {
		free, used, held ledger.Money
		closed           bool
		holds            string // "ref=amount;" in no order that matters: refs are unique
		n                int
	}
)

const linearDeposit = 15

func linearStep(state, input, output any) (bool, any) {
	s, in, out := state.(linearState), input.(linearIn), output.(linearOut)
	switch in.op {
	case "hold":
		switch {
		case s.closed:
			return out.kind == ledger.KindChannelNotOpen, s
		case in.amount > s.free:
			return out.kind == ledger.KindInsufficient, s
		}
		s.free -= in.amount
		s.held += in.amount
		s.n++
		s.holds = put(s.holds, in.ref)
		return out.kind == "" && out.bal == s.free, s
	case "capture":
		if !has(s.holds, in.ref) {
			return out.kind == ledger.KindHoldResolved, s
		}
		s.holds = cut(s.holds, in.ref)
		s.held -= in.amount
		s.used += in.amount
		s.n--
		return out.kind == "", s
	case "release":
		if has(s.holds, in.ref) {
			s.holds = cut(s.holds, in.ref)
			s.held -= in.amount
			s.free += in.amount
			s.n--
		}
		return out.kind == "", s
	case "close":
		switch {
		case s.closed:
			return out.kind == "" && out.bal == s.free, s // the owner gets the settlement again
		case s.n > 0:
			return out.kind == ledger.KindPending, s
		}
		s.closed = true
		return out.kind == "" && out.bal == s.free, s
	default:
		return out.ch.Balance == s.free && out.ch.Used == s.used && out.ch.Held == s.held && (out.ch.Status != ledger.StatusOpen) == s.closed, s
	}
}

// The holds of a state are a sorted list of fixed-width references in a string.
const refWidth = 4

func put(holds, ref string) string {
	for i := 0; i < len(holds); i += refWidth {
		if holds[i:i+refWidth] > ref {
			return holds[:i] + ref + holds[i:]
		}
	}
	return holds + ref
}

func has(holds, ref string) bool { return len(cut(holds, ref)) < len(holds) }

func cut(holds, ref string) string {
	for i := 0; i < len(holds); i += refWidth {
		if holds[i:i+refWidth] == ref {
			return holds[:i] + holds[i+refWidth:]
		}
	}
	return holds
}

// TestLinearizable lets concurrent callers race on one channel and asks porcupine
// for an order of their operations that explains every answer. With two fronts,
// half of the callers use another ledger on the same storage.
func TestLinearizable(t *testing.T) {
	m := porcupine.Model{
		Init: func() any { return linearState{free: linearDeposit} },
		Step: linearStep,
		DescribeOperation: func(in, out any) string {
			return fmt.Sprintf("%+v → %+v", in, out)
		},
	}
	for _, fronts := range []int{1, 2} {
		t.Run(fmt.Sprintf("fronts=%d", fronts), func(t *testing.T) {
			for seed := range int64(40) {
				history := linearHistory(t, seed, fronts)
				if res := porcupine.CheckOperationsTimeout(m, history, 10*time.Second); res != porcupine.Ok {
					t.Fatalf("seed %d: history of %d operations is %v", seed, len(history), res)
				}
			}
		})
	}
}

func linearHistory(t *testing.T, seed int64, fronts int) []porcupine.Operation {
	h := newHub(t, onPebble(t))
	id, secret := h.open(t, linearDeposit)
	ledgers := []*ledger.Ledger{h.Ledger}
	for n := 1; n < fronts; n++ {
		other := newHub(t, func(c *ledger.Config) { c.Storage, c.Owner = h.storage, fmt.Sprintf("front-%d", n+1) })
		ledgers = append(ledgers, other.Ledger)
	}
	var mu sync.Mutex
	var history []porcupine.Operation
	start := time.Now()
	record := func(client int, in linearIn, do func() (ledger.Channel, ledger.Money, error)) error {
		call := time.Since(start).Nanoseconds()
		ch, bal, err := do()
		var e *ledger.Error
		out := linearOut{ch: ch, bal: bal}
		if errors.As(err, &e) {
			out.kind = e.Kind
		} else if err != nil {
			t.Error(err)
		}
		ret := time.Since(start).Nanoseconds()
		mu.Lock()
		defer mu.Unlock()
		history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: ret})
		return err
	}
	var wg sync.WaitGroup
	for client := range 5 {
		wg.Go(func() {
			l := ledgers[client%fronts]
			rng := rand.New(rand.NewSource(seed*100 + int64(client)))
			for n := range 6 {
				ref := fmt.Sprintf("%02d%02d", client, n)
				amount := ledger.Money(rng.Intn(12))
				var hold *ledger.Hold
				err := record(client, linearIn{"hold", ref, amount}, func() (ledger.Channel, ledger.Money, error) {
					var err error
					hold, err = l.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, Amount: amount, ReceiptID: ref})
					if err != nil {
						return ledger.Channel{}, 0, err
					}
					return ledger.Channel{}, hold.Balance, nil
				})
				if err == nil {
					op := []string{"capture", "release"}[rng.Intn(2)]
					_ = record(client, linearIn{op, ref, amount}, func() (ledger.Channel, ledger.Money, error) {
						if op == "capture" {
							return ledger.Channel{}, 0, l.Capture(ctx, hold, delivery(ref))
						}
						return ledger.Channel{}, 0, l.Release(ctx, hold)
					})
				}
				switch rng.Intn(8) {
				case 0:
					_ = record(client, linearIn{op: "close"}, func() (ledger.Channel, ledger.Money, error) {
						s, err := l.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id, Secret: secret})
						return ledger.Channel{}, s.Refund, err
					})
				case 1, 2:
					_ = record(client, linearIn{op: "read"}, func() (ledger.Channel, ledger.Money, error) {
						ch, err := l.Channel(ctx, id)
						return ch, 0, err
					})
				}
			}
		})
	}
	wg.Wait()
	h.check(t)
	return history
}
