package httpapi

import (
	"net/http"

	"github.com/aimarket/aimarket/ledger"
)

// Bounds of the obligations list.
const (
	defaultObligations = 100
	maxObligations     = 1000
)

// obligationMembers prints a debt; the wallet and the transactions are for the
// operator's eyes.
func obligationMembers(b jsonBody, o ledger.Obligation, all bool) jsonBody {
	b = b.str("channel_id", o.ChannelID).str("chain", o.Chain).str("token", o.Token).
		usd("amount_usd", o.Amount).str("kind", o.Kind).str("status", o.Status).
		str("money", string(o.Mode)).time("created_at", o.CreatedAt).time("paid_at", o.PaidAt)
	if all {
		b = b.str("wallet", o.Wallet).str("deposit_tx_hash", o.DepositTxHash).str("payout_tx_hash", o.PayoutTxHash)
	}
	return b
}

func (s *Server) listObligations(w http.ResponseWriter, r *http.Request, rt *route) {
	args, bad := readQuery(r, rt.params)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	if p := s.admin(r); p != nil {
		s.fail(w, r, p)
		return
	}
	most := min(args.integer("limit", defaultObligations), maxObligations)
	debts, err := s.cfg.Ledger.Obligations(r.Context(), args["status"], most)
	if err != nil {
		s.fail(w, r, channelProblem(err).as(formDetail))
		return
	}
	b := newBody(64 + 300*len(debts)).openList("obligations")
	var total ledger.Money
	for _, o := range debts {
		b = obligationMembers(b.element(), o, true).close()
		if o.Status == ledger.StatusOwed {
			total += o.Amount
		}
	}
	b = b.closeList().integer("count", int64(len(debts))).usd("listed_owed_usd", total).
		usd("outstanding_obligations_usd", s.cfg.Ledger.Stats().Owed).str("protocol_version", protocolVersion)
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, b.end())
}

func (s *Server) payObligation(w http.ResponseWriter, r *http.Request, rt *route) {
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	if p := s.admin(r); p != nil {
		s.fail(w, r, p)
		return
	}
	o, err := s.cfg.Ledger.MarkPaid(r.Context(), pathValue(r, "id"), str(v, "payout_tx_hash"))
	if err != nil {
		s.fail(w, r, channelProblem(err).as(formDetail))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, obligationMembers(newBody(400).open("obligation"), o, true).close().str("protocol_version", protocolVersion).end())
}
