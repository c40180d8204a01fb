package catalog

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// stranger is another hub, as the crawler meets it: a key, an address and documents.
type stranger struct {
	t     testing.TB
	key   *identity.Key
	url   string
	clock *clock
}

func newStranger(h *hub, url string) *stranger { return newStrangerNamed(h, url, url) }

// newStrangerNamed makes a hub whose key follows from a name.
func newStrangerNamed(h *hub, name, url string) *stranger {
	h.t.Helper()
	seed := sha256.Sum256([]byte(name))
	key, err := identity.FromSeed(seed[:])
	must(h.t, err)
	return &stranger{t: h.t, key: key, url: url, clock: h.clock}
}

type members map[string]any

// signed prints a document and signs it with the hub's key.
func (s *stranger) signed(doc members, message func(canon.Value) ([]byte, error)) []byte {
	s.t.Helper()
	return signedBy(s.t, s.key, doc, message)
}

func signedBy(t testing.TB, key *identity.Key, doc members, message func(canon.Value) ([]byte, error)) []byte {
	t.Helper()
	delete(doc, "signature")
	v, err := canon.Parse(jsonText(t, doc))
	must(t, err)
	msg, err := message(v)
	must(t, err)
	doc["signature"] = members{"algorithm": "ed25519", "public_key": key.PublicBase64(), "value": key.SignBase64(msg)}
	return jsonText(t, doc)
}

func jsonText(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	must(t, err)
	return raw
}

// discoveryDoc is a plain discovery document; changes set members, nil takes them out.
func (s *stranger) discoveryDoc(changes members) members {
	doc := members{
		"name": "Hub of a stranger", "protocol_versions": []string{"v1", "v2"}, "hub_version": "2.1.0",
		"manifest_url": s.url + manifestPath, "signer_public_key": s.key.PublicBase64(), "capabilities_count": 3,
		"generated_at": stamp(s.clock.Now()), "peers": []any{}, "federation": members{"seed_list": []string{}},
	}
	return doc.with(changes)
}

func (m members) with(changes members) members {
	for name, v := range changes {
		if v == nil {
			delete(m, name)
		} else {
			m[name] = v
		}
	}
	return m
}

// discovery is a signed discovery document.
func (s *stranger) discovery(changes members) []byte {
	s.t.Helper()
	return s.signed(s.discoveryDoc(changes), canon.ObjectMessage)
}

// found is the signed discovery document as read at the hub's own address.
func (s *stranger) found(changes members) *CrawledDiscovery {
	s.t.Helper()
	return parsedAt(s.t, s.url, s.discovery(changes))
}

func parsedAt(t testing.TB, base string, raw []byte) *CrawledDiscovery {
	t.Helper()
	d, err := ParseDiscovery(base, raw)
	must(t, err)
	return d
}

// tool is a valid tool of a manifest.
func tool(product, capability string, changes members) members {
	m := members{
		"name": product + "." + capability, "description": "Does " + capability + ".", "input_schema": members{"type": "object"},
		"price_per_call_usd": 0.02, "p50_latency_ms": 120, "product_id": product, "capability_id": capability, "source_hub": "local",
	}
	return m.with(changes)
}

// manifestDoc is a plain manifest of now.
func (s *stranger) manifestDoc(changes members, tools ...any) members {
	if tools == nil {
		tools = []any{}
	}
	doc := members{"protocol_version": "v2", "generated_at": stamp(s.clock.Now()), "base_url": s.url, "tools": tools,
		"by_hub": members{"local": members{"capabilities_count": len(tools), "trust_score": 1, "trust_basis": "self"}}}
	return doc.with(changes)
}

func (s *stranger) manifest(tools ...any) []byte {
	s.t.Helper()
	return s.signed(s.manifestDoc(nil, tools...), canon.ManifestMessage)
}

// meet has the catalogue read the stranger's discovery document.
func (h *hub) meet(s *stranger) Sighting {
	h.t.Helper()
	return h.TakeDiscovery(context.Background(), s.found(nil), "seed", 0)
}

// admit meets a stranger and admits it by the operator's hand.
func (h *hub) admit(s *stranger) {
	h.t.Helper()
	h.meet(s)
	_, err := h.Approve(context.Background(), s.url, true)
	must(h.t, err)
}

// sell admits a stranger and takes its manifest.
func (h *hub) sell(s *stranger, tools ...any) Intake {
	h.t.Helper()
	if p, _ := h.Peer(s.url); p.Status != PeerActive {
		h.admit(s)
	}
	in := h.TakeManifest(context.Background(), s.url, s.manifest(tools...))
	if in.Verdict != Accept {
		h.t.Fatalf("manifest of %s: %+v", s.url, in)
	}
	return in
}

// findable lists what a default search for everything finds at a hub.
func (h *hub) findable(hubURL string) []string {
	h.t.Helper()
	res, err := h.Search(context.Background(), Query{Hub: hubURL, LimitAll: true})
	must(h.t, err)
	var out []string
	for _, m := range res.Matches {
		out = append(out, m.ProductID+"/"+m.CapabilityID)
	}
	return out
}

// documents are the bytes of everything that this hub publishes.
func (h *hub) documents() string {
	h.t.Helper()
	ctx := context.Background()
	out := ""
	for _, get := range []func() (Document, error){
		func() (Document, error) { return h.Manifest(ctx) },
		func() (Document, error) { return h.Prices(ctx) },
		func() (Document, error) { return h.Discovery(ctx, Status{}) },
	} {
		doc, err := get()
		must(h.t, err)
		out += string(doc.Body)
	}
	return out
}

func show(in Intake) string {
	return fmt.Sprintf("verdict %d, reason %s (%s), peer %s %s", in.Verdict, in.Reason, in.Detail, in.Peer, in.State)
}
