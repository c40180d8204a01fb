package catalog

import (
	"bytes"
	"strings"
)

// The catalogue's ranges of the store. Parts of a key are joined by a zero byte,
// which validation keeps out of every part.
const (
	rangeRow      = "catalog/capability/" // hub 0 product 0 capability → row
	rangeByCap    = "catalog/bycap/"      // capability 0 hub 0 product → mark
	rangeByURL    = "catalog/url/"        // invoke URL 0 product 0 capability → mark; local rows only
	rangeStake    = "catalog/stake/"      // publisher → stake
	rangeStakeTx  = "catalog/staketx/"    // chain transaction → publisher
	rangePeer     = "catalog/peer/"       // base URL → peer
	rangeMeasured = "catalog/measured/"   // hub 0 product 0 capability → measurements
	rangePreview  = "catalog/preview/"    // pending hub 0 product 0 capability → row; only Preview reads it
	rangeHead     = "catalog/head/"       // key in hex → newest signed head, verbatim
	rangeTool     = "catalog/tool/"       // key in hex 0 product 0 capability → tool as its owner printed it
	rangeDigest   = "catalog/digest/"     // likewise → its digest and size
)

// mark is the value of a key that says all by being there: a format version.
var mark = []byte{1}

func joinKey(rng string, parts ...string) []byte {
	n := len(rng) + len(parts)
	for _, p := range parts {
		n += len(p)
	}
	k := append(make([]byte, 0, n), rng...)
	for i, p := range parts {
		if i > 0 {
			k = append(k, 0)
		}
		k = append(k, p...)
	}
	return k
}

// prefixKey is joinKey with a separator at the end: the prefix of all keys below.
func prefixKey(rng string, parts ...string) []byte { return append(joinKey(rng, parts...), 0) }

func rowKey(k Key) []byte   { return joinKey(rangeRow, k.SourceHub, k.ProductID, k.CapabilityID) }
func byCapKey(k Key) []byte { return joinKey(rangeByCap, k.CapabilityID, k.SourceHub, k.ProductID) }
func measuredKey(k Key) []byte {
	return joinKey(rangeMeasured, k.SourceHub, k.ProductID, k.CapabilityID)
}

func byURLKey(invokeURL string, k Key) []byte {
	return joinKey(rangeByURL, urlID(invokeURL), k.ProductID, k.CapabilityID)
}

// splitKey reads the three parts after a range; false if there are not exactly three.
func splitKey(rng string, key []byte) (a, b, c string, ok bool) {
	rest, ok := bytes.CutPrefix(key, []byte(rng))
	if !ok {
		return "", "", "", false
	}
	s := string(rest)
	a, s, ok = strings.Cut(s, "\x00")
	if !ok {
		return "", "", "", false
	}
	b, c, ok = strings.Cut(s, "\x00")
	return a, b, c, ok && a != "" && b != "" && c != "" && !strings.Contains(c, "\x00")
}

// parseRowKey is the inverse of rowKey.
func parseRowKey(key []byte) (Key, bool) {
	hub, product, capability, ok := splitKey(rangeRow, key)
	return Key{ProductID: product, CapabilityID: capability, SourceHub: hub}, ok
}
