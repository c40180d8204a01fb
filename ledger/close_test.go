package ledger_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

func TestClose(t *testing.T) {
	h := newHub(t)
	a, m := alice(t), mallory(t)
	r := ledger.OpenRequest{Deposit: 1000, Token: "USDT", Chain: "base"}
	anonymous, anonymousSecret, _ := h.OpenChannel(ctx, r)
	r.Wallet = a.address
	owned, ownedSecret, _ := h.OpenChannel(ctx, r)
	ownedToo, _, _ := h.OpenChannel(ctx, r)
	busy, busySecret := h.open(t, 1000)
	hold := h.hold(t, busy, busySecret, "r1", 1)
	h.hold(t, busy, busySecret, "r2", 1)

	for _, c := range []struct {
		name string
		r    ledger.CloseRequest
		want error
		text string
	}{
		{"unknown", ledger.CloseRequest{ChannelID: "ch_0000000000000000"}, ledger.ErrUnknownChannel, "channel not found"},
		{"malformed", ledger.CloseRequest{ChannelID: "nonsense"}, ledger.ErrUnknownChannel, "channel not found"},
		{"wrong secret", ledger.CloseRequest{ChannelID: anonymous.ID, Secret: ownedSecret}, ledger.ErrUnauthorized, "unauthorized: invalid or missing channel secret"},
		{"wallet of a walletless channel", ledger.CloseRequest{ChannelID: anonymous.ID, Wallet: a.address}, ledger.ErrUnauthorized, "unauthorized: wallet does not match channel owner"},
		{"no wallet, no secret", ledger.CloseRequest{ChannelID: owned.ID}, ledger.ErrUnauthorized, ""},
		{"wrong wallet", ledger.CloseRequest{ChannelID: owned.ID, Wallet: m.address}, ledger.ErrUnauthorized, "unauthorized: wallet does not match channel owner"},
		{"wrong wallet, right secret", ledger.CloseRequest{ChannelID: owned.ID, Wallet: m.address, Secret: ownedSecret}, ledger.ErrUnauthorized, ""},
		{"running calls", ledger.CloseRequest{ChannelID: busy}, ledger.ErrPending, "channel has 2 pending verified settlement(s) — retry close after they resolve"},
		{"long transaction", ledger.CloseRequest{ChannelID: busy, SettleTxHash: strings.Repeat("x", 129)}, ledger.ErrInvalid, ""},
		{"walletless without secret", ledger.CloseRequest{ChannelID: anonymous.ID, SettleTxHash: "agent-2"}, nil, ""},
		{"again without proof", ledger.CloseRequest{ChannelID: anonymous.ID}, ledger.ErrChannelClosed, "channel is settled"},
		{"again with a wrong secret", ledger.CloseRequest{ChannelID: anonymous.ID, Secret: "wrong"}, ledger.ErrChannelClosed, "channel is settled"},
		{"wallet in another case", ledger.CloseRequest{ChannelID: owned.ID, Wallet: strings.ToLower(a.address)}, nil, ""},
		{"wallet channel by secret: closed", ledger.CloseRequest{ChannelID: ownedToo.ID, Wallet: strings.ToUpper(a.address[2:])}, ledger.ErrUnauthorized, ""},
	} {
		s, err := h.CloseChannel(ctx, c.r)
		if !errors.Is(err, c.want) || c.text != "" && err.Error() != c.text {
			t.Errorf("%s: %v, want %v %q", c.name, err, c.want, c.text)
		}
		if err == nil && (s.Refund != 1000 || s.Channel.SettleTxHash != c.r.SettleTxHash || s.Obligation.Kind != ledger.CloseRemainder) {
			t.Errorf("%s: settlement %+v", c.name, s)
		}
		h.check(t)
	}
	first, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: anonymous.ID, Secret: anonymousSecret})
	if err != nil || first.Refund != 1000 || first.Channel.SettleTxHash != "agent-2" || first.Obligation == nil {
		t.Errorf("closing again with the secret = %+v, %v", first, err)
	}
	if err := h.Capture(ctx, hold, delivery("r1")); err != nil {
		t.Errorf("a refused close touched a running call: %v", err)
	}
	if owed := h.Stats().Owed; owed != 2000 {
		t.Errorf("owed %s, want 0.002", owed)
	}
}

func TestCloseOfASpentChannelOwesNothing(t *testing.T) {
	h := newHub(t)
	id, secret := h.open(t, 1000)
	h.pay(t, id, secret, "r", 1000)
	s, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id, Secret: secret})
	if err != nil || s.Refund != 0 || s.Obligation != nil {
		t.Errorf("settlement %+v, %v", s, err)
	}
	h.check(t)
}

// TestStrangersCannotUseUpCloses: refused closes cost a wallet nothing.
func TestStrangersCannotUseUpCloses(t *testing.T) {
	h := newHub(t, func(c *ledger.Config) { c.Limits.ClosesPerWallet = 1 })
	a := alice(t)
	r := ledger.OpenRequest{Deposit: 1000, Wallet: a.address}
	one, _, _ := h.OpenChannel(ctx, r)
	two, _, _ := h.OpenChannel(ctx, r)
	for range 20 {
		if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: one.ID, Secret: "guess", Wallet: a.address}); !errors.Is(err, ledger.ErrUnauthorized) {
			t.Fatal(err)
		}
	}
	if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: one.ID, Wallet: a.address}); err != nil {
		t.Errorf("the owner is locked out: %v", err)
	}
	if _, err := h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: two.ID, Wallet: a.address}); !errors.Is(err, ledger.ErrRateLimited) {
		t.Errorf("second close in an hour: %v", err)
	}
}

func TestRecoverSecret(t *testing.T) {
	h := newHub(t, onPebble(t))
	a, m, key := alice(t), mallory(t), newSigner()
	byWallet, lost, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1000, Wallet: a.address, RequestID: request})
	if err != nil {
		t.Fatal(err)
	}
	byKey, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1000, OwnerKey: key.PublicBase64()})
	if err != nil {
		t.Fatal(err)
	}
	nobodys, _ := h.open(t, 1000)
	message := func(id string) string { return ledger.RecoverMessage(h.config.HubURL, id, epoch) }
	if want := "AIMarket-Channel-Recover/v1\nhub:http://localhost:9083\nchannel:" + nobodys + "\ntime:2026-11-24T09:00:00Z"; message(nobodys) != want {
		t.Fatalf("RecoverMessage = %q", message(nobodys))
	}
	for _, c := range []struct {
		name string
		r    ledger.RecoverRequest
		want error
	}{
		{"another wallet", ledger.RecoverRequest{ChannelID: byWallet.ID, Time: epoch, Signature: m.sign(message(byWallet.ID))}, ledger.ErrProof},
		{"another channel's proof", ledger.RecoverRequest{ChannelID: byWallet.ID, Time: epoch, Signature: a.sign(message(byKey.ID))}, ledger.ErrProof},
		{"another hub's proof", ledger.RecoverRequest{ChannelID: byWallet.ID, Time: epoch, Signature: a.sign(ledger.RecoverMessage("https://h2", byWallet.ID, epoch))}, ledger.ErrProof},
		{"old", ledger.RecoverRequest{ChannelID: byWallet.ID, Time: epoch.Add(-6 * time.Minute), Signature: a.sign(ledger.RecoverMessage(h.config.HubURL, byWallet.ID, epoch.Add(-6*time.Minute)))}, ledger.ErrInvalid},
		{"future", ledger.RecoverRequest{ChannelID: byWallet.ID, Time: epoch.Add(6 * time.Minute)}, ledger.ErrInvalid},
		{"no owner", ledger.RecoverRequest{ChannelID: nobodys, Time: epoch, Signature: a.sign(message(nobodys))}, ledger.ErrUnauthorized},
		{"wallet for a key", ledger.RecoverRequest{ChannelID: byKey.ID, Time: epoch, Signature: a.sign(message(byKey.ID))}, ledger.ErrProof},
		{"unknown channel", ledger.RecoverRequest{ChannelID: "ch_0000000000000000", Time: epoch}, ledger.ErrUnknownChannel},
	} {
		if s, err := h.RecoverSecret(ctx, c.r); !errors.Is(err, c.want) || s != "" {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	good := ledger.RecoverRequest{ChannelID: byWallet.ID, Time: epoch, Signature: a.sign(message(byWallet.ID))}
	secret, err := h.RecoverSecret(ctx, good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Authorize(ctx, byWallet.ID, lost); !errors.Is(err, ledger.ErrUnauthorized) {
		t.Errorf("the old secret still works: %v", err)
	}
	if _, err := h.Authorize(ctx, byWallet.ID, secret); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	if _, err := h.RecoverSecret(ctx, good); !errors.Is(err, ledger.ErrReplay) {
		t.Errorf("a copied request gets a secret: %v", err)
	}
	if _, s, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1000, Wallet: a.address, RequestID: request}); !errors.Is(err, ledger.ErrSecretReplaced) || s != "" {
		t.Errorf("repeating the open after a recovery: %q, %v", s, err)
	}
	if _, err := h.RecoverSecret(ctx, ledger.RecoverRequest{ChannelID: byKey.ID, Time: epoch, Signature: key.SignBase64([]byte(message(byKey.ID)))}); err != nil {
		t.Errorf("owner key: %v", err)
	}
	h.check(t)
	if _, err := base64.RawURLEncoding.DecodeString(secret); err != nil {
		t.Error(err)
	}
}
