package routing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/safehttp"
)

// maxProviderBody bounds one provider's answer.
const maxProviderBody = 1 << 20

// providerSignature is the header of a provider's signature (HTTP API notes §7).
const providerSignature = "X-Provider-Signature"

// executeProvider posts the input to the row's invoke_url.
func (x *call) executeProvider() (canon.Value, *Refusal) {
	origin := originOf(x.row.InvokeURL)
	done, err := x.r.breakers.enter(origin)
	if err != nil {
		return canon.Value{}, refuse(ProviderFailed, "the provider of %s at %s is not being called for now: %s; nothing was billed; try again later or search for another",
			x.row.CapabilityID, origin, err).retryIn(breakerPause).because(err)
	}
	x.executed = true
	ctx, cancel := context.WithTimeout(x.ctx, x.r.execTimeout)
	defer cancel()
	response, err := x.r.c.Provider.Do(ctx, http.MethodPost, x.row.InvokeURL, providerHeader(x.info.Sandbox), x.providerBody())
	result, fault := canon.Value{}, error(nil)
	if err == nil {
		result, fault, err = x.readProvider(response)
	}
	done(err)
	if err != nil {
		x.r.counters.provider.Add(1)
	} else {
		err, x.excused = fault, fault != nil
	}
	if err != nil {
		return canon.Value{}, x.providerFailed(origin, response, err)
	}
	return result, nil
}

// providerBody is {"input":…,"product_id":…,"capability_id":…} with the input's
// own bytes, so that number tokens reach the provider as the buyer wrote them.
func (x *call) providerBody() []byte {
	raw := x.payload.Raw()
	b := make([]byte, 0, len(raw)+len(x.row.ProductID)+len(x.row.CapabilityID)+64)
	b = append(append(b, `{"input":`...), raw...)
	b = appendMember(append(b, ','), "product_id", x.row.ProductID)
	b = appendMember(append(b, ','), "capability_id", x.row.CapabilityID)
	return append(b, '}')
}

// providerHeader says whether the call is a trial. The buyer's channel id, which
// the reference hub forwards, stays here: it names the buyer's account to
// somebody who has no business with it and could link all the buyer's calls.
func providerHeader(sandbox bool) http.Header {
	h := make(http.Header, 3)
	h.Set("Content-Type", "application/json")
	h.Set("Accept", "application/json")
	flag := ""
	if sandbox {
		flag = "1"
	}
	h.Set("X-AIMarket-Sandbox", flag)
	return h
}

// readProvider judges an answer. err is a fault of the provider that its breaker
// counts; fault is a refusal of this one call.
func (x *call) readProvider(a *safehttp.Response) (result canon.Value, fault, err error) {
	switch {
	case a.Status >= 500 || a.Status == http.StatusTooManyRequests:
		return result, nil, statusError(a.Status)
	case a.Status >= 400:
		return result, statusError(a.Status), nil
	case a.Status < 200 || a.Status >= 300:
		return result, nil, statusError(a.Status)
	}
	answer, err := parseAnswer(a.Body)
	if err != nil {
		return result, nil, err
	}
	result, err = resultOf(answer)
	if errors.Is(err, errDeclined) {
		return result, err, nil
	}
	if err != nil {
		return result, nil, err
	}
	if x.row.ProviderKey != "" {
		if err := x.checkSignature(a.Header.Get(providerSignature), result); err != nil {
			return result, nil, err
		}
	}
	result, err = asObject(result)
	return result, nil, err
}

// parseAnswer reads the JSON of a provider's answer within the hub's bound.
func parseAnswer(body []byte) (canon.Value, error) {
	if len(body) > maxProviderBody {
		return canon.Value{}, fmt.Errorf("its answer is larger than %d bytes", maxProviderBody)
	}
	v, err := canon.Parse(body)
	if err != nil {
		return v, fmt.Errorf("its answer is not JSON: %w", err)
	}
	return v, nil
}

// checkSignature verifies what the provider signed over exactly this input and
// result, with the number tokens of both as they were sent.
func (x *call) checkSignature(signature string, result canon.Value) error {
	if signature == "" {
		return errors.New("its answer carries no " + providerSignature + ", which its registered key requires")
	}
	key, err := identity.ParsePublicKey(x.row.ProviderKey)
	if err != nil {
		return fmt.Errorf("its registered key is unusable: %w", err)
	}
	msg := canon.ProviderMessage(x.row.ProductID, x.row.CapabilityID, x.payload.Value(), result)
	if err := identity.VerifyBase64(key, msg, signature); err != nil {
		return fmt.Errorf("its %s does not verify under its registered key: %w", providerSignature, err)
	}
	return nil
}

// statusError is an HTTP status that is no answer.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("it answered HTTP %d", int(s)) }

// providerFailed words the refusal. It repeats nothing the provider wrote: that
// text did not pass the post-checks.
func (x *call) providerFailed(origin string, a *safehttp.Response, err error) *Refusal {
	problem, advice := "it could not be reached", "try again or search for another"
	var status statusError
	switch {
	case errors.As(err, &status):
		problem = status.Error()
		if status < 500 && status >= 400 && status != http.StatusTooManyRequests {
			advice = "check the input against the capability's input_schema"
		}
	case errors.Is(err, context.DeadlineExceeded):
		problem = fmt.Sprintf("it gave no answer within %s", x.r.execTimeout.Round(100*time.Millisecond))
	case a != nil:
		problem = firstCause(err)
	}
	return refuse(ProviderFailed, "the provider of %s at %s did not deliver: %s; nothing was billed; %s",
		x.row.CapabilityID, origin, problem, advice).because(err)
}

// firstCause is the outermost message of err without what it wraps, which may
// quote the provider.
func firstCause(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		if s, ok := strings.CutSuffix(err.Error(), ": "+inner.Error()); ok {
			return s
		}
	}
	return clip(err.Error())
}

// originOf is the scheme and host that share one breaker.
func originOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return "an unreadable address"
	}
	return u.Scheme + "://" + u.Host
}
