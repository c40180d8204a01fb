package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

var update = flag.Bool("update", false, "rewrite the golden documents")

// noLoader keeps schemas from reaching out.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) { return nil, fmt.Errorf("%s is not in testdata", url) }

func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "schemas", name))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func checkSchema(t *testing.T, name string, body []byte) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s is not JSON: %v", name, err)
	}
	if err := schema(t, name).Validate(doc); err != nil {
		t.Fatalf("%s breaks the protocol's schema: %v", name, err)
	}
}

// checkSigned verifies a document the way a peer does that pinned the test key, and
// that one changed byte is noticed.
func checkSigned(t *testing.T, body []byte, message func(canon.Value) ([]byte, error)) {
	t.Helper()
	v, err := canon.Parse(body)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	if verr := verify(v, message); verr != nil {
		t.Fatalf("signature: %v", verr)
	}
	checkNumbersAgree(t, v)
	for _, word := range []string{`"v2"`, "Z\""} {
		changed := bytes.Replace(body, []byte(word), []byte(strings.ToLower(word[:1])+"x"+word[2:]), 1)
		if bytes.Equal(changed, body) {
			continue
		}
		if w, err := canon.Parse(changed); err == nil && verify(w, message) == nil {
			t.Fatalf("a document with %s changed still verifies", word)
		}
	}
}

func verify(v canon.Value, message func(canon.Value) ([]byte, error)) error {
	msg, err := message(v)
	if err != nil {
		return err
	}
	pub, err := identity.ParsePublicKey(testSigner{}.PublicBase64())
	if err != nil {
		return err
	}
	return identity.VerifyBase64(pub, msg, v.Get("signature").Get("value").Str())
}

// checkNumbersAgree holds the rule of federation notes §8: every token is emitted as
// canonical text reprints it, and whole amounts are integers.
func checkNumbersAgree(t *testing.T, v canon.Value) {
	t.Helper()
	switch v.Kind() {
	case canon.Number:
		if got := string(v.AppendCompact(nil)); got != v.Token() || strings.HasSuffix(got, ".0") {
			t.Fatalf("number %s is reprinted as %s", v.Token(), got)
		}
	case canon.Null:
		t.Fatal("a document holds null")
	case canon.Object:
		v.Members(func(_ string, m canon.Value) bool { checkNumbersAgree(t, m); return true })
	case canon.Array:
		v.Elements(func(e canon.Value) bool { checkNumbersAgree(t, e); return true })
	}
}

func golden(t *testing.T, name string, body []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(body)); diff != "" {
		t.Fatalf("%s changed; look at the difference and run with -update if it is meant (-want +got):\n%s", path, diff)
	}
}

// market is a hub with one row of each sort: built in, published, of a peer, not
// callable, and a peer that nobody admitted.
func market(t *testing.T) *hub {
	t.Helper()
	ctx := context.Background()
	h := newHub(t)
	echo := row("aimarket", "echo@v1")
	echo.Description = "Returns what it is given: <tags> & \"quotes\", ünïcode, \u2028."
	dead := row("dead", "dead@v1")
	dead.Builtin = false
	h.put(echo, dead)
	h.stake("alice", 25)
	r := registration("alice", "alices")
	r.PriceMicros, r.ProviderKey = 10, testSigner{}.PublicBase64()
	r.InputSchema = []byte(`{ "type": "object", "required": ["b"], "properties": {"b": {"maximum": 1.50, "minimum": 1e5}, "a": {}} }`)
	if _, err := h.Register(ctx, r); err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{"https://peer.example.org/hub", "https://pending.example.org"} {
		if _, err := h.Announce(ctx, Announcement{HubURL: u, HubName: "Peer", Capabilities: 7, Operator: true}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.Approve(ctx, "https://peer.example.org/hub", true); err != nil {
		t.Fatal(err)
	}
	h.crawled("https://peer.example.org/hub")
	p := row("theirs", "sum@v1")
	p.SourceHub, p.SourceHubName, p.Builtin, p.PriceMicros = "https://peer.example.org/hub", "Peer", false, 150_000
	h.put(p)
	return h
}

func TestManifest(t *testing.T) {
	h := market(t)
	doc, err := h.Manifest(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, "manifest.json", doc.Body)
	checkSigned(t, doc.Body, canon.ManifestMessage)
	golden(t, "manifest.json", doc.Body)
	if bytes.Contains(doc.Body, []byte("pending.example.org")) || bytes.Contains(doc.Body, []byte(`"dead`)) {
		t.Fatal("the manifest names a pending peer or a row that cannot be called")
	}
	if bytes.Contains(doc.Body, []byte(`"capabilities_count":0,"gen`)) {
		t.Fatal("a v2 manifest has no capabilities_count of its own")
	}
}

func TestDiscovery(t *testing.T) {
	h := market(t)
	doc, err := h.Discovery(context.Background(), Status{
		PaymentConfigured: true, PaymentTestnet: true, Money: "demo", PluginsLoaded: 1, MCPEndpoint: true,
		PluginExtensions: map[string]json.RawMessage{"safety": []byte(`{"level": 1.0, "z": 1, "a": [1e-7]}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	checkSchema(t, "well-known.json", doc.Body)
	checkSigned(t, doc.Body, canon.ObjectMessage)
	golden(t, "well-known.json", doc.Body)
	plain, err := h.Discovery(context.Background(), Status{})
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"mcp_endpoint", "plugin_extensions", "payment_mode", "pending.example.org", "null"} {
		if bytes.Contains(plain.Body, []byte(word)) {
			t.Errorf("the plain discovery document says %s", word)
		}
	}
}

func TestDiscoveryRefusesBadExtension(t *testing.T) {
	h := newHub(t)
	_, err := h.Discovery(context.Background(), Status{PluginExtensions: map[string]json.RawMessage{"broken": []byte(`{"a":1,"a":2}`)}})
	if err == nil || !strings.Contains(err.Error(), "broken") {
		t.Fatalf("err = %v, want one that names the plugin", err)
	}
}

func TestPrices(t *testing.T) {
	h := market(t)
	doc, err := h.Prices(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	checkSigned(t, doc.Body, canon.ObjectMessage)
	golden(t, "prices.json", doc.Body)
}

// A document is signed once and then served until it changes or grows old.
func TestDocumentsAreCached(t *testing.T) {
	ctx := context.Background()
	h := market(t)
	get := func() Document {
		t.Helper()
		doc, err := h.Manifest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return doc
	}
	first := get()
	h.clock.add(MaxDocumentAge - time.Second)
	if again := get(); &again.Body[0] != &first.Body[0] || again.ETag != first.ETag {
		t.Fatal("an unchanged document was written again")
	}
	h.clock.add(time.Second)
	aged := get()
	if !aged.GeneratedAt.After(first.GeneratedAt) || aged.ETag == first.ETag {
		t.Fatal("an old document was not renewed")
	}
	changes := map[string]func(){
		"put":     func() { h.put(row("more", "more@v1")) },
		"remove":  func() { must(t, h.Remove(ctx, row("more", "more@v1").Key)) },
		"approve": func() { _, err := h.Approve(ctx, "https://pending.example.org", true); must(t, err) },
		"leave":   func() { must(t, h.RemovePeer(ctx, "https://pending.example.org")) },
		"publish": func() { _, err := h.Register(ctx, registration("alice", "fresh")); must(t, err) },
	}
	for _, name := range []string{"put", "remove", "approve", "leave", "publish"} {
		before := get()
		changes[name]()
		after := get()
		if after.ETag == before.ETag || bytes.Equal(after.Body, before.Body) {
			t.Errorf("%s did not change the manifest", name)
		}
		checkSigned(t, after.Body, canon.ManifestMessage)
	}
	// Listing what is listed already changes nothing.
	before := get()
	h.put(row("aimarket", "hash@v1"))
	listed := get()
	h.put(row("aimarket", "hash@v1"))
	if after := get(); after.ETag != listed.ETag || before.ETag == listed.ETag {
		t.Error("listing the same row twice made a new document")
	}
	a, err := h.Discovery(ctx, Status{Money: "demo"})
	must(t, err)
	b, err := h.Discovery(ctx, Status{Money: "demo"})
	must(t, err)
	c, err := h.Discovery(ctx, Status{Money: "off"})
	must(t, err)
	if a.ETag != b.ETag || a.ETag == c.ETag {
		t.Error("the discovery document does not follow its status")
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Publishers of huge schemas do not push others out of the manifest, and it never
// passes what crawlers read.
func TestManifestSize(t *testing.T) {
	h := newHub(t)
	filler := strings.Repeat("x", 200<<10)
	var rows []Capability
	for i := range 20 {
		r := row(fmt.Sprintf("big-%02d", i), "big@v1")
		r.TrustScore = 1
		r.InputSchema = []byte(`{"description":"` + filler + `"}`)
		rows = append(rows, r)
	}
	for i := range 100 {
		rows = append(rows, row(fmt.Sprintf("small-%03d", i), "small@v1"))
	}
	h.put(rows...)
	doc, err := h.Manifest(context.Background())
	must(t, err)
	if len(doc.Body) > MaxDocumentBytes {
		t.Fatalf("the manifest has %d bytes", len(doc.Body))
	}
	var got struct{ Tools []struct{ Product_ID string } }
	must(t, json.Unmarshal(doc.Body, &got))
	small, big := 0, 0
	for i, tool := range got.Tools {
		if strings.HasPrefix(tool.Product_ID, "big") {
			big++
			if small > 0 {
				t.Fatalf("tool %d of more trust stands after less trusted ones", i)
			}
		} else {
			small++
		}
	}
	if small != 100 || big == 0 || h.Counts().Omitted != 20-big {
		t.Fatalf("%d small and %d big tools, %d omitted", small, big, h.Counts().Omitted)
	}
}

// The list holds the hub's own rows first and then the most trusted, also after
// rows of a full list leave.
func TestManifestOrder(t *testing.T) {
	h := newHub(t, func(c *Config) { c.MaxRows = 5000 })
	ctx := context.Background()
	_, err := h.Announce(ctx, Announcement{HubURL: "https://peer.example.org"})
	must(t, err)
	_, err = h.Approve(ctx, "https://peer.example.org", true)
	must(t, err)
	h.crawled("https://peer.example.org")
	var rows []Capability
	for i := range MaxListed + 50 {
		r := row(fmt.Sprintf("p-%04d", i), "a@v1")
		r.TrustScore = float64(i%100) / 100
		if i%2 == 1 {
			r.SourceHub, r.Builtin = "https://peer.example.org", false
		}
		rows = append(rows, r)
	}
	h.put(rows...)
	check := func() {
		t.Helper()
		got, err := h.listed(h.clock.Now())
		must(t, err)
		if len(got) != min(MaxListed, h.Counts().Total) {
			t.Fatalf("%d rows listed of %d", len(got), h.Counts().Total)
		}
		for i := 1; i < len(got); i++ {
			a, b := got[i-1], got[i]
			if compareTop(topRow{a.Key, a.TrustScore}, topRow{b.Key, b.TrustScore}) >= 0 {
				t.Fatalf("%v stands before %v", a.Key, b.Key)
			}
		}
	}
	check()
	for i := range 100 {
		must(t, h.Remove(ctx, rows[(i*37)%len(rows)].Key))
		if i%20 == 0 {
			check()
		}
	}
	check()
	before, err := h.listed(h.clock.Now())
	must(t, err)
	h.reopen(t)
	after, err := h.listed(h.clock.Now())
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Fatal(diff)
	}
}
