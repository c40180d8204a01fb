// Package routing is the life of one invoke: checks, price, hold, execution,
// capture and receipt, with the hooks that plugins hang on it.
package routing

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

// Func is a capability that runs in this process.
type Func func(ctx context.Context, input canon.Value) (json.RawMessage, error)

// Catalog is what routing needs of the catalogue.
type Catalog interface {
	Lookup(ctx context.Context, productID, capabilityID, sourceHub string) (catalog.Capability, error)
	Observe(k catalog.Key, success bool, latency time.Duration)
}

// Provider is the way to a provider's invoke_url; *safehttp.Client satisfies it.
type Provider interface {
	Do(ctx context.Context, method, url string, header map[string][]string, body []byte) (*safehttp.Response, error)
}

// PluginConfig loads one plugin.
type PluginConfig struct {
	Plugin   Plugin
	EntryKey string // the short name the allow-list also takes
	Required bool   // fail closed: 503 when a hook fails
	Timeout  time.Duration
}

// Config is what New needs.
type Config struct {
	Catalog                  Catalog
	Ledger                   *ledger.Ledger
	Store                    *store.DB // trials and the event log
	Provider                 Provider
	Builtins                 map[string]Func // by capability id
	Plugins                  []PluginConfig
	Allow                    []string // nil: all; both kinds of name
	AllowSet                 bool     // an allow-list was given, even if empty
	Signer                   ledger.Signer
	Now                      func() time.Time
	Rand                     io.Reader
	Logger                   *slog.Logger
	HubURL                   string
	Mode                     ledger.Mode
	RatePerMin               int           // AIMARKET_INVOKE_RATE_PER_MIN, 60; ≤0 off
	SandboxTrials            int           // 3 per visitor for life
	SandboxPerIPHour         int           // 30
	MinTrustInvoke           float64       // AIMARKET_SUPPLY_MIN_TRUST_INVOKE 0.35
	RequestTimeout           time.Duration // AIMARKET_REQUEST_TIMEOUT_S 30
	RequireProviderSignature bool
}

// Router runs invokes. It is safe for concurrent use.
type Router struct{}

func New(ctx context.Context, c Config) (*Router, error) { panic("skeleton") }

// Close waits for calls in flight, stops plugins and flushes the event log.
func (r *Router) Close(ctx context.Context) error { panic("skeleton") }

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
	Nonce    string
	Replayed bool // the stored answer of an earlier equal request
}

// Invoke runs one call. Every error is a *Refusal; nothing was billed then.
func (r *Router) Invoke(ctx context.Context, c Call) (Answer, error) { panic("skeleton") }

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
func (e *Refusal) Unwrap() error { return e.Cause }

// Plugins lists what is loaded, PluginExtensions what they add to the discovery document.
func (r *Router) Plugins() []PluginInfo                        { panic("skeleton") }
func (r *Router) PluginExtensions() map[string]json.RawMessage { panic("skeleton") }

// Loaded returns the active plugins themselves, for the wire to find their routes.
func (r *Router) Loaded() []Plugin { panic("skeleton") }

// Quota is a visitor's standing in the sandbox.
type Quota struct {
	Enabled                    bool
	MaxTrials, Used, Remaining int
}

func (r *Router) SandboxQuota(ctx context.Context, visitor string) (Quota, error) { panic("skeleton") }

// Event is one finished call as stats/live shows it.
type Event struct {
	ID                                 uint64
	CapabilityID, ProductID, SourceHub string
	Price                              ledger.Money
	Latency                            time.Duration
	Success                            bool
	Time                               time.Time
	ConsumerHub, TrafficClass          string
}

// Events returns the newest calls first, Summary their totals.
func (r *Router) Events(limit int) []Event { panic("skeleton") }
func (r *Router) Summary() Summary         { panic("skeleton") }

// Summary is the rolling totals of stats/live that routing knows.
type Summary struct {
	Total, Successful                      int64
	SuccessRate, AvgPriceUSD, AvgLatencyMS float64
	RevenuePerHour                         ledger.Money
	Last1h, Last24h, Failed24h             int64
	RPS1h                                  float64
	P50LatencyMS24h, P95LatencyMS24h       *int64
}
