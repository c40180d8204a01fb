package catalog

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

const listingVersion = 1 // format of stored tools, digests and heads

func keyHex(key identity.PublicKey) string { return hex.EncodeToString(key[:]) }

func toolKey(key identity.PublicKey, id RowID) []byte {
	return joinKey(rangeTool, keyHex(key), id.ProductID, id.CapabilityID)
}

func digestKey(key identity.PublicKey, id RowID) []byte {
	return joinKey(rangeDigest, keyHex(key), id.ProductID, id.CapabilityID)
}

func headKey(key identity.PublicKey) []byte { return joinKey(rangeHead, keyHex(key)) }

// stageTools writes tools of a listing verbatim, with their digests, and deletes removed ones.
func stageTools(b *store.Batch, key identity.PublicKey, tools []Tool, removed []RowID) {
	for i := range tools {
		t := &tools[i]
		b.Set(toolKey(key, t.RowID), store.PutValue(listingVersion, t.Raw))
		entry := append(make([]byte, 0, 40), listingVersion)
		entry = append(entry, t.Digest[:]...)
		b.Set(digestKey(key, t.RowID), binary.AppendUvarint(entry, uint64(len(t.Raw))))
	}
	for _, id := range removed {
		b.Delete(toolKey(key, id))
		b.Delete(digestKey(key, id))
	}
}

// dropListing deletes all that is kept of a hub's listing: tools, digests and head.
func dropListing(b *store.Batch, key identity.PublicKey, l *digests) {
	for i := range l.entries {
		b.Delete(toolKey(key, l.entries[i].RowID))
		b.Delete(digestKey(key, l.entries[i].RowID))
	}
	b.Delete(headKey(key))
}

// scanner is what a listing is read from: the store or a snapshot of it.
type scanner interface {
	Scan(prefix, from []byte, fn func(key, value []byte) (bool, error)) error
}

// readListing reads a hub's listing from its stored digests.
func readListing(s scanner, key identity.PublicKey) (*digests, error) {
	l := &digests{}
	err := s.Scan(prefixKey(rangeDigest, keyHex(key)), nil, func(k, value []byte) (bool, error) {
		_, product, capability, ok := splitKey(rangeDigest, k)
		rd := reader{b: value}
		version := rd.byte()
		e := listed{RowID: RowID{product, capability}}
		if len(rd.b) >= len(e.digest) {
			rd.b = rd.b[copy(e.digest[:], rd.b):]
		} else {
			rd.fail()
		}
		e.size = int32(rd.uvarint(MaxUpdateBytes))
		if !ok || rd.err != nil || version != listingVersion || len(rd.b) > 0 || e.size == 0 {
			return false, fmt.Errorf("%w: digest %q of a listing", ErrCorrupt, k)
		}
		l.entries = append(l.entries, e)
		l.size += int64(e.size)
		return true, nil
	})
	return l, err
}

// Bounds on listings kept in memory. Small ones are as fast to read from the store.
const (
	listingCacheBytes = 32 << 20
	listingCacheFrom  = 32 // tools
	listingEntryBytes = 160
)

// listings remembers the larger listings; c.mu guards it.
type listings struct {
	byKey map[identity.PublicKey]*digests
	bytes int
}

// listingFor returns what is held of a hub's listing. c.mu is held.
func (c *Catalog) listingFor(key identity.PublicKey) (*digests, error) {
	if l := c.mesh.listings.byKey[key]; l != nil {
		return l, nil
	}
	l, err := readListing(c.cfg.Store, key)
	if err == nil {
		c.mesh.listings.put(key, l)
	}
	return l, err
}

// put remembers a listing in place of the former one; nil forgets it.
func (s *listings) put(key identity.PublicKey, l *digests) {
	if old := s.byKey[key]; old != nil {
		s.bytes -= len(old.entries) * listingEntryBytes
		delete(s.byKey, key)
	}
	if l == nil || len(l.entries) < listingCacheFrom {
		return
	}
	n := len(l.entries) * listingEntryBytes
	for k, other := range s.byKey { // any one will do: each is rebuilt by one scan
		if s.bytes+n <= listingCacheBytes {
			break
		}
		s.bytes -= len(other.entries) * listingEntryBytes
		delete(s.byKey, k)
	}
	s.byKey[key] = l
	s.bytes += n
}

// readTools reads every tool of a listing verbatim.
func readTools(s scanner, key identity.PublicKey) ([]Tool, error) {
	var out []Tool
	err := s.Scan(prefixKey(rangeTool, keyHex(key)), nil, func(k, value []byte) (bool, error) {
		_, product, capability, ok := splitKey(rangeTool, k)
		if !ok {
			return false, fmt.Errorf("%w: tool %q of a listing", ErrCorrupt, k)
		}
		t, err := storedTool(RowID{product, capability}, bytes.Clone(value))
		out = append(out, t)
		return true, err
	})
	return out, err
}

// storedTool reads a stored tool; its digest is left out.
func storedTool(id RowID, value []byte) (Tool, error) {
	version, raw, err := store.SplitValue(value)
	if err != nil || version != listingVersion {
		return Tool{}, fmt.Errorf("%w: tool %q of product %q in a listing", ErrCorrupt, clip(id.CapabilityID), clip(id.ProductID))
	}
	return Tool{RowID: id, Raw: raw}, nil
}
