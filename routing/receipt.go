package routing

import (
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// timestamp is the protocol's form of every time: UTC, whole seconds.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// signSale makes the receipt of a delivered call. A verification rides on it
// unsigned, as the contract has it: the envelope is signed by itself once there
// is a verdict.
func (r *Router) signSale(s *ledger.Receipt, verification []byte) []byte {
	receipt := ledger.SignReceipt(r.c.Signer, s)
	if verification == nil {
		return receipt
	}
	receipt = append(receipt[:len(receipt)-1], `,"verification":`...)
	return append(append(receipt, verification...), '}')
}

// rejectionType is the type of the receipt for a refused prompt (HTTP API notes §2).
const rejectionType = "safety_rejection"

// signRejection makes the receipt of a refused prompt: nothing charged, and why.
func (x *call) signRejection(nonce, category, reason, plugin string) []byte {
	refunded := true
	return ledger.SignReceipt(x.r.c.Signer, &ledger.Receipt{
		Nonce: nonce, ProductID: x.ProductID, CapabilityID: x.CapabilityID, Time: x.r.c.Now(),
		Rejection: &ledger.Rejection{
			Type: rejectionType, ChannelID: x.ChannelID, Category: category, Plugin: plugin,
			Reason: reason, Refunded: &refunded,
		},
	})
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, '"'), name...), `":`...)
	return canon.AppendString(dst, value)
}
