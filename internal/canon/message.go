package canon

import (
	"fmt"
	"strings"
)

// signatureMember is the member that holds a document's signature block; no
// canonical form covers it.
const signatureMember = "signature"

// line builds the pipe-joined forms. Its first error sticks.
type line struct {
	kind string // what the document is called in errors
	doc  Value
	dst  []byte
	err  error

	// nullIsNone prints null members as Python's None instead of refusing them.
	nullIsNone bool
	// number replaces the text of the named number members.
	number map[string]string
}

func newLine(kind string, doc Value) *line {
	l := &line{kind: kind, doc: doc, dst: make([]byte, 0, 256)}
	if doc.Kind() != Object {
		l.fail("is %s, not an object", doc.Kind())
	}
	return l
}

func (l *line) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("canon: %s "+format, append([]any{l.kind}, args...)...)
	}
}

func (l *line) label(name string) {
	if len(l.dst) > 0 {
		l.dst = append(l.dst, '|')
	}
	l.dst = append(l.dst, name...)
	l.dst = append(l.dst, ':')
}

// none prints a null member, if the form has a text for it.
func (l *line) none(name string) {
	if l.nullIsNone {
		l.dst = append(l.dst, "None"...)
		return
	}
	l.fail("has a null %q, which has no canonical text; leave the member out or fill it", name)
}

// text adds a string member. A pipe inside would let two different documents
// share one message, so it is refused.
func (l *line) text(name, absent string) {
	l.label(name)
	switch v := l.doc.Get(name); v.Kind() {
	case Invalid:
		l.dst = append(l.dst, absent...)
	case Null:
		l.none(name)
	case String:
		if strings.Contains(v.Str(), "|") {
			l.fail("has a %q with a pipe sign, which makes the signed text ambiguous; refuse the document", name)
		}
		l.dst = append(l.dst, v.Str()...)
	default:
		l.fail("has %s as %q, which must be a string", v.Kind(), name)
	}
}

// num adds a number member; absent is 0.
func (l *line) num(name string) {
	l.label(name)
	if text, ok := l.number[name]; ok {
		l.dst = append(l.dst, text...)
		return
	}
	switch v := l.doc.Get(name); v.Kind() {
	case Invalid:
		l.dst = append(l.dst, '0')
	case Null:
		l.none(name)
	case Number:
		l.dst = appendPython(l.dst, v.Token())
	default:
		l.fail("has %s as %q, which must be a number", v.Kind(), name)
	}
}

// flag adds a boolean member as 1 or 0; absent is 0.
func (l *line) flag(name string) {
	l.label(name)
	switch v := l.doc.Get(name); {
	case v.Bool():
		l.dst = append(l.dst, '1')
	case !v.Exists(), v.Kind() == Bool:
		l.dst = append(l.dst, '0')
	default:
		l.fail("has %s as %q, which must be true or false", v.Kind(), name)
	}
}

// digest adds the hash of a member in the spaced style under another label.
func (l *line) digest(label, name, absent string) {
	l.label(label)
	text := []byte(absent)
	if v := l.doc.Get(name); v.Exists() {
		text = v.AppendSpaced(make([]byte, 0, len(v.Raw())+len(v.Raw())/8))
	}
	l.dst = appendDigest(l.dst, text)
}

// fields adds "v:N|fields:" and the digest of the named members, which must be
// sorted; absent ones count as null.
func (l *line) fields(version int, names []string) {
	l.label("v")
	l.dst = append(l.dst, '0'+byte(version))
	l.label("fields")
	buf := make([]byte, 0, 256)
	for i, name := range names {
		buf = append(buf, "{,"[min(i, 1)])
		buf = AppendString(buf, name)
		buf = append(buf, ':')
		buf = l.doc.Get(name).AppendCompact(buf)
	}
	l.dst = appendDigest(l.dst, append(buf, '}'))
}

func (l *line) done() ([]byte, error) {
	if l.err != nil {
		return nil, l.err
	}
	return l.dst, nil
}

// ManifestMessage is the signed text of a manifest (v1 and v2 alike). Absent
// members take the protocol's defaults: capabilities_count 0, generated_at "",
// protocol_version v1, tools [], by_hub {}.
func ManifestMessage(doc Value) ([]byte, error) {
	l := newLine("a manifest", doc)
	l.num("capabilities_count")
	l.text("generated_at", "")
	l.text("protocol_version", "v1")
	l.digest("tools_hash", "tools", "[]")
	l.digest("by_hub_hash", "by_hub", "{}")
	return l.done()
}

// AnnounceMessage is the signed text of an announcement by HTTP.
func AnnounceMessage(doc Value) ([]byte, error) {
	l := newLine("an announcement", doc)
	l.text("hub_url", "")
	l.text("well_known_url", "")
	l.num("capabilities_count")
	return l.done()
}

// ObjectMessage is the signed text of discovery documents, price lists and any
// other object signed as a whole: compact JSON without the top-level signature.
func ObjectMessage(doc Value) ([]byte, error) {
	if doc.Kind() != Object {
		return nil, fmt.Errorf("canon: a signed document is %s, not an object", doc.Kind())
	}
	return doc.AppendCompact(make([]byte, 0, len(doc.Raw())), signatureMember), nil
}

// ReputationMessage is the signed text of a reputation event. It binds neither
// the capability nor the reporter.
func ReputationMessage(doc Value) ([]byte, error) {
	l := newLine("a reputation event", doc)
	l.nullIsNone = true
	l.text("type", "")
	l.text("provider_hub", "")
	l.text("timestamp", "")
	l.num("price_usd")
	l.num("latency_ms")
	return l.done()
}

// ProviderMessage is what a provider signs over one answer. Absent values count
// as null.
func ProviderMessage(productID, capabilityID string, input, result Value) []byte {
	return providerMessage(productID, capabilityID, input, result, Value.compact)
}

// ProviderMessages returns the texts that a provider's signature may match:
// first with numbers as Python prints them (ProviderMessage), then, if it
// differs, with the number tokens of the source.
func ProviderMessages(productID, capabilityID string, input, result Value) [][]byte {
	reprint := ProviderMessage(productID, capabilityID, input, result)
	tokens := providerMessage(productID, capabilityID, input, result, Value.AppendTokens)
	if string(reprint) == string(tokens) {
		return [][]byte{reprint}
	}
	return [][]byte{reprint, tokens}
}

func (v Value) compact(dst []byte) []byte { return v.AppendCompact(dst) }

func providerMessage(productID, capabilityID string, input, result Value, print func(Value, []byte) []byte) []byte {
	dst := make([]byte, 0, 192+len(result.Raw()))
	dst = append(dst, `{"capability_id":`...)
	dst = AppendString(dst, capabilityID)
	dst = append(dst, `,"input_sha256":"`...)
	dst = appendDigest(dst, print(input, make([]byte, 0, len(input.Raw())+8)))
	dst = append(dst, `","product_id":`...)
	dst = AppendString(dst, productID)
	dst = append(dst, `,"result":`...)
	dst = print(result, dst)
	return append(dst, '}')
}
