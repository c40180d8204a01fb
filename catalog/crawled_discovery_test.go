package catalog

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/aimarket/aimarket/internal/canon"
)

// vectorsDir holds the protocol's own data where the checkout has it beside it.
const vectorsDir = "../../shared/vectors"

func vector(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(vectorsDir, name))
	if err != nil {
		t.Skipf("the protocol's vectors are not here: %v", err)
	}
	return raw
}

func TestParseDiscoveryVector(t *testing.T) {
	d := parsedAt(t, "https://test-hub.example.com", vector(t, "well-known.json"))
	want := &CrawledDiscovery{
		BaseURL: "https://test-hub.example.com", Name: "Test AI Hub", HubVersion: "2.0.0", Capabilities: 5,
		PublicKey: testSigner{}.PublicBase64(), ManifestURL: "https://test-hub.example.com/ai-market/manifest",
		MCPEndpoint: "https://test-hub.example.com/ai-market/mcp",
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
}

func TestParseDiscoveryShape(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org/hub")
	tests := []struct {
		name    string
		changes members
		fault   string // "" if it is fine
	}{
		{"plain", nil, ""},
		{"unknown members", members{"pq_algorithm": "ml-dsa-65", "pq_public_key": "x", "pq_value": members{"a": nil}, "signing": nil}, ""},
		{"no name", members{"name": nil}, "name"},
		{"name of no text", members{"name": 7}, "name"},
		{"no versions", members{"protocol_versions": nil}, "protocol_versions"},
		{"empty versions", members{"protocol_versions": []string{}}, "protocol_versions"},
		{"unknown version", members{"protocol_versions": []string{"v9"}}, "protocol_versions[0]"},
		{"no manifest", members{"manifest_url": nil}, "manifest_url"},
		{"manifest of no scheme", members{"manifest_url": "/manifest"}, "manifest_url"},
		{"manifest by file", members{"manifest_url": "file:///etc/passwd"}, "manifest_url"},
		{"manifest with line break", members{"manifest_url": "https://a.example.org/\r\nx"}, "manifest_url"},
		{"no key", members{"signer_public_key": nil}, "signer_public_key"},
		{"empty key is none", members{"signer_public_key": ""}, ""},
		{"bad key", members{"signer_public_key": "AAAA"}, "signer_public_key"},
		{"small-order key", members{"signer_public_key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "signer_public_key"},
		{"count below zero", members{"capabilities_count": -1}, "capabilities_count"},
		{"count with a fraction", members{"products_count": 1.5}, "products_count"},
		{"count of text", members{"federated_capabilities_count": "3"}, "federated_capabilities_count"},
		{"count as a whole double", members{"capabilities_count": json.RawMessage("3.0")}, ""},
		{"count beyond int64", members{"capabilities_count": json.RawMessage("99999999999999999999")}, ""},
		{"chains of numbers", members{"supported_chains": []int{1}}, "supported_chains[0]"},
		{"null token list", members{"supported_tokens": json.RawMessage("null")}, "supported_tokens"},
		{"release version", members{"protocol_release_version": "1.0"}, "protocol_release_version"},
		{"federation of text", members{"federation": "x"}, "federation"},
		{"interval too short", members{"federation": members{"crawl_interval_s": 59}}, "federation.crawl_interval_s"},
		{"fee too high", members{"federation": members{"routing_fee_bps": 10001}}, "federation.routing_fee_bps"},
		{"trust above one", members{"federation": members{"min_trust_score": 1.5}}, "federation.min_trust_score"},
		{"seed of no text", members{"federation": members{"seed_list": []any{1}}}, "federation.seed_list[0]"},
		{"peer without name", members{"peers": []members{{"url": "https://b.example.org"}}}, "peers[0].name"},
		{"peer of text", members{"peers": []string{"https://b.example.org"}}, "peers[0].url"},
		{"peer trusted too much", members{"peers": []members{{"url": "u", "name": "n", "trust_score": 2}}}, "peers[0].trust_score"},
		{"observed as active", members{"observed_hubs": []members{{"url": "https://b.example.org", "status": "active"}}}, "observed_hubs[0].status"},
		{"observed at depth 0", members{"observed_hubs": []members{{"url": "u", "status": "observed", "depth": 0}}}, "observed_hubs[0].depth"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := s.discovery(tt.changes)
			d, err := ParseDiscovery(s.url, raw)
			if tt.fault == "" {
				must(t, err)
				if d.PublicKey != "" && !d.Signed {
					t.Fatal("a signed document counts as unsigned")
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.fault+": ") {
				t.Fatalf("err = %v, want one about %s", err, tt.fault)
			}
		})
	}
	for name, raw := range map[string]string{
		"duplicate keys": `{"name":"a","name":"b"}`, "NaN": `{"name":NaN}`, "no object": `[]`, "nothing": "", "cut": `{"name":"a"`,
		"lone surrogate": `{"name":"\ud800"}`, "too long": strings.Repeat(" ", MaxDocumentBytes) + "{}",
		"deep": strings.Repeat("[", 1000),
	} {
		if _, err := ParseDiscovery(s.url, []byte(raw)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A signature that does not verify makes the document an unsigned one; nothing that
// needs a signature is read then.
func TestParseDiscoverySignature(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	extra := members{
		"peer_id": "12D3KooWPeer", "multiaddrs": []string{"/ip4/192.0.2.1/tcp/4001", "no address", "/ip4/192.0.2.1/tcp/4001"},
		"observed_hubs": []members{{"url": "https://seen.example.org", "status": "observed"}},
		"peers":         []members{{"url": "https://peer.example.org", "name": "P"}},
	}
	good := s.found(extra)
	if !good.Signed || good.PeerID != "12D3KooWPeer" || len(good.Multiaddrs) != 1 || len(good.Neighbours) != 2 {
		t.Fatalf("signed: %+v", good)
	}
	other := newStranger(h, "https://other.example.org")
	for name, raw := range map[string][]byte{
		"unsigned":        jsonText(t, s.discoveryDoc(extra)),
		"by another key":  signedBy(t, other.key, s.discoveryDoc(extra), canon.ObjectMessage),
		"changed":         bytes.Replace(s.discovery(extra), []byte("Hub of"), []byte("Hub ot"), 1),
		"other algorithm": bytes.Replace(s.discovery(extra), []byte(`"ed25519"`), []byte(`"rsa"`), 1),
		"text for block":  jsonText(t, s.discoveryDoc(extra).with(members{"signature": "abc"})),
	} {
		d := parsedAt(t, s.url, raw)
		if d.Signed || d.PeerID != "" || d.Multiaddrs != nil || len(d.Neighbours) != 1 || d.Neighbours[0].Observed {
			t.Errorf("%s: %+v", name, d)
		}
	}
	// Post-quantum members beside the value do not matter to Ed25519 (§4).
	doc := s.discoveryDoc(nil)
	s.signed(doc, canon.ObjectMessage)
	doc["signature"].(members)["pq_algorithm"] = "ml-dsa-65"
	doc["signature"].(members)["pq_value"] = "AAAA"
	if !parsedAt(t, s.url, jsonText(t, doc)).Signed {
		t.Error("a post-quantum value made the document unsigned")
	}
}

func TestNeighbours(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org/mount")
	var observed []members
	for i := range MaxNeighbours + 5 {
		observed = append(observed, members{"url": "https://o" + strings.Repeat("x", i%7) + ".example.org/" + string(rune('a'+i%26)) + strings.Repeat("y", i/26), "status": "observed"})
	}
	d := s.found(members{
		"peers": []members{
			{"url": "https://B.example.org:443/", "name": "B"}, {"url": "https://b.example.org", "name": "again"},
			{"url": s.url + "/", "name": "itself"}, {"url": "javascript:x", "name": "no URL"}, {"url": "http://user@c.example.org", "name": "no"},
			{"url": "libp2p://" + strings.Repeat("ab", 32), "name": "by key"},
		},
		"federation": members{"seed_list": []string{"https://seed.example.org/deep/hub/.well-known/ai-market.json", "https://plain.example.org"}},
	})
	want := []Neighbour{{"https://b.example.org", false}, {"https://seed.example.org/deep/hub", false}, {"https://plain.example.org", false}}
	if diff := cmp.Diff(want, d.Neighbours); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if d := s.found(members{"observed_hubs": observed}); len(d.Neighbours) > MaxNeighbours || !d.Neighbours[0].Observed {
		t.Fatalf("%d neighbours", len(d.Neighbours))
	}
}

func TestDiscoveryFieldsAreBounded(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	var categories []string
	for i := range 100 {
		categories = append(categories, strings.Repeat("c", 80)+string(rune('a'+i%26)), "cat"+strings.Repeat("x", i%50))
	}
	long := strings.Repeat("ü", 400)
	d := s.found(members{
		"name": "A\x00\n" + long, "hub_version": long, "description": long + long, "categories": categories,
		"mcp_endpoint": "https://evil.example.org/mcp", "capabilities_count": json.RawMessage("1e30"),
	})
	if len(d.Name) > MaxHubNameLen || strings.ContainsAny(d.Name, "\x00\n") || len(d.HubVersion) > 32 || len(d.Description) > 500 {
		t.Errorf("texts: %d %d %d", len(d.Name), len(d.HubVersion), len(d.Description))
	}
	if len(d.Categories) > 32 || slices.ContainsFunc(d.Categories, func(c string) bool { return len(c) > 64 }) {
		t.Errorf("categories: %q", d.Categories)
	}
	if d.MCPEndpoint != "" || d.Capabilities != maxClaimedCount {
		t.Errorf("endpoint %q, count %d", d.MCPEndpoint, d.Capabilities)
	}
	if d := s.found(members{"mcp_endpoint": "https://a.example.org:443/mcp"}); d.MCPEndpoint == "" {
		t.Error("an endpoint of the same origin was dropped")
	}
}

func TestOtherBase(t *testing.T) {
	h := newHub(t)
	s := newStranger(h, "https://a.example.org")
	for manifest, want := range map[string]string{
		"https://a.example.org/ai-market/v2/manifest":     "",
		"http://a.example.org/ai-market/v2/manifest":      "",
		"https://cdn.example.org/manifest.json":           "", // any origin may carry the manifest
		"https://b.example.org/hub/ai-market/v2/manifest": "https://b.example.org/hub",
	} {
		if d := s.found(members{"manifest_url": manifest}); d.OtherBase() != want || d.ManifestURL != manifest {
			t.Errorf("%s: other base %q, want %q", manifest, d.OtherBase(), want)
		}
	}
	// Reached by its key, a hub need not know its own address, but must show that key.
	byKey := KeyURL(s.key.Public())
	d := parsedAt(t, byKey, s.discovery(members{"manifest_url": "http://localhost:9083/ai-market/v2/manifest"}))
	if d.ManifestURL != byKey+manifestPath || d.OtherBase() != "" {
		t.Errorf("by key: %q, %q", d.ManifestURL, d.OtherBase())
	}
	other := newStranger(h, "https://other.example.org")
	if _, err := ParseDiscovery(byKey, other.discovery(nil)); err == nil {
		t.Error("an address that is a key showed another key and was believed")
	}
}

// FuzzParseDiscovery holds the reader against the protocol's own schema: what it takes,
// the schema takes too, within bounds and without neighbours that are no URLs.
func FuzzParseDiscovery(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "schemas", "well-known.json"))
	if err != nil {
		f.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		f.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("well-known.json", doc); err != nil {
		f.Fatal(err)
	}
	protocol, err := compiler.Compile("well-known.json")
	if err != nil {
		f.Fatal(err)
	}
	key := testSigner{}.PublicBase64()
	f.Add([]byte(`{"name":"a","protocol_versions":["v2"],"manifest_url":"https://a.example.org/m","signer_public_key":"` + key + `"}`))
	f.Add([]byte(`{"name":"a","protocol_versions":["v1","mcp"],"manifest_url":"https://a.example.org/m","signer_public_key":"","peers":[{"url":"https://b.example.org","name":"","trust_score":1e-5}],"observed_hubs":[{"url":"https://c.example.org","status":"observed","depth":1.0}],"federation":{"seed_list":["x/.well-known/y"],"crawl_interval_s":6e1},"capabilities_count":1E400}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := ParseDiscovery("https://hub.example.net", raw)
		if err != nil {
			return
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("accepted, but no JSON: %v", err)
		}
		if err := protocol.Validate(v); err != nil {
			t.Fatalf("accepted against the schema: %v", err)
		}
		if len(d.Name) > MaxHubNameLen || len(d.Neighbours) > 2*MaxNeighbours+maxSeedNeighbours || d.Capabilities < 0 {
			t.Fatalf("out of bounds: %+v", d)
		}
		for _, n := range d.Neighbours {
			if base, err := NormalizeHubURL(n.URL); err != nil || base != n.URL || base == d.BaseURL {
				t.Fatalf("neighbour %q", n.URL)
			}
		}
	})
}
