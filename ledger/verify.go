package ledger

import (
	"fmt"

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
	if _, v.Version, v.Uncovered, err = canon.ReceiptMessage(doc); err != nil {
		return v, fmt.Errorf("ledger: build the receipt's signed bytes: %w", err)
	}
	messages, err := canon.ReceiptMessages(doc)
	if err != nil {
		return v, fmt.Errorf("ledger: build the receipt's signed bytes: %w", err)
	}
	sig := block.Get("value").Str()
	var first error
	for _, msg := range messages {
		if err = identity.VerifyBase64(pub, msg, sig); err == nil {
			return v, nil
		}
		if first == nil {
			first = err
		}
	}
	return v, &Error{Kind: KindUnauthorized, Detail: "receipt signature is not valid under this key", Err: first}
}
