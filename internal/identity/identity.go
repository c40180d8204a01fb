// Package identity holds the hub's one Ed25519 key.
package identity

import "io"

// Key is the hub's private key.
type Key struct{}

// PublicKey is the 32 bytes of an Ed25519 public key that passed ParsePublicKey.
type PublicKey [32]byte

// LoadOrCreate reads the key file at path or makes one (mode 0600) from rand.
func LoadOrCreate(path string, rand io.Reader) (key *Key, created bool, err error) { panic("skeleton") }

// FromSeed builds a key from a 32-byte seed.
func FromSeed(seed []byte) (*Key, error) { panic("skeleton") }

// Public, PublicBase64 (standard, padded), Sign (64 bytes) and SignBase64.
func (k *Key) Public() PublicKey            { panic("skeleton") }
func (k *Key) PublicBase64() string         { panic("skeleton") }
func (k *Key) Sign(msg []byte) []byte       { panic("skeleton") }
func (k *Key) SignBase64(msg []byte) string { panic("skeleton") }

// Derive returns a 32-byte secret for one purpose (HKDF-SHA256 over the seed).
func (k *Key) Derive(purpose string) [32]byte { panic("skeleton") }

// ParsePublicKey reads base64 in either alphabet, padded or not, and refuses
// non-canonical points and points of small order.
func ParsePublicKey(s string) (PublicKey, error) { panic("skeleton") }
func (p PublicKey) String() string               { panic("skeleton") }

// Verify checks strictly: canonical A and R, no small order, canonical S.
func Verify(pub PublicKey, msg, sig []byte) error { panic("skeleton") }

// VerifyBase64 decodes a base64 signature and verifies it.
func VerifyBase64(pub PublicKey, msg []byte, sig string) error { panic("skeleton") }
