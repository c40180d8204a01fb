package canon

import (
	"crypto/sha256"
	"fmt"
	"slices"
)

// DocumentKind is a kind of signed document of the protocol, named for people.
type DocumentKind string

// The kinds that Identify tells apart.
const (
	Receipt    DocumentKind = "receipt"            // of one paid call, or of its rejection
	Manifest   DocumentKind = "manifest"           // a hub's catalogue
	Discovery  DocumentKind = "discovery document" // a hub's /.well-known/ai-market.json
	Prices     DocumentKind = "price list"         // a hub's price list
	Announce   DocumentKind = "announcement"       // of a hub, over HTTP
	Verdict    DocumentKind = "verification verdict"
	Reputation DocumentKind = "reputation event"
	Credential DocumentKind = "verifiable credential" // a mandate or provenance receipt: Message has no form of it
	Whole      DocumentKind = "signed object"         // any other object with a signature block
)

// marks lists, most telling first, the members by which each kind is known. A
// sender can dress one kind as another; that gains nothing, as the message then
// differs from the signed one.
var marks = []struct {
	kind DocumentKind
	all  []string
}{
	{Manifest, []string{"tools", "generated_at"}},
	{Manifest, []string{"tools", "protocol_version"}},
	{Discovery, []string{"manifest_url", "signer_public_key"}},
	{Discovery, []string{"manifest_url", "protocol_versions"}},
	{Prices, []string{"prices", "generated_at"}},
	{Announce, []string{"hub_url", "well_known_url"}},
	{Receipt, []string{"nonce", "product_id", "capability_id"}},
	{Verdict, []string{"verdict", "verify_score"}},
	{Verdict, []string{"nonce", "capability_id", "verdict"}},
	{Reputation, []string{"type", "provider_hub", "timestamp"}},
	{Receipt, []string{"nonce", "capability_id", "timestamp"}},
	{Credential, []string{"credentialSubject", "proof"}},
	{Whole, []string{signatureMember}},
}

// cryptosuiteJCS is the one Data Integrity suite whose message canon builds.
const cryptosuiteJCS = "eddsa-jcs-2022"

// Identify tells by its members what a document claims to be; false if it is no
// object or bears no mark of a signed document.
func Identify(doc Value) (DocumentKind, bool) {
	for _, m := range marks {
		if !slices.ContainsFunc(m.all, func(name string) bool { return !doc.Get(name).Exists() }) {
			return m.kind, true
		}
	}
	return "", false
}

// Signed is what one document's signature is about.
type Signed struct {
	Messages  [][]byte // the signed bytes; further spellings that may be accepted follow
	Version   int      // of the canonical form; 1 where the kind has only one
	Covered   []string // members whose content the signature binds
	Uncovered []string // members it leaves open to anybody, null ones aside; sorted

	// Unauthenticated are those of Uncovered that a later version of the form
	// would bind. They look like part of the signed statement and are not:
	// whoever shows the document must say so (federation notes §8, "v2 need").
	Unauthenticated []string
}

// Message returns what doc's signature covers, for the kind Identify told.
func Message(kind DocumentKind, doc Value) (Signed, error) {
	one := func(msg []byte, err error, version int, covered ...string) (Signed, error) {
		if err != nil {
			return Signed{}, err
		}
		return signed(doc, [][]byte{msg}, version, covered), nil
	}
	switch kind {
	case Receipt:
		return receiptSigned(doc)
	case Manifest:
		msg, err := ManifestMessage(doc)
		return one(msg, err, 1, "capabilities_count", "generated_at", "protocol_version", "tools", "by_hub")
	case Announce:
		msg, err := AnnounceMessage(doc)
		return one(msg, err, 1, "hub_url", "well_known_url", "capabilities_count")
	case Reputation:
		msg, err := ReputationMessage(doc)
		return one(msg, err, 1, "type", "provider_hub", "timestamp", "price_usd", "latency_ms")
	case Verdict:
		msg, err := VerdictMessage(doc)
		version, fields := verdictForm(doc)
		return one(msg, err, version, slices.Concat(verdictMembers, fields)...)
	case Discovery, Prices, Whole:
		msg, err := ObjectMessage(doc)
		return one(msg, err, 1, doc.names()...)
	case Credential:
		return Signed{}, fmt.Errorf("canon: a credential is proved by its %q, not by a signature block; "+
			"for suite %s see MandateMessage, this one has %q", "proof", cryptosuiteJCS, clip(doc.Get("proof").Get("cryptosuite").Str()))
	}
	return Signed{}, fmt.Errorf("canon: no signed form is known for a %q", kind)
}

func receiptSigned(doc Value) (Signed, error) {
	messages, err := ReceiptMessages(doc)
	if err != nil {
		return Signed{}, err
	}
	version, err := ReceiptVersion(doc)
	if err != nil {
		return Signed{}, err
	}
	s := signed(doc, messages, version, receiptCovered(version))
	for _, name := range s.Uncovered {
		if slices.Contains(receiptFields, name) {
			s.Unauthenticated = append(s.Unauthenticated, name)
		}
	}
	return s, nil
}

func signed(doc Value, messages [][]byte, version int, covered []string) Signed {
	s := Signed{Messages: messages, Version: version, Uncovered: uncoveredMembers(doc, covered)}
	for _, name := range covered {
		if name != signatureMember && doc.Get(name).Exists() {
			s.Covered = append(s.Covered, name)
		}
	}
	return s
}

// uncoveredMembers lists doc's members outside covered and the signature block,
// sorted. A member that is null says nothing and needs no cover.
func uncoveredMembers(doc Value, covered []string) []string {
	var out []string
	for name, v := range doc.Members {
		if name != signatureMember && v.Kind() != Null && !slices.Contains(covered, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func (v Value) names() []string {
	names := make([]string, 0, v.Len())
	for name := range v.Members {
		names = append(names, name)
	}
	return names
}

// MandateMessage is what an eddsa-jcs-2022 proof signs (W3C Data Integrity EdDSA
// Cryptosuites §3.3): the SHA-256 of the proof without its value, then that of the
// document without its proof, both in RFC 8785 form. The proof's claims (suite,
// purpose, key) are the caller's to judge.
func MandateMessage(doc Value) ([]byte, error) {
	proof := doc.Get("proof")
	if suite := proof.Get("cryptosuite").Str(); suite != cryptosuiteJCS {
		return nil, fmt.Errorf("canon: a mandate's proof has suite %q, not %s", clip(suite), cryptosuiteJCS)
	}
	config, err := proof.appendJCS(nil, "proofValue")
	if err != nil {
		return nil, fmt.Errorf("canon: a mandate's proof: %w", err)
	}
	body, err := doc.appendJCS(nil, "proof")
	if err != nil {
		return nil, fmt.Errorf("canon: a mandate: %w", err)
	}
	a, b := sha256.Sum256(config), sha256.Sum256(body)
	return append(a[:], b[:]...), nil
}
