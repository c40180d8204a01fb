package routing

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// lookUp finds the row that the call means.
func (x *call) lookUp() *Refusal {
	if !x.local && x.r.c.Peers == nil {
		return refuse(UnknownPeer, "Peer hub not found: this hub knows no way to %s; call that hub itself, or search here with hub=local", clip(x.SourceHub)).
			because(catalog.ErrUnknown)
	}
	row, err := x.r.c.Catalog.Lookup(x.whole, x.ProductID, x.CapabilityID, x.SourceHub)
	if err == nil {
		x.row = row
		return x.checkResolved()
	}
	var unknown *catalog.UnknownError
	if errors.As(err, &unknown) && unknown.NoHub {
		return refuse(UnknownPeer, "%s; search again for a capability of an active hub", unknown.Error()).because(err)
	}
	if errors.Is(err, catalog.ErrUnknown) {
		return refuse(UnknownCapability, "Unknown capability: %s", x.CapabilityID).because(err)
	}
	return asRefusal(err)
}

// checkResolved runs the pre-checks again if the call turned out to mean another
// row than the one it named. A check may hold each capability to its own contract,
// and naming the wrong product must not be a way around it.
func (x *call) checkResolved() *Refusal {
	if x.info.ProductID == x.row.ProductID && x.info.CapabilityID == x.row.CapabilityID {
		return nil
	}
	x.info.ProductID, x.info.CapabilityID = x.row.ProductID, x.row.CapabilityID
	return x.preCheck()
}

// price makes the quote: the listed price, lowered by plugins, or nothing in a
// trial and on a hub that takes no money. The list price is shown either way.
func (x *call) price() *Refusal {
	list := ledger.Money(x.row.PriceMicros)
	var fee ledger.Money
	if !x.local {
		list = ledger.Money(max(x.row.RoutedMicros, x.row.PriceMicros))
		fee = list - ledger.Money(x.row.PriceMicros)
	}
	list = max(list, 0)
	x.quote = Quote{List: list, Price: list, Fee: fee}
	if x.trial != nil || x.r.c.Mode == ledger.Off {
		x.quote.Price, x.quote.Fee = 0, 0
		return x.checkMaxPrice()
	}
	x.quoted = true
	for _, p := range x.r.active {
		if p.quoter == nil {
			continue
		}
		asked, info := x.quote, x.info
		q, err := guard(x.ctx, p.timeout, &p.stuck, func(ctx context.Context) (Quote, error) {
			return p.quoter.PriceQuote(ctx, asked, info)
		})
		if err != nil {
			x.r.hookFailed(p, hookQuote, err)
			if p.required {
				return unavailable(p, hookQuote, err)
			}
			continue
		}
		if q.Price < 0 || q.Price > list {
			p.clamped.Add(1)
			q.Price = min(max(q.Price, 0), list)
		}
		x.quote.Price = q.Price
		if q.Note != "" {
			x.quote.Note = clip(q.Note)
		}
	}
	return x.checkMaxPrice()
}

func (x *call) checkMaxPrice() *Refusal {
	if !x.HasMaxPrice || x.quote.Price <= x.MaxPrice {
		return nil
	}
	return refuse(PriceLimit, "the call costs %s now and max_price_usd allows %s; nothing was billed; search again or allow more",
		x.quote.Price, x.MaxPrice).
		withMoney("maximum_price_usd", x.MaxPrice).
		withMoney("current_price_usd", x.quote.Price)
}

// maxNote bounds text of others that is repeated in an answer or refusal.
const maxNote = 256

// clip makes text of others fit for an answer: valid UTF-8, at most maxNote bytes
// and an ellipsis, cut at a character boundary.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxNote {
		return s
	}
	cut := maxNote
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "\u2026"
}

// The bounds of the verify member (HTTP API notes §2).
const (
	maxVerifyIntent = 20000 // characters
	maxVerifyWait   = 300   // seconds
)

// verifyPlan is a verification that the buyer asked for.
type verifyPlan struct {
	mode   string
	reason string // why nothing is verified
}

// planVerification checks the shape of the verify member. No verifier is
// installed in this hub, so a well-formed request is answered with an envelope
// that says so, instead of being dropped or refused.
func (x *call) planVerification() *Refusal {
	v := x.Verify
	switch v.Kind() {
	case canon.Invalid, canon.Null:
		return nil
	case canon.Object:
	default:
		return verifyInvalid("verify must be an object")
	}
	if requested := v.Get("requested"); requested.Kind() == canon.Bool && !requested.Bool() {
		return nil
	} else if requested.Kind() != canon.Invalid && requested.Kind() != canon.Bool {
		return verifyInvalid("verify.requested must be true or false")
	}
	plan := &verifyPlan{mode: "auto", reason: "verifier_unavailable"}
	if !x.local {
		plan.reason = "federated_unsupported"
	}
	switch intent := v.Get("intent"); intent.Kind() {
	case canon.Invalid, canon.Null:
		return verifyInvalid("verify.intent is required when verification is requested")
	case canon.String:
		if strings.TrimSpace(intent.Str()) == "" {
			return verifyInvalid("verify.intent is required when verification is requested")
		}
		if utf8.RuneCountInString(intent.Str()) > maxVerifyIntent {
			return verifyInvalid("verify.intent is longer than 20000 characters")
		}
	default:
		return verifyInvalid("verify.intent must be a string")
	}
	switch mode := v.Get("mode"); mode.Kind() {
	case canon.Invalid:
	case canon.String:
		switch m := mode.Str(); m {
		case "auto", "fast", "thinking", "council", "agent":
			plan.mode = m
		default:
			return verifyInvalid("verify.mode must be auto, fast, thinking, council or agent")
		}
	default:
		return verifyInvalid("verify.mode must be a string")
	}
	if wait := v.Get("wait"); wait.Kind() != canon.Invalid && wait.Kind() != canon.Bool {
		return verifyInvalid("verify.wait must be true or false")
	}
	switch timeout := v.Get("wait_timeout_s"); timeout.Kind() {
	case canon.Invalid:
	case canon.Number:
		if s, err := canon.ParseMicros(timeout.Token()); err != nil || s < 1e6 || s > maxVerifyWait*1e6 {
			return verifyInvalid("verify.wait_timeout_s must be between 1 and 300 seconds")
		}
	default:
		return verifyInvalid("verify.wait_timeout_s must be a number")
	}
	x.plan = plan
	return nil
}

func verifyInvalid(problem string) *Refusal {
	return refuse(VerifyInvalid, "%s; nothing was billed; correct it or leave verify out", problem)
}

// envelope is the verification member of the answer. The call settles at once,
// because nothing will judge it later.
func (p *verifyPlan) envelope(nonce, capabilityID, at string) []byte {
	b := append(make([]byte, 0, 384), `{"requested":true,"status":"skipped","performed":false,"verified":false,"verdict":"","threshold":0.7`...)
	b = appendMember(append(b, ','), "mode", p.mode)
	b = appendMember(append(b, `,"settled":true,`...), "reason", p.reason)
	b = appendMember(append(b, ','), "timestamp", at)
	b = appendMember(append(b, ','), "nonce", nonce)
	b = appendMember(append(b, ','), "capability_id", capabilityID)
	return append(b, '}')
}
