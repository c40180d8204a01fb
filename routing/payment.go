package routing

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// authorization is a payment that a plugin accepted in place of a channel. Its
// settle is called exactly once.
type authorization struct {
	by     *plugin
	settle func(ctx context.Context, delivered bool) error
}

// checkPayment refuses a priced call that brings no way to pay at all, before a
// verification is planned or anything is asked of a payment plugin.
func (x *call) checkPayment() *Refusal {
	if x.quote.Price == 0 || x.ChannelID != "" || len(x.Credentials) > 0 {
		return nil
	}
	return x.paymentRequired("")
}

func (x *call) paymentRequired(tried string) *Refusal {
	if tried != "" {
		tried = "; " + tried
	}
	return refuse(PaymentRequired,
		"this call costs %s%s; nothing was billed; open a channel with POST /ai-market/v2/channel/open and send its id as X-Payment-Channel and its secret as X-Payment-Channel-Secret",
		x.quote.Price, tried).
		withMoney("needed", x.quote.Price).
		withMoney("balance", 0)
}

// authorize asks the payment plugins, in configured order, whether one of them
// takes the other credentials that came with the call. The first that does pays:
// one call, one charge.
func (x *call) authorize() *Refusal {
	if x.quote.Price == 0 || len(x.Credentials) == 0 {
		return nil
	}
	var reasons []string
	for _, p := range x.r.active {
		if p.payer == nil {
			continue
		}
		quote, info := x.quote, x.info
		credentials := make(map[string]string, len(x.Credentials))
		for k, v := range x.Credentials {
			credentials[k] = v
		}
		a, err := guard(x.ctx, p.timeout, &p.stuck, func(ctx context.Context) (Authorization, error) {
			return p.payer.PaymentAuthorize(ctx, quote, info, credentials)
		})
		if err != nil {
			x.r.hookFailed(p, hookAuthorize, err)
			if p.required {
				return unavailable(p, hookAuthorize, err)
			}
			continue
		}
		if a.Paid {
			x.auth = &authorization{by: p, settle: a.Settle}
			return nil
		}
		if a.Reason != "" {
			reasons = append(reasons, clip(a.Reason))
		}
	}
	if x.ChannelID != "" {
		return nil
	}
	if len(reasons) == 0 {
		return x.paymentRequired("no payment method of this hub takes the credentials that were sent")
	}
	return x.paymentRequired(strings.Join(reasons, "; "))
}

// close tells the payment plugin how the call ended, exactly once.
func (a *authorization) close(x *call, delivered bool) {
	x.auth = nil
	if a.settle == nil {
		return
	}
	_, err := guard(x.ctx, a.by.timeout, &a.by.stuck, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, a.settle(ctx, delivered)
	})
	if err != nil {
		x.r.hookFailed(a.by, hookAuthorize, err)
	}
}

// takeHold reserves the price. A free call on a channel reserves nothing, which
// still proves the channel's credentials. There is no need to wait until the hold
// is on disk: a crash that loses it loses the answer too, and a hold that outlives
// a crash is released at the next start, so the buyer keeps the money either way.
func (x *call) takeHold() *Refusal {
	var random [ledger.NonceBytes]byte
	if _, err := io.ReadFull(x.r.c.Rand, random[:]); err != nil {
		return asRefusal(fmt.Errorf("routing: reading randomness for a receipt id: %w", err))
	}
	x.nonce = ledger.NewNonce(random)
	if x.ChannelID == "" || x.auth != nil {
		return nil
	}
	hold, err := x.r.c.Ledger.Hold(x.whole, ledger.HoldRequest{
		ChannelID: x.ChannelID, Secret: x.Secret, Amount: x.quote.Price, ReceiptID: x.nonce, Drawn: true,
	})
	if err != nil {
		return x.holdRefused(err)
	}
	x.hold = hold
	return nil
}

// holdRefused turns what the ledger said into the two 402 of the contract: a
// priced call says what it needs and what is there, a free one only that the
// channel's credentials do not hold.
func (x *call) holdRefused(err error) *Refusal {
	var e *ledger.Error
	if !errors.As(err, &e) {
		return asRefusal(err)
	}
	advice := "send the secret that channel/open returned as X-Payment-Channel-Secret, or open another channel"
	switch e.Kind {
	case ledger.KindInsufficient:
		advice = "open a channel with a larger deposit, or search for a cheaper capability"
	case ledger.KindUnknownChannel, ledger.KindChannelNotOpen, ledger.KindChannelClosed:
		advice = "open a new channel with POST /ai-market/v2/channel/open"
	case ledger.KindUnauthorized, ledger.KindReplay, ledger.KindInvalid:
	case ledger.KindSecretReplaced:
		advice = "use the secret that the recovery returned"
	case ledger.KindBusy:
		return refuse(Internal, "%s; nothing was billed; send the call again", e.Error()).because(err).retryIn(time.Second)
	default:
		return asRefusal(err)
	}
	if x.quote.Price == 0 {
		return refuse(PaymentFailed, "%s; this call is free, but a channel that is named must be yours; %s, or send no channel", e.Error(), advice).because(err)
	}
	return refuse(PaymentRequired, "%s: this call costs %s; nothing was billed; %s", e.Error(), x.quote.Price, advice).
		withMoney("needed", x.quote.Price).
		withMoney("balance", e.Balance).
		because(err)
}
