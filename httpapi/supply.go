package httpapi

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// Defaults of a publication (HTTP API notes §7).
const (
	defaultPriceMicros = 10_000 // 0.01 USD
	defaultLatencyMS   = 200
	defaultSuccessRate = 0.99
	defaultVersion     = "v1"
)

// actAs decides for whom a publisher request speaks: the publisher that its token
// names, who may act for nobody else, or the one in the body.
func actAs(authenticated, asked string) (string, *problem) {
	if authenticated == "" || asked == authenticated {
		return asked, nil
	}
	if asked == "" {
		return authenticated, nil
	}
	return "", refuse(http.StatusForbidden, "wrong_publisher",
		"this token is of publisher "+clip(authenticated, 80)+" and may not act for "+clip(asked, 80))
}

// published reads the body of a publisher's request and says for whom it acts; false
// if the refusal is sent.
func (s *Server) published(w http.ResponseWriter, r *http.Request, rt *route) (v canon.Value, publisher string, ok bool) {
	if v, ok = s.body(w, r, rt); !ok {
		return v, "", false
	}
	who, p := s.publisher(r)
	if p == nil {
		publisher, p = actAs(who, str(v, "publisher_id"))
	}
	if p != nil {
		s.fail(w, r, p)
		return v, "", false
	}
	return v, publisher, true
}

func (s *Server) register(w http.ResponseWriter, r *http.Request, rt *route) {
	v, publisher, ok := s.published(w, r, rt)
	if !ok {
		return
	}
	row := catalog.Capability{
		Key:            catalog.Key{ProductID: str(v, "product_id"), CapabilityID: str(v, "capability_id"), SourceHub: catalog.Local},
		SourceHubName:  s.cfg.HubName,
		Name:           str(v, "name"),
		Version:        str(v, "version"),
		Description:    str(v, "description"),
		PriceMicros:    defaultPriceMicros,
		P50LatencyMS:   defaultLatencyMS,
		SuccessRate30d: defaultSuccessRate,
		InvokeURL:      str(v, "invoke_url"),
		PublisherID:    publisher,
		ProviderKey:    str(v, "provider_pubkey"),
	}
	if row.Version == "" {
		row.Version = defaultVersion
	}
	if m, ok := given(v, "price_per_call_usd"); ok {
		micros, err := canon.ParseMicros(m.Token())
		if err != nil {
			s.fail(w, r, refuse(http.StatusBadRequest, "invalid_amount", "price_per_call_usd is no amount this hub can count: "+err.Error()))
			return
		}
		row.PriceMicros = micros
	}
	if m, ok := given(v, "p50_latency_ms"); ok {
		f, _ := m.Float64()
		row.P50LatencyMS = int(f)
	}
	if m, ok := given(v, "success_rate_30d"); ok {
		row.SuccessRate30d, _ = m.Float64()
	}
	if m, ok := given(v, "input_schema"); ok {
		row.InputSchema = append([]byte(nil), m.Raw()...)
	}
	if m, ok := given(v, "output_schema"); ok {
		row.OutputSchema = append([]byte(nil), m.Raw()...)
	}
	listed, err := s.cfg.Catalog.Register(r.Context(), catalog.Registration{Capability: row, Publisher: publisher})
	if err != nil {
		s.fail(w, r, supplyProblem(err))
		return
	}
	b := newBody(512).yes("published", true).str("product_id", listed.ProductID).str("capability_id", listed.CapabilityID).
		str("invoke_url", listed.InvokeURL).str("publisher_id", listed.PublisherID).
		float("trust_score", listed.TrustScore).usd("stake_usd", ledger.Money(listed.StakeMicros)).
		usd("price_per_call_usd", ledger.Money(listed.PriceMicros)).
		str("search_hint", s.cfg.HubURL+prefix+"/search?intent="+url.QueryEscape(listed.Name))
	send(w, http.StatusOK, b.str("protocol_version", protocolVersion).end())
}

var unpublishBody = object(opt("publisher_id", publisherID()))

// unpublish takes a listing off for its publisher. Who that is may stand in the query or,
// as register has it, in a body; a DELETE needs none.
func (s *Server) unpublish(w http.ResponseWriter, r *http.Request, rt *route) {
	args, bad := readQuery(r, rt.params)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	asked := args["publisher_id"]
	raw, p := readBody(r, MaxBody)
	if p != nil {
		w.Header().Set("Connection", "close")
		s.fail(w, r, p)
		return
	}
	if len(raw) > 0 {
		v, bad := decodeBody(raw, unpublishBody)
		if len(bad) > 0 {
			s.invalid(w, bad)
			return
		}
		if asked == "" {
			asked = str(v, "publisher_id")
		}
	}
	who, p := s.publisher(r)
	publisher := asked
	if p == nil {
		publisher, p = actAs(who, asked)
	}
	if p != nil {
		s.fail(w, r, p)
		return
	}
	key := catalog.Key{ProductID: pathValue(r, "product_id"), CapabilityID: pathValue(r, "capability_id"), SourceHub: catalog.Local}
	shown := publisher
	switch {
	case publisher != "":
	case !s.isOperator(r):
		s.fail(w, r, refuse(http.StatusBadRequest, string(catalog.GatePublisher), "publisher_id is required: the one under which the capability was registered"))
		return
	default: // the operator may take off anybody's row without knowing whose it is
		if row, err := s.cfg.Catalog.Lookup(r.Context(), key.ProductID, key.CapabilityID, key.SourceHub); err == nil && row.Key == key {
			shown = row.PublisherID
		}
	}
	if err := s.cfg.Catalog.Unpublish(r.Context(), key.ProductID, key.CapabilityID, publisher); err != nil {
		s.fail(w, r, unpublishProblem(err, key))
		return
	}
	send(w, http.StatusOK, newBody(192).yes("unpublished", true).str("product_id", key.ProductID).str("capability_id", key.CapabilityID).
		str("publisher_id", shown).str("protocol_version", protocolVersion).end())
}

func unpublishProblem(err error, key catalog.Key) *problem {
	var gate *catalog.GateError
	switch {
	case errors.As(err, &gate) && gate.Gate == catalog.GateProduct:
		return refuse(http.StatusForbidden, "wrong_publisher", gate.Detail)
	case errors.Is(err, catalog.ErrUnknown):
		return refuse(http.StatusNotFound, "unknown_capability", clip(key.ProductID, 80)+"/"+clip(key.CapabilityID, 80)+
			" is not listed at this hub itself; GET "+prefix+"/search?hub=local shows what is")
	}
	return supplyProblem(err)
}

func (s *Server) stake(w http.ResponseWriter, r *http.Request, rt *route) {
	v, publisher, ok := s.published(w, r, rt)
	if !ok {
		return
	}
	amount, err := canon.ParseMicros(v.Get("amount_usd").Token())
	if err != nil {
		s.fail(w, r, refuse(http.StatusBadRequest, "invalid_amount", "amount_usd is no amount this hub can count: "+err.Error()))
		return
	}
	st, err := s.cfg.Catalog.Stake(r.Context(), catalog.StakeRequest{PublisherID: publisher, AmountMicros: amount, TxHash: str(v, "tx_hash")})
	if err != nil {
		s.fail(w, r, supplyProblem(err))
		return
	}
	send(w, http.StatusOK, newBody(160).str("publisher_id", st.PublisherID).usd("stake_usd", ledger.Money(st.StakeMicros)).
		float("trust_score", st.TrustScore).yes("verified", st.Verified).str("protocol_version", protocolVersion).end())
}

// supplyProblem words what the catalogue refused to list: every gate is a 400, as
// the contract has it, except the hourly limit, which says when to come back.
func supplyProblem(err error) *problem {
	var gate *catalog.GateError
	var wrong *catalog.InvalidError
	switch {
	case errors.As(err, &gate):
		p := refuse(http.StatusBadRequest, string(gate.Gate), gate.Detail).because(gate.Cause)
		p.wait = gate.RetryAfter
		return p
	case errors.As(err, &wrong):
		return refuse(http.StatusBadRequest, "invalid", wrong.Error())
	case errors.Is(err, catalog.ErrFull):
		return refuse(http.StatusServiceUnavailable, "catalogue_full", err.Error())
	}
	return internalError(err)
}
