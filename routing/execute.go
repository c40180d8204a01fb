package routing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// The limits of an input that leaves this hub for a provider (HTTP API notes §2).
const (
	maxInputKeys  = 32
	maxInputBytes = 32768
)

// forbiddenKeys are names under which people keep secrets. An input that has one
// at its top level is not handed to a third party.
var forbiddenKeys = []string{"password", "secret", "api_key", "private_key", "mnemonic", "seed", "token", "ssn", "credit"}

// unjoined takes out what people join the words of a key with.
var unjoined = strings.NewReplacer("_", "", "-", "", " ", "", ".", "")

// admitInput protects buyer and provider before an input is sent to somebody
// else's machine. Calls that run in this process need none of it.
func (x *call) admitInput() *Refusal {
	if !x.local || x.row.InvokeURL == "" || x.row.Builtin {
		return nil
	}
	if x.row.TrustScore < x.r.c.MinTrustInvoke {
		return refuse(Untrusted, "%s has trust %.2f and this hub calls providers from %.2f on; nothing was billed; search for one with more trust",
			x.row.CapabilityID, x.row.TrustScore, x.r.c.MinTrustInvoke)
	}
	if x.r.c.RequireProviderSignature && x.row.ProviderKey == "" {
		return refuse(Untrusted, "%s has no provider key and this hub only calls providers that sign their answers; nothing was billed; search for another",
			x.row.CapabilityID)
	}
	input := x.payload.Value()
	if n := input.Len(); n > maxInputKeys {
		return refuse(InvalidInput, "the input has %d keys and a provider takes at most %d; nothing was billed; send fewer", n, maxInputKeys)
	}
	if n := len(input.Raw()); n > maxInputBytes {
		return refuse(InvalidInput, "the input is %d bytes of JSON and a provider takes at most %d; nothing was billed; send less", n, maxInputBytes)
	}
	for key := range input.Members {
		if word := forbiddenIn(key); word != "" {
			return refuse(InvalidInput, "the input key %q looks like a credential (%s), and inputs go to a third party; nothing was billed; rename or remove it",
				clip(key), word)
		}
	}
	return nil
}

// forbiddenIn returns the secret's name that key contains, or "".
func forbiddenIn(key string) string {
	key = strings.ToLower(key)
	plain := unjoined.Replace(key)
	for _, word := range forbiddenKeys {
		if strings.Contains(key, word) || strings.Contains(plain, strings.ReplaceAll(word, "_", "")) {
			return word
		}
	}
	return ""
}

// execute does the work and returns the result as an object. It measures the
// latency that the buyer sees and that the catalogue learns from.
func (x *call) execute() (canon.Value, *Refusal) {
	start := x.r.c.Now()
	var output canon.Value
	var refusal *Refusal
	switch {
	case !x.local:
		output, refusal = x.executePeer()
	case x.row.Builtin:
		output, refusal = x.executeBuiltin()
	case x.row.InvokeURL != "" && x.r.c.Provider != nil:
		output, refusal = x.executeProvider()
	default:
		return canon.Value{}, refuse(NoBackend, "this hub lists %s but has no way to execute it; nothing was billed; search for another", x.row.CapabilityID)
	}
	x.latency = max(x.r.c.Now().Sub(start), 0)
	return output, refusal
}

func (x *call) executeBuiltin() (canon.Value, *Refusal) {
	fn := x.r.c.Builtins[x.row.CapabilityID]
	if fn == nil {
		return canon.Value{}, refuse(NoBackend, "this hub lists %s as built in but does not have it; nothing was billed; search for another", x.row.CapabilityID)
	}
	x.executed = true
	input := x.payload.Value()
	run := func(ctx context.Context) (json.RawMessage, error) { return fn(ctx, input) }
	var raw json.RawMessage
	var err error
	if x.r.c.Prompt[x.row.CapabilityID] && len(x.payload.Raw()) <= promptInput {
		raw, err = inline(x.ctx, run)
	} else {
		raw, err = guard(x.ctx, x.r.execTimeout, &x.r.funcs, run)
	}
	if err != nil {
		var fault InputFault
		if errors.As(err, &fault) && fault.InvalidInput() {
			x.executed = false // the caller's mistake says nothing about the capability
			var refusal *Refusal
			if errors.As(err, &refusal) {
				return canon.Value{}, refusal
			}
			return canon.Value{}, refuse(InvalidInput, "%s cannot take this input: %s; nothing was billed; compare it with the capability's input_schema",
				x.row.CapabilityID, clip(fault.Error())).because(err)
		}
		x.r.c.Logger.Warn("a built-in capability failed", "capability", x.row.CapabilityID, "error", err)
		return canon.Value{}, refuse(ProviderFailed, "%s failed on this input; nothing was billed; check the input against its input_schema", x.row.CapabilityID).because(err)
	}
	value, err := canon.Parse(raw)
	if err == nil {
		value, err = asObject(value)
	}
	if err != nil {
		return canon.Value{}, refuse(ProviderFailed, "%s produced no JSON; nothing was billed; tell the operator of this hub", x.row.CapabilityID).because(err)
	}
	return value, nil
}

func (x *call) executePeer() (canon.Value, *Refusal) {
	x.executed = true
	input, row := x.payload.Value(), x.row
	answer, err := guard(x.ctx, x.r.execTimeout, &x.r.funcs, func(ctx context.Context) (canon.Value, error) {
		return x.r.c.Peers.InvokePeer(ctx, row, input)
	})
	if err == nil {
		var result canon.Value
		if result, err = resultOf(answer); err == nil {
			result, err = asObject(result)
		}
		if err == nil {
			return result, nil
		}
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return canon.Value{}, refusal
	}
	return canon.Value{}, refuse(ProviderFailed, "the hub %s did not deliver %s; nothing was billed; try again or search for another", clip(x.row.SourceHub), x.row.CapabilityID).because(err)
}

// resultOf takes the result out of an answer object: result, else output, else
// the object itself. An answer that says it did not succeed is not delivered and
// not billed.
func resultOf(answer canon.Value) (canon.Value, error) {
	if answer.Kind() != canon.Object {
		return canon.Value{}, errNotObject
	}
	for _, name := range []string{"success", "ok"} {
		if v := answer.Get(name); v.Kind() == canon.Bool && !v.Bool() {
			return canon.Value{}, fmt.Errorf("%w: it says %s:false", errDeclined, name)
		}
	}
	for _, name := range []string{"result", "output"} {
		if v := answer.Get(name); v.Kind() != canon.Invalid {
			return v, nil
		}
	}
	return answer, nil
}

var (
	errNotObject = errors.New("the answer is not a JSON object")
	errDeclined  = errors.New("the answer declines the call")
)

// asObject makes a result what every published client can read: an object. What
// is none is put under "value".
func asObject(v canon.Value) (canon.Value, error) {
	switch v.Kind() {
	case canon.Object:
		return v, nil
	case canon.Invalid:
		return v, errNotObject
	default:
		raw := v.Raw()
		wrapped := make([]byte, 0, len(raw)+len(`{"value":}`))
		wrapped = append(wrapped, `{"value":`...)
		return canon.Parse(append(append(wrapped, raw...), '}'))
	}
}

// postCheck runs on_invoke_post_check of every plugin in configured order. The
// first block wins.
func (x *call) postCheck(output canon.Value) (*Payload, *Refusal) {
	payload := NewPayload(output)
	for _, p := range x.r.active {
		if p.post == nil {
			continue
		}
		seen, info := payload, x.info
		verdict, err := p.check(x.ctx, seen, func(ctx context.Context) (Verdict, error) {
			return p.post.PostCheck(ctx, seen, info)
		})
		if err == nil && !verdict.Blocked && verdict.Replace != nil {
			payload, err = replaced(seen, verdict)
		}
		if err != nil {
			x.r.hookFailed(p, hookPost, err)
			if p.required {
				return nil, unavailable(p, hookPost, err)
			}
			continue
		}
		if verdict.Blocked {
			reason := clip(verdict.Reason)
			if reason == "" {
				reason = "blocked by " + p.info.Name
			}
			return nil, refuse(ResponseBlocked, "the answer of %s was withheld: %s; what was held for the call is back on the channel; change the input or search for another", x.row.CapabilityID, reason).
				withString("category", clip(verdict.Category)).
				withString("reason", reason).
				withString("blocked_by", p.info.Name).
				with("refund", refundDone)
		}
	}
	return payload, nil
}
