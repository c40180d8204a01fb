package identity

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"filippo.io/edwards25519"
)

// PublicKey is the 32 bytes of an Ed25519 public key.
type PublicKey [ed25519.PublicKeySize]byte

// ErrBadKey reports a text or point that is no usable public key, ErrBadSignature
// a signature that does not verify.
var (
	ErrBadKey       = errors.New("identity: not a usable Ed25519 public key")
	ErrBadSignature = errors.New("identity: signature does not verify")
)

// String is the key in standard padded base64.
func (p PublicKey) String() string { return base64.StdEncoding.EncodeToString(p[:]) }

// ParsePublicKey reads base64 in either alphabet, padded or not (federation notes
// §4), and refuses non-canonical points and points of small order.
func ParsePublicKey(s string) (PublicKey, error) {
	raw, err := decode64(s)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return PublicKey{}, fmt.Errorf("%w: want base64 of 32 bytes, got %q", ErrBadKey, clip(s))
	}
	p := PublicKey(raw)
	if _, err := p.point(); err != nil {
		return PublicKey{}, err
	}
	return p, nil
}

// point decodes the key; RFC 8032 §5.1.3 with the canonical and small-order checks.
func (p PublicKey) point() (*edwards25519.Point, error) {
	a, err := new(edwards25519.Point).SetBytes(p[:])
	if err != nil {
		return nil, fmt.Errorf("%w: not a point of the curve", ErrBadKey)
	}
	if !bytes.Equal(a.Bytes(), p[:]) {
		return nil, fmt.Errorf("%w: the point is not in its canonical form", ErrBadKey)
	}
	if smallOrder(a) {
		return nil, fmt.Errorf("%w: the point has small order, anyone could sign for it", ErrBadKey)
	}
	return a, nil
}

func smallOrder(p *edwards25519.Point) bool {
	return new(edwards25519.Point).MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1
}

// Verify checks strictly: pub and R canonical and not of small order, S below the
// group's order. Anything else is ErrBadSignature or ErrBadKey.
func Verify(pub PublicKey, msg, sig []byte) error {
	if len(sig) != ed25519.SignatureSize {
		return fmt.Errorf("%w: it has %d bytes, not %d", ErrBadSignature, len(sig), ed25519.SignatureSize)
	}
	if _, err := pub.point(); err != nil {
		return err
	}
	r, err := new(edwards25519.Point).SetBytes(sig[:32])
	if err != nil || !bytes.Equal(r.Bytes(), sig[:32]) || smallOrder(r) {
		return fmt.Errorf("%w: its first half is not a canonical point of full order", ErrBadSignature)
	}
	// The standard library refuses S ≥ L.
	if !ed25519.Verify(pub[:], msg, sig) {
		return ErrBadSignature
	}
	return nil
}

// VerifyBase64 decodes a signature in standard padded base64 and verifies it.
func VerifyBase64(pub PublicKey, msg []byte, sig string) error {
	raw, err := base64.StdEncoding.Strict().DecodeString(sig)
	if err != nil || strings.ContainsAny(sig, lineBreaks) {
		return fmt.Errorf("%w: its value is not standard padded base64", ErrBadSignature)
	}
	return Verify(pub, msg, raw)
}

// lineBreaks are what encoding/base64 skips even when strict. They would give one
// value many spellings.
const lineBreaks = "\r\n"

func decode64(s string) ([]byte, error) {
	if i := strings.IndexAny(s, lineBreaks); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	return base64.RawStdEncoding.Strict().DecodeString(s)
}

// clip keeps a stranger's text short in an error.
func clip(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "…"
	}
	return s
}
