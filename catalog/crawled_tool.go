package catalog

import (
	"math"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// What a foreign tool is taken for where it says nothing (federation notes §2,
// "Per tool").
const (
	defaultToolPrice   = 350_000 // micro-USD: leaving the price out is not a gift (§9.7)
	defaultToolLatency = 3000    // milliseconds
	foreignVersion     = "v1"
	foreignSuccess     = 0.5 // whatever the peer says of itself
	noSource           = ""
)

// judgeTool turns one tool of a hub's manifest into a row of that hub. It drops what
// is not the hub's own or breaks a rule, and says why; it never blames the others.
func judgeTool(t canon.Value, p *Peer, trust float64, feeBps int) (Capability, *Dropped) {
	if t.Kind() != canon.Object {
		return Capability{}, &Dropped{Reason: "it is " + t.Kind().String() + ", not an object"}
	}
	name := t.Get("name").Str()
	id := RowID{ProductID: t.Get("product_id").Str(), CapabilityID: t.Get("capability_id").Str()}
	if !t.Get("capability_id").Exists() {
		id.CapabilityID = name
	}
	drop := func(why string) (Capability, *Dropped) {
		return Capability{}, &Dropped{RowID: RowID{clip(id.ProductID), clip(id.CapabilityID)}, Reason: why}
	}
	for _, need := range [...]string{"name", "description"} {
		if t.Get(need).Kind() != canon.String {
			return drop(need + " is " + t.Get(need).Kind().String() + ", must be a string")
		}
	}
	if kind := t.Get("input_schema").Kind(); kind != canon.Object {
		return drop("input_schema is " + kind.String() + ", must be an object")
	}
	if source := t.Get("source_hub"); !ownTool(source, p.URL) {
		return drop("it belongs to " + clip(source.Str()) + "; what a hub passes on is read at its own hub")
	}
	price, why := toolPrice(t.Get("price_per_call_usd"))
	if why != "" {
		return drop(why)
	}
	r := Capability{
		Key:            Key{ProductID: id.ProductID, CapabilityID: id.CapabilityID, SourceHub: p.URL},
		SourceHubName:  cleanText(p.Name, MaxHubNameLen),
		Name:           toolName(t, name, id.ProductID),
		Version:        foreignVersion,
		Description:    cutText(t.Get("description").Str(), MaxDescriptionLen),
		InputSchema:    t.Get("input_schema").Raw(),
		PriceMicros:    price,
		TrustScore:     trust,
		P50LatencyMS:   toolLatency(t),
		SuccessRate30d: foreignSuccess,
	}
	if out := t.Get("output_schema"); out.Kind() == canon.Object {
		r.OutputSchema = out.Raw()
	}
	row, err := checkRow(r, feeBps)
	if err != nil {
		return drop(err.Error())
	}
	return row, nil
}

// ownTool is true for tools that a hub lists as its own: without a source, as local,
// or under its own URL whatever the scheme. Everything else it merely passes on
// (§9.11).
func ownTool(source canon.Value, hub string) bool {
	if !source.Exists() || source.Kind() == canon.Null {
		return true
	}
	if source.Kind() != canon.String {
		return false
	}
	s := source.Str()
	if s == noSource || s == Local {
		return true
	}
	base, err := NormalizeHubURL(s)
	return err == nil && sameHub(base, hub)
}

// toolPrice reads a price in micro-USD, exactly; a price that is there and is no
// number is not guessed at.
func toolPrice(v canon.Value) (micros int64, why string) {
	if !v.Exists() {
		return defaultToolPrice, ""
	}
	if v.Kind() != canon.Number {
		return 0, "price_per_call_usd is " + v.Kind().String() + ", must be a number"
	}
	f, ok := v.Float64() // tells a negative price that rounds to nothing
	micros, err := canon.ParseMicros(v.Token())
	if err != nil || !ok || f < 0 || micros > MaxPriceMicros {
		return 0, "price_per_call_usd is " + clip(v.Token()) + ", must be 0 to 1000"
	}
	return micros, ""
}

// toolLatency reads the declared median in milliseconds. What is no number counts as
// absent; a measured 0 means less than one.
func toolLatency(t canon.Value) int {
	f, ok := t.Get("p50_latency_ms").Float64()
	if !ok || math.IsNaN(f) || math.IsInf(f, 0) {
		return defaultToolLatency
	}
	ms := int(min(max(f, 0), MaxLatencyMS))
	if ms == 0 && t.Get("reputation_basis").Str() == basisMeasured {
		return 1
	}
	return ms
}

// toolName is the capability's own name: display_name, or the name without the
// product and version that manifests put around it.
func toolName(t canon.Value, name, productID string) string {
	if shown := cleanText(t.Get("display_name").Str(), MaxNameLen); shown != "" {
		return shown
	}
	name = strings.TrimPrefix(name, productID+".")
	if at := strings.LastIndexByte(name, '@'); at > 0 {
		name = name[:at]
	}
	return cleanText(name, MaxNameLen)
}
