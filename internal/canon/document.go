package canon

import "fmt"

// DocumentKind is a kind of signed document of the protocol.
type DocumentKind string

// The kinds that Identify tells apart.
const (
	Receipt    DocumentKind = "receipt"
	Manifest   DocumentKind = "manifest"
	Discovery  DocumentKind = "discovery document"
	Prices     DocumentKind = "price list"
	Announce   DocumentKind = "announcement"
	Verdict    DocumentKind = "verification verdict"
	Reputation DocumentKind = "reputation event"
)

// Identify tells a document's kind by its members; false if it is none of them.
func Identify(doc Value) (DocumentKind, bool) {
	has := func(names ...string) bool {
		for _, n := range names {
			if !doc.Get(n).Exists() {
				return false
			}
		}
		return true
	}
	switch {
	case doc.Kind() != Object:
		return "", false
	case has("tools", "generated_at"):
		return Manifest, true
	case has("manifest_url", "signer_public_key"):
		return Discovery, true
	case has("prices", "generated_at"):
		return Prices, true
	case has("hub_url", "well_known_url"):
		return Announce, true
	case has("verdict", "verify_score"):
		return Verdict, true
	case has("provider_hub", "type", "timestamp"):
		return Reputation, true
	case has("nonce", "capability_id", "timestamp"):
		return Receipt, true
	}
	return "", false
}

// Signed is what one document's signature is about.
type Signed struct {
	Messages  [][]byte // the signed bytes; further spellings that may be accepted follow
	Version   int      // of the canonical form; 1 where the kind has only one
	Covered   []string // members whose content the signature binds
	Uncovered []string // members it leaves open to anybody
}

// Message returns what doc's signature covers, for the kind Identify told.
func Message(kind DocumentKind, doc Value) (Signed, error) {
	one := func(msg []byte, err error, covered ...string) (Signed, error) {
		if err != nil {
			return Signed{}, err
		}
		return signed(doc, [][]byte{msg}, 1, covered), nil
	}
	switch kind {
	case Receipt:
		messages, err := ReceiptMessages(doc)
		if err != nil {
			return Signed{}, err
		}
		version, _ := ReceiptVersion(doc)
		return signed(doc, messages, version, receiptCovered(version)), nil
	case Manifest:
		msg, err := ManifestMessage(doc)
		return one(msg, err, "capabilities_count", "generated_at", "protocol_version", "tools", "by_hub")
	case Announce:
		msg, err := AnnounceMessage(doc)
		return one(msg, err, "hub_url", "well_known_url", "capabilities_count")
	case Reputation:
		msg, err := ReputationMessage(doc)
		return one(msg, err, "type", "provider_hub", "timestamp", "price_usd", "latency_ms")
	case Verdict:
		msg, err := VerdictMessage(doc)
		covered := append([]string{"nonce", "capability_id", "verdict", "verify_score", "trace_id", "timestamp", "appeal"}, verdictKeys...)
		return one(msg, err, covered...)
	case Discovery, Prices:
		msg, err := ObjectMessage(doc)
		var all []string
		doc.Members(func(key string, _ Value) bool { all = append(all, key); return true })
		return one(msg, err, all...)
	}
	return Signed{}, fmt.Errorf("canon: no signed form is known for a %q", kind)
}

func signed(doc Value, messages [][]byte, version int, covered []string) Signed {
	s := Signed{Messages: messages, Version: version, Uncovered: uncoveredMembers(doc, covered)}
	for _, name := range covered {
		if name != "signature" && doc.Get(name).Exists() {
			s.Covered = append(s.Covered, name)
		}
	}
	return s
}
