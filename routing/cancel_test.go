package routing

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/ledger"
)

// A caller who goes away, at each stage: before the hold nothing happens, after it
// the call ends as if they had stayed. Never is a hold left behind.
func TestCallerGoesAway(t *testing.T) {
	for stage, billed := range map[string]bool{"before": false, "pre": false, "quote": false, "execute": true, "post": true, "receipt": true, "capture": true} {
		t.Run(stage, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			at := func(s string) {
				if s == stage {
					cancel()
				}
			}
			p := funcPlugin{
				scripted: &scripted{name: "watcher"},
				pre:      func(context.Context, *Payload) (Verdict, error) { at("pre"); return Verdict{}, nil },
				post:     func(context.Context, *Payload) (Verdict, error) { at("post"); return Verdict{}, nil },
				quote:    func(q Quote) (Quote, error) { at("quote"); return q, nil },
				receipt:  func(Settled) (json.RawMessage, error) { at("receipt"); return nil, nil },
			}
			h := newHub(t, withPlugins(PluginConfig{Plugin: p, Required: true}), func(c *Config) {
				c.Builtins["echo@v1"] = func(ctx context.Context, in canon.Value) (json.RawMessage, error) {
					at("execute")
					return in.Raw(), ctx.Err()
				}
			})
			h.money.beforeCapture = func() error { at("capture"); return nil }
			at("before")
			_, err := h.Invoke(ctx, h.paid())
			want := deposit
			if billed {
				want -= echoPrice
				if err != nil {
					t.Errorf("refused: %v", err)
				}
			} else if err == nil {
				t.Error("a call nobody waits for was executed")
			}
			if got := h.balance(); got != want {
				t.Errorf("balance %d, want %d", got, want)
			}
		})
	}
}

// A provider that drips for ever is given up on within the request's time, and
// the hold comes back exactly once.
func TestSlowProviderIsGivenUpOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, withProvider(providerFunc(func(ctx context.Context, _ string, _ http.Header, _ []byte) (*safehttp.Response, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})))
		h.market.provider("http://provider.example/")
		c := h.paid()
		c.CapabilityID = "translate@v1"
		start := time.Now()
		r := h.mustRefuse(c, ProviderFailed)
		if took := time.Since(start); took >= 30*time.Second || took < 20*time.Second {
			t.Errorf("gave up after %s", took)
		}
		if r.Detail == "" || h.balance() != deposit || h.money.releases != 1 {
			t.Errorf("%q, balance %d, %d releases", r.Detail, h.balance(), h.money.releases)
		}
	})
}

// A built-in that ignores its context cannot keep the call or the hold.
func TestHangingBuiltinIsLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		h := newHub(t, func(c *Config) {
			c.Builtins["echo@v1"] = func(context.Context, canon.Value) (json.RawMessage, error) {
				<-gate
				return nil, nil
			}
		})
		h.mustRefuse(h.paid(), ProviderFailed)
		if h.balance() != deposit {
			t.Errorf("balance %d", h.balance())
		}
		close(gate)
	})
}

// Answers, failures and callers who leave, all at once on one channel: each hold
// ends once.
func TestMoneyEndsExactlyOnceUnderRaces(t *testing.T) {
	h := newHub(t, func(c *Config) {
		c.Builtins["echo@v1"] = func(_ context.Context, in canon.Value) (json.RawMessage, error) {
			if in.Get("fail").Bool() {
				return nil, errors.New("as asked")
			}
			return in.Raw(), nil
		}
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	paid := 0
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				ctx, cancel := context.WithCancel(context.Background())
				c := h.paid()
				if (i+j)%3 == 0 {
					c.Input = parse(`{"fail":true}`)
				}
				if j%5 == 0 {
					go cancel()
				}
				if _, err := h.Invoke(ctx, c); err == nil {
					mu.Lock()
					paid++
					mu.Unlock()
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if got, want := h.balance(), deposit-ledger.Money(paid)*echoPrice; got != want {
		t.Errorf("balance %d after %d answers, want %d", got, paid, want)
	}
	if h.money.captures+h.money.releases == 0 || h.money.captures != paid {
		t.Errorf("%d captures for %d answers, %d releases", h.money.captures, paid, h.money.releases)
	}
}

// A buyer closes the channel while calls run on it. A call is either billed and
// answered or refused, and what was not billed is what comes back.
func TestChannelClosesUnderLoad(t *testing.T) {
	h := newHub(t)
	ch, secret := h.open(deposit)
	var paid atomic.Int64
	var settlement ledger.Settlement
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for {
				c := h.paid()
				c.ChannelID, c.Secret = ch.ID, secret
				_, err := h.Invoke(context.Background(), c)
				if err != nil {
					wantRefusal(t, Answer{}, err, PaymentRequired)
					return
				}
				paid.Add(1)
			}
		})
	}
	wg.Go(func() {
		for paid.Load() < 50 {
			runtime.Gosched()
		}
		for {
			s, err := h.ledger.CloseChannel(context.Background(), ledger.CloseRequest{ChannelID: ch.ID, Secret: secret})
			if err == nil {
				settlement = s
				return
			}
			if !errors.Is(err, ledger.ErrPending) {
				t.Errorf("closing: %v", err)
				return
			}
			if _, _, err := h.ledger.Sweep(context.Background()); err != nil {
				t.Errorf("sweeping: %v", err)
			}
		}
	})
	wg.Wait()
	if want := deposit - ledger.Money(paid.Load())*echoPrice; settlement.Refund != want {
		t.Errorf("%d answers, %s came back, want %s", paid.Load(), settlement.Refund, want)
	}
}

// The ledger took the hold back meanwhile: the result is withheld, not given away.
func TestResolvedHoldIsNotDelivered(t *testing.T) {
	h := newHub(t)
	h.money.beforeCapture = func() error { return ledger.ErrHoldResolved }
	h.mustRefuse(h.paid(), ProviderFailed)
	if h.balance() != deposit {
		t.Errorf("balance %d", h.balance())
	}
}

func TestCloseWaitsForCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		h := newHub(t, func(c *Config) {
			c.Builtins["echo@v1"] = func(_ context.Context, in canon.Value) (json.RawMessage, error) {
				<-gate
				return in.Raw(), nil
			}
		})
		var answered, closed bool
		var wg sync.WaitGroup
		wg.Go(func() { h.mustInvoke(h.paid()); answered = true })
		synctest.Wait()
		short, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		wg.Go(func() {
			if err := h.gate.close(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("gave up with %v", err)
			}
			if err := h.gate.close(context.Background()); err != nil {
				t.Error(err)
			}
			closed = true
		})
		time.Sleep(2 * time.Second) // of the bubble's time
		synctest.Wait()
		if closed {
			t.Error("closed while a call was in flight")
		}
		h.mustRefuse(h.paid(), NoBackend)
		close(gate)
		wg.Wait()
		if !answered || !closed {
			t.Errorf("answered %v, closed %v", answered, closed)
		}
	})
}
