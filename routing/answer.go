package routing

import (
	"strconv"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// body builds the answer once. The result's own bytes are spliced in, never
// encoded again; output repeats it for clients that read that name (consumers.md
// §4). There is no member "error": some clients take any as a failure.
func (x *call) body(output *Payload, receipt, verification []byte, extra []pluginReceipt) []byte {
	result := output.Raw()
	b := make([]byte, 0, 2*len(result)+len(receipt)+len(verification)+640)
	b = append(append(b, `{"success":true,"result":`...), result...)
	b = append(append(b, `,"output":`...), result...)
	b = append(append(b, `,"receipt":`...), receipt...)
	b = canon.AppendMicros(append(b, `,"price_usd":`...), int64(x.quote.Price))
	b = canon.AppendMicros(append(b, `,"list_price_usd":`...), int64(x.quote.List))
	b = strconv.AppendInt(append(b, `,"latency_ms":`...), x.latency.Milliseconds(), 10)
	b = strconv.AppendBool(append(b, `,"safety_checked":`...), x.checked)
	b = strconv.AppendInt(append(b, `,"plugins_checked":`...), int64(len(x.r.active)), 10)
	b = append(b, `,"protocol_version":"v2"`...)
	if x.hold != nil {
		b = canon.AppendMicros(append(b, `,"remaining_balance":`...), int64(x.hold.Balance))
	}
	b = appendPluginReceipts(b, extra)
	if x.trial != nil {
		b = append(b, `,"sandbox":true`...)
		b = appendInt(b, "remaining", x.trial.quota.Remaining)
		b = appendInt(b, "used", x.trial.quota.Used)
		b = appendInt(b, "max_trials", x.trial.quota.MaxTrials)
	}
	if verification != nil {
		b = append(append(b, `,"verification":`...), verification...)
	}
	if x.quote.Note != "" {
		b = appendMember(append(b, ','), "price_note", x.quote.Note)
	}
	if !x.local {
		// What the peer was asked and what the buyer paid for the way there.
		b = appendMember(append(b, ','), "routed_via", x.r.c.HubURL)
		b = appendInt(b, "routing_fee_bps", x.row.RoutingFeeBps)
	}
	if x.r.c.Mode == ledger.Demo && x.quote.Price > 0 {
		b = append(b, `,"money":"demo"`...)
	}
	return append(b, '}')
}

// appendPluginReceipts puts provenance where its clients look, and every other
// plugin's receipt under its name.
func appendPluginReceipts(b []byte, extra []pluginReceipt) []byte {
	others := 0
	for _, e := range extra {
		if e.name == "provenance" {
			b = append(append(b, `,"provenance_receipt":`...), e.raw...)
		} else {
			others++
		}
	}
	if others == 0 {
		return b
	}
	b = append(b, `,"plugin_receipts":{`...)
	for _, e := range extra {
		if e.name == "provenance" {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(append(canon.AppendString(b, e.name), ':'), e.raw...)
	}
	return append(b, '}')
}

func appendInt(b []byte, name string, n int) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendInt(b, int64(n), 10)
}
