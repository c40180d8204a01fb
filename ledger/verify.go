package ledger

import (
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// VerifiedReceipt says what a receipt's signature was found to cover.
type VerifiedReceipt struct {
	Nonce     string
	Version   int      // of the canonical form: 1 or 2
	Uncovered []string // members that anybody could have changed
}

// VerifyReceipt checks a receipt's signature under pub. Clients that parse and
// reprint a receipt turn 0.0 into 0 or back, so both spellings of a whole price and
// latency are tried (consumer contract §6, trap 1). The error says why it is not
// valid; what it returns beside an error is what the document claims.
func VerifyReceipt(raw []byte, pub identity.PublicKey) (VerifiedReceipt, error) {
	doc, err := canon.Parse(raw)
	if err != nil {
		return VerifiedReceipt{}, fmt.Errorf("ledger: parse receipt: %w", err)
	}
	if doc.Kind() != canon.Object {
		return VerifiedReceipt{}, invalid("a receipt is a JSON object")
	}
	v := VerifiedReceipt{Nonce: doc.Get("nonce").Str()}
	block := doc.Get("signature")
	if alg := block.Get("algorithm").Str(); alg != "ed25519" {
		return v, invalid("receipt signature has algorithm %.20q, not ed25519", alg)
	}
	msg, version, uncovered, err := canon.ReceiptMessage(doc)
	if err != nil {
		return v, fmt.Errorf("ledger: build the receipt's signed bytes: %w", err)
	}
	v.Version, v.Uncovered = version, uncovered
	sig := block.Get("value").Str()
	first := identity.VerifyBase64(pub, msg, sig)
	if first == nil {
		return v, nil
	}
	for _, other := range respell(doc) {
		msg, _, _, err := canon.ReceiptMessage(other)
		if err == nil && identity.VerifyBase64(pub, msg, sig) == nil {
			return v, nil
		}
	}
	return v, &Error{Kind: KindUnauthorized, Detail: "receipt signature is not valid under this key", Err: first}
}

// respell returns doc with the other integral spelling of its price, its latency,
// and both.
func respell(doc canon.Value) []canon.Value {
	price, okPrice := otherSpelling(doc.Get("price_usd"))
	latency, okLatency := otherSpelling(doc.Get("latency_ms"))
	var docs []canon.Value
	add := func(replace map[string]string) {
		if v, err := canon.Parse(withTokens(doc, replace)); err == nil {
			docs = append(docs, v)
		}
	}
	if okPrice {
		add(map[string]string{"price_usd": price})
	}
	if okLatency {
		add(map[string]string{"latency_ms": latency})
	}
	if okPrice && okLatency {
		add(map[string]string{"price_usd": price, "latency_ms": latency})
	}
	return docs
}

// otherSpelling turns 1 into 1.0 and back.
func otherSpelling(v canon.Value) (string, bool) {
	if v.Kind() != canon.Number {
		return "", false
	}
	token := v.Token()
	if whole, ok := strings.CutSuffix(token, ".0"); ok {
		return whole, true
	}
	if !strings.ContainsAny(token, ".eE") {
		return token + ".0", true
	}
	return "", false
}

func withTokens(doc canon.Value, replace map[string]string) []byte {
	b := []byte{'{'}
	doc.Members(func(key string, v canon.Value) bool {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(canon.AppendString(b, key), ':')
		if token, ok := replace[key]; ok {
			b = append(b, token...)
		} else {
			b = append(b, v.Raw()...)
		}
		return true
	})
	return append(b, '}')
}
