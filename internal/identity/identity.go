// Package identity holds the hub's one Ed25519 key: it signs every document, and
// the same 32 public bytes are the hub's libp2p peer ID.
//
// It promises that a key file appears whole or not at all and readable to its
// owner only, that a private key never prints itself, and that verification is
// strict: canonical points and scalars, no keys of small order, so that no two
// verifiers can disagree on a signature. It knows nothing of storage or network and
// of no document's canonical form.
package identity

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
)

// Key is the hub's private key. Printing it in any way shows the public half only.
type Key struct {
	// private is a function because fmt prints fields without asking their methods
	// where a verb is wrong or a field unexported, and even follows a pointer then;
	// of a function it knows only the address.
	private func() ed25519.PrivateKey
	text    string // public key, base64
}

// FromSeed builds a key from a 32-byte seed (RFC 8032 §5.1.5).
func FromSeed(seed []byte) (*Key, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("identity: a seed has %d bytes, not %d", ed25519.SeedSize, len(seed))
	}
	private := ed25519.NewKeyFromSeed(seed)
	k := &Key{private: func() ed25519.PrivateKey { return private }}
	k.text = k.Public().String()
	return k, nil
}

// Public is the public half.
func (k *Key) Public() PublicKey { return PublicKey(k.private()[ed25519.SeedSize:]) }

// PublicBase64 is the public half as documents carry it: standard padded base64.
func (k *Key) PublicBase64() string { return k.text }

// Sign returns the 64-byte signature of msg. Ed25519 is deterministic.
func (k *Key) Sign(msg []byte) []byte { return ed25519.Sign(k.private(), msg) }

// Private is the key in the standard library's form, for the libp2p host, which must
// hold it to prove the peer ID. Nobody else needs it.
func (k *Key) Private() ed25519.PrivateKey { return slices.Clone(k.private()) }

// SignBase64 is Sign in standard padded base64.
func (k *Key) SignBase64(msg []byte) string {
	return base64.StdEncoding.EncodeToString(k.Sign(msg))
}

// Derive returns a 32-byte secret for one purpose: HKDF-SHA256 (RFC 5869) over the
// seed with the purpose as info. Secrets of two purposes tell nothing of each other
// or of the seed.
func (k *Key) Derive(purpose string) [32]byte {
	out, err := hkdf.Key(sha256.New, k.private().Seed(), nil, "aimarket "+purpose, 32)
	if err != nil { // only for lengths beyond 255 hashes
		panic(err)
	}
	return [32]byte(out)
}

// String, GoString and LogValue keep the private half out of logs and errors. They
// have value receivers so that a copied Key is as silent as a pointer to one.
func (k Key) String() string       { return "identity.Key(" + k.text + ")" }
func (k Key) GoString() string     { return k.String() }
func (k Key) LogValue() slog.Value { return slog.StringValue(k.String()) }

// Format covers every verb, %x and %+v of the struct's fields included.
func (k Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.String()) }

// MarshalText keeps the private half out of encodings that know it, JSON included.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
