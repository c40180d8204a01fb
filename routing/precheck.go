package routing

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// maxID bounds product and capability ids (HTTP API notes §2).
const maxID = 80

// checkIDs applies the contract's rule of shape. A missing product id is allowed:
// published clients leave it out, and the capability id alone finds the row.
func checkIDs(c Call) *Refusal {
	if c.CapabilityID == "" {
		return refuse(InvalidID, "capability_id is missing; send the id that search or the manifest lists")
	}
	for _, id := range []struct{ name, value string }{{"product_id", c.ProductID}, {"capability_id", c.CapabilityID}} {
		if problem := idProblem(id.value); problem != "" {
			return refuse(InvalidID, "%s %s; use the id that search or the manifest lists", id.name, problem)
		}
	}
	return nil
}

func idProblem(id string) string {
	if len(id) > maxID {
		return fmt.Sprintf("is longer than %d characters", maxID)
	}
	if strings.Contains(id, "..") {
		return `contains ".."`
	}
	for i := range len(id) {
		if c := id[i]; !isAlnum(c) && c != '-' && c != '_' && c != '.' && c != '@' {
			return "contains a character outside A-Z a-z 0-9 - _ . @"
		}
	}
	return ""
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// preCheck runs on_invoke_pre_check of every plugin in configured order. The
// first block wins. It runs before the lookup, so an unknown id is checked too.
func (x *call) preCheck() *Refusal {
	if p := x.r.downRequired; p != nil {
		return unavailable(p, hookStartup, errors.New("its startup failed"))
	}
	for _, p := range x.r.active {
		if p.pre == nil {
			continue
		}
		// Copies: a hook that is left behind must not read the call while it goes on.
		payload, info := x.payload, x.info
		verdict, err := p.check(x.ctx, payload, func(ctx context.Context) (Verdict, error) {
			return p.pre.PreCheck(ctx, payload, info)
		})
		if err == nil && !verdict.Blocked && verdict.Replace != nil {
			x.payload, err = replaced(payload, verdict)
		}
		if err != nil {
			x.r.hookFailed(p, hookPre, err)
			if p.required {
				return unavailable(p, hookPre, err)
			}
			continue
		}
		if verdict.Blocked {
			return x.rejected(p, verdict)
		}
		x.checked = true
	}
	return nil
}

// replaced parses what a check wants to go on with.
func replaced(old *Payload, v Verdict) (*Payload, error) {
	value, err := canon.Parse(v.Replace)
	if err != nil {
		return old, fmt.Errorf("the replacement payload is not JSON: %w", err)
	}
	if value.Kind() != canon.Object {
		return old, errors.New("the replacement payload is not a JSON object")
	}
	return NewPayload(value), nil
}

// rejected builds the refusal with its signed proof and keeps the proof, so that
// the buyer can show later that nothing was charged.
func (x *call) rejected(p *plugin, v Verdict) *Refusal {
	category, reason := clip(v.Category), clip(v.Reason)
	if reason == "" {
		reason = "blocked by " + p.info.Name
	}
	refusal := refuse(SafetyBlocked, "the input was refused before anything was charged: %s; change the input and call again", reason).
		withString("category", category).
		withString("reason", reason).
		withString("blocked_by", p.info.Name)
	nonce, err := x.rejectionNonce()
	if err != nil {
		return asRefusal(err)
	}
	receipt := x.signRejection(nonce, category, reason, p.info.Name)
	// Losing an unpaid rejection in a crash costs nobody money, so nothing waits for
	// the disk: a flood of refused prompts must not queue up at its sync.
	if err := x.r.c.Ledger.Deliver(x.whole, ledger.Delivery{Receipt: receipt, Nonce: nonce}, false); err != nil {
		x.r.c.Logger.Warn("a rejection receipt was sent but could not be kept", "nonce", nonce, "error", err)
	}
	return refusal.with("rejection_receipt", receipt).with("refund", refundBlocked)
}

// rejectionNonce is the contract's blocked_<unix>_<product_id[:8]> with a random
// tail: two rejections of one second would otherwise share an id.
func (x *call) rejectionNonce() (string, error) {
	var tail [8]byte
	if _, err := io.ReadFull(x.r.c.Rand, tail[:]); err != nil {
		return "", fmt.Errorf("routing: reading randomness for a rejection's id: %w", err)
	}
	product := x.ProductID[:min(len(x.ProductID), 8)]
	return "blocked_" + strconv.FormatInt(x.r.c.Now().Unix(), 10) + "_" + product + "_" + hex.EncodeToString(tail[:]), nil
}
