package routing

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

func TestEqualRequestGetsTheFirstAnswer(t *testing.T) {
	for name, change := range map[string]func(*hub, *Call){
		"channel": func(*hub, *Call) {},
		"trial":   func(_ *hub, c *Call) { c.ChannelID, c.Secret, c.Visitor = "", "", "visitor-1" },
		"free":    func(_ *hub, c *Call) { c.ChannelID, c.Secret, c.CapabilityID = "", "", "free@v1" },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHub(t)
			c := h.paid()
			c.RequestID = "key-1"
			change(h, &c)
			first, _ := h.mustInvoke(c)
			c.Input = parse("{ \"text\" :\n\"hello\" }") // the same request, spelled differently
			again, _ := h.mustInvoke(c)
			if !again.Replayed || first.Replayed || !bytes.Equal(first.Body, again.Body) {
				t.Errorf("replayed %v\n%s\n%s", again.Replayed, first.Body, again.Body)
			}
			if name == "channel" {
				if got := h.balance(); got != deposit-echoPrice {
					t.Errorf("balance %d: the call was billed twice", got)
				}
			}
			if name == "trial" {
				if q, err := h.SandboxQuota(t.Context(), "visitor-1"); err != nil || q.Used != 1 {
					t.Errorf("quota %+v, %v", q, err)
				}
			}
			c.Input = parse(`{"text":"other"}`)
			h.mustRefuse(c, RequestMismatch)
			c.RequestID = "key-2"
			if other, _ := h.mustInvoke(c); other.Replayed || other.Nonce == first.Nonce {
				t.Error("a new request id did not make a new call")
			}
		})
	}
}

func TestRepeatNeedsTheSecret(t *testing.T) {
	h := newHub(t)
	c := h.paid()
	c.RequestID = "key-1"
	h.mustInvoke(c)
	c.Secret = "guess"
	h.mustRefuse(c, PaymentRequired)
	// The same id of another buyer is another request.
	ch, secret := h.open(deposit)
	c.ChannelID, c.Secret = ch.ID, secret
	if a, _ := h.mustInvoke(c); a.Replayed {
		t.Error("one buyer got another's answer")
	}
}

func TestRepeatAfterClose(t *testing.T) {
	h := newHub(t)
	c := h.paid()
	c.RequestID = "key-1"
	first, _ := h.mustInvoke(c)
	if _, err := h.ledger.CloseChannel(t.Context(), ledger.CloseRequest{ChannelID: h.channel.ID, Secret: h.secret}); err != nil {
		t.Fatal(err)
	}
	if again, _ := h.mustInvoke(c); !bytes.Equal(first.Body, again.Body) {
		t.Error("the answer is lost with the channel")
	}
}

func TestRefusedRequestMayBeTriedAgain(t *testing.T) {
	fail := true
	h := newHub(t, func(c *Config) {
		c.Builtins["echo@v1"] = func(_ context.Context, in canon.Value) (json.RawMessage, error) {
			if fail {
				panic("not today")
			}
			return in.Raw(), nil
		}
	})
	c := h.paid()
	c.RequestID = "key-1"
	h.mustRefuse(c, ProviderFailed)
	fail = false
	if a, _ := h.mustInvoke(c); a.Replayed {
		t.Error("a refusal was replayed as an answer")
	}
}

// Equal requests at the same time execute and bill once.
func TestConcurrentEqualRequestsExecuteOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var executed atomic.Int32
		gate := make(chan struct{})
		h := newHub(t, func(c *Config) {
			c.Builtins["echo@v1"] = func(_ context.Context, in canon.Value) (json.RawMessage, error) {
				executed.Add(1)
				<-gate
				return in.Raw(), nil
			}
		})
		c := h.paid()
		c.RequestID = "key-1"
		const n = 20
		answers := make([]Answer, n)
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { answers[i], errs[i] = h.Invoke(context.Background(), c) })
		}
		synctest.Wait() // one executes, nineteen wait for it
		other := c
		other.Input = parse(`{"text":"other"}`)
		h.mustRefuse(other, RequestMismatch)
		impatient, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := h.Invoke(impatient, c)
		wantRefusal(t, Answer{}, err, Internal)
		close(gate)
		wg.Wait()
		fresh := 0
		for i := range n {
			if errs[i] != nil || !bytes.Equal(answers[i].Body, answers[0].Body) {
				t.Errorf("call %d: %v %s", i, errs[i], answers[i].Body)
			}
			if !answers[i].Replayed {
				fresh++
			}
		}
		if fresh != 1 || executed.Load() != 1 {
			t.Errorf("%d fresh answers, %d executions", fresh, executed.Load())
		}
		if got := h.balance(); got != deposit-echoPrice {
			t.Errorf("balance %d", got)
		}
	})
}

// Another front on the same ledger answers first: this one must not bill as well.
func TestAnswerOfAnotherFrontWins(t *testing.T) {
	h := newHub(t)
	c := h.paid()
	c.RequestID = "key-1"
	twin, err := New(t.Context(), h.config)
	if err != nil {
		t.Fatal(err)
	}
	defer twin.Close(context.Background())
	var first Answer
	h.money.beforeCapture = func() error {
		h.money.mu.Lock()
		h.money.beforeCapture = nil
		h.money.mu.Unlock()
		first, err = twin.Invoke(context.Background(), c)
		return err
	}
	late, _ := h.mustInvoke(c)
	if !late.Replayed || !bytes.Equal(late.Body, first.Body) {
		t.Errorf("two fronts gave two answers:\n%s\n%s", first.Body, late.Body)
	}
	if got := h.balance(); got != deposit-echoPrice {
		t.Errorf("balance %d: billed twice", got)
	}
}
