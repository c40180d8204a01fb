package ledger

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds of the open and close bodies (HTTP contract §3).
const (
	maxToken     = 16
	maxChain     = 32
	maxWallet    = 128
	maxTx        = 128
	maxSignature = 256
)

// minRequestID and maxRequestID bound the request id of an open. Whoever repeats it
// is shown the channel's secret again, so it must be as hard to guess as one: a
// UUID or the like, never a counter.
const (
	minRequestID = 16
	maxRequestID = 255
)

// OpenRequest asks for a channel.
type OpenRequest struct {
	Deposit                      Money
	Token, Chain, Wallet, TxHash string
	PayerSignature               string
	OwnerKey                     string
	RequestID                    string // Idempotency-Key, 16 to 255 characters and hard to guess; "" none
	Client                       string // limit.AddressKey of the caller: keeps one address from using up the wallet-less share of all
}

// DepositSource verifies deposits that were paid outside this ledger. A chain mode
// brings one.
type DepositSource interface {
	// VerifyDeposit looks the payment up. Its error's text is shown to the opener.
	VerifyDeposit(ctx context.Context, c DepositClaim) (VerifiedDeposit, error)
}

// DepositClaim is what an opener says was paid.
type DepositClaim struct {
	Amount                       Money
	Token, Chain, Wallet, TxHash string
}

// VerifiedDeposit is what the chain says about it.
type VerifiedDeposit struct {
	Paid   Money    // at least what is credited
	Payer  string   // the one address that paid; it must sign the payer proof
	Labels []string // every name of the chain under which the payment now counts as used
}

// cent is the step of chain deposits: for whole cents the payer proof's binary64
// rounding and exact decimals agree (payments contract, trap 1).
const cent = USD / 100

// OpenChannel credits a deposit. The secret is shown once; an equal RequestID
// shows it again.
func (l *Ledger) OpenChannel(ctx context.Context, r OpenRequest) (ch Channel, secret string, err error) {
	if l.c.Mode == Off {
		return Channel{}, "", ErrMoneyOff
	}
	if err := l.usable(); err != nil {
		return Channel{}, "", err
	}
	if err := l.checkOpen(&r); err != nil {
		return Channel{}, "", err
	}
	o := opening{request: r, fingerprint: r.fingerprint()}
	if r.RequestID != "" {
		o.scope = RequestScope("open", r.Client, r.RequestID)
		if ch, secret, found, err := l.openedBefore(ctx, &o); found || err != nil {
			return ch, secret, err
		}
	}
	if err := l.prove(ctx, &o); err != nil {
		return Channel{}, "", err
	}
	bucket, key := l.opensShare, r.Client
	if o.proven {
		bucket, key = l.opensWallet, canonicalWallet(r.Wallet)
	}
	if ok, after := bucket.Allow(key); !ok {
		l.counters.rate.Add(1)
		return Channel{}, "", &Error{Kind: KindRateLimited, Detail: fmt.Sprintf("too many channels opened in the last hour; try again in %s", after.Round(time.Second)), RetryAfter: after}
	}
	l.inFlight.Add(1)
	defer l.inFlight.Add(-1)
	return l.open(ctx, &o)
}

// opening is an open that was found sound.
type opening struct {
	request     OpenRequest
	fingerprint [32]byte
	scope       string
	proven      bool
	deposits    [][]byte // keys of what the deposit uses up
}

func (l *Ledger) checkOpen(r *OpenRequest) error {
	if r.Deposit <= 0 || r.Deposit > l.limits.MaxDeposit {
		return invalid("deposit_usd must be above 0 and at most %s, is %s", l.limits.MaxDeposit, r.Deposit)
	}
	for _, f := range []struct {
		name, value string
		max         int
	}{
		{"token", r.Token, maxToken}, {"chain", r.Chain, maxChain}, {"wallet", r.Wallet, maxWallet},
		{"tx_hash", r.TxHash, maxTx}, {"payer_signature", r.PayerSignature, maxSignature},
	} {
		if err := checkText(f.name, f.value, f.max); err != nil {
			return err
		}
	}
	if r.OwnerKey != "" {
		pub, err := identity.ParsePublicKey(r.OwnerKey)
		if err != nil {
			return &Error{Kind: KindInvalid, Detail: "owner_key must be an Ed25519 public key in base64", Err: err}
		}
		r.OwnerKey = pub.String()
	}
	if n := len(r.RequestID); n != 0 && (n < minRequestID || n > maxRequestID) {
		return invalid("the Idempotency-Key of an open must have %d to %d characters and be hard to guess (a UUID): whoever repeats it is shown the channel's secret", minRequestID, maxRequestID)
	}
	return nil
}

// checkText refuses what is too long, not UTF-8, or would break a line that
// somebody signs.
func checkText(name, value string, limit int) error {
	if len(value) > limit {
		return invalid("%s has %d bytes, more than %d", name, len(value), limit)
	}
	if strings.ToValidUTF8(value, "") != value || strings.ContainsFunc(value, unicode.IsControl) {
		return invalid("%s must be text without control characters", name)
	}
	return nil
}

func (r *OpenRequest) fingerprint() [32]byte {
	h := sha256.New()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(r.Deposit))
	h.Write(n[:])
	for _, s := range []string{r.Token, r.Chain, r.Wallet, r.TxHash, r.PayerSignature, r.OwnerKey} {
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	return [32]byte(h.Sum(nil))
}

// prove checks who paid and what, and lists what the deposit uses up.
func (l *Ledger) prove(ctx context.Context, o *opening) error {
	r := &o.request
	challenge := PayerProofMessage(r.Chain, r.TxHash, r.Wallet, PayerCents(r.Deposit.Float()))
	if r.PayerSignature != "" {
		if err := proveWallet(r.Wallet, challenge, r.PayerSignature); err != nil {
			l.counters.unauthorized.Add(1)
			return err
		}
		o.proven = true
	}
	if l.c.Mode == Demo {
		if isTx(r.TxHash) {
			o.deposits = [][]byte{depositKey(r.Chain, r.TxHash)}
		}
		return nil
	}
	if r.Deposit%cent != 0 {
		return invalid("deposit_usd must be whole cents, is %s", r.Deposit)
	}
	v, err := l.c.Deposits.VerifyDeposit(ctx, DepositClaim{r.Deposit, r.Token, r.Chain, r.Wallet, r.TxHash})
	if err != nil {
		return &Error{Kind: KindDeposit, Detail: "deposit not verified", Err: err}
	}
	switch {
	case v.Paid < r.Deposit:
		return &Error{Kind: KindDeposit, Detail: fmt.Sprintf("deposit not verified: %s was paid, not %s", v.Paid, r.Deposit)}
	case v.Payer == "" || len(v.Labels) == 0:
		return &Error{Kind: KindDeposit, Detail: "deposit not verified: no payer reported"}
	case !sameWallet(v.Payer, r.Wallet):
		return &Error{Kind: KindProof, Detail: "wallet is not the payer of this deposit"}
	case !o.proven:
		return &Error{Kind: KindProof, Detail: "payer proof missing; sign the challenge with the paying wallet", Challenge: challenge}
	}
	for _, label := range v.Labels {
		o.deposits = append(o.deposits, depositKey(label, r.TxHash))
	}
	return nil
}

// openedBefore answers a repeated open with the same channel and secret, once the
// first one is on disk.
func (l *Ledger) openedBefore(ctx context.Context, o *opening) (Channel, string, bool, error) {
	a, found, err := l.lookUp(ctx, o.scope, o.fingerprint)
	if err != nil || !found {
		return Channel{}, "", false, err
	}
	if a.channel == "" {
		return Channel{}, "", false, ErrRequestMismatch
	}
	acc, err := l.account(ctx, a.channel)
	if err != nil {
		return Channel{}, "", false, err
	}
	secret := l.derivedSecret(acc.ID, o.scope)
	if !acc.secretMatches(secret) {
		return Channel{}, "", false, ErrSecretReplaced
	}
	return acc.Channel, secret, true, l.settledOnDisk(ctx)
}

func (l *Ledger) open(ctx context.Context, o *opening) (Channel, string, error) {
	if l.totals.open.Add(1) > int64(l.limits.MaxOpen) {
		l.totals.open.Add(-1)
		l.counters.full.Add(1)
		return Channel{}, "", &Error{Kind: KindFull, Detail: fmt.Sprintf("this hub has its maximum of %d open channels; close one or try again later", l.limits.MaxOpen)}
	}
	// The place is taken before the channel exists so that a race cannot exceed the
	// limit; commit counts the channel itself, so the place is given back either way.
	ch, secret, wait, err := l.commitOpen(ctx, o)
	l.totals.open.Add(-1)
	if errors.Is(err, ErrAnswered) {
		ch, secret, _, err = l.openedBefore(ctx, o)
		return ch, secret, err
	}
	if err != nil {
		return Channel{}, "", err
	}
	return ch, secret, l.durable(wait)
}

func (l *Ledger) commitOpen(ctx context.Context, o *opening) (Channel, string, func() error, error) {
	for attempt := range changeAttempts {
		ch, secret, wait, err := l.tryOpen(ctx, o, attempt > 0)
		if errors.Is(err, ErrConflict) {
			l.counters.conflicts.Add(1)
			continue
		}
		return ch, secret, wait, err
	}
	return Channel{}, "", nil, ErrBusy
}

func (l *Ledger) tryOpen(ctx context.Context, o *opening, again bool) (Channel, string, func() error, error) {
	id, err := l.newChannelID()
	if err != nil {
		return Channel{}, "", nil, err
	}
	var secret string
	if o.scope != "" {
		secret = l.derivedSecret(id, o.scope)
	} else if secret, err = l.newSecret(); err != nil {
		return Channel{}, "", nil, err
	}
	r, now := &o.request, l.now()
	opened := now.Truncate(time.Second)
	acc := account{
		Channel: Channel{
			ID: id, Mode: l.c.Mode, Token: r.Token, Chain: r.Chain, Wallet: r.Wallet, TxHash: r.TxHash,
			OwnerKey: r.OwnerKey, OpenedAt: opened, ExpiresAt: opened.Add(l.limits.ChannelLife),
		},
		secretHash: hashSecret(secret),
		proven:     o.proven,
	}
	s := l.lock(id)
	defer l.unlock(id, s)
	if s.loaded {
		return Channel{}, "", nil, ErrConflict // this id is in use; draw another
	}
	d := l.drafts.Get().(*draft)
	defer l.putDraft(d)
	d.reset(&acc)
	if err := d.apply(event{moveOpen, r.Deposit, "", now}); err != nil {
		return Channel{}, "", nil, err
	}
	for _, key := range o.deposits {
		if again {
			if _, err := l.c.Storage.Get(ctx, key); err == nil {
				return Channel{}, "", nil, ErrDepositUsed
			} else if !errors.Is(err, ErrNotFound) {
				return Channel{}, "", nil, readFailed(err)
			}
		}
		d.expect(key, nil)
		d.put(key, appendFunded(nil, id))
	}
	if o.scope != "" {
		if err := l.putAnswer(ctx, d, o.scope, &answer{at: millis(now), request: o.fingerprint, channel: id}, again); err != nil {
			return Channel{}, "", nil, err
		}
	}
	d.put(appendExpiryKey(nil, d.acc.ExpiresAt, id), nil)
	wait, err := l.commit(ctx, id, s, d)
	return d.acc.Channel, secret, wait, err
}

func (l *Ledger) newChannelID() (string, error) {
	var b [8]byte
	if err := l.random(b[:]); err != nil {
		return "", err
	}
	return "ch_" + hex.EncodeToString(b[:]), nil
}

// secretBytes is the length of a channel secret before base64url: 32 characters.
const secretBytes = 24

func (l *Ledger) newSecret() (string, error) {
	var b [secretBytes]byte
	if err := l.random(b[:]); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// derivedSecret is the secret of a channel opened under a request id. It can be
// shown again without being stored.
func (l *Ledger) derivedSecret(channelID, scope string) string {
	key := l.c.Signer.Derive("aimarket ledger channel secret v1")
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte(channelID + "\x00" + scope))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:secretBytes])
}
