package ledger_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aimarket/aimarket/ledger"
)

const (
	tx1     = "0x1111111111111111111111111111111111111111111111111111111111111111"
	request = "4f6c1c6e-0b1d-4a55-9f3c-0a6f9f1f7c11"
)

// wallet is an EVM key that signs as wallets do.
type wallet struct {
	address string
	sign    func(message string) string
}

func newWallet(t testing.TB, keyHex string) wallet {
	t.Helper()
	key, err := crypto.HexToECDSA(keyHex)
	if err != nil {
		t.Fatal(err)
	}
	return wallet{crypto.PubkeyToAddress(key.PublicKey).Hex(), func(message string) string {
		sig, err := crypto.Sign(crypto.Keccak256([]byte(fmt.Sprintf("\x19Ethereum Signed Message:\n%d%s", len(message), message))), key)
		if err != nil {
			t.Fatal(err)
		}
		sig[64] += 27
		return "0x" + hex.EncodeToString(sig)
	}}
}

func alice(t testing.TB) wallet   { return newWallet(t, strings.Repeat("42", 32)) }
func mallory(t testing.TB) wallet { return newWallet(t, strings.Repeat("66", 32)) }

func TestOpenChannel(t *testing.T) {
	h := newHub(t, onPebble(t))
	r := ledger.OpenRequest{Deposit: 5 * ledger.USD, Token: "USDT", Chain: "base", TxHash: "agent-1764000000"}
	ch, secret, err := h.OpenChannel(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^ch_[0-9a-f]{16}$`).MatchString(ch.ID) || !regexp.MustCompile(`^[A-Za-z0-9_-]{32}$`).MatchString(secret) {
		t.Errorf("id %q, secret %q", ch.ID, secret)
	}
	if ch.Status != ledger.StatusOpen || ch.Balance != 5*ledger.USD || ch.Deposit != ch.Balance || ch.Mode != ledger.Demo || ch.TxHash != r.TxHash ||
		!ch.OpenedAt.Equal(epoch) || !ch.ExpiresAt.Equal(epoch.Add(24*time.Hour)) || !ch.ClosedAt.IsZero() {
		t.Errorf("channel is %+v", ch)
	}
	if again := h.channel(t, ch.ID); again != ch {
		t.Errorf("read back: %+v, want %+v", again, ch)
	}
	for _, row := range rows(t, h.storage) {
		if strings.Contains(string(row.Value), secret) {
			t.Errorf("the secret is stored in %q", row.Key)
		}
	}
	// Placeholders are no transactions: they may repeat.
	if _, _, err := h.OpenChannel(ctx, r); err != nil {
		t.Error(err)
	}
	h.check(t)
}

func rows(t testing.TB, s ledger.Storage) []ledger.Row {
	t.Helper()
	var list []ledger.Row
	err := s.Scan(ctx, []byte("ledger/"), nil, func(key, value []byte) (bool, error) {
		list = append(list, ledger.Row{Key: bytes.Clone(key), Value: append([]byte{}, value...)})
		return true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestOpenRefusals(t *testing.T) {
	h := newHub(t)
	a, m := alice(t), mallory(t)
	proof := ledger.PayerProofMessage("base", "agent-1", a.address, 100)
	for name, c := range map[string]struct {
		r    ledger.OpenRequest
		want error
	}{
		"nothing":           {ledger.OpenRequest{}, ledger.ErrInvalid},
		"negative":          {ledger.OpenRequest{Deposit: -1}, ledger.ErrInvalid},
		"too much":          {ledger.OpenRequest{Deposit: 10_000*ledger.USD + 1}, ledger.ErrInvalid},
		"long token":        {ledger.OpenRequest{Deposit: 1, Token: strings.Repeat("x", 17)}, ledger.ErrInvalid},
		"long chain":        {ledger.OpenRequest{Deposit: 1, Chain: strings.Repeat("x", 33)}, ledger.ErrInvalid},
		"long wallet":       {ledger.OpenRequest{Deposit: 1, Wallet: strings.Repeat("x", 129)}, ledger.ErrInvalid},
		"long tx":           {ledger.OpenRequest{Deposit: 1, TxHash: strings.Repeat("x", 129)}, ledger.ErrInvalid},
		"line break":        {ledger.OpenRequest{Deposit: 1, Chain: "base\npayer:x"}, ledger.ErrInvalid},
		"not UTF-8":         {ledger.OpenRequest{Deposit: 1, Wallet: "\xff"}, ledger.ErrInvalid},
		"bad owner key":     {ledger.OpenRequest{Deposit: 1, OwnerKey: "AAAA"}, ledger.ErrInvalid},
		"guessable request": {ledger.OpenRequest{Deposit: 1, RequestID: "1"}, ledger.ErrInvalid},
		"long request":      {ledger.OpenRequest{Deposit: 1, RequestID: strings.Repeat("x", 256)}, ledger.ErrInvalid},
		"another's proof":   {ledger.OpenRequest{Deposit: ledger.USD, Chain: "base", TxHash: "agent-1", Wallet: a.address, PayerSignature: m.sign(proof)}, ledger.ErrProof},
		"malformed proof":   {ledger.OpenRequest{Deposit: ledger.USD, Chain: "base", TxHash: "agent-1", Wallet: a.address, PayerSignature: "0x12"}, ledger.ErrProof},
		"proof, no wallet":  {ledger.OpenRequest{Deposit: ledger.USD, Chain: "base", TxHash: "agent-1", PayerSignature: a.sign(proof)}, ledger.ErrProof},
		"proof of less":     {ledger.OpenRequest{Deposit: 2 * ledger.USD, Chain: "base", TxHash: "agent-1", Wallet: a.address, PayerSignature: a.sign(proof)}, ledger.ErrProof},
	} {
		_, secret, err := h.OpenChannel(ctx, c.r)
		if !errors.Is(err, c.want) || secret != "" {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		var e *ledger.Error
		if errors.As(err, &e) && e.Kind == ledger.KindProof && !strings.HasPrefix(e.Challenge, "AIMarket-Payer-Proof/v1\n") {
			t.Errorf("%s: no challenge to sign in %+v", name, e)
		}
	}
	if n := len(rows(t, h.storage)); n != 0 {
		t.Errorf("refusals left %d rows", n)
	}
	if _, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: ledger.USD, Chain: "Base", TxHash: "agent-1", Wallet: strings.ToLower(a.address), PayerSignature: a.sign(proof)}); err != nil {
		t.Errorf("a good proof: %v", err)
	}
}

func TestTransactionIsCreditedOnce(t *testing.T) {
	h := newHub(t, onPebble(t))
	open := func(chain, tx string) error {
		_, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1000, Chain: chain, TxHash: tx})
		return err
	}
	if err := open("base", tx1); err != nil {
		t.Fatal(err)
	}
	if err := open("Base", strings.ToUpper(tx1)); !errors.Is(err, ledger.ErrDepositUsed) {
		t.Errorf("the same transaction again: %v", err)
	}
	if err := open("polygon", tx1); err != nil {
		t.Errorf("the same hash on another chain: %v", err)
	}
	const racers = 16
	var won sync.Map
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			err := open("base", strings.ReplaceAll(tx1, "1", "2"))
			if err == nil {
				won.Store(i, true)
			} else if !errors.Is(err, ledger.ErrDepositUsed) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	won.Range(func(_, _ any) bool { n++; return true })
	if n != 1 || h.Stats().OpenChannels != 3 {
		t.Errorf("%d of %d racing opens were credited, %d open", n, racers, h.Stats().OpenChannels)
	}
	h.check(t)
}

func TestOpenAgainWithTheSameRequest(t *testing.T) {
	h := newHub(t, onPebble(t))
	r := ledger.OpenRequest{Deposit: 1000, Token: "USDT", Chain: "base", RequestID: request, Client: "127.0.0.1"}
	ch, secret, err := h.OpenChannel(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	h.pay(t, ch.ID, secret, "r", 10)
	h.reopen(t)
	again, secretAgain, err := h.OpenChannel(ctx, r)
	if err != nil || again.ID != ch.ID || secretAgain != secret || again.Balance != 990 {
		t.Fatalf("repeated open = %+v, %q, %v", again, secretAgain, err)
	}
	for name, change := range map[string]func(*ledger.OpenRequest){
		"deposit": func(r *ledger.OpenRequest) { r.Deposit++ },
		"token":   func(r *ledger.OpenRequest) { r.Token = "USDC" },
		"wallet":  func(r *ledger.OpenRequest) { r.Wallet = "w" },
	} {
		other := r
		change(&other)
		if _, s, err := h.OpenChannel(ctx, other); !errors.Is(err, ledger.ErrRequestMismatch) || s != "" {
			t.Errorf("same request id, other %s: %v", name, err)
		}
	}
	other := r
	other.Client = "203.0.113.7"
	if ch2, s, err := h.OpenChannel(ctx, other); err != nil || ch2.ID == ch.ID || s == secret {
		t.Errorf("a stranger with the same request id got %s, %v", ch2.ID, err)
	}
	h.clock.advance(25 * time.Hour)
	if ch3, _, err := h.OpenChannel(ctx, r); err != nil || ch3.ID == ch.ID {
		t.Errorf("after its life the request id still answers: %s, %v", ch3.ID, err)
	}
	h.check(t)
}

func TestRacingOpensOfOneRequest(t *testing.T) {
	h := newHub(t, onPebble(t))
	var ids sync.Map
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			ch, secret, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1000, RequestID: request})
			if err != nil {
				t.Error(err)
			}
			ids.Store(ch.ID+secret, true)
		})
	}
	wg.Wait()
	n := 0
	ids.Range(func(_, _ any) bool { n++; return true })
	if n != 1 || h.Stats().OpenChannels != 1 {
		t.Errorf("one request opened %d channels, %d are open", n, h.Stats().OpenChannels)
	}
	h.check(t)
}

func TestOpenLimits(t *testing.T) {
	h := newHub(t, func(c *ledger.Config) { c.Limits = ledger.Limits{MaxOpen: 5, OpensPerWallet: 2} })
	a := alice(t)
	proven := func(n int) error {
		tx := fmt.Sprintf("agent-%d", n)
		_, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: ledger.USD, Chain: "base", TxHash: tx, Wallet: a.address,
			PayerSignature: a.sign(ledger.PayerProofMessage("base", tx, a.address, 100))})
		return err
	}
	// A stranger who only names the wallet does not use up its opens.
	for range 2 {
		if _, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1, Wallet: a.address}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 2 {
		if err := proven(n); err != nil {
			t.Fatal(err)
		}
	}
	var e *ledger.Error
	if err := proven(3); !errors.As(err, &e) || e.Kind != ledger.KindRateLimited || e.RetryAfter <= 0 || e.RetryAfter > time.Hour {
		t.Errorf("third open of a wallet in an hour: %v", err)
	}
	if _, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1}); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Hour + time.Second)
	if err := proven(4); !errors.Is(err, ledger.ErrFull) {
		t.Errorf("sixth open channel of five: %v", err)
	}
	if c := h.Counters(); c.RefusedFull != 1 || c.RefusedRate != 1 {
		t.Errorf("counters %+v", c)
	}
	if got := h.Stats().OpenChannels; got != 5 {
		t.Errorf("%d open channels, want 5", got)
	}
	h.clock.advance(24 * time.Hour)
	if n, _, err := h.Sweep(ctx); n != 5 || err != nil {
		t.Fatalf("Sweep = %d, %v", n, err)
	}
	if err := proven(5); err != nil {
		t.Errorf("after the sweep: %v", err)
	}
	h.check(t)
}

func TestWalletlessShareIsPerCaller(t *testing.T) {
	h := newHub(t, func(c *ledger.Config) { c.Limits.OpensPerWallet = 1 })
	open := func(client string) error {
		_, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1, Client: client})
		return err
	}
	for range 10 {
		if err := open("198.51.100.1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := open("198.51.100.1"); !errors.Is(err, ledger.ErrRateLimited) {
		t.Errorf("eleventh open: %v", err)
	}
	if err := open("198.51.100.2"); err != nil {
		t.Errorf("another caller is locked out: %v", err)
	}
}

// verifier is a chain that knows its payments.
type verifier map[string]ledger.VerifiedDeposit

func (v verifier) VerifyDeposit(_ context.Context, c ledger.DepositClaim) (ledger.VerifiedDeposit, error) {
	d, ok := v[c.TxHash]
	if !ok {
		return d, errors.New("transaction not found")
	}
	return d, nil
}

func TestChainDeposits(t *testing.T) {
	a, m := alice(t), mallory(t)
	tx2 := strings.ReplaceAll(tx1, "1", "2")
	h := newHub(t, func(c *ledger.Config) {
		c.Mode = "base"
		c.Deposits = verifier{
			tx1: {Paid: 5 * ledger.USD, Payer: a.address, Labels: []string{"eip155:8453", "base"}},
			tx2: {Paid: 5 * ledger.USD},
		}
	})
	open := func(by wallet, tx string, deposit ledger.Money, signed bool) error {
		r := ledger.OpenRequest{Deposit: deposit, Token: "USDC", Chain: "base", TxHash: tx, Wallet: by.address}
		if signed {
			r.PayerSignature = by.sign(ledger.PayerProofMessage("base", tx, by.address, ledger.PayerCents(deposit.Float())))
		}
		_, _, err := h.OpenChannel(ctx, r)
		return err
	}
	for _, c := range []struct {
		name string
		err  error
		want error
	}{
		{"unknown payment", open(a, strings.ReplaceAll(tx1, "1", "9"), ledger.USD, true), ledger.ErrDeposit},
		{"more than paid", open(a, tx1, 6*ledger.USD, true), ledger.ErrDeposit},
		{"no payer", open(a, tx2, ledger.USD, true), ledger.ErrDeposit},
		{"not the payer", open(m, tx1, ledger.USD, true), ledger.ErrProof},
		{"no proof", open(a, tx1, ledger.USD, false), ledger.ErrProof},
		{"part of a cent", open(a, tx1, 575_000, true), ledger.ErrInvalid},
		{"good", open(a, tx1, 5*ledger.USD, true), nil},
		{"again", open(a, tx1, 5*ledger.USD, true), ledger.ErrDepositUsed},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.err, c.want)
		}
	}
	h.check(t)
}
