package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/routing"
)

// maxIdempotencyKey bounds an Idempotency-Key: visible ASCII of at most this length.
const maxIdempotencyKey = 128

// credentialHeaders are the ways to pay other than a channel. A plugin may take
// them; this hub itself has no accounts.
var credentialHeaders = []string{
	"X-Api-Key", "X-Aimarket-Mandate", "X-Aimarket-Mandate-Proof", "X-Aimarket-Job", "X-Aimarket-Job-Grant",
	"X-Payment", "X-Payment-Nonce", "X-Payment-Secret",
}

// invoke is POST /invoke, the one route whose speed everything else waits for: no
// reflection, one parse, the answer sent as routing built it.
func (s *Server) invoke(w http.ResponseWriter, r *http.Request, rt *route) {
	key, p := idempotencyKey(r)
	if p != nil {
		s.fail(w, r, p.as(formInvoke))
		return
	}
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	call := routing.Call{
		ProductID:    str(v, "product_id"),
		CapabilityID: str(v, "capability_id"),
		SourceHub:    str(v, "source_hub"),
		Input:        v.Get("input"),
		ChannelID:    single(r.Header, "X-Payment-Channel"),
		Secret:       single(r.Header, "X-Payment-Channel-Secret"),
		Visitor:      single(r.Header, "X-Aimarket-Sandbox-Visitor"),
		RequestID:    key,
		ClientKey:    limit.AddressKey(s.clientAddress(r)),
		OperatorSelf: s.isOperator(r),
	}
	if call.Input.Kind() != canon.Object {
		call.Input = emptyObject
	}
	call.Verify, _ = given(v, "verify")
	if most, ok := given(v, "max_price_usd"); ok {
		micros, err := canon.ParseMicros(most.Token())
		if err != nil {
			s.fail(w, r, refuse(http.StatusBadRequest, "invalid_amount", "max_price_usd is no amount this hub can count: "+err.Error()).as(formInvoke))
			return
		}
		call.HasMaxPrice, call.MaxPrice = true, ledger.Money(micros)
	}
	for _, h := range credentialHeaders {
		if v := r.Header[h]; v != nil {
			if call.Credentials == nil {
				call.Credentials = make(map[string]string, len(credentialHeaders))
			}
			call.Credentials[h] = v[0]
		}
	}
	answer, err := s.cfg.Router.Invoke(r.Context(), call)
	if err != nil {
		s.refused(w, r, &call, err)
		return
	}
	s.metrics.invoked(call.CapabilityID, "ok")
	if answer.Replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	send(w, http.StatusOK, answer.Body)
}

var emptyObject = func() canon.Value {
	v, err := canon.Parse([]byte("{}"))
	if err != nil {
		panic(err) // a constant
	}
	return v
}()

// single is the one value of a header whose name is given in canonical form.
func single(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return strings.TrimSpace(v[0])
	}
	return ""
}

// idempotencyKey reads the header that makes a request repeatable.
func idempotencyKey(r *http.Request) (string, *problem) {
	v := r.Header["Idempotency-Key"]
	if len(v) == 0 {
		return "", nil
	}
	if len(v) > 1 || !visible(v[0], maxIdempotencyKey) {
		return "", refuse(http.StatusBadRequest, "invalid_idempotency_key",
			"Idempotency-Key must be given once, as 1 to 128 visible ASCII characters; a UUID is a good one")
	}
	return v[0], nil
}

// refusalForms says how each kind of refusal looks on the wire (HTTP API notes §2).
// A 403 is only ever about safety, because clients read it so; money is 402, and a
// row that is not trusted enough to be called is for the moment not served (503).
var refusalForms = map[routing.Kind]struct {
	status int
	form   form
}{
	routing.RateLimited:       {http.StatusTooManyRequests, formInvoke},
	routing.InvalidID:         {http.StatusBadRequest, formDetail},
	routing.InvalidInput:      {http.StatusBadRequest, formDetail},
	routing.UnknownCapability: {http.StatusNotFound, formDetail},
	routing.UnknownPeer:       {http.StatusNotFound, formDetail},
	routing.SandboxConflict:   {http.StatusBadRequest, formInvoke},
	routing.SandboxInvalid:    {http.StatusBadRequest, formInvoke},
	routing.TrialExhausted:    {http.StatusTooManyRequests, formInvoke},
	routing.TrialRateLimited:  {http.StatusTooManyRequests, formInvoke},
	routing.VerifyInvalid:     {http.StatusBadRequest, formInvoke},
	routing.PaymentRequired:   {http.StatusPaymentRequired, formInvoke},
	routing.PaymentFailed:     {http.StatusPaymentRequired, formInvoke},
	routing.PriceLimit:        {http.StatusConflict, formInvoke},
	routing.SafetyBlocked:     {http.StatusForbidden, formInvoke},
	routing.ResponseBlocked:   {http.StatusForbidden, formInvoke},
	routing.Untrusted:         {http.StatusServiceUnavailable, formDetail},
	routing.ProviderFailed:    {http.StatusBadGateway, formDetail},
	routing.NoBackend:         {http.StatusServiceUnavailable, formDetail},
	routing.PluginUnavailable: {http.StatusServiceUnavailable, formDetail},
	routing.StorageFailed:     {http.StatusServiceUnavailable, formDetail},
	routing.RequestMismatch:   {http.StatusUnprocessableEntity, formInvoke},
	routing.Internal:          {http.StatusInternalServerError, formInvoke},
}

// refused sends what routing would not do.
func (s *Server) refused(w http.ResponseWriter, r *http.Request, call *routing.Call, err error) {
	var ref *routing.Refusal
	if !errors.As(err, &ref) {
		s.metrics.invoked("", string(routing.Internal))
		s.fail(w, r, internalError(err).as(formInvoke))
		return
	}
	shape, known := refusalForms[ref.Kind]
	if !known {
		shape.status, shape.form = http.StatusInternalServerError, formInvoke
	}
	p := &problem{status: shape.status, form: shape.form, code: string(ref.Kind), detail: ref.Detail,
		fields: ref.Fields, wait: ref.RetryAfter, cause: ref.Cause}
	if ref.Kind == routing.RateLimited {
		p.limit = s.cfg.InvokeRatePerMin
	}
	if ref.Kind == routing.PaymentRequired && call.ChannelID == "" && call.Credentials["X-Api-Key"] != "" {
		// Only here, so that a key sent out of habit beside a channel, a trial or a
		// free call harms nothing.
		p.status, p.code = http.StatusUnauthorized, "invalid_api_key"
		p.detail = "the X-API-Key names no account: this hub keeps none, and calls here cannot be bought with hub credits; " + p.detail
	}
	s.metrics.invoked("", p.code)
	s.fail(w, r, p)
}
