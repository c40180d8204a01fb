package admit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/safehttp"
)

// Bounds on the trial calls (federation notes §4, "Assay").
const (
	MaxCalls       = 3
	CallTimeout    = 8 * time.Second
	MaxAnswer      = 262_144 // bytes
	quoteTolerance = 5_000   // micro-USD by which a quoted price may differ from the listed one
)

const invokePath = "/ai-market/v2/invoke"

// pick chooses what to call: first what a valid input can be made for, the cheapest
// first, at most MaxCalls.
func pick(offers []offer) []offer {
	out := slices.Clone(offers)
	slices.SortStableFunc(out, func(a, b offer) int {
		if a.fits != b.fits {
			if a.fits {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.priceMicros, b.priceMicros), cmp.Compare(len(a.input), len(b.input)))
	})
	return out[:min(len(out), MaxCalls)]
}

// answer is what one trial call came to.
type answer struct {
	served  bool // a result and a receipt that verifies, free of charge
	quoted  bool // 402 with the listed price
	busy    bool // the hub has no trial to spare now, or did not answer
	problem *problem
	latency time.Duration
}

// callOne calls one capability after the other until one answers as it should. A hub
// that lists nothing has nothing to prove; one that gives nothing for free must ask what
// it lists.
func (a *Admitter) callOne(ctx context.Context, d *shown, key identity.PublicKey) verdict {
	if len(d.offers) == 0 {
		return verdict{passed: true, detail: "its documents verify, and it lists nothing of its own that could be called"}
	}
	visitor, err := a.visitor()
	if err != nil {
		return verdict{detail: "no trial call was made: this hub has no randomness to name a visitor with: " + err.Error()}
	}
	var (
		problems []string
		quoted   *offer
		free     = false // something that is listed as free did not work
		broke    = false
	)
	for _, o := range pick(d.offers) {
		r := a.call(ctx, d, o, key, visitor)
		name := o.product + "/" + o.capability
		switch {
		case r.served:
			return verdict{passed: true, served: true, called: d.key(o), latency: r.latency,
				detail: fmt.Sprintf("its documents verify, and a trial call to %s came back in %d ms with a receipt that verifies", name, r.latency.Milliseconds())}
		case r.quoted:
			quoted = &o
		default:
			problems = append(problems, name+" "+r.problem.text)
			broke = broke || r.problem.broken
			free = free || o.priceMicros == 0
		}
	}
	if quoted != nil && !free && !broke {
		return verdict{passed: true, called: d.key(*quoted),
			detail: fmt.Sprintf("its documents verify; it gives nothing for a trial, and %s/%s asks the price that is listed", quoted.product, quoted.capability)}
	}
	return verdict{broken: broke, detail: "its documents verify, but no trial call succeeded: " + strings.Join(problems, "; ")}
}

func (d *shown) key(o offer) catalog.Key {
	return catalog.Key{ProductID: o.product, CapabilityID: o.capability, SourceHub: d.base}
}

// call makes one trial call. A member of the mesh that has no trial left for callers
// from this address is asked over streams, where its limits count per hub.
func (a *Admitter) call(ctx context.Context, d *shown, o offer, key identity.PublicKey, visitor string) answer {
	r := a.callAt(ctx, d.base, o, key, visitor)
	if r.busy && d.byHTTP && d.fallback {
		if again := a.callAt(ctx, catalog.KeyURL(key), o, key, visitor); again.problem == nil || again.problem.broken {
			return again
		}
	}
	return r
}

func (a *Admitter) callAt(ctx context.Context, base string, o offer, key identity.PublicKey, visitor string) answer {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	began := time.Now()
	r, err := a.cfg.Fetch.Do(ctx, http.MethodPost, base+invokePath, http.Header{
		"Content-Type":               {"application/json"},
		"Accept":                     {"application/json"},
		"X-Aimarket-Sandbox-Visitor": {visitor},
	}, callBody(o))
	out := answer{latency: time.Since(began)}
	switch {
	case errors.Is(err, safehttp.ErrTooLarge), err == nil && len(r.Body) > MaxAnswer:
		out.problem = broken("answered with more than %d bytes", MaxAnswer)
	case err != nil:
		out.busy, out.problem = true, unanswered("did not answer within %s: %v", CallTimeout, err)
	case r.Status == http.StatusPaymentRequired:
		if out.problem = checkQuote(r.Body, o); out.problem == nil {
			out.quoted = true
		}
	case r.Status == http.StatusTooManyRequests:
		out.busy, out.problem = true, unanswered("answered 429: it has no trial to spare now")
	case r.Status < 200 || r.Status > 299:
		out.problem = unanswered("answered %d %s", r.Status, http.StatusText(r.Status))
	default:
		if out.problem = checkAnswer(r.Body, o, key); out.problem == nil {
			out.served = true
		}
	}
	return out
}

func callBody(o offer) []byte {
	b := canon.AppendString([]byte(`{"product_id":`), o.product)
	b = canon.AppendString(append(b, `,"capability_id":`...), o.capability)
	b = append(b, `,"source_hub":"local","input":`...)
	return append(append(b, o.input...), '}')
}

// checkQuote judges a 402: it must ask what the manifest lists.
func checkQuote(body []byte, o offer) *problem {
	if o.priceMicros == 0 {
		return broken("is listed as free and asks for payment")
	}
	doc, err := canon.Parse(body)
	if err != nil {
		return broken("asks for payment without a readable price: %v", err)
	}
	var asked []string
	// The total may be rounded up to whole cents; then the price stands beside it.
	for _, name := range []string{"price_usd", "list_price_usd", "needed"} {
		token := doc.Get(name).Token()
		if token == "" {
			continue
		}
		micros, err := canon.ParseMicros(token)
		if err == nil && max(micros-o.priceMicros, o.priceMicros-micros) <= quoteTolerance {
			return nil
		}
		asked = append(asked, clip(token))
	}
	if asked == nil {
		return broken("asks for payment and names no price")
	}
	return broken("asks %s USD and is listed for %s", strings.Join(asked, " or "), canon.AppendMicros(nil, o.priceMicros))
}

// checkAnswer judges a delivered call by its receipt.
func checkAnswer(body []byte, o offer, key identity.PublicKey) *problem {
	doc, err := canon.Parse(body)
	if err != nil {
		return broken("answered with something other than JSON: %v", err)
	}
	if !doc.Get("success").Bool() {
		return unanswered("reports no success")
	}
	receipt := doc.Get("receipt")
	if receipt.Kind() != canon.Object {
		return broken("delivered without a receipt")
	}
	block := receipt.Get("signature")
	if algorithm := block.Get("algorithm").Str(); algorithm != "ed25519" {
		return broken("sent a receipt signed with %q, not ed25519", clip(algorithm))
	}
	messages, err := canon.ReceiptMessages(receipt)
	if err != nil {
		return broken("sent a receipt that cannot be verified: %v", err)
	}
	verified := errors.New("no form of it matches")
	for _, m := range messages {
		if verified = identity.VerifyBase64(key, m, block.Get("value").Str()); verified == nil {
			break
		}
	}
	if verified != nil {
		return broken("sent a receipt whose signature does not verify under the hub's key: %v", verified)
	}
	if p, c := receipt.Get("product_id").Str(), receipt.Get("capability_id").Str(); p != o.product || c != o.capability {
		return broken("sent a receipt for %s/%s", clip(p), clip(c))
	}
	if !receipt.Get("success").Bool() {
		return broken("delivered with a receipt that says it failed")
	}
	if micros, err := canon.ParseMicros(receipt.Get("price_usd").Token()); err != nil || micros != 0 {
		return broken("charged %s USD for a trial call", clip(receipt.Get("price_usd").Token()))
	}
	return nil
}
