package catalog

import (
	"crypto/sha256"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// Update is a head with the listing it announces: whole, or as changes to an earlier
// one. On the wire it is {"announcement":{…},"base":"<digest or empty>","tools":[…],
// "removed":[{"product_id":…,"capability_id":…}]}.
type Update struct {
	Head    *Head
	Base    string // digest of the listing that the changes apply to; "" for a whole listing
	Tools   []Tool // new or changed, all of them in a whole listing
	Removed []RowID

	// Bound says that the head's signature covers these very changes, so that anybody
	// can vouch for them. Changes made for one asker (UpdateFor) are not: only who
	// holds the base can check them, by the listing that results.
	Bound bool

	changes *digests
	raw     []byte
}

// Raw is the update as received or printed. Callers must not change it.
func (u *Update) Raw() []byte { return u.raw }

// Refresh is true for an update that only says that its listing is still current.
func (u *Update) Refresh() bool { return u.Base != "" && len(u.Tools)+len(u.Removed) == 0 }

// ParseUpdate decodes an update of at most MaxUpdateBytes and verifies the head's
// signature and that a whole listing is the one that the head announces. Bound tells
// whether changes are those that the head binds. Its errors are of the kinds
// ErrMalformed and ErrSignature.
func ParseUpdate(raw []byte) (*Update, error) { return ParseUpdateWith(raw, ParseHead) }

// ParseUpdateWith is ParseUpdate for callers that may have verified the head before:
// parseHead stands in for ParseHead.
func ParseUpdateWith(raw []byte, parseHead func([]byte) (*Head, error)) (*Update, error) {
	if len(raw) > MaxUpdateBytes {
		return nil, malformed("an update has at most %d bytes, this one has %d", MaxUpdateBytes, len(raw))
	}
	v, err := canon.Parse(raw)
	if err != nil {
		return nil, malformed("update: %v", err)
	}
	a := v.Get("announcement")
	if a.Kind() != canon.Object {
		return nil, malformed("update: announcement is missing")
	}
	// Of its own text, so that the head keeps no listing in memory.
	head, err := parseHead(append([]byte(nil), a.Raw()...))
	if err != nil {
		return nil, err
	}
	f := fields{v: v, what: "update"}
	u := &Update{Head: head, Base: f.digest("base", true), raw: raw}
	if f.err != nil {
		return nil, f.err
	}
	if err := u.readTools(v.Get("tools")); err != nil {
		return nil, err
	}
	if err := u.readRemoved(v.Get("removed")); err != nil {
		return nil, err
	}
	if err := u.bind(); err != nil {
		return nil, err
	}
	return u, nil
}

// bind orders the changes and compares them with what the head says.
func (u *Update) bind() (err error) {
	if u.changes, err = listingOf(u.Tools, u.Removed); err != nil {
		return err
	}
	h := u.Head
	switch {
	case u.changes.size > MaxListingBytes:
		return malformed("update: its tools have %d bytes, at most %d are listed", u.changes.size, MaxListingBytes)
	case u.Base == "" && len(u.Removed) > 0:
		return malformed("update: a whole listing removes nothing")
	case u.Base == "" && !h.announces(u.changes):
		return malformed("update: the listing is not the one that the head announces")
	case u.Refresh():
		if u.Base != h.Digest {
			return malformed("update: changes nothing, yet its head announces another listing than its base")
		}
		u.Bound = true
	case u.Base == "":
		u.Bound = true
	default:
		u.Bound = u.Base == h.UpdateBase && u.changes.digest() == h.UpdateDigest
	}
	return nil
}

// announces reports whether a listing is the one that the head is about.
func (h *Head) announces(l *digests) bool {
	return len(l.entries) == h.Capabilities && l.size == int64(h.Size) && l.digest() == h.Digest
}

func (u *Update) readTools(list canon.Value) error {
	if list.Kind() != canon.Array || list.Len() > MaxListed {
		return malformed("update: tools must be a list of at most %d", MaxListed)
	}
	u.Tools = make([]Tool, 0, list.Len())
	for e := range list.Elements {
		if e.Kind() != canon.Object {
			return malformed("update: tool %d is no object", len(u.Tools))
		}
		id := toolID(e)
		if !id.listable() {
			return malformed("update: tool %d has no usable product_id and capability_id", len(u.Tools))
		}
		u.Tools = append(u.Tools, Tool{RowID: id, Raw: e.Raw(), Digest: sha256.Sum256(e.Raw()), parsed: e})
	}
	return nil
}

func (u *Update) readRemoved(list canon.Value) error {
	if list.Exists() && list.Kind() != canon.Array || list.Len() > MaxListed {
		return malformed("update: removed must be a list of at most %d", MaxListed)
	}
	for e := range list.Elements {
		id := toolID(e)
		if !id.listable() {
			return malformed("update: removed names no usable product_id and capability_id")
		}
		u.Removed = append(u.Removed, id)
	}
	return nil
}

// toolID reads the ids of a tool. The capability's falls back to the name (federation
// notes §2, "Per tool").
func toolID(tool canon.Value) RowID {
	id := RowID{strings.Clone(tool.Get("product_id").Str()), strings.Clone(tool.Get("capability_id").Str())}
	if id.CapabilityID == "" {
		id.CapabilityID = strings.Clone(tool.Get("name").Str())
	}
	return id
}

// newUpdate prints an update of what was checked before.
func newUpdate(h *Head, base string, tools []Tool, removed []RowID) *Update {
	n := len(h.raw) + 128
	for i := range tools {
		n += len(tools[i].Raw) + 1
	}
	o := openObject(make([]byte, 0, n+192*len(removed)))
	o.raw("announcement", h.raw)
	o.text("base", base)
	o.list("tools", len(tools), func(dst []byte, i int) []byte { return append(dst, tools[i].Raw...) })
	o.list("removed", len(removed), func(dst []byte, i int) []byte {
		r := openObject(dst)
		r.text("product_id", removed[i].ProductID)
		r.text("capability_id", removed[i].CapabilityID)
		return r.close()
	})
	return &Update{Head: h, Base: base, Tools: tools, Removed: removed, raw: o.close()}
}
