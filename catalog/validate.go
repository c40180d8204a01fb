package catalog

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on one row. Those of ids are the protocol's (HTTP API notes §2: an id that
// invoke would refuse must not be listed), those of schemas its readers'
// (consumer notes §3, manifest).
const (
	MaxIDLen          = 80         // bytes of a product or capability id
	MaxNameLen        = 200        // bytes of a name
	MaxVersionLen     = 32         // bytes of a version
	MaxDescriptionLen = 4096       // bytes of a description
	MaxSchemaBytes    = 256 << 10  // bytes of one schema
	MaxSchemaDepth    = 32         // nesting of one schema
	MaxURLLen         = 2048       // bytes of an invoke URL
	MaxHubURLLen      = 256        // bytes of a hub's base URL (announce, federation notes §4)
	MaxHubNameLen     = 128        // bytes of a hub's name
	MaxPublisherLen   = 128        // bytes of a publisher id
	MaxPriceMicros    = 1000 * usd // the protocol's highest price per call
	MaxLatencyMS      = 300_000    // the protocol's highest declared latency
	usd               = 1_000_000  // micro-USD in one USD
	maxStakeMicros    = 1_000_000_000 * usd
	maxRoutingFeeBps  = 10_000
	emptySchema       = "{}"
)

// ValidID reports whether an id can be invoked: 2 to 80 of A-Z a-z 0-9 - _ . @
// without "..". The wire uses the same rule before it looks anything up.
func ValidID(id string) bool {
	if len(id) < 2 || len(id) > MaxIDLen || strings.Contains(id, "..") {
		return false
	}
	for i := range len(id) {
		if !isAlnum(id[i]) && !strings.ContainsRune("-_.@", rune(id[i])) {
			return false
		}
	}
	return true
}

func isAlnum(b byte) bool {
	return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9'
}

// checkRow returns r as it will be stored: defaults filled in, schemas in compact
// form with normal number text, the routed price computed. fee is the hub's own.
func checkRow(r Capability, feeBps int) (Capability, error) {
	if !ValidID(r.ProductID) {
		return r, invalid("product_id", "%q must be 2 to %d of A-Z a-z 0-9 - _ . @ without \"..\"", clip(r.ProductID), MaxIDLen)
	}
	if !ValidID(r.CapabilityID) {
		return r, invalid("capability_id", "%q must be 2 to %d of A-Z a-z 0-9 - _ . @ without \"..\"", clip(r.CapabilityID), MaxIDLen)
	}
	if r.SourceHub != Local {
		hub, err := NormalizeHubURL(r.SourceHub)
		if err != nil {
			return r, invalid("source_hub", "%v", err)
		}
		r.SourceHub = hub
		r.InvokeURL = "" // a peer's own endpoint is the peer's business (federation notes §2)
	}
	if r.Version == "" {
		r.Version = "v1"
	}
	if err := checkTexts(r); err != nil {
		return r, err
	}
	if err := checkNumbers(r); err != nil {
		return r, err
	}
	var err error
	if r.InputSchema, err = normalSchema("input_schema", r.InputSchema); err != nil {
		return r, err
	}
	if r.OutputSchema, err = normalSchema("output_schema", r.OutputSchema); err != nil {
		return r, err
	}
	if r.InvokeURL != "" {
		if err := checkInvokeURL(r.InvokeURL); err != nil {
			return r, err
		}
	}
	if r.ProviderKey != "" {
		pub, err := identity.ParsePublicKey(r.ProviderKey)
		if err != nil {
			return r, invalid("provider_pubkey", "not a usable Ed25519 public key in base64: %v", err)
		}
		r.ProviderKey = pub.String()
	}
	r.RoutedMicros, r.RoutingFeeBps = r.PriceMicros, 0
	if r.SourceHub != Local {
		r.RoutingFeeBps = feeBps
		r.RoutedMicros = r.PriceMicros + feeMicros(r.PriceMicros, feeBps)
	}
	return r, nil
}

func checkTexts(r Capability) error {
	switch {
	case r.Name == "" || len(r.Name) > MaxNameLen || !plainText(r.Name, ""):
		return invalid("name", "must be 1 to %d bytes of text without control characters", MaxNameLen)
	case len(r.Version) > MaxVersionLen || !slug(r.Version, "._-"):
		return invalid("version", "%q must look like v1", clip(r.Version))
	case len(r.Description) > MaxDescriptionLen || !plainText(r.Description, "\n\t\r"):
		return invalid("description", "must be at most %d bytes of text without control characters", MaxDescriptionLen)
	case len(r.SourceHubName) > MaxHubNameLen || !plainText(r.SourceHubName, ""):
		return invalid("source_hub_name", "must be at most %d bytes of text without control characters", MaxHubNameLen)
	case r.PublisherID != "":
		return checkPublisher(r.PublisherID)
	}
	return nil
}

func checkNumbers(r Capability) error {
	switch {
	case r.PriceMicros < 0 || r.PriceMicros > MaxPriceMicros:
		return invalid("price_per_call_usd", "must be 0 to %d USD", MaxPriceMicros/usd)
	case r.P50LatencyMS < 0 || r.P50LatencyMS > MaxLatencyMS:
		return invalid("p50_latency_ms", "must be 0 to %d", MaxLatencyMS)
	case !fraction(r.SuccessRate30d):
		return invalid("success_rate_30d", "must be 0 to 1")
	case !fraction(r.TrustScore):
		return invalid("trust_score", "must be 0 to 1")
	case r.StakeMicros < 0 || r.StakeMicros > maxStakeMicros:
		return invalid("stake_usd", "must be 0 to %d USD", maxStakeMicros/usd)
	}
	return nil
}

// checkPublisher bounds a publisher id; it is part of keys in the store.
func checkPublisher(id string) error {
	if id == "" || len(id) > MaxPublisherLen || !slug(id, "._-:@") {
		return invalid("publisher_id", "%q must be 1 to %d of A-Z a-z 0-9 . _ - : @ and begin with a letter or digit", clip(id), MaxPublisherLen)
	}
	return nil
}

// fraction is true for a finite number in 0…1; NaN fails both comparisons.
func fraction(f float64) bool { return f >= 0 && f <= 1 && !math.IsNaN(f) }

// slug is true for text that begins with a letter or digit and continues with
// those and the characters of more.
func slug(s, more string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && (i == 0 || !strings.ContainsRune(more, rune(s[i]))) {
			return false
		}
	}
	return s != ""
}

// plainText is true for UTF-8 without control characters other than those allowed.
func plainText(s, allowed string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) && !strings.ContainsRune(allowed, r) {
			return false
		}
	}
	return true
}

func clip(s string) string {
	const shown = 64
	if len(s) > shown {
		return s[:shown] + "…"
	}
	return s
}

// feeMicros is price·bps/10000 in micro-USD, half to even.
func feeMicros(price int64, bps int) int64 {
	n := price * int64(bps)
	q, rem := n/10_000, n%10_000
	if rem > 5_000 || rem == 5_000 && q%2 == 1 {
		q++
	}
	return q
}
