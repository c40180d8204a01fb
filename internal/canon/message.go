package canon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// nineKeys are the members that a version 2 receipt signs beside the seven of
// version 1 (federation notes §8).
var nineKeys = []string{"type", "channel_id", "category", "plugin", "reason", "verify_score", "delivery_reasons", "trace_id", "refunded"}

// errNotObject reports a signed document that is no JSON object.
var errNotObject = errors.New("canon: a signed document is a JSON object")

// message builds a pipe-joined canonical form.
type message struct{ b []byte }

func (m *message) name(name string) {
	if len(m.b) > 0 {
		m.b = append(m.b, '|')
	}
	m.b = append(append(m.b, name...), ':')
}

// field appends name:value, value as Python's str() prints it: text raw, numbers
// by PyNumber, null as None; an absent member as def.
func (m *message) field(doc Value, name, def string) {
	m.name(name)
	m.b = appendPlain(m.b, doc.Get(name), def)
}

func appendPlain(dst []byte, v Value, def string) []byte {
	switch v.Kind() {
	case Invalid:
		return append(dst, def...)
	case Null:
		return append(dst, "None"...)
	case Bool:
		if v.Bool() {
			return append(dst, "True"...)
		}
		return append(dst, "False"...)
	case Number:
		return appendPython(dst, v.Token())
	case String:
		return append(dst, v.Str()...)
	}
	return v.AppendSpaced(dst)
}

// ManifestMessage is what a manifest's signature covers: count, time, version and
// the digests of tools and by_hub.
func ManifestMessage(doc Value) ([]byte, error) {
	if doc.Kind() != Object {
		return nil, errNotObject
	}
	var m message
	m.field(doc, "capabilities_count", "0")
	m.field(doc, "generated_at", "")
	m.field(doc, "protocol_version", "v1")
	m.name("tools_hash")
	m.b = appendDigest(m.b, spacedOr(doc.Get("tools"), "[]"))
	m.name("by_hub_hash")
	m.b = appendDigest(m.b, spacedOr(doc.Get("by_hub"), "{}"))
	return m.b, nil
}

func spacedOr(v Value, def string) []byte {
	if !v.Exists() {
		return []byte(def)
	}
	return v.AppendSpaced(make([]byte, 0, len(v.Raw())+len(v.Raw())/8))
}

// AnnounceMessage is what a federation announcement's signature covers.
func AnnounceMessage(doc Value) ([]byte, error) {
	if doc.Kind() != Object {
		return nil, errNotObject
	}
	var m message
	m.field(doc, "hub_url", "")
	m.field(doc, "well_known_url", "")
	m.field(doc, "capabilities_count", "0")
	return m.b, nil
}

// ObjectMessage is what the signature of a discovery document, a price list or any
// other whole object covers: everything but the top-level "signature".
func ObjectMessage(doc Value) ([]byte, error) {
	if doc.Kind() != Object {
		return nil, errNotObject
	}
	return doc.AppendCompact(make([]byte, 0, len(doc.Raw())), "signature"), nil
}

// ReputationMessage is what a reputation event's signature covers. It leaves the
// capability and the reporter unbound, as the protocol does.
func ReputationMessage(doc Value) ([]byte, error) {
	if doc.Kind() != Object {
		return nil, errNotObject
	}
	var m message
	m.field(doc, "type", "")
	m.field(doc, "provider_hub", "")
	m.field(doc, "timestamp", "")
	m.field(doc, "price_usd", "0")
	m.field(doc, "latency_ms", "0")
	return m.b, nil
}

// verdictKeys are the members that a verdict envelope signs in its digest.
var verdictKeys = []string{"status", "performed", "verified", "settled", "audit_score", "threshold",
	"delivery_fulfils", "delivery_reasons", "reason", "verifier", "mode"}

// VerdictMessage is what a verification envelope's signature covers; an envelope
// with an appeal signs it too, as version 3.
func VerdictMessage(doc Value) ([]byte, error) {
	if doc.Kind() != Object {
		return nil, errNotObject
	}
	var m message
	for _, name := range []string{"nonce", "capability_id", "verdict"} {
		m.field(doc, name, "")
	}
	m.field(doc, "verify_score", "0")
	m.field(doc, "trace_id", "")
	m.field(doc, "timestamp", "")
	keys, version := verdictKeys, "2"
	if doc.Get("appeal").Exists() {
		keys, version = append(slices.Clone(keys), "appeal"), "3"
	}
	m.name("v")
	m.b = append(m.b, version...)
	m.name("fields")
	m.b = appendFields(m.b, doc, keys)
	return m.b, nil
}

// appendFields appends the digest of the named members in compact form, absent
// ones as null.
func appendFields(dst []byte, doc Value, keys []string) []byte {
	keys = slices.Sorted(slices.Values(keys))
	b := []byte{'{'}
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendString(b, k), ':')
		b = doc.Get(k).AppendCompact(b) // an absent value prints as null
	}
	return appendDigest(dst, append(b, '}'))
}

// ReceiptVersion reads which canonical form a receipt's signature covers: 1 if
// "signature.version" is absent, 2 if it is the JSON integer 2. Anything else is
// unreadable (consumers notes §5).
func ReceiptVersion(doc Value) (int, error) {
	v := doc.Get("signature").Get("version")
	switch {
	case !v.Exists():
		return 1, nil
	case v.Token() == "1":
		return 1, nil
	case v.Token() == "2":
		return 2, nil
	}
	return 0, fmt.Errorf("canon: receipt signature version %s is not one this program can read (1 or 2)", clip(string(v.Raw())))
}

// ReceiptMessage returns the signed bytes of a receipt, the version of its
// canonical form, and the names of the members that the signature leaves uncovered.
func ReceiptMessage(doc Value) (msg []byte, version int, uncovered []string, err error) {
	if doc.Kind() != Object {
		return nil, 0, nil, errNotObject
	}
	if version, err = ReceiptVersion(doc); err != nil {
		return nil, 0, nil, err
	}
	msg = receiptMessage(doc, version, doc.Get("price_usd").Token(), doc.Get("latency_ms").Token())
	return msg, version, uncoveredMembers(doc, receiptCovered(version)), nil
}

// ReceiptMessages returns ReceiptMessage's bytes first, then those with whole
// numbers spelled the other way (1.0 for 1 and 1 for 1.0): clients that re-encode
// a receipt change the spelling, and a verifier may accept either (consumers notes
// §6, federation notes §8 "Numbers").
func ReceiptMessages(doc Value) ([][]byte, error) {
	msg, version, _, err := ReceiptMessage(doc)
	if err != nil {
		return nil, err
	}
	all := [][]byte{msg}
	for _, price := range spellings(doc.Get("price_usd").Token()) {
		for _, latency := range spellings(doc.Get("latency_ms").Token()) {
			m := receiptMessage(doc, version, price, latency)
			if !slices.ContainsFunc(all, func(b []byte) bool { return string(b) == string(m) }) {
				all = append(all, m)
			}
		}
	}
	return all, nil
}

func spellings(token string) []string {
	if token == "" {
		return []string{""}
	}
	if whole, ok := strings.CutSuffix(token, ".0"); ok {
		return []string{token, whole}
	}
	if !strings.ContainsAny(token, ".eE") {
		return []string{token, token + ".0"}
	}
	return []string{token}
}

func receiptMessage(doc Value, version int, price, latency string) []byte {
	m := message{make([]byte, 0, 384)}
	m.field(doc, "nonce", "")
	m.field(doc, "product_id", "")
	m.field(doc, "capability_id", "")
	number := func(name, token string) {
		m.name(name)
		if token == "" {
			m.b = appendPlain(m.b, doc.Get(name), "0")
		} else {
			m.b = appendPython(m.b, token)
		}
	}
	number("price_usd", price)
	m.field(doc, "timestamp", "")
	m.name("success")
	if truthy(doc.Get("success")) {
		m.b = append(m.b, '1')
	} else {
		m.b = append(m.b, '0')
	}
	number("latency_ms", latency)
	if version == 2 {
		m.name("v")
		m.b = append(m.b, '2')
		m.name("fields")
		m.b = appendFields(m.b, doc, nineKeys)
	}
	return m.b
}

// truthy is Python's bool() of a JSON value.
func truthy(v Value) bool {
	switch v.Kind() {
	case Bool:
		return v.Bool()
	case Number:
		f, ok := v.Float64()
		return !ok || f != 0
	case String:
		return v.Str() != ""
	case Array, Object:
		return v.Len() > 0
	}
	return false
}

func receiptCovered(version int) []string {
	covered := []string{"nonce", "product_id", "capability_id", "price_usd", "timestamp", "success", "latency_ms"}
	if version == 2 {
		covered = append(covered, nineKeys...)
	}
	return covered
}

// uncoveredMembers lists doc's members outside covered and "signature", sorted. A
// member that is null says nothing and needs no cover.
func uncoveredMembers(doc Value, covered []string) []string {
	var out []string
	doc.Members(func(key string, v Value) bool {
		if key != "signature" && v.Kind() != Null && !slices.Contains(covered, key) {
			out = append(out, key)
		}
		return true
	})
	slices.Sort(out)
	return out
}

// ProviderMessage is what a provider signs over one answer: the compact JSON of
// capability_id, input_sha256, product_id and result.
func ProviderMessage(productID, capabilityID string, input, result Value) []byte {
	b := append([]byte(nil), `{"capability_id":`...)
	b = AppendString(b, capabilityID)
	b = append(b, `,"input_sha256":"`...)
	b = appendDigest(b, input.AppendCompact(nil))
	b = append(b, `","product_id":`...)
	b = AppendString(b, productID)
	b = append(b, `,"result":`...)
	return append(result.AppendCompact(b), '}')
}
