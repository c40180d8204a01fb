package ledger_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/ledger"
)

func TestPayerProofVectors(t *testing.T) {
	raw, err := os.ReadFile("testdata/payer-proof.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		TestKey     string `json:"test_key"`
		TestAddress string `json:"test_address"`
		Cases       []struct {
			Name, Chain, Payer, Message, Signature string
			TxHash                                 string  `json:"tx_hash"`
			Amount                                 float64 `json:"amount_usd"`
			Cents                                  int64   `json:"amount_cents"`
			RecoversTo                             string  `json:"recovers_to"`
		}
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	w := newWallet(t, strings.TrimPrefix(vectors.TestKey, "0x"))
	if w.address != vectors.TestAddress || len(vectors.Cases) != 7 {
		t.Fatalf("test key is %s's, %d cases", w.address, len(vectors.Cases))
	}
	for _, c := range vectors.Cases {
		if cents := ledger.PayerCents(c.Amount); cents != c.Cents {
			t.Errorf("%s: PayerCents(%v) = %d, want %d", c.Name, c.Amount, cents, c.Cents)
		}
		if m := ledger.PayerProofMessage(c.Chain, c.TxHash, c.Payer, c.Cents); m != c.Message {
			t.Errorf("%s: message %q, want %q", c.Name, m, c.Message)
		}
		if c.Signature == "" {
			continue
		}
		if got := w.sign(c.Message); got != c.Signature {
			t.Errorf("%s: signature %s, want %s", c.Name, got, c.Signature)
		}
		if got, err := ledger.RecoverSigner(c.Message, c.Signature); err != nil || got != strings.ToLower(c.RecoversTo) {
			t.Errorf("%s: signer %s, %v; want %s", c.Name, got, err, c.RecoversTo)
		}
	}
}

func TestPayerCents(t *testing.T) {
	for usd, want := range map[float64]int64{
		0.125: 12, 0.135: 14, 1.005: 100, 0.045: 4, 2.675: 268, 0.575: 57, 5: 500, 0: 0,
		math.Inf(1): -1, math.Inf(-1): -1, 1e300: -1,
	} {
		if got := ledger.PayerCents(usd); got != want {
			t.Errorf("PayerCents(%v) = %d, want %d", usd, got, want)
		}
	}
	if got := ledger.PayerCents(math.NaN()); got != -1 {
		t.Errorf("PayerCents(NaN) = %d", got)
	}
	if got := ledger.PayerCents(ledger.Money(135_000).Float()); got != 14 {
		t.Errorf("0.135 USD through Money is %d cents, want 14", got)
	}
}

func TestMalformedSignatures(t *testing.T) {
	good := alice(t).sign("m")
	for name, sig := range map[string]string{
		"empty": "", "no prefix": good[2:], "short": good[:130], "long": good + "00", "not hex": good[:130] + "zz",
		"v 0": good[:130] + "00", "v 1": good[:130] + "01", "v 29": good[:130] + "1d", "zeros": "0x" + strings.Repeat("0", 128) + "1b",
		"r beyond the order": "0x" + strings.Repeat("f", 128) + "1b",
	} {
		if who, err := ledger.RecoverSigner("m", sig); err == nil {
			t.Errorf("%s: recovers %s", name, who)
		}
	}
	if who, err := ledger.RecoverSigner("n", good); err == nil && who == strings.ToLower(alice(t).address) {
		t.Error("a signature over another message recovers the wallet")
	}
}

func FuzzRecoverSigner(f *testing.F) {
	f.Add("m", alice(f).sign("m"))
	f.Fuzz(func(t *testing.T, message, signature string) {
		who, err := ledger.RecoverSigner(message, signature)
		if err == nil && len(who) != 42 {
			t.Fatalf("recovered %q", who)
		}
	})
}
