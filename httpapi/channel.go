package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/routing"
)

// Defaults of an opening that names no token or chain.
const (
	defaultToken = "USDT"
	defaultChain = "base"
)

// demoNotice rides on every answer about demo money.
const demoNotice = "demo money: credited from nothing, worth nothing, never paid out"

// channelGate refuses channel routes while the hub takes no money, and addresses
// that ask too often. It comes before the body (payments contract §4).
func (s *Server) channelGate(r *http.Request) (client string, p *problem) {
	if s.cfg.Mode == ledger.Off {
		return "", refuse(http.StatusServiceUnavailable, "crypto_disabled", ledger.ErrMoneyOff.Error()).as(formInvoke)
	}
	client = limit.AddressKey(s.clientAddress(r))
	if ok, wait := s.rails.Allow(client); !ok {
		p = refuse(http.StatusTooManyRequests, "rate_limited",
			"this address opens, closes or recovers channels too often; wait and send the request again").as(formInvoke)
		p.wait, p.limit = wait, s.cfg.ChannelRatePerMin
		return "", p
	}
	return client, nil
}

func (s *Server) openChannel(w http.ResponseWriter, r *http.Request, rt *route) {
	client, p := s.channelGate(r)
	if p != nil {
		s.fail(w, r, p)
		return
	}
	key, p := idempotencyKey(r)
	if p != nil {
		s.fail(w, r, p.as(formChannel))
		return
	}
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	micros, err := canon.ParseMicros(v.Get("deposit_usd").Token())
	if err != nil {
		s.fail(w, r, refuse(http.StatusBadRequest, "invalid", "deposit_usd is no amount this hub can count: "+err.Error()).as(formChannel))
		return
	}
	ask := ledger.OpenRequest{
		Deposit: ledger.Money(micros), Token: str(v, "token"), Chain: str(v, "chain"),
		Wallet: str(v, "wallet"), TxHash: str(v, "tx_hash"), PayerSignature: str(v, "payer_signature"),
		OwnerKey: str(v, "owner_key"), RequestID: key, Client: client,
	}
	if ask.Token == "" {
		ask.Token = defaultToken
	}
	if ask.Chain == "" {
		ask.Chain = defaultChain
	}
	if s.onTrial(r, ask.TxHash) {
		s.fail(w, r, refuse(http.StatusBadRequest, string(routing.SandboxConflict),
			"the request names a sandbox visitor and a deposit that no chain knows; no channel was opened; call without one for a free trial, or leave out X-AIMarket-Sandbox-Visitor to open it").as(formChannel))
		return
	}
	ch, secret, err := s.cfg.Ledger.OpenChannel(r.Context(), ask)
	if err != nil {
		s.fail(w, r, channelProblem(err))
		return
	}
	b := s.channelMembers(newBody(640).open("channel"), ch)
	b = b.str("wallet", ch.Wallet).str("tx_hash", ch.TxHash).str("recipient", "").str("channel_secret", secret)
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, b.close().end())
}

// onTrial reports an opening by a client that is on its free trial and only tries
// its luck with a made-up deposit, as the bridges do before every call (consumer
// contract §4). A channel would spoil that call, which may name a visitor or a
// channel and not both; told no, the client makes it without one.
func (s *Server) onTrial(r *http.Request, txHash string) bool {
	visitor := single(r.Header, "X-Aimarket-Sandbox-Visitor")
	if visitor == "" || txHash == "" || strings.HasPrefix(txHash, "0x") {
		return false
	}
	q, err := s.cfg.Router.SandboxQuota(r.Context(), visitor)
	return err == nil && q.Enabled
}

// channelMembers prints what may be shown of a channel to who knows its id alone.
// The wallet is not among it: it is enough to close the channel.
func (s *Server) channelMembers(b jsonBody, ch ledger.Channel) jsonBody {
	b = b.str("channel_id", ch.ID).
		usd("balance_usd", ch.Balance).
		usd("deposit_usd", ch.Deposit).          // SDKs read this name,
		usd("original_deposit_usd", ch.Deposit). // the reference wrote that one
		usd("used_usd", ch.Used).
		usd("held_usd", ch.Held).
		str("token", ch.Token).str("chain", ch.Chain).
		yes("verify_stub", ch.Mode == ledger.Demo).
		str("status", string(ch.Status)).
		time("opened_at", ch.OpenedAt).time("expires_at", ch.ExpiresAt).
		integer("invocations", ch.Calls).
		str("money", string(ch.Mode))
	if ch.Mode == ledger.Demo {
		b = b.str("notice", demoNotice)
	}
	return b
}

func (s *Server) showChannel(w http.ResponseWriter, r *http.Request, rt *route) {
	if s.cfg.Mode == ledger.Off {
		s.fail(w, r, refuse(http.StatusServiceUnavailable, "crypto_disabled", ledger.ErrMoneyOff.Error()).as(formInvoke))
		return
	}
	ch, err := s.cfg.Ledger.Channel(r.Context(), pathValue(r, "id"))
	if err != nil {
		s.fail(w, r, channelProblem(err).as(formDetail))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, s.channelMembers(newBody(480), ch).str("protocol_version", protocolVersion).end())
}

func (s *Server) closeChannel(w http.ResponseWriter, r *http.Request, rt *route) {
	client, p := s.channelGate(r)
	if p != nil {
		s.fail(w, r, p)
		return
	}
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	done, err := s.cfg.Ledger.CloseChannel(r.Context(), ledger.CloseRequest{
		ChannelID: str(v, "channel_id"), Secret: single(r.Header, "X-Payment-Channel-Secret"),
		Wallet: str(v, "wallet"), SettleTxHash: str(v, "settle_tx_hash"), Client: client,
	})
	if err != nil {
		s.fail(w, r, channelProblem(err))
		return
	}
	ch, owed := done.Channel, ledger.Money(0)
	status := "none"
	if done.Obligation != nil && done.Obligation.Status == ledger.StatusOwed {
		owed, status = done.Obligation.Amount, "owed"
	}
	// Flat totals for the SDKs, the envelope for everybody else; they always agree.
	b := newBody(768).str("channel_id", ch.ID).
		usd("total_spent_usd", ch.Used).usd("refund_usd", done.Refund).integer("invocations", ch.Calls)
	b = b.open("settlement").str("channel_id", ch.ID).
		usd("used_usd", ch.Used).usd("refund_usd", done.Refund).
		usd("refund_executed_usd", 0).usd("refund_owed_usd", owed).str("refund_status", status)
	if done.Obligation != nil {
		b = obligationMembers(b.open("obligation"), *done.Obligation, false).close()
	} else {
		b = b.raw("obligation", "null")
	}
	b = b.usd("original_deposit_usd", ch.Deposit).integer("invocations", ch.Calls).
		str("status", string(ch.Status)).str("settle_tx_hash", ch.SettleTxHash).str("money", string(ch.Mode))
	if ch.Mode == ledger.Demo {
		b = b.str("notice", demoNotice)
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, b.close().end())
}

func (s *Server) recoverChannel(w http.ResponseWriter, r *http.Request, rt *route) {
	if _, p := s.channelGate(r); p != nil {
		s.fail(w, r, p)
		return
	}
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	at, err := time.Parse(timeFormat, str(v, "timestamp"))
	if err != nil {
		var bad faults
		bad.add([]string{"body", "timestamp"}, "datetime_parsing", string(v.Get("timestamp").Raw()), "Input should be a UTC time such as 2026-05-21T12:00:00Z")
		s.invalid(w, bad)
		return
	}
	id := str(v, "channel_id")
	secret, err := s.cfg.Ledger.RecoverSecret(r.Context(), ledger.RecoverRequest{ChannelID: id, Time: at, Signature: str(v, "signature")})
	if err != nil {
		s.fail(w, r, channelProblem(err))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, newBody(160).str("channel_id", id).str("channel_secret", secret).str("protocol_version", protocolVersion).end())
}

// pathValue is a path parameter, decoded.
func pathValue(r *http.Request, name string) string { return unescapePath(r, chi.URLParam(r, name)) }

// unescapePath undoes the escapes that chi left because the path was routed in its
// raw form.
func unescapePath(r *http.Request, v string) string {
	if r.URL.RawPath == "" {
		return strings.ToValidUTF8(v, "\uFFFD")
	}
	return unescape(v, false)
}
