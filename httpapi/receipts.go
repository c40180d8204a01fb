package httpapi

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/ledger"
)

func (s *Server) showReceipt(w http.ResponseWriter, r *http.Request, rt *route) {
	nonce := pathValue(r, "nonce")
	receipt, err := s.cfg.Ledger.Receipt(r.Context(), nonce)
	switch {
	case errors.Is(err, ledger.ErrUnknownReceipt):
		s.fail(w, r, refuse(http.StatusNotFound, "receipt_not_found",
			"this hub keeps no receipt "+clip(nonce, 80)+": it was issued elsewhere, is older than this hub keeps, or was never issued").as(formInvoke))
	case err != nil:
		s.fail(w, r, internalError(err).as(formInvoke))
	default:
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // a receipt never changes
		send(w, http.StatusOK, receipt)
	}
}

// showVerification answers for verified settlements. None is ever under way here:
// a call that asked for one was told "skipped" in its own answer.
func (s *Server) showVerification(w http.ResponseWriter, r *http.Request, rt *route) {
	s.fail(w, r, refuse(http.StatusNotFound, "verification_not_found",
		"no verification is kept under "+clip(pathValue(r, "nonce"), 80)+": this hub runs no verifier").as(formInvoke))
}

// receiptVerdict is what can be said of a receipt without its buyer or seller.
type receiptVerdict struct {
	valid, ours bool
	version     int // 0: unreadable
	uncovered   []string
	reason      string // why it is not valid
}

// judgeReceipt checks a receipt against the hub's live key, and against a key the
// receipt itself names. Clients re-serialize receipts, which turns 0.0 into 0 and
// 1.0 into 1, so both spellings of whole numbers are tried (consumer contract §6).
func judgeReceipt(receipt canon.Value, live identity.PublicKey) receiptVerdict {
	sig := receipt.Get("signature")
	if sig.Kind() != canon.Object {
		return receiptVerdict{reason: "the receipt carries no signature object"}
	}
	if alg := sig.Get("algorithm"); alg.Kind() != canon.Invalid && !strings.EqualFold(alg.Str(), "ed25519") {
		return receiptVerdict{reason: "the signature's algorithm is not ed25519"}
	}
	value := sig.Get("value").Str()
	if raw, err := base64.StdEncoding.DecodeString(value); err != nil || len(raw) != 64 {
		v := receiptVerdict{reason: "the signature's value is not the base64 of 64 bytes"}
		_, v.version, v.uncovered, _ = canon.ReceiptMessage(receipt)
		return v
	}
	keys := []identity.PublicKey{live}
	if named := sig.Get("public_key").Str(); named != "" {
		other, err := identity.ParsePublicKey(named)
		if err != nil {
			return receiptVerdict{reason: "the signature's public_key is no usable Ed25519 key: " + err.Error()}
		}
		if other != live {
			keys = append(keys, other)
		}
	}
	v := receiptVerdict{reason: "the signature was not made by this hub's key over these fields"}
	if len(keys) > 1 {
		v.reason = "the signature was made neither by this hub's key nor by the key it names over these fields"
	}
	for _, spelling := range spellings(receipt) {
		msg, version, uncovered, err := canon.ReceiptMessage(spelling)
		if err != nil {
			v.reason = "the receipt has no signed form: " + err.Error()
			return v
		}
		v.version, v.uncovered = version, uncovered
		for i, key := range keys {
			if identity.VerifyBase64(key, msg, value) == nil {
				v.valid, v.ours, v.reason = true, i == 0, ""
				return v
			}
		}
	}
	return v
}

// spelled are the receipt's numbers that may have been reprinted on the way.
var spelled = []string{"price_usd", "latency_ms"}

// spellings are the receipt as received and its variants in which whole numbers
// are written the other way round.
func spellings(receipt canon.Value) []canon.Value {
	out := []canon.Value{receipt}
	for _, name := range spelled {
		other, ok := respell(receipt.Get(name).Token())
		if !ok {
			continue
		}
		for _, v := range out {
			if w, err := canon.Parse(withNumber(v, name, other)); err == nil {
				out = append(out, w)
			}
		}
	}
	return out
}

// respell turns 1 into 1.0 and 1.0 into 1.
func respell(token string) (string, bool) {
	if token == "" || strings.ContainsAny(token, "eE") {
		return "", false
	}
	if whole, ok := strings.CutSuffix(token, ".0"); ok {
		return whole, true
	}
	return token + ".0", !strings.Contains(token, ".")
}

// withNumber is the source text of v with one number member replaced.
func withNumber(v canon.Value, name, token string) []byte {
	b := newBody(len(v.Raw()) + 4)
	for k, m := range v.Members {
		b = appendQuoted(b.comma(), k)
		b = append(b, ':')
		if k == name {
			b = append(b, token...)
		} else {
			b = append(b, m.Raw()...)
		}
	}
	return b.end()
}

func (s *Server) verifyReceipt(w http.ResponseWriter, r *http.Request, rt *route) {
	body, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	v := judgeReceipt(body.Get("receipt"), s.cfg.PublicKey)
	b := newBody(320).yes("valid", v.valid).yes("classical_valid", v.valid).
		yes("pq_present", false).raw("pq_valid", "null").str("algorithm", "ed25519")
	if v.version == 0 {
		b = b.raw("signature_version", "null")
	} else {
		b = b.integer("signature_version", int64(v.version))
	}
	b = b.yes("signer_matches_live_key", v.ours).yes("policy_requires_pq", false).
		strings("uncovered", v.uncovered)
	if v.reason != "" {
		b = b.str("reason", v.reason)
	}
	send(w, http.StatusOK, b.str("protocol_version", protocolVersion).end())
}
