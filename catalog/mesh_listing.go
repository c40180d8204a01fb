package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// RowID names one tool within a listing.
type RowID struct{ ProductID, CapabilityID string }

// compare orders ids as a listing does.
func (id RowID) compare(o RowID) int {
	return cmp.Or(strings.Compare(id.ProductID, o.ProductID), strings.Compare(id.CapabilityID, o.CapabilityID))
}

// maxToolIDLen bounds each part of an id in a listing. ValidID is stricter: a tool
// whose ids it refuses is in the listing, but never a row.
const maxToolIDLen = 256

// listable is true for an id that a listing can hold.
func (id RowID) listable() bool {
	ok := func(s string) bool {
		return s != "" && len(s) <= maxToolIDLen && strings.IndexByte(s, 0) < 0
	}
	return ok(id.ProductID) && ok(id.CapabilityID)
}

// Tool is one capability as its owner printed it.
type Tool struct {
	RowID
	Raw    []byte   // the JSON object, byte for byte
	Digest [32]byte // SHA-256 of Raw

	parsed canon.Value // Raw as it was read from the wire; absent if it came from the store
}

// digests is what a hub sells, by digest: the order, size and identity of its tools
// without their text. It never changes once made.
type digests struct {
	entries []listed // ordered by id
	size    int64    // bytes of the tools
}

type listed struct {
	RowID
	digest [32]byte
	size   int32 // bytes of the tool; 0 marks a removed one in a list of changes
}

// listingForm begins the text that a listing digest hashes.
const listingForm = "aimarket-listing/1\n"

// emptyListing is the digest of a listing without tools.
var emptyListing = (&digests{}).digest()

// digest is the listing digest: SHA-256 over listingForm and, in order, product id,
// zero byte, capability id, zero byte and the tool's SHA-256.
func (l *digests) digest() string {
	h := sha256.New()
	buf := append(make([]byte, 0, 4<<10), listingForm...)
	for i := range l.entries {
		e := &l.entries[i]
		if len(buf)+len(e.ProductID)+len(e.CapabilityID)+2+len(e.digest) > cap(buf) {
			h.Write(buf)
			buf = buf[:0]
		}
		buf = append(buf, e.ProductID...)
		buf = append(buf, 0)
		buf = append(buf, e.CapabilityID...)
		buf = append(buf, 0)
		buf = append(buf, e.digest[:]...)
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil))
}

// listingOf orders changes: tools, and removed ids as entries of size and digest zero.
// An error names an id that is there twice.
func listingOf(tools []Tool, removed []RowID) (*digests, error) {
	l := &digests{entries: make([]listed, 0, len(tools)+len(removed))}
	for i := range tools {
		l.entries = append(l.entries, listed{tools[i].RowID, tools[i].Digest, int32(len(tools[i].Raw))})
		l.size += int64(len(tools[i].Raw))
	}
	for _, id := range removed {
		l.entries = append(l.entries, listed{RowID: id})
	}
	slices.SortFunc(l.entries, func(a, b listed) int { return a.compare(b.RowID) })
	for i := 1; i < len(l.entries); i++ {
		if l.entries[i].RowID == l.entries[i-1].RowID {
			return nil, malformed("%q of product %q is there twice", clip(l.entries[i].CapabilityID), clip(l.entries[i].ProductID))
		}
	}
	return l, nil
}

// apply merges changes into a listing. Removing what is not there is no error.
func (l *digests) apply(changes *digests) *digests {
	out := &digests{entries: make([]listed, 0, len(l.entries)+len(changes.entries)), size: l.size}
	a, b := l.entries, changes.entries
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = a[0].compare(b[0].RowID)
		}
		if order < 0 { // all up to the next change stay
			n := len(a)
			if len(b) > 0 {
				n, _ = slices.BinarySearchFunc(a, b[0].RowID, func(e listed, id RowID) int { return e.compare(id) })
			}
			out.entries = append(out.entries, a[:n]...)
			a = a[n:]
			continue
		}
		if order == 0 {
			out.size -= int64(a[0].size)
			a = a[1:]
		}
		if b[0].size > 0 {
			out.entries = append(out.entries, b[0])
			out.size += int64(b[0].size)
		}
		b = b[1:]
	}
	return out
}

// diff lists what changed from l to next.
func (l *digests) diff(next *digests) (changed, removed []RowID) {
	a, b := l.entries, next.entries
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].compare(b[0].RowID) < 0:
			removed = append(removed, a[0].RowID)
			a = a[1:]
		case len(a) == 0 || a[0].compare(b[0].RowID) > 0:
			changed = append(changed, b[0].RowID)
			b = b[1:]
		default:
			if a[0].digest != b[0].digest {
				changed = append(changed, b[0].RowID)
			}
			a, b = a[1:], b[1:]
		}
	}
	return changed, removed
}
