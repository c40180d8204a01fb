package ledger_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/ledger"
)

// model is the ledger as a child would write it: a purse for each channel.
type model struct {
	channels map[string]*purse
	requests map[string]int // request id → answer
	next     int
}

type purse struct {
	secret                        string
	status                        ledger.Status
	deposit, free, used, refunded ledger.Money
	holds                         map[string]*modelHold
	seen                          map[string]bool
	calls                         int64
	expires                       time.Time
	paid                          bool
}

type modelHold struct {
	amount ledger.Money
	hold   *ledger.Hold
	at     time.Time
	drawn  bool
}

func (p *purse) held() (sum ledger.Money) {
	for _, h := range p.holds {
		sum += h.amount
	}
	return sum
}

// TestStateMachine runs random histories against the model; after each step every
// channel must equal its purse and every invariant must hold.
func TestStateMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHub(&testing.T{}, func(c *ledger.Config) {
			c.Exclusive = rapid.Bool().Draw(t, "exclusive")
			c.Limits = ledger.Limits{OpensPerWallet: -1, ClosesPerWallet: -1, ReapAfter: 30 * time.Hour}
		})
		m := &model{channels: make(map[string]*purse), requests: make(map[string]int)}
		pick := func() (string, *purse) {
			if len(m.channels) == 0 {
				t.Skip("no channel")
			}
			id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.channels))).Draw(t, "channel")
			return id, m.channels[id]
		}
		pickHold := func() (string, *purse, *modelHold) {
			id, p := pick()
			if len(p.holds) == 0 {
				t.Skip("no hold")
			}
			ref := rapid.SampledFrom(slices.Sorted(maps.Keys(p.holds))).Draw(t, "hold")
			return id, p, p.holds[ref]
		}
		payable := func(p *purse) bool { return p.status == ledger.StatusOpen && h.clock.Now().Before(p.expires) }
		spend := func(p *purse, id, ref string, amount ledger.Money, secret string) error {
			switch {
			case !payable(p):
				return ledger.ErrChannelNotOpen
			case secret != p.secret:
				return ledger.ErrUnauthorized
			case amount > p.free:
				return ledger.ErrInsufficient
			case p.seen[ref]:
				return ledger.ErrReplay
			}
			return nil
		}
		draw := func() (id string, p *purse, r ledger.HoldRequest) {
			id, p = pick()
			r = ledger.HoldRequest{ChannelID: id, Secret: p.secret, Amount: ledger.Money(rapid.IntRange(0, 400).Draw(t, "amount"))}
			if rapid.IntRange(0, 9).Draw(t, "wrong secret") == 0 {
				r.Secret = "wrong"
			}
			if len(p.seen) > 0 && rapid.IntRange(0, 9).Draw(t, "replay") == 0 {
				r.ReceiptID = rapid.SampledFrom(slices.Sorted(maps.Keys(p.seen))).Draw(t, "receipt")
			} else {
				m.next++
				r.ReceiptID = fmt.Sprintf("r%d", m.next)
				r.Drawn = rapid.IntRange(0, 3).Draw(t, "drawn") > 0 // a counter is as unique as randomness here
			}
			return id, p, r
		}
		want := func(what string, got, want error) {
			if !errors.Is(got, want) {
				t.Fatalf("%s: %v, want %v", what, got, want)
			}
		}
		actions := map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				deposit := ledger.Money(rapid.IntRange(1, 1000).Draw(t, "deposit"))
				ch, secret, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: deposit})
				want("open", err, nil)
				m.channels[ch.ID] = &purse{secret: secret, status: ledger.StatusOpen, deposit: deposit, free: deposit,
					holds: make(map[string]*modelHold), seen: make(map[string]bool), expires: ch.ExpiresAt}
			},
			"hold": func(t *rapid.T) {
				_, p, r := draw()
				hold, err := h.Hold(ctx, r)
				if e := spend(p, r.ChannelID, r.ReceiptID, r.Amount, r.Secret); e != nil {
					want("hold", err, e)
					return
				}
				want("hold", err, nil)
				p.free -= r.Amount
				if hold.Balance != p.free {
					t.Fatalf("hold says balance %s, want %s", hold.Balance, p.free)
				}
				p.seen[r.ReceiptID] = true
				p.holds[r.ReceiptID] = &modelHold{r.Amount, hold, h.clock.Now(), r.Drawn}
			},
			"debit": func(t *rapid.T) {
				_, p, r := draw()
				_, err := h.Debit(ctx, r)
				if e := spend(p, r.ChannelID, r.ReceiptID, r.Amount, r.Secret); e != nil {
					want("debit", err, e)
					return
				}
				want("debit", err, nil)
				p.free -= r.Amount
				p.used += r.Amount
				p.calls++
				p.seen[r.ReceiptID] = true
			},
			"capture": func(t *rapid.T) {
				_, p, mh := pickHold()
				d := delivery(mh.hold.ReceiptID)
				if n := rapid.IntRange(0, 5).Draw(t, "request"); n > 0 {
					d.RequestID, d.Answer = fmt.Sprintf("q%d", n), []byte(mh.hold.ReceiptID)
				}
				err := h.Capture(ctx, mh.hold, d)
				if _, answered := m.requests[d.RequestID]; answered && d.RequestID != "" {
					want("capture of an answered request", err, ledger.ErrAnswered)
					return
				}
				want("capture", err, nil)
				if d.RequestID != "" {
					m.requests[d.RequestID] = 1
				}
				delete(p.holds, mh.hold.ReceiptID)
				p.used += mh.amount
				p.calls++
				want("capture again", h.Capture(ctx, mh.hold, d), ledger.ErrHoldResolved)
				if _, err := h.Receipt(ctx, d.Nonce); err != nil {
					t.Fatalf("receipt %s: %v", d.Nonce, err)
				}
			},
			"release": func(t *rapid.T) {
				_, p, mh := pickHold()
				want("release", h.Release(ctx, mh.hold), nil)
				delete(p.holds, mh.hold.ReceiptID)
				p.free += mh.amount
				want("capture after release", h.Capture(ctx, mh.hold, delivery("late")), ledger.ErrHoldResolved)
			},
			"refund": func(t *rapid.T) {
				id, p := pick()
				n := min(ledger.Money(rapid.IntRange(0, 400).Draw(t, "amount")), p.used)
				_, err := h.Refund(ctx, id, p.secret, n)
				switch {
				case p.status != ledger.StatusOpen:
					want("refund", err, ledger.ErrChannelNotOpen)
				case n == 0:
					want("refund", err, ledger.ErrInvalid)
				default:
					want("refund", err, nil)
					p.used -= n
					p.free += n
					p.refunded += n
				}
			},
			"close": func(t *rapid.T) {
				id, p := pick()
				s, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id, Secret: p.secret})
				if p.status == ledger.StatusOpen && len(p.holds) > 0 {
					want("close", err, ledger.ErrPending)
					return
				}
				want("close", err, nil)
				if p.status == ledger.StatusOpen {
					p.status = ledger.StatusSettled
				}
				if s.Refund != p.free || s.Channel.Status != p.status || (s.Obligation != nil) != (p.free > 0) {
					t.Fatalf("settlement %+v, want refund %s", s, p.free)
				}
			},
			"pay out": func(t *rapid.T) {
				id, p := pick()
				_, err := h.MarkPaid(ctx, id, tx1)
				if p.status == ledger.StatusOpen || p.free == 0 {
					want("pay out", err, ledger.ErrUnknownDebt)
					return
				}
				want("pay out", err, nil)
				p.paid = true
			},
			"time": func(t *rapid.T) {
				pass := time.Duration(rapid.IntRange(1, 59).Draw(t, "minutes")) * time.Minute
				if rapid.IntRange(0, 3).Draw(t, "long") == 0 { // seldom, or nothing happens but the end of channels
					pass = time.Duration(rapid.IntRange(1, 24).Draw(t, "hours")) * time.Hour
				}
				h.clock.advance(pass)
				// Answers are remembered for a day; the model need not know when.
				for q := range m.requests {
					if _, found, err := h.Answered(ctx, q, [32]byte{}); err != nil {
						t.Fatal(err)
					} else if !found {
						delete(m.requests, q)
					}
				}
			},
			"sweep": func(t *rapid.T) {
				_, _, err := h.Sweep(ctx)
				want("sweep", err, nil)
				for _, p := range m.channels {
					for ref, mh := range p.holds {
						if h.clock.Now().Sub(mh.at) > 30*time.Hour {
							p.free += mh.amount
							delete(p.holds, ref)
						}
					}
					if p.status == ledger.StatusOpen && !payable(p) && len(p.holds) == 0 {
						p.status = ledger.StatusExpired
					}
				}
			},
			"restart": func(t *rapid.T) {
				l, err := ledger.Open(ctx, h.config)
				want("open the ledger", err, nil)
				h.Ledger = l
				for _, p := range m.channels {
					for ref, mh := range p.holds {
						p.free += mh.amount
						delete(p.holds, ref)
						if mh.drawn { // it may never have reached a row; nobody can ask for its id again
							delete(p.seen, ref)
						}
					}
				}
			},
			"durable": func(t *rapid.T) {
				_, _, mh := pickHold()
				want("durable", mh.hold.Durable(), nil)
			},
			"": func(t *rapid.T) {
				h.check(t)
				m.compare(t, h)
			},
		}
		for _, often := range []string{"hold", "hold", "hold", "capture", "capture", "open"} { // what calls are made of
			actions[fmt.Sprintf("%s %d", often, len(actions))] = actions[often]
		}
		t.Repeat(actions)
	})
}

func (m *model) compare(t *rapid.T, h *hub) {
	var want ledger.Stats
	for id, p := range m.channels {
		ch, err := h.Channel(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if ch.Status != p.status || ch.Deposit != p.deposit || ch.Balance != p.free || ch.Used != p.used || ch.Held != p.held() || ch.Refunded != p.refunded || ch.Calls != p.calls {
			t.Fatalf("channel %+v, want %+v", ch, p)
		}
		want.Receipts += p.calls
		if p.status == ledger.StatusOpen {
			want.OpenChannels++
			want.Free += p.free
			want.Held += p.held()
			continue
		}
		want.Settled += p.used
		if !p.paid {
			want.Owed += p.free
		}
	}
	if got := h.Stats(); got != want {
		t.Fatalf("Stats %+v, want %+v", got, want)
	}
}
