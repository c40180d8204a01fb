// Package routing is the life of one invoke: rate limit, checks, price, hold,
// execution, capture and receipt, with the hooks that plugins hang on it.
//
// It promises that a call is either answered, receipted and charged exactly the
// disclosed price, or refused with a *Refusal and charged nothing; that the
// capture and the receipt are on disk before the answer is returned; that a
// caller who goes away leaves no hold behind; and that an equal request id gets
// the first answer again. A hook can delay a call by no more than its deadline
// and cannot crash it; only a check that promised to be Prompt, on a small payload,
// runs without one.
//
// It knows nothing of the wire: status codes, headers of the buyer and the shape
// of error bodies belong to httpapi. It keeps no money itself: that is ledger.
package routing

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

// Func is a capability that runs in this process. It must return soon after ctx
// is done. An error that is (or wraps) an InputFault is the caller's fault and
// answered as such; every other one is a failed execution.
type Func func(ctx context.Context, input canon.Value) (json.RawMessage, error)

// InputFault is an error of a Func that says what is wrong with the input. Its
// text is shown to the caller. *Refusal is one if its kind is InvalidInput.
type InputFault interface {
	error
	InvalidInput() bool
}

// Catalog is what routing needs of the catalogue; *catalog.Catalog satisfies it.
type Catalog interface {
	Lookup(ctx context.Context, productID, capabilityID, sourceHub string) (catalog.Capability, error)
	Observe(k catalog.Key, success bool, latency time.Duration)
}

// Ledger is what routing needs of the money; *ledger.Ledger satisfies it.
type Ledger interface {
	Authorize(ctx context.Context, channelID, secret string) (ledger.Channel, error)
	Hold(ctx context.Context, r ledger.HoldRequest) (*ledger.Hold, error)
	Capture(ctx context.Context, h *ledger.Hold, d ledger.Delivery) error
	Release(ctx context.Context, h *ledger.Hold) error
	Deliver(ctx context.Context, d ledger.Delivery, durable bool) error
	Answered(ctx context.Context, scope string, fingerprint [32]byte) (answer []byte, found bool, err error)
}

// Provider is the way to a provider's invoke_url; *safehttp.Client satisfies it.
type Provider interface {
	Do(ctx context.Context, method, url string, header http.Header, body []byte) (*safehttp.Response, error)
}

// PeerInvoker carries a call to the hub that lists the capability and returns the
// answer object of that hub as received. It is the seam for the transports
// between hubs.
type PeerInvoker interface {
	InvokePeer(ctx context.Context, row catalog.Capability, input canon.Value) (canon.Value, error)
}

// PluginConfig loads one plugin.
type PluginConfig struct {
	Plugin   Plugin
	EntryKey string        // the short name the allow-list also takes
	Required bool          // fail closed: 503 when a hook fails
	Timeout  time.Duration // per hook call; 0 is DefaultHookTimeout
}

// Config is what New needs.
type Config struct {
	Catalog                  Catalog
	Ledger                   Ledger
	Store                    *store.DB // trials and the event log; nil keeps them in memory only
	Provider                 Provider
	Peers                    PeerInvoker     // nil: calls of another hub's capability are refused
	Builtins                 map[string]Func // by capability id
	Prompt                   map[string]bool // built-ins that keep a checker's promise of Prompt for inputs up to promptInput bytes
	Plugins                  []PluginConfig  // in the order their hooks run
	Allow                    []string        // nil: all; both kinds of name
	AllowSet                 bool            // an allow-list was given, even if empty
	Signer                   ledger.Signer
	Now                      func() time.Time
	Rand                     io.Reader // safe for concurrent use, as crypto/rand.Reader is
	Logger                   *slog.Logger
	HubURL                   string
	Mode                     ledger.Mode
	RatePerMin               int           // AIMARKET_INVOKE_RATE_PER_MIN, 60; ≤0 off
	SandboxTrials            int           // 3 per visitor for life; ≤0 turns the sandbox off
	SandboxPerIPHour         int           // 30; ≤0 off
	MinTrustInvoke           float64       // AIMARKET_SUPPLY_MIN_TRUST_INVOKE 0.35
	RequestTimeout           time.Duration // AIMARKET_REQUEST_TIMEOUT_S 30
	RequireProviderSignature bool          // refuse provider rows that have no key to check
}

// Call is one request to invoke, decoded and shape-checked by the wire.
type Call struct {
	ProductID, CapabilityID, SourceHub string
	Input                              canon.Value // an object
	HasMaxPrice                        bool
	MaxPrice                           ledger.Money
	Verify                             canon.Value // the verify member, Invalid if absent
	ChannelID                          string
	Secret                             string
	Visitor                            string
	RequestID                          string            // Idempotency-Key
	ClientKey                          string            // limit.AddressKey of the client
	Credentials                        map[string]string // other payment headers, for PaymentAuthorizer
	OperatorSelf                       bool              // traffic_class operator_self
}

// Answer is a finished call. Body is the protocol's JSON, ready to send.
type Answer struct {
	Body     []byte
	Nonce    string // of the receipt; "" when Replayed from an earlier process
	Replayed bool   // the stored answer of an earlier equal request
}

// Kind is the stable reason of a refusal; the wire maps it to a status.
type Kind string

// The kinds of refusal.
const (
	RateLimited       Kind = "rate_limited"
	InvalidID         Kind = "invalid_id"
	InvalidInput      Kind = "invalid_input"
	UnknownCapability Kind = "unknown_capability"
	UnknownPeer       Kind = "unknown_peer"
	SandboxConflict   Kind = "sandbox_conflict"
	SandboxInvalid    Kind = "sandbox_invalid"
	TrialExhausted    Kind = "trial_quota_exhausted"
	TrialRateLimited  Kind = "rate_limit_exceeded"
	VerifyInvalid     Kind = "verify_invalid"
	PaymentRequired   Kind = "payment_required"
	PaymentFailed     Kind = "payment_failed"
	PriceLimit        Kind = "price_limit_exceeded"
	SafetyBlocked     Kind = "safety_blocked"
	ResponseBlocked   Kind = "plugin_blocked_response"
	Untrusted         Kind = "untrusted_capability"
	ProviderFailed    Kind = "provider_failed"
	NoBackend         Kind = "no_execution_backend"
	PluginUnavailable Kind = "plugin_unavailable"
	RequestMismatch   Kind = "request_id_reused"
	StorageFailed     Kind = "storage_failed"
	Internal          Kind = "internal_error"
)

// Refusal says what was refused, why, and what to do next.
type Refusal struct {
	Kind       Kind
	Detail     string
	Fields     []Field // further members of the wire body, in order
	RetryAfter time.Duration
	Cause      error
}

// Field is one further member of a refusal's body; Value is JSON.
type Field struct {
	Name  string
	Value json.RawMessage
}

func (e *Refusal) Error() string { return string(e.Kind) + ": " + e.Detail }

// InvalidInput reports whether the caller's input is what was refused.
func (e *Refusal) InvalidInput() bool { return e.Kind == InvalidInput }

// Unwrap is the technical reason, which is for the log and not for the caller.
func (e *Refusal) Unwrap() error { return e.Cause }

// Quota is a visitor's standing in the sandbox.
type Quota struct {
	Enabled                    bool
	MaxTrials, Used, Remaining int
}

// Event is one executed call as stats/live shows it.
type Event struct {
	ID                                 uint64
	CapabilityID, ProductID, SourceHub string
	Price                              ledger.Money // charged
	Latency                            time.Duration
	Success                            bool
	Time                               time.Time
	ConsumerHub, TrafficClass          string
}

// Summary is the rolling totals of stats/live that routing knows.
type Summary struct {
	Total, Successful                      int64
	SuccessRate, AvgPriceUSD, AvgLatencyMS float64 // AvgPriceUSD to 4, AvgLatencyMS to 1 decimal
	RevenuePerHour                         ledger.Money
	Last1h, Last24h, Failed24h             int64
	RPS1h                                  float64
	P50LatencyMS24h, P95LatencyMS24h       *int64 // nil: no call in the window
}
