package ledger

import (
	"context"
	"time"
)

// recoverWindow is how far the signed time may be from the hub's clock.
const recoverWindow = 5 * time.Minute

// RecoverRequest proves ownership of a channel whose secret was lost.
type RecoverRequest struct {
	ChannelID string
	Time      time.Time // signed; within 5 minutes of now
	Signature string    // EIP-191 of the wallet, or Ed25519 of OwnerKey, over RecoverMessage
}

// RecoverSecret replaces the secret of an open channel. Each proof works once: a
// later one must carry a later second, so a copied request wins nothing.
func (l *Ledger) RecoverSecret(ctx context.Context, r RecoverRequest) (secret string, err error) {
	if l.c.Mode == Off {
		return "", ErrMoneyOff
	}
	now := l.now()
	if d := now.Sub(r.Time); d > recoverWindow || d < -recoverWindow {
		return "", invalid("the signed time %s is more than %s from this hub's %s", r.Time.UTC().Format(time.RFC3339), recoverWindow, now.Format(time.RFC3339))
	}
	message := RecoverMessage(l.c.HubURL, r.ChannelID, r.Time)
	if secret, err = l.newSecret(); err != nil {
		return "", err
	}
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	_, wait, err := l.change(ctx, r.ChannelID, func(s *slot, d *draft, _ bool) error {
		if s.acc.Wallet == "" && s.acc.OwnerKey == "" {
			return &Error{Kind: KindUnauthorized, Detail: "unauthorized: this channel was opened without a wallet or owner key, so nobody can prove to own it"}
		}
		if !s.acc.owns(message, r.Signature) {
			l.counters.unauthorized.Add(1)
			return &Error{Kind: KindProof, Detail: "the signature is not the owner's; sign the challenge with the channel's wallet (EIP-191) or owner key (Ed25519)", Challenge: message}
		}
		if r.Time.Unix() <= s.acc.recovered {
			return &Error{Kind: KindReplay, Detail: "this proof, or a newer one, was used already; sign again with the present time"}
		}
		d.acc.recovered = r.Time.Unix()
		d.acc.secretHash = hashSecret(secret)
		return d.apply(event{moveRekey, 0, "", now})
	})
	if err != nil {
		return "", err
	}
	return secret, l.durable(wait)
}

// owns reports whether signature over message is the wallet's or the owner key's.
func (a *account) owns(message, signature string) bool {
	if a.OwnerKey != "" && ownerSigned(a.OwnerKey, message, signature) {
		return true
	}
	return isEVM(a.Wallet) && proveWallet(a.Wallet, message, signature) == nil
}
