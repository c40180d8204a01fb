package routing

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// Plugin is what every plugin is. The hooks below are optional and found by type
// assertion; their wire names are in Info().Hooks.
type Plugin interface {
	Info() PluginInfo
}

// PluginInfo describes a plugin as GET /plugins shows it.
type PluginInfo struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Description string   `json:"description"`
	Homepage    string   `json:"homepage"`
	Category    string   `json:"category"`
	Hooks       []string `json:"hooks"`            // filled in by the Router, in the contract's order
	Status      string   `json:"status,omitempty"` // "active", "failed"
}

// CallInfo is what a hook learns about the call. It is a copy.
type CallInfo struct {
	ProductID, CapabilityID, SourceHub string
	ChannelID                          string // "" without a channel
	ProviderHub                        string // federated calls
	Sandbox                            bool
}

// Verdict is what a check decides. The zero Verdict passes.
type Verdict struct {
	Blocked  bool
	Category string // "class:injection"
	Reason   string
	Replace  json.RawMessage // not nil: the payload to go on with instead
}

// PreChecker is on_invoke_pre_check, PostChecker on_invoke_post_check.
type PreChecker interface {
	PreCheck(ctx context.Context, input *Payload, c CallInfo) (Verdict, error)
}
type PostChecker interface {
	PostCheck(ctx context.Context, output *Payload, c CallInfo) (Verdict, error)
}

// Quote is the price of a call before the hold. All amounts are micro-USD.
type Quote struct {
	List, Price, Fee ledger.Money
	Note             string // shown to the buyer
}

// PriceQuoter is on_price_quote: it may lower Price, never raise it above List.
type PriceQuoter interface {
	PriceQuote(ctx context.Context, q Quote, c CallInfo) (Quote, error)
}

// PaymentAuthorizer is on_payment_authorize: another way to pay. Paid true means
// that the call needs no channel; settle is then called once with the outcome.
type PaymentAuthorizer interface {
	PaymentAuthorize(ctx context.Context, q Quote, c CallInfo, credentials map[string]string) (Authorization, error)
}

// Authorization is the outcome of a PaymentAuthorizer.
type Authorization struct {
	Paid   bool
	Reason string
	Settle func(ctx context.Context, delivered bool) error
}

// Settled is what happened to a call, for ReceiptIssuer and SettlementObserver.
type Settled struct {
	CallInfo
	Nonce            string
	Input            json.RawMessage
	Receipt          json.RawMessage
	Price, ListPrice ledger.Money
	Latency          time.Duration
	Status           string // succeeded, failed
	SettlementStatus string // captured, free, refunded
}

// ReceiptIssuer is on_invoke_receipt; the object it returns is kept under the
// plugin's name. It never blocks.
type ReceiptIssuer interface {
	InvokeReceipt(ctx context.Context, output *Payload, s Settled) (json.RawMessage, error)
}

// SettlementObserver is on_invoke_settled; it runs after the answer is decided.
type SettlementObserver interface {
	InvokeSettled(ctx context.Context, s Settled)
}

// Starter is on_startup, Stopper on_shutdown.
type Starter interface {
	Startup(ctx context.Context) error
}
type Stopper interface {
	Shutdown(ctx context.Context) error
}

// ManifestExtender is get_manifest_extension.
type ManifestExtender interface{ ManifestExtension() json.RawMessage }
