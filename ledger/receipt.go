package ledger

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// Receipt says what one call was, cost and did. SignReceipt makes it a document
// that anybody can check offline.
type Receipt struct {
	Nonce, ProductID, CapabilityID string
	Price                          Money // charged
	ListPrice                      Money // shown; not signed
	Time                           time.Time
	Success                        bool
	Latency                        time.Duration // printed in whole milliseconds
	Sandbox                        bool          // shown; not signed
	Rejection                      *Rejection    // nil: version 1
}

// Rejection is what a version 2 receipt adds: why a call was refused or given back.
// Empty strings and nils are left out of the document and signed as null.
type Rejection struct {
	Type, ChannelID, Category, Plugin, Reason, TraceID string
	VerifyScore                                        *float64 // NaN and infinities count as absent
	DeliveryReasons                                    []string
	Refunded                                           *bool
}

// NonceBytes is the length of a receipt nonce's random part.
const NonceBytes = 16

// NewNonce makes a receipt id, rcpt_ and 32 hex digits, from random bytes.
func NewNonce(random [NonceBytes]byte) string {
	b := make([]byte, 5, 5+2*NonceBytes)
	copy(b, "rcpt_")
	return string(hex.AppendEncode(b, random[:]))
}

var scratch = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// timeLayout is every time of the wire: UTC in whole seconds.
const timeLayout = "2006-01-02T15:04:05Z"

// SignReceipt prints r and signs it, in one pass over its values. Its number
// tokens are those of the canonical form, so that a verifier that reprints the
// document and one that keeps its bytes agree (federation contract §8).
//
// The canonical form joins its fields with pipes and escapes nothing, so whoever
// may choose an id (a rejection names what was asked for, not what exists) could
// have the hub sign the text of another receipt. Pipes in ids become underscores.
func SignReceipt(s Signer, r *Receipt) []byte {
	if strings.Contains(r.Nonce, "|") || strings.Contains(r.ProductID, "|") || strings.Contains(r.CapabilityID, "|") {
		clean := *r
		for _, id := range []*string{&clean.Nonce, &clean.ProductID, &clean.CapabilityID} {
			*id = strings.ReplaceAll(*id, "|", "_")
		}
		r = &clean
	}
	mp := scratch.Get().(*[]byte)
	msg := r.appendMessage((*mp)[:0])
	sig := s.SignBase64(msg)
	*mp = msg
	scratch.Put(mp)

	b := make([]byte, 0, 448)
	b = append(b, '{')
	if r.Rejection != nil {
		b = r.Rejection.appendMembers(b)
	}
	b = r.appendMembers(b)
	b = append(b, `,"signature":{"algorithm":"ed25519","value":"`...)
	b = append(b, sig...)
	if r.Rejection != nil {
		b = append(b, `","version":2}}`...)
	} else {
		b = append(b, `"}}`...)
	}
	return b
}

func (r *Receipt) appendMembers(b []byte) []byte {
	b = append(b, `"nonce":`...)
	b = canon.AppendString(b, r.Nonce)
	b = append(b, `,"product_id":`...)
	b = canon.AppendString(b, r.ProductID)
	b = append(b, `,"capability_id":`...)
	b = canon.AppendString(b, r.CapabilityID)
	b = append(b, `,"price_usd":`...)
	b = r.Price.AppendJSON(b)
	if r.Rejection == nil {
		b = append(b, `,"list_price_usd":`...)
		b = r.ListPrice.AppendJSON(b)
	}
	b = append(b, `,"timestamp":"`...)
	b = r.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","success":`...)
	b = strconv.AppendBool(b, r.Success)
	b = append(b, `,"latency_ms":`...)
	b = strconv.AppendInt(b, r.Latency.Milliseconds(), 10)
	if r.Sandbox {
		b = append(b, `,"sandbox":true`...)
	}
	return b
}

// appendMessage prints the canonical bytes that the hub signs.
func (r *Receipt) appendMessage(b []byte) []byte {
	b = append(append(b, "nonce:"...), r.Nonce...)
	b = append(append(b, "|product_id:"...), r.ProductID...)
	b = append(append(b, "|capability_id:"...), r.CapabilityID...)
	b = r.Price.AppendJSON(append(b, "|price_usd:"...))
	b = r.Time.UTC().AppendFormat(append(b, "|timestamp:"...), timeLayout)
	b = append(b, "|success:0"...)
	if r.Success {
		b[len(b)-1] = '1'
	}
	b = strconv.AppendInt(append(b, "|latency_ms:"...), r.Latency.Milliseconds(), 10)
	if r.Rejection == nil {
		return b
	}
	fields := sha256.Sum256(r.Rejection.appendFields(nil))
	return hex.AppendEncode(append(b, "|v:2|fields:"...), fields[:])
}

// appendFields prints the nine version 2 members as the signature covers them:
// sorted, absent ones as null.
func (r *Rejection) appendFields(b []byte) []byte {
	b = append(b, '{')
	for _, m := range r.members() {
		b = append(append(append(b, '"'), m.key...), `":`...)
		if m.value == nil {
			m.value = []byte("null")
		}
		b = append(append(b, m.value...), ',')
	}
	b[len(b)-1] = '}'
	return b
}

// appendMembers prints the members that are there, each followed by a comma.
func (r *Rejection) appendMembers(b []byte) []byte {
	for _, m := range r.members() {
		if m.value != nil {
			b = append(append(append(b, '"'), m.key...), `":`...)
			b = append(append(b, m.value...), ',')
		}
	}
	return b
}

// member is one version 2 member; value is its JSON, nil if absent.
type member struct {
	key   string
	value []byte
}

// members lists the version 2 members in code point order.
func (r *Rejection) members() [9]member {
	text := func(s string) []byte {
		if s == "" {
			return nil
		}
		return canon.AppendString(nil, s)
	}
	var score, reasons, refunded []byte
	if r.VerifyScore != nil && !math.IsNaN(*r.VerifyScore) && !math.IsInf(*r.VerifyScore, 0) {
		score = canon.AppendFloat(nil, *r.VerifyScore)
	}
	if r.DeliveryReasons != nil {
		reasons = []byte{'['}
		for i, s := range r.DeliveryReasons {
			if i > 0 {
				reasons = append(reasons, ',')
			}
			reasons = canon.AppendString(reasons, s)
		}
		reasons = append(reasons, ']')
	}
	if r.Refunded != nil {
		refunded = strconv.AppendBool(nil, *r.Refunded)
	}
	return [9]member{
		{"category", text(r.Category)},
		{"channel_id", text(r.ChannelID)},
		{"delivery_reasons", reasons},
		{"plugin", text(r.Plugin)},
		{"reason", text(r.Reason)},
		{"refunded", refunded},
		{"trace_id", text(r.TraceID)},
		{"type", text(r.Type)},
		{"verify_score", score},
	}
}
