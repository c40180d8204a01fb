package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// kinds lists every kind once, for counters that exist before the first refusal.
var kinds = []Kind{
	RateLimited, InvalidID, InvalidInput, UnknownCapability, UnknownPeer,
	SandboxConflict, SandboxInvalid, TrialExhausted, TrialRateLimited,
	VerifyInvalid, PaymentRequired, PaymentFailed, PriceLimit, SafetyBlocked,
	ResponseBlocked, Untrusted, ProviderFailed, NoBackend, PluginUnavailable,
	RequestMismatch, StorageFailed, Internal,
}

func refuse(k Kind, format string, args ...any) *Refusal {
	return &Refusal{Kind: k, Detail: fmt.Sprintf(format, args...)}
}

// because attaches the technical cause.
func (e *Refusal) because(err error) *Refusal {
	e.Cause = err
	return e
}

// with appends one member of the wire body.
func (e *Refusal) with(name string, value []byte) *Refusal {
	e.Fields = append(e.Fields, Field{Name: name, Value: value})
	return e
}

func (e *Refusal) withString(name, s string) *Refusal {
	return e.with(name, canon.AppendString(nil, s))
}

func (e *Refusal) withMoney(name string, m ledger.Money) *Refusal {
	return e.with(name, canon.AppendMicros(nil, int64(m)))
}

// withTrials adds the sandbox member that the clients read beside a 429.
func (e *Refusal) withTrials(q Quota) *Refusal {
	b := append([]byte(nil), `{"used":`...)
	b = strconv.AppendInt(b, int64(q.Used), 10)
	b = append(b, `,"max_trials":`...)
	b = strconv.AppendInt(b, int64(q.MaxTrials), 10)
	b = append(b, `,"remaining":`...)
	b = strconv.AppendInt(b, int64(q.Remaining), 10)
	return e.with("sandbox", append(b, '}'))
}

func (e *Refusal) retryIn(d time.Duration) *Refusal {
	e.RetryAfter = d
	return e
}

// asRefusal makes sure that nothing but a *Refusal leaves this package.
func asRefusal(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	if errors.Is(err, ledger.ErrStorage) {
		return refuse(StorageFailed, "this hub's disk failed and it takes no paid calls until its operator restarts it; nothing was billed; use another hub meanwhile").because(err)
	}
	return refuse(Internal, "the call stopped at an unexpected fault of this hub; nothing was billed; send it again later").because(err)
}

var (
	refundDone    = json.RawMessage(`{"refunded":true}`)
	refundBlocked = json.RawMessage(`{"refunded":true,"reason":"plugin_blocked"}`)
)
