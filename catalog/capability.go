package catalog

import (
	"encoding/json"
	"time"
)

// Local is the source hub of a capability that this hub sells itself.
const Local = "local"

// Key names one row of the catalogue.
type Key struct {
	ProductID    string
	CapabilityID string
	SourceHub    string // Local, or the base URL of a peer
}

// Capability is one thing an agent can call for a price.
type Capability struct {
	Key
	SourceHubName   string
	Name            string
	Version         string // "v1"
	Description     string
	InputSchema     json.RawMessage // a JSON object; {} when unknown
	OutputSchema    json.RawMessage // a JSON object; {} when unknown
	PriceMicros     int64           // micro-USD per call
	RoutedMicros    int64           // micro-USD through this hub; equals PriceMicros for local rows
	RoutingFeeBps   int             // 0 for local rows
	TrustScore      float64         // 0…1
	P50LatencyMS    int
	SuccessRate30d  float64 // 0…1
	Observations30d int64   // 0: SuccessRate30d and P50LatencyMS are declared, not measured
	InvokeURL       string  // "" for capabilities that run in process
	PublisherID     string
	ProviderKey     string // base64 Ed25519; "" if answers are unsigned
	StakeMicros     int64
	Demo            bool
	Builtin         bool // runs in this process
	FirstSeen       time.Time
	UpdatedAt       time.Time
}

// ReputationBasis is the protocol's word for where SuccessRate30d comes from:
// "measured", or "unobserved" for a value that its publisher merely declared.
func (r *Capability) ReputationBasis() string {
	if r.Observations30d > 0 {
		return basisMeasured
	}
	return basisUnobserved
}

// The bases of a reputation (manifest schema).
const (
	basisMeasured   = "measured"
	basisUnobserved = "unobserved"
	basisSelf       = "self"
)
