package catalog

import (
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// What a peer's tool is taken for where it does not say (federation notes §2, "Per tool").
const (
	defaultPeerPrice   = 350_000 // micro-USD: leaving the price out means 0.35 USD, not free
	defaultPeerLatency = 3000    // milliseconds
	peerSuccess        = unobservedSuccess
)

// peerTool reads one tool of a peer's listing or manifest as a row, by the rules of
// federation notes §2, "Per tool". isHub tells which source_hub names the peer itself;
// hub, name, fee and trust of the row are whoever lists it to fill in. The error says why the
// tool is left out; it concerns this tool alone.
func peerTool(tool canon.Value, isHub func(sourceHub string) bool) (Capability, error) {
	if tool.Kind() != canon.Object {
		return Capability{}, fmt.Errorf("is no object")
	}
	if hub := tool.Get("source_hub"); hub.Exists() && hub.Kind() != canon.Null {
		if s := hub.Str(); hub.Kind() != canon.String || s != "" && s != Local && !isHub(s) {
			return Capability{}, fmt.Errorf("source_hub: is sold by another hub, %q; only that one can list it", clip(s))
		}
	}
	price, err := peerPrice(tool.Get("price_per_call_usd"))
	if err != nil {
		return Capability{}, err
	}
	for _, schema := range []string{"input_schema", "output_schema"} {
		s := tool.Get(schema)
		if s.Kind() != canon.Object && (schema == "input_schema" || s.Exists() && s.Kind() != canon.Null) {
			return Capability{}, fmt.Errorf("%s: must be a JSON object", schema)
		}
	}
	description := tool.Get("description")
	if description.Kind() != canon.String {
		return Capability{}, fmt.Errorf("description: is missing")
	}
	id := toolID(tool)
	r := Capability{
		Key:            Key{ProductID: id.ProductID, CapabilityID: id.CapabilityID, SourceHub: Local},
		Name:           peerToolName(tool, id),
		Version:        "v1",
		Description:    strings.Clone(description.Str()),
		InputSchema:    tool.Get("input_schema").Raw(),
		OutputSchema:   tool.Get("output_schema").Raw(),
		PriceMicros:    price,
		P50LatencyMS:   peerLatency(tool),
		SuccessRate30d: peerSuccess,
	}
	if v := tool.Get("version").Str(); len(v) <= MaxVersionLen && slug(v, "._-") {
		r.Version = strings.Clone(v)
	}
	// As an own row for the checks; the caller says whose it is.
	return checkRow(r, 0)
}

func peerPrice(v canon.Value) (int64, error) {
	if !v.Exists() || v.Kind() == canon.Null {
		return defaultPeerPrice, nil
	}
	price, err := canon.ParseMicros(v.Token())
	if err != nil || price < 0 || price > MaxPriceMicros || price == 0 && strings.HasPrefix(v.Token(), "-") {
		return 0, fmt.Errorf("price_per_call_usd: must be a number from 0 to %d", MaxPriceMicros/usd)
	}
	return price, nil
}

func peerLatency(tool canon.Value) int {
	f, ok := tool.Get("p50_latency_ms").Float64()
	if !ok {
		return defaultPeerLatency
	}
	ms := int(max(0, min(f, MaxLatencyMS)))
	if ms == 0 && tool.Get("reputation_basis").Str() == basisMeasured {
		ms = 1 // 0 means to readers that nothing was measured
	}
	return ms
}

// peerToolName is the display name, else the tool's name without product and version.
func peerToolName(tool canon.Value, id RowID) string {
	if s := tool.Get("display_name").Str(); s != "" {
		return strings.Clone(s)
	}
	s := strings.TrimPrefix(tool.Get("name").Str(), id.ProductID+".")
	if at := strings.LastIndexByte(s, '@'); at > 0 {
		s = s[:at]
	}
	return strings.Clone(s)
}
