package ledger_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/ledger"
)

// The receipt vectors of the protocol, and the key that signed them.
const (
	vectorKey = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

	receiptV1 = `{"nonce":"rcpt_test001","product_id":"prod-001","capability_id":"translate.multi@v2","price_usd":0.4,"latency_ms":8100,"success":true,"timestamp":"2026-08-28T09:00:50Z","signature":{"algorithm":"ed25519","value":"ZM1yI5B1fj9pEBNM2tpmgmZDaCg1+VVw50NrgredPWaQe9ggCRumdaVGaXirDHbnPJCzIjYPDj+v9WhfiXreDQ=="}}`
	receiptV2 = `{"nonce":"rcpt_test002","product_id":"prod-001","capability_id":"translate.multi@v2","price_usd":0.0,"latency_ms":0,"success":false,"timestamp":"2026-08-28T09:00:50Z","type":"rejection","channel_id":"ch_test001","reason":"verification_below_threshold","verify_score":0.41,"refunded":true,"trace_id":"tr_test002","delivery_reasons":["claim_unsupported"],"signature":{"algorithm":"ed25519","value":"3RMP8ENCYCAK48hX3lTiZaEXfaN10dGtuppPle3GUdzq/FkV9p1hhsaR4zgEEyqs6kpW3GEpG+mkZ8Kp0MN3Aw==","version":2}}`
)

var vectorTime = time.Date(2026, 8, 28, 9, 0, 50, 0, time.UTC)

func publicKey(t testing.TB) identity.PublicKey {
	t.Helper()
	pub, err := identity.ParsePublicKey(vectorKey)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func rejectionVector() *ledger.Receipt {
	score, refunded := 0.41, true
	return &ledger.Receipt{Nonce: "rcpt_test002", ProductID: "prod-001", CapabilityID: "translate.multi@v2", Time: vectorTime,
		Rejection: &ledger.Rejection{Type: "rejection", ChannelID: "ch_test001", Reason: "verification_below_threshold",
			VerifyScore: &score, Refunded: &refunded, TraceID: "tr_test002", DeliveryReasons: []string{"claim_unsupported"}}}
}

func TestReceiptVectors(t *testing.T) {
	raw := ledger.SignReceipt(newSigner(), &ledger.Receipt{Nonce: "rcpt_test001", ProductID: "prod-001", CapabilityID: "translate.multi@v2",
		Price: 400_000, ListPrice: 400_000, Time: vectorTime, Success: true, Latency: 8100 * time.Millisecond})
	var got, want struct{ Signature struct{ Value string } }
	if json.Unmarshal(raw, &got) != nil || json.Unmarshal([]byte(receiptV1), &want) != nil || got != want {
		t.Errorf("version 1: signature %s, want %s in %s", got.Signature.Value, want.Signature.Value, raw)
	}
	// The version 2 vector spells its price 0.0, which we emit as 0: with that one
	// token changed, the signed bytes must be the vector's.
	raw = ledger.SignReceipt(newSigner(), rejectionVector())
	ours, version, _, err := canon.ReceiptMessage(parse(t, string(raw)))
	if err != nil || version != 2 {
		t.Fatalf("ReceiptMessage: version %d, %v", version, err)
	}
	theirs, _, _, err := canon.ReceiptMessage(parse(t, receiptV2))
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(string(theirs), "|price_usd:0.0|", "|price_usd:0|", 1); string(ours) != want {
		t.Errorf("version 2 message\n%s, want\n%s", ours, want)
	}
}

func parse(t testing.TB, s string) canon.Value {
	t.Helper()
	v, err := canon.Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestVectorsAreThePublishedOnes compares the copies above with the protocol's
// files, which internal/canon keeps byte for byte.
func TestVectorsAreThePublishedOnes(t *testing.T) {
	dir := filepath.Join("..", "internal", "canon", "testdata", "vectors")
	for name, ours := range map[string]string{"receipt-signed.json": receiptV1, "receipt-v2-signed.json": receiptV2, "payer-proof.json": ""} {
		theirs, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if ours == "" {
			copied, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil || !bytes.Equal(copied, theirs) {
				t.Errorf("testdata/%s is not the published file (%v)", name, err)
			}
			continue
		}
		if a, b := parse(t, ours).AppendCompact(nil), parse(t, string(theirs)).AppendCompact(nil); !bytes.Equal(a, b) {
			t.Errorf("%s: ours %s, published %s", name, a, b)
		}
	}
}

func TestVerifyReceipt(t *testing.T) {
	pub := publicKey(t)
	ours := string(ledger.SignReceipt(newSigner(), &ledger.Receipt{Nonce: "n", ProductID: "p", CapabilityID: "c@v1", Price: ledger.USD, ListPrice: 2 * ledger.USD, Time: vectorTime, Success: true, Sandbox: true}))
	rejection := string(ledger.SignReceipt(newSigner(), rejectionVector()))
	for _, c := range []struct {
		name, raw string
		version   int
		valid     bool
	}{
		{"vector 1", receiptV1, 1, true},
		{"vector 2", receiptV2, 2, true},
		{"ours", ours, 1, true},
		{"our rejection", rejection, 2, true},
		{"price reprinted 1.0", strings.Replace(ours, `"price_usd":1,`, `"price_usd":1.0,`, 1), 1, true},
		{"price and latency reprinted", strings.NewReplacer(`"price_usd":1,`, `"price_usd":1.0,`, `"latency_ms":0`, `"latency_ms":0.0`).Replace(ours), 1, true},
		{"vector 2 reprinted 0", strings.Replace(receiptV2, `"price_usd":0.0`, `"price_usd":0`, 1), 2, true},
		{"price changed", strings.Replace(ours, `"price_usd":1,`, `"price_usd":2,`, 1), 1, false},
		{"success changed", strings.Replace(ours, `"success":true`, `"success":false`, 1), 1, false},
		{"nonce changed", strings.Replace(ours, `"nonce":"n"`, `"nonce":"m"`, 1), 1, false},
		{"reason changed", strings.Replace(receiptV2, "below", "above", 1), 2, false},
		{"version taken off", strings.Replace(receiptV2, `,"version":2`, "", 1), 1, false},
		{"other algorithm", strings.Replace(ours, "ed25519", "none", 1), 0, false},
		{"version 3", strings.Replace(receiptV2, `"version":2`, `"version":3`, 1), 0, false},
		{"no signature", `{"nonce":"n"}`, 0, false},
		{"not an object", `[]`, 0, false},
		{"not JSON", `{`, 0, false},
	} {
		v, err := ledger.VerifyReceipt([]byte(c.raw), pub)
		if (err == nil) != c.valid || v.Version != c.version {
			t.Errorf("%s: version %d, %v; want version %d, valid %t", c.name, v.Version, err, c.version, c.valid)
		}
	}
	v, err := ledger.VerifyReceipt([]byte(ours), pub)
	if err != nil || strings.Join(v.Uncovered, " ") != "list_price_usd sandbox" {
		t.Errorf("uncovered members %q, %v", v.Uncovered, err)
	}
	other, err := identity.FromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.VerifyReceipt([]byte(ours), other.Public()); err == nil {
		t.Error("valid under another hub's key")
	}
}

func TestReceiptShape(t *testing.T) {
	raw := ledger.SignReceipt(newSigner(), &ledger.Receipt{Nonce: "n", ProductID: `p"`, CapabilityID: "c@v1", Price: 1000, ListPrice: 10, Time: vectorTime.Add(time.Millisecond), Success: true, Latency: 1999 * time.Microsecond})
	if want := `{"nonce":"n","product_id":"p\"","capability_id":"c@v1","price_usd":0.001,"list_price_usd":1e-05,"timestamp":"2026-08-28T09:00:50Z","success":true,"latency_ms":1,"signature":`; !strings.HasPrefix(string(raw), want) {
		t.Errorf("receipt is\n%s, want\n%s", raw, want)
	}
	refunded := true
	raw = ledger.SignReceipt(newSigner(), &ledger.Receipt{Nonce: "blocked_1_p", ProductID: "p", CapabilityID: "c", Time: vectorTime,
		Rejection: &ledger.Rejection{Type: "safety_rejection", Category: "class:injection", Reason: "r", Plugin: "builtin-safety", Refunded: &refunded}})
	if strings.Contains(string(raw), "null") || strings.Contains(string(raw), "channel_id") || !strings.Contains(string(raw), `"version":2}`) {
		t.Errorf("absent members must not be there: %s", raw)
	}
	forged := ledger.SignReceipt(newSigner(), &ledger.Receipt{Nonce: "n", ProductID: "p|capability_id:other@v1", CapabilityID: "c", Time: vectorTime})
	if !strings.Contains(string(forged), `"product_id":"p_capability_id:other@v1"`) {
		t.Errorf("an id with a pipe was signed: %s", forged)
	}
	if n := ledger.NewNonce([ledger.NonceBytes]byte{1, 2}); n != "rcpt_01020000000000000000000000000000" {
		t.Errorf("NewNonce = %s", n)
	}
}

// TestReceiptsVerify: whatever a receipt says, what we sign is what a verifier
// rebuilds from the document.
func TestReceiptsVerify(t *testing.T) {
	pub := publicKey(t)
	rapid.Check(t, func(t *rapid.T) {
		r := &ledger.Receipt{
			Nonce: rapid.String().Draw(t, "nonce"), ProductID: rapid.String().Draw(t, "product"), CapabilityID: rapid.String().Draw(t, "capability"),
			Price:   ledger.Money(rapid.Int64Range(0, 1e12).Draw(t, "price")),
			Time:    time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 0),
			Success: rapid.Bool().Draw(t, "success"), Latency: time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "latency")), Sandbox: rapid.Bool().Draw(t, "sandbox"),
		}
		if rapid.Bool().Draw(t, "rejection") {
			text := rapid.OneOf(rapid.Just(""), rapid.String())
			// Without any of its members a rejection is no version 2 document.
			j := &ledger.Rejection{Type: "rejection", ChannelID: text.Draw(t, "channel"), Category: text.Draw(t, "category"),
				Plugin: text.Draw(t, "plugin"), Reason: text.Draw(t, "reason"), TraceID: text.Draw(t, "trace")}
			if rapid.Bool().Draw(t, "scored") {
				f := rapid.Float64().Draw(t, "score")
				j.VerifyScore = &f
				j.DeliveryReasons = rapid.SliceOf(rapid.String()).Draw(t, "reasons")
			}
			r.Rejection = j
		}
		raw := ledger.SignReceipt(newSigner(), r)
		if _, err := ledger.VerifyReceipt(raw, pub); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	})
}

func FuzzVerifyReceipt(f *testing.F) {
	pub := publicKey(f)
	f.Add([]byte(receiptV1))
	f.Add([]byte(receiptV2))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := ledger.VerifyReceipt(raw, pub)
		if err == nil && v.Nonce != "rcpt_test001" && v.Nonce != "rcpt_test002" {
			t.Fatalf("forged: %s", raw)
		}
	})
}
