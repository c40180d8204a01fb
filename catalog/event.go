package catalog

import (
	"crypto/sha256"
	"slices"
	"strconv"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on reputation events (federation notes §5).
const (
	MaxEventBytes   = 2 << 10         // of one event as sent
	MaxEventsATime  = 100             // of one request
	EventWindow     = 24 * time.Hour  // how far an event's time may lie from now
	maxEventType    = 64              // bytes of its type
	maxEventPrice   = 1_000_000 * usd // micro-USD (HTTP API notes §9.10)
	maxEventLatency = 1<<31 - 1       // milliseconds
	hearsayWindow   = windowDays * 24 * time.Hour
	eventSuccess    = "invoke_success"
	eventFailure    = "invoke_failure"
)

// outcome is what an event's type says of the exchange. The protocol leaves the types
// open: what is not known here is kept and shown, and counts for nothing.
func outcome(eventType string) (success, counts bool) {
	switch eventType {
	case eventSuccess, "invocation_success", "success", "invoke", "invocation", "completed", "delivered":
		return true, true
	case eventFailure, "invocation_failure", "failure", "failed", "error", "timeout", "refund":
		return false, true
	}
	return false, false
}

// eventDigest tells events apart: the signed text and who signed it. Spelling, order and
// unsigned members make no second event.
type eventDigest [16]byte

// repEvent is a reputation event that passed every check which needs no peer.
type repEvent struct {
	raw       []byte
	message   []byte // what its signature covers
	signature string
	kind      string
	provider  string // as written
	consumer  string
	at        time.Time
}

// parseEvent checks the shape of an event.
func parseEvent(v canon.Value) (*repEvent, error) {
	if v.Kind() != canon.Object {
		return nil, errf("it is %s, not an object", v.Kind())
	}
	raw := v.Raw()
	if len(raw) > MaxEventBytes {
		return nil, errf("it is %d bytes, at most %d are read", len(raw), MaxEventBytes)
	}
	e := &repEvent{kind: v.Get("type").Str(), provider: v.Get("provider_hub").Str(), consumer: v.Get("consumer_hub").Str()}
	switch {
	case e.kind == "" || len(e.kind) > maxEventType || !plainText(e.kind, ""):
		return nil, invalid("type", "must be 1 to %d bytes of text", maxEventType)
	case e.provider == "" || len(e.provider) > MaxHubURLLen:
		return nil, invalid("provider_hub", "must be a hub's URL of at most %d bytes", MaxHubURLLen)
	case e.consumer == "" || len(e.consumer) > MaxHubURLLen:
		return nil, invalid("consumer_hub", "must be a hub's URL of at most %d bytes", MaxHubURLLen)
	}
	var ok bool
	if e.at, ok = parseStamp(v.Get("timestamp").Str()); !ok {
		return nil, invalid("timestamp", "must be a time like 2026-05-21T12:00:00Z")
	}
	if p := v.Get("price_usd"); p.Exists() {
		micros, err := canon.ParseMicros(p.Token())
		if err != nil || micros < 0 || micros > maxEventPrice {
			return nil, invalid("price_usd", "must be a number from 0 to 1000000")
		}
	}
	if l := v.Get("latency_ms"); l.Exists() {
		f, ok := l.Float64()
		if !ok || f < 0 || f > maxEventLatency {
			return nil, invalid("latency_ms", "must be a number from 0 to %d", maxEventLatency)
		}
	}
	if e.signature = signatureText(v.Get("signature")); e.signature == "" {
		return nil, invalid("signature", "must be a signature block with algorithm ed25519, or its value")
	}
	var err error
	if e.message, err = canon.ReputationMessage(v); err != nil {
		return nil, err
	}
	e.raw = slices.Clone(raw)
	return e, nil
}

// signatureText is the value of a signature, which the protocol's text shows as a
// string and its readers expect in a block (HTTP API notes §5).
func signatureText(v canon.Value) string {
	if v.Kind() == canon.String {
		return v.Str()
	}
	if a := v.Get("algorithm"); a.Exists() && a.Str() != "ed25519" {
		return ""
	}
	return v.Get("value").Str()
}

// digest of the event as signed by a key.
func (e *repEvent) digest(by identity.PublicKey) eventDigest {
	sum := sha256.Sum256(append(by[:], e.message...))
	return eventDigest(sum[:16])
}

// timely reports whether an event is neither old nor ahead.
func (e *repEvent) timely(now time.Time) bool {
	d := now.Sub(e.at)
	return d <= EventWindow && -d <= EventWindow
}

// printEvent writes an event of this hub, signed.
func (c *Catalog) printEvent(x Experience, provider, consumer string, now time.Time) ([]byte, error) {
	kind := eventFailure
	if x.Success {
		kind = eventSuccess
	}
	o := openObject(nil)
	o.text("type", kind)
	o.text("provider_hub", provider)
	o.text("consumer_hub", consumer)
	o.text("timestamp", stamp(now))
	o.micros("price_usd", min(max(x.PriceMicros, 0), maxEventPrice))
	o.int("latency_ms", min(max(x.LatencyMS, 0), maxEventLatency))
	return c.sign(o, canon.ReputationMessage)
}

// eventAge is the part of a store key that orders events; hexadecimal, so that it sorts.
func eventAge(seq uint64) string {
	s := strconv.FormatUint(seq, 16)
	const width = 16
	return "0000000000000000"[:width-len(s)] + s
}
