package routing

import (
	"context"
	"encoding/json"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// Plugin is what every plugin is. The hooks below are optional and found by type
// assertion; their wire names are in Info().Hooks.
//
// Every hook call has the plugin's deadline and survives a panic. Hooks of one
// kind run in configured order, one at a time within a call, but a hook must be
// safe for concurrent use: calls run side by side, and one that overran its
// deadline is left running. What a hook gets is a copy or must not be changed.
// When a hook of a required plugin fails the call is refused (PluginUnavailable);
// otherwise the failure is logged and counted, and the call goes on.
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

// PreChecker is on_invoke_pre_check, PostChecker on_invoke_post_check. The first
// block wins. A pre-check sees the ids as the caller named them, before the lookup,
// and is asked again with the row's own ids if the lookup found another row.
type PreChecker interface {
	PreCheck(ctx context.Context, input *Payload, c CallInfo) (Verdict, error)
}
type PostChecker interface {
	PostCheck(ctx context.Context, output *Payload, c CallInfo) (Verdict, error)
}

// Prompt is a checker's promise: for payloads of up to PromptBytes bytes its checks
// take a few milliseconds at the worst, wait for nothing, and look at no context. The
// router then runs them on the call's own goroutine, which saves two hand-overs but
// cannot leave a check behind: only a panic is caught. Larger payloads are checked
// under the deadline like everybody's.
type Prompt interface{ PromptBytes() int }

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
// plugin's name ("provenance" becomes provenance_receipt, others go under
// plugin_receipts). It never blocks. It runs just before the capture, because what
// it returns is stored with it; should the capture fail, SettlementObserver hears
// of the call as failed.
type ReceiptIssuer interface {
	InvokeReceipt(ctx context.Context, output *Payload, s Settled) (json.RawMessage, error)
}

// SettlementObserver is on_invoke_settled; it runs after the answer is decided,
// for every call that had been quoted a price, delivered or not.
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
