package routing

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// The words of Settled.
const (
	statusSucceeded = "succeeded"
	statusFailed    = "failed"
	moneyCaptured   = "captured"
	moneyFree       = "free"
	moneyRefunded   = "refunded"
)

// settling is a context of its own for work that must happen even if the time of
// the call is used up.
func (x *call) settling() (context.Context, context.CancelFunc) {
	return context.WithTimeout(x.ctx, settleTimeout)
}

// settle turns a finished execution into an answer: receipt, body, and the one
// synced batch that captures the hold and stores receipt and body. Until that
// batch is on disk nothing was sold.
func (x *call) settle(output *Payload) (Answer, *Refusal) {
	at := x.r.c.Now()
	var verification []byte
	if x.plan != nil {
		verification = x.plan.envelope(x.nonce, x.row.CapabilityID, timestamp(at))
	}
	receipt := x.r.signSale(&ledger.Receipt{
		Nonce: x.nonce, ProductID: x.row.ProductID, CapabilityID: x.row.CapabilityID,
		Price: x.quote.Price, ListPrice: x.quote.List, Time: at,
		Success: true, Latency: x.latency, Sandbox: x.trial != nil,
	}, verification)
	done := x.settled(receipt, statusSucceeded, x.moneyWord())
	body := x.body(output, receipt, verification, x.pluginReceipts(output, done))

	d := ledger.Delivery{Receipt: receipt, Nonce: x.nonce, Drawn: true}
	if x.scope != "" {
		d.RequestID, d.Request, d.Answer = x.scope, x.print, body
	}
	if answer, refusal := x.commit(d); refusal != nil {
		return Answer{}, refusal
	} else if answer != nil {
		return *answer, nil
	}
	if x.auth != nil {
		x.auth.close(x, true)
	}
	if x.trial != nil {
		if err := x.trial.spend(); err != nil {
			x.r.c.Logger.Warn("a used trial could not be written down", "error", err)
		}
		x.trial = nil
	}
	x.record(true)
	x.r.notifier.tell(done)
	return Answer{Body: body, Nonce: x.nonce}, nil
}

// commit makes the delivery durable. It returns an answer instead if an equal
// request was answered meanwhile by another process on the same ledger: then this
// one must not be billed as well.
func (x *call) commit(d ledger.Delivery) (*Answer, *Refusal) {
	var err error
	switch {
	case x.hold != nil:
		if err = x.r.c.Ledger.Capture(x.whole, x.hold, d); err == nil {
			x.hold = nil
		}
	default:
		// What cost nothing may be lost in a crash, unless it was promised to a
		// request id, paid for in another way, or used up a trial.
		durable := d.RequestID != "" || x.auth != nil || x.trial != nil
		if err = x.r.c.Ledger.Deliver(x.whole, d, durable); err != nil && !durable {
			x.r.c.Logger.Warn("the receipt of a free call was sent but could not be kept", "nonce", d.Nonce, "error", err)
			err = nil
		}
	}
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, ledger.ErrAnswered):
		body, found, again := x.r.c.Ledger.Answered(x.whole, d.RequestID, d.Request)
		if again == nil && found {
			x.undo()
			return &Answer{Body: body, Replayed: true}, nil
		}
		err = errors.Join(err, again)
	case errors.Is(err, ledger.ErrRequestMismatch):
		return nil, requestMismatch(err)
	}
	x.record(false)
	x.r.c.Logger.Error("a delivered call could not be captured", "nonce", d.Nonce, "channel", x.ChannelID, "error", err)
	return nil, refuse(ProviderFailed, "the result was produced but its debit could not be stored, so it is withheld; the hold is released; send the call again later").because(err)
}

// undo gives back whatever the call had taken: hold, trial, other payment. It is
// called once for every call that was not delivered.
func (x *call) undo() {
	word := moneyFree
	if x.hold != nil || x.auth != nil && x.quote.Price > 0 {
		word = moneyRefunded
	}
	if x.hold != nil {
		ctx, cancel := x.settling()
		if err := x.r.c.Ledger.Release(ctx, x.hold); err != nil {
			x.r.c.Logger.Error("a hold could not be released; the ledger's sweep will return it", "channel", x.ChannelID, "nonce", x.nonce, "error", err)
		}
		cancel()
		x.hold = nil
	}
	if x.auth != nil {
		x.auth.close(x, false)
	}
	if x.trial != nil {
		x.trial.giveBack()
		x.trial = nil
	}
	if x.quoted {
		// Plugins that lowered the price hear that it came to nothing.
		x.quoted = false
		s := x.settled(nil, statusFailed, word)
		s.Price = 0
		x.r.notifier.tell(s)
	}
}

func (x *call) moneyWord() string {
	if x.quote.Price == 0 {
		return moneyFree
	}
	return moneyCaptured
}

func (x *call) settled(receipt json.RawMessage, status, money string) Settled {
	if !x.r.observed && !x.r.issues {
		return Settled{}
	}
	return Settled{
		CallInfo: x.info, Nonce: x.nonce, Input: x.payload.Raw(), Receipt: receipt,
		Price: x.quote.Price, ListPrice: x.quote.List, Latency: x.latency,
		Status: status, SettlementStatus: money,
	}
}

// pluginReceipt is what one ReceiptIssuer added.
type pluginReceipt struct {
	name string
	raw  json.RawMessage
}

// pluginReceipts runs on_invoke_receipt. It comes before the capture, because the
// answer that is stored with the capture contains what it returns; if the capture
// then fails, observers hear of the call as failed. It never stops a call.
func (x *call) pluginReceipts(output *Payload, s Settled) []pluginReceipt {
	if !x.r.issues {
		return nil
	}
	var out []pluginReceipt
	for _, p := range x.r.active {
		if p.issuer == nil {
			continue
		}
		raw, err := guard(x.ctx, p.timeout, &p.stuck, func(ctx context.Context) (json.RawMessage, error) {
			return p.issuer.InvokeReceipt(ctx, output, s)
		})
		if err == nil && len(raw) == 0 {
			continue
		}
		if err == nil {
			var v canon.Value
			if v, err = canon.Parse(raw); err == nil && v.Kind() != canon.Object {
				err = errors.New("the plugin's receipt is not a JSON object")
			}
		}
		if err != nil {
			x.r.hookFailed(p, hookReceipt, err)
			continue
		}
		out = append(out, pluginReceipt{p.info.Name, raw})
	}
	return out
}

// record counts an executed call, for the statistics and for the row's measured
// quality.
func (x *call) record(success bool) {
	if !x.executed {
		return
	}
	x.executed = false
	e := Event{
		CapabilityID: x.row.CapabilityID, ProductID: x.row.ProductID, SourceHub: x.row.SourceHub,
		Latency: x.latency, Success: success, Time: x.r.c.Now(), TrafficClass: "external",
	}
	if success {
		e.Price = x.quote.Price
	}
	if x.OperatorSelf {
		e.TrafficClass = "operator_self"
	}
	x.r.stats.add(e)
	if success || !x.excused {
		x.r.c.Catalog.Observe(x.row.Key, success, x.latency)
	}
}
