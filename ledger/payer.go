package ledger

import (
	"encoding/base64"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/aimarket/aimarket/internal/identity"
)

// PayerCents is the amount of a payer proof: binary64 dollars × 100, rounded half
// to even, -1 if not finite (payments contract §6). Nothing else counts in cents.
func PayerCents(usd float64) int64 {
	cents := math.RoundToEven(usd * 100)
	if math.IsNaN(cents) || cents >= math.MaxInt64 || cents <= math.MinInt64 {
		return -1
	}
	return int64(cents)
}

// canonicalTx lowers a hex transaction hash and adds the 0x it may lack; anything
// else (base58) stays as it is.
func canonicalTx(tx string) string {
	body := tx
	if len(body) >= 2 && body[0] == '0' && (body[1] == 'x' || body[1] == 'X') {
		body = body[2:]
	}
	if isHex(body) {
		return "0x" + strings.ToLower(body)
	}
	return tx
}

// PayerProofMessage is the text that the paying wallet signs (EIP-191) to claim a
// deposit when it opens a channel (payments contract §6).
func PayerProofMessage(chain, tx, payer string, cents int64) string {
	return "AIMarket-Payer-Proof/v1\npurpose:channel-open\nchain:" + strings.ToLower(strings.TrimSpace(chain)) +
		"\ntx:" + canonicalTx(tx) +
		"\npayer:" + canonicalWallet(payer) +
		"\namount_cents:" + strconv.FormatInt(cents, 10)
}

// RecoverMessage is the text that a channel's wallet (EIP-191) or owner key
// (Ed25519) signs to get a new secret. It names the hub, so that one hub cannot
// use a proof made for another, and the time, so that it cannot be kept.
func RecoverMessage(hubURL, channelID string, t time.Time) string {
	return "AIMarket-Channel-Recover/v1\nhub:" + hubURL + "\nchannel:" + channelID +
		"\ntime:" + t.UTC().Format(time.RFC3339)
}

// RecoverSigner returns the lower-case address that made an EIP-191 personal
// signature: 0x and 65 bytes r, s, v with v 27 or 28. Anything else is unproven.
func RecoverSigner(message, signature string) (address string, err error) {
	if len(signature) != 2+2*crypto.SignatureLength || signature[0] != '0' || signature[1] != 'x' && signature[1] != 'X' {
		return "", invalid("an EIP-191 signature is 0x and %d hex bytes", crypto.SignatureLength)
	}
	sig, err := hex.DecodeString(signature[2:])
	if err != nil {
		return "", invalid("the signature is not hex")
	}
	v := sig[crypto.RecoveryIDOffset]
	if v != 27 && v != 28 {
		return "", invalid("the signature's v is %d, not 27 or 28", v)
	}
	sig[crypto.RecoveryIDOffset] = v - 27
	hash := crypto.Keccak256([]byte("\x19Ethereum Signed Message:\n"+strconv.Itoa(len(message))), []byte(message))
	pub, err := crypto.SigToPub(hash, sig)
	if err != nil {
		return "", &Error{Kind: KindInvalid, Detail: "no key made this signature", Err: err}
	}
	return strings.ToLower(crypto.PubkeyToAddress(*pub).Hex()), nil
}

// proveWallet checks that wallet signed message.
func proveWallet(wallet, message, signature string) error {
	if !isEVM(wallet) {
		return &Error{Kind: KindProof, Detail: "payer proof: only EVM wallets can prove that they paid", Challenge: message}
	}
	signer, err := RecoverSigner(message, signature)
	if err != nil {
		return &Error{Kind: KindProof, Detail: "payer proof is malformed; sign the challenge with personal_sign (EIP-191)", Challenge: message, Err: err}
	}
	if signer != canonicalWallet(wallet) {
		return &Error{Kind: KindProof, Detail: "payer proof was made by " + signer + ", not by " + wallet + "; sign the challenge with that wallet", Challenge: message}
	}
	return nil
}

// ownerSigned reports whether the channel's owner key signed message.
func ownerSigned(ownerKey, message, signature string) bool {
	pub, err := identity.ParsePublicKey(ownerKey)
	if err != nil {
		return false
	}
	if _, err := base64.StdEncoding.DecodeString(signature); err != nil {
		return false
	}
	return identity.VerifyBase64(pub, []byte(message), signature) == nil
}
