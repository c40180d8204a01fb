package catalog

import (
	"errors"
	"fmt"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on what the mesh carries.
const (
	MaxHeadBytes    = 2 << 10   // a signed head, as printed
	MaxUpdateBytes  = 2_200_000 // a head with a whole listing
	MaxListingBytes = MaxDocumentBytes - manifestReserve
	MaxMultiaddrs   = 16        // in a head
	MaxMultiaddrLen = 256       // bytes of one
	MaxHeadAge      = time.Hour // how far in the future generated_at may lie
	maxVersionText  = 32        // bytes of a hub's version (federation notes §2 step 6)
)

// headType is the member that keeps a head's signature from meaning anything else.
const headType = "hub_head"

// ErrMalformed reports a head or update that breaks a rule of shape or size,
// ErrSignature one that its author's key did not sign.
var (
	ErrMalformed = errors.New("catalog: malformed")
	ErrSignature = errors.New("catalog: signature does not verify")
)

// Head is a hub's signed announcement as the mesh carries it: who the hub is, where,
// and which listing of its own capabilities is current. It is one JSON object of at
// most MaxHeadBytes, signed over the object canonical (federation notes §8) by the
// key it names.
type Head struct {
	PublicKey    identity.PublicKey
	HubURL       string // normal form; "" for a hub that has no public address
	Name         string
	HubVersion   string
	Multiaddrs   []string
	Sequence     uint64 // grows with every head of this key
	GeneratedAt  time.Time
	ExpiresAt    time.Time
	Digest       string // Listing digest, lower-case hex of a SHA-256
	UpdateDigest string // of the changes that an Update with this head carries, likewise; "" for none
	UpdateBase   string // digest of the listing that those changes apply to; "" if UpdateDigest is
	Size         int    // bytes of the listing's tools
	Capabilities int    // tools of the listing
	Categories   []string
	Succeeds     *Succession // the key that this one replaces; nil for none

	raw []byte
}

// Succession is the word of a hub's former key that another one takes its place.
type Succession struct {
	PublicKey string // the former key, standard base64
	Signature string // by it, over SuccessionMessage, standard base64
}

// SuccessionMessage is what a key signs to name its successor; both keys in standard
// padded base64.
func SuccessionMessage(former, next string) []byte {
	return []byte("aimarket-succession/1\n" + former + "\n" + next)
}

// Raw is the head as signed. Callers must not change it.
func (h *Head) Raw() []byte { return h.raw }

// ParseHead decodes a head and verifies its signature under the key that it names.
// It judges neither time nor sequence: that is the intake's business. Its errors are of
// the kinds ErrMalformed and ErrSignature.
func ParseHead(raw []byte) (*Head, error) {
	if len(raw) > MaxHeadBytes {
		return nil, malformed("a head has at most %d bytes, this one has %d", MaxHeadBytes, len(raw))
	}
	v, err := canon.Parse(raw)
	if err != nil {
		return nil, malformed("head: %v", err)
	}
	h, err := readHead(v)
	if err != nil {
		return nil, err
	}
	if err := h.verify(v); err != nil {
		return nil, err
	}
	return h, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// verify checks the signature of the head that v is, and of a succession in it.
func (h *Head) verify(v canon.Value) error {
	sig := v.Get("signature")
	if sig.Get("algorithm").Str() != "ed25519" {
		return malformed("head: signature.algorithm must be ed25519")
	}
	if k := sig.Get("public_key"); k.Exists() && k.Str() != h.PublicKey.String() {
		return fmt.Errorf("%w: head: signature.public_key is not signer_public_key", ErrSignature)
	}
	msg, err := canon.ObjectMessage(v)
	if err != nil {
		return malformed("head: %v", err)
	}
	if err := identity.VerifyBase64(h.PublicKey, msg, sig.Get("value").Str()); err != nil {
		return fmt.Errorf("%w: head of %s, sequence %d: %v", ErrSignature, h.PublicKey, h.Sequence, err)
	}
	if h.Succeeds == nil {
		return nil
	}
	former, err := identity.ParsePublicKey(h.Succeeds.PublicKey)
	if err != nil || former == h.PublicKey || former.String() != h.Succeeds.PublicKey {
		return malformed("head: succeeds.public_key is no other key in standard base64")
	}
	if err := identity.VerifyBase64(former, SuccessionMessage(former.String(), h.PublicKey.String()), h.Succeeds.Signature); err != nil {
		return fmt.Errorf("%w: head of %s: succession from %s: %v", ErrSignature, h.PublicKey, former, err)
	}
	return nil
}

// readHead decodes and checks every member but the signatures. What it keeps does not
// refer to the text of v.
func readHead(v canon.Value) (*Head, error) {
	f := fields{v: v, what: "head"}
	if v.Kind() != canon.Object || v.Get("type").Str() != headType {
		return nil, malformed("a head is an object of type %s", headType)
	}
	key := f.text("signer_public_key", 64)
	h := &Head{
		HubURL:       f.optional("hub_url", MaxHubURLLen),
		Name:         f.optional("hub_name", MaxHubNameLen),
		HubVersion:   f.optional("hub_version", maxVersionText),
		Multiaddrs:   f.list("multiaddrs", MaxMultiaddrs, MaxMultiaddrLen),
		Sequence:     uint64(f.number("sequence", 1, 1<<53-1)), // what every JSON reader holds exactly
		GeneratedAt:  f.time("generated_at"),
		ExpiresAt:    f.time("expires_at"),
		Digest:       f.digest("listing_digest", false),
		UpdateDigest: f.digest("update_digest", true),
		UpdateBase:   f.digest("update_base", true),
		Size:         int(f.number("listing_bytes", 0, MaxListingBytes)),
		Capabilities: int(f.number("capabilities_count", 0, MaxListed)),
		Categories:   f.list("categories", maxCategories, maxCategoryLen),
		raw:          v.Raw(),
	}
	if s := v.Get("succeeds"); s.Exists() {
		sf := fields{v: s, what: "head: succeeds"}
		h.Succeeds = &Succession{PublicKey: sf.text("public_key", 64), Signature: sf.text("signature", 128)}
		f.fail(sf.err)
	}
	if f.err != nil {
		return nil, f.err
	}
	var err error
	if h.PublicKey, err = identity.ParsePublicKey(key); err != nil || h.PublicKey.String() != key {
		return nil, malformed("head: signer_public_key is no Ed25519 key in standard padded base64")
	}
	if h.HubURL != "" {
		base, err := NormalizeHubURL(h.HubURL)
		if err != nil || base != h.HubURL || isKeyURL(base) {
			return nil, malformed("head: hub_url must be an http(s) base URL in normal form")
		}
	}
	if !h.ExpiresAt.After(h.GeneratedAt) {
		return nil, malformed("head: expires_at must lie after generated_at")
	}
	if (h.UpdateDigest == "") != (h.UpdateBase == "") {
		return nil, malformed("head: update_digest and update_base come together")
	}
	if (h.Capabilities == 0) != (h.Size == 0) || (h.Capabilities == 0) != (h.Digest == emptyListing) {
		return nil, malformed("head: listing_bytes, capabilities_count and listing_digest contradict each other")
	}
	return h, nil
}

// print appends the unsigned head as an open object.
func (h *Head) print(key string) object {
	o := openObject(make([]byte, 0, MaxHeadBytes))
	o.text("type", headType)
	o.text("hub_url", h.HubURL)
	o.text("hub_name", h.Name)
	o.text("hub_version", h.HubVersion)
	o.text("signer_public_key", key)
	o.texts("multiaddrs", h.Multiaddrs)
	o.int("sequence", int64(h.Sequence))
	o.text("generated_at", stamp(h.GeneratedAt))
	o.text("expires_at", stamp(h.ExpiresAt))
	o.text("listing_digest", h.Digest)
	o.int("listing_bytes", int64(h.Size))
	o.int("capabilities_count", int64(h.Capabilities))
	o.texts("categories", h.Categories)
	o.text("update_digest", h.UpdateDigest)
	o.text("update_base", h.UpdateBase)
	if h.Succeeds != nil {
		o.nest("succeeds", func(s *object) {
			s.text("public_key", h.Succeeds.PublicKey)
			s.text("signature", h.Succeeds.Signature)
		})
	}
	return o
}

// signHead prints and signs a head of this hub. What does not fit into MaxHeadBytes is
// left out, addresses last.
func (c *Catalog) signHead(h Head) (*Head, error) {
	for {
		raw, err := c.sign(h.print(c.cfg.Signer.PublicBase64()), canon.ObjectMessage)
		if err != nil {
			return nil, err
		}
		if len(raw) <= MaxHeadBytes {
			h.raw = raw
			return &h, nil
		}
		switch {
		case len(h.Categories) > 0:
			h.Categories = h.Categories[:len(h.Categories)-1]
		case len(h.Multiaddrs) > 0:
			h.Multiaddrs = h.Multiaddrs[:len(h.Multiaddrs)-1]
		default:
			return nil, errf("a head of %d bytes does not fit into %d: shorten the hub's URL or name", len(raw), MaxHeadBytes)
		}
	}
}
