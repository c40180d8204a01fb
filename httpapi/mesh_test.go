package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

// What a peer ID is, as another implementation prints it: the key of 32 bytes 7.
func TestPeerID(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "AAAA": "", "nonsense": "",
		testKey("x").PublicBase64(): mustPeerID(t, testKey("x").Public()),
	} {
		if got := peerID(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// A hub is admitted: it moves from the waiting to the listed ones, and is read after the
// operator has their answer.
func TestApproveReads(t *testing.T) {
	var read []string
	h := newHub(t, func(s *setup) { s.http.CrawlHub = func(u string) { read = append(read, u) } })
	adm := bearerHeader(adminSecret)
	h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example","signer_public_key":"`+testKey("a").PublicBase64()+`"}`, adm).want(200)
	r := h.get(prefix + "/federation/peers").want(200)
	r.is("count", "0").is("pending_count", "1").is("pending.0.trusted", "false").is("pending.0.assay_verdict", `""`).is("pending.0.status", `"pending"`)
	if r.at("pending.0.link").Exists() || r.at("rejected").Exists() {
		t.Errorf("without a mesh there is no link, for strangers no list of the rejected: %s", r.body)
	}
	h.post(prefix+"/federation/peers/approve", `{"url":"https://a.example"}`, adm).want(200).is("crawl_scheduled", "true").is("trusted", "true")
	if !slices.Equal(read, []string{"https://a.example"}) {
		t.Errorf("read %v", read)
	}
	r = h.get(prefix + "/federation/peers").want(200)
	r.is("count", "1").is("pending_count", "0").is("peers.0.trusted", "true").is("peers.0.status", `"active"`).
		is("peers.0.peer_id", `"`+peerID(testKey("a").PublicBase64())+`"`).is("peers.0.identity_key_matches", "true").
		is("peers.0.canonical_id", `"https://a.example"`).is("peers.0.pin_reject_reason", `""`)
	h.post(prefix+"/federation/peers/approve", `{"url":"https://a.example","trusted":false}`, adm).want(200).is("crawl_scheduled", "false")
	if len(read) != 1 {
		t.Errorf("a hub that was sent back is read: %v", read)
	}
}

// The connection to a peer is shown where there is a mesh, by the key it is pinned with.
func TestPeerLink(t *testing.T) {
	asked := ""
	h := newHub(t, func(s *setup) {
		s.http.Links = func(key string) Link {
			asked = key
			return Link{Connected: true, Address: "/ip4/203.0.113.9/tcp/9084", Relayed: true, Latency: 12340 * time.Microsecond}
		}
	})
	key := testKey("a").PublicBase64()
	h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example","signer_public_key":"`+key+`"}`, bearerHeader(adminSecret)).want(200)
	h.post(prefix+"/federation/announce", `{"hub_url":"https://keyless.example"}`).want(200)
	r := h.get(prefix + "/federation/peers").want(200)
	for p := range r.at("pending").Elements {
		link := p.Get("link")
		if p.Get("url").Str() == "https://keyless.example" {
			if link.Exists() {
				t.Errorf("a hub without a known key has a link: %s", p.Raw())
			}
			continue
		}
		if string(link.Raw()) != `{"connected":true,"address":"/ip4/203.0.113.9/tcp/9084","relayed":true,"latency_ms":12.34}` || asked != key {
			t.Errorf("link %s, asked for %q", link.Raw(), asked)
		}
	}
}

// Only the operator is shown whom the operator rejected; a rejected hub stays so.
func TestRejectedAreTheOperatorsToSee(t *testing.T) {
	h := newHub(t)
	adm := bearerHeader(adminSecret)
	h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example"}`).want(200)
	h.post(prefix+"/federation/peers/reject", `{"url":"https://a.example"}`, adm).want(200).is("peer_status", `"rejected"`)
	h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example"}`).want(200).is("status", `"known"`).is("peer_added", "false")
	for _, header := range [][]string{nil, {bearerHeader("wrong")}} {
		r := h.get(prefix+"/federation/peers", header...).want(200)
		if r.at("rejected").Exists() || strings.Contains(string(r.body), "a.example") {
			t.Errorf("a stranger sees it: %s", r.body)
		}
	}
	h.get(prefix+"/federation/peers", adm).want(200).is("rejected.0.url", `"https://a.example"`).is("rejected_count", "1")
}

func TestRepin(t *testing.T) {
	var read []string
	h := newHub(t, func(s *setup) { s.http.CrawlHub = func(u string) { read = append(read, u) } })
	adm := bearerHeader(adminSecret)
	repin := prefix + "/federation/peers/repin"
	first, second := testKey("first").PublicBase64(), testKey("second").PublicBase64()
	h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example","signer_public_key":"`+first+`"}`, adm).want(200)

	h.post(repin, `{"url":"https://a.example","public_key":"`+second+`","previous_public_key":"`+second+`"}`, adm).want(400).is("error", `"invalid_key"`)
	h.post(repin, `{"url":"https://a.example","public_key":"no key"}`, adm).want(400).is("error", `"invalid_key"`)
	for _, pq := range []string{"pq_public_key", "previous_pq_public_key"} {
		h.post(repin, `{"url":"https://a.example","public_key":"`+second+`","`+pq+`":"AAAA"}`, adm).want(400).is("error", `"pq_unsupported"`)
	}
	if len(read) > 0 {
		t.Errorf("a refused change made a crawl: %v", read)
	}
	h.post(repin, `{"url":"https://a.example","public_key":"`+second+`","previous_public_key":"`+first+`","trusted":null,"crawl":false}`, adm).want(200).
		is("status", `"repinned"`).is("peer.public_key", `"`+second+`"`).is("peer.previous_public_key", `"`+first+`"`).
		is("peer.rotated", `["ed25519"]`).is("peer.trusted", "false").is("crawl", "null")
	h.post(repin, `{"url":"https://a.example","public_key":"`+first+`"}`, adm).want(200).
		is("peer.trusted", "true").is("peer.status", `"active"`).is("crawl.status", `"scheduled"`)
	if !slices.Equal(read, []string{"https://a.example"}) {
		t.Errorf("read %v", read)
	}
}

func TestCrawlReport(t *testing.T) {
	adm := bearerHeader(adminSecret)
	r := newHub(t, probeHubs["crawler"]...).post(prefix+"/federation/crawl", "", adm).want(200)
	r.is("status", `"complete"`).is("stats", `{"discovered":2,"indexed":7,"errors":1,"peers_found":3}`).
		is("hubs.0.outcome", `"indexed"`).is("truncated", "true")
}

// Who asks for the discovery document as a crawler is noticed, after the answer; who
// sends anything else in that header is not.
func TestNoticedCrawlers(t *testing.T) {
	var seen []string
	h := newHub(t, func(s *setup) { s.http.Noticed = func(u, agent string) { seen = append(seen, u+" "+agent) } })
	well := "/.well-known/ai-market.json"
	agent := "User-Agent: " + strings.Repeat("é", 150)
	h.get(well, "X-AIMarket-Crawler: https://a.example", agent).want(200)
	h.do(http.MethodHead, well, "", "X-AIMarket-Crawler: http://b.example/hub", "User-Agent: c/1").want(200)
	h.get(prefix+"/manifest", "X-AIMarket-Crawler: https://manifest.example").want(200)
	for _, bad := range []string{"", "ftp://x.example", "https://x.example/\x01", "https://x example", "libp2p://00", hubURL, hubURL + "/",
		"https://" + strings.Repeat("x", MaxCrawlerURL)} {
		h.get(well, "X-AIMarket-Crawler: "+bad).want(200)
	}
	h.get(well, "X-AIMarket-Crawler: https://a.example", "X-AIMarket-Crawler: https://b.example").want(200)
	if want := []string{"https://a.example " + strings.Repeat("é", 100), "http://b.example/hub c/1"}; !slices.Equal(seen, want) {
		t.Errorf("noticed %q, want %q", seen, want)
	}
}

// Discovery, manifest and prices answer HEAD like GET, and a caller that has the present
// copy gets nothing again.
func TestConditionalDocuments(t *testing.T) {
	h := newHub(t)
	for _, path := range []string{"/.well-known/ai-market.json", prefix + "/manifest", prefix + "/prices"} {
		get := h.get(path).want(200)
		head := h.do(http.MethodHead, path, "").want(200)
		tag := get.header.Get("ETag")
		if tag == "" || head.header.Get("ETag") != tag || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
			t.Errorf("%s: GET has %v, HEAD %v", path, get.header, head.header)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, sent := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
				r := h.do(method, path, "", "If-None-Match: "+sent).want(http.StatusNotModified)
				if len(r.body) > 0 || r.header.Get("ETag") != tag {
					t.Errorf("%s %s %s: %d bytes, ETag %q", method, path, sent, len(r.body), r.header.Get("ETag"))
				}
			}
			h.do(method, path, "", `If-None-Match: "other"`).want(200)
		}
	}
}

// What an announcement leads to depends on the policy; it never changes a known hub.
func TestAnnounceByPolicy(t *testing.T) {
	for _, c := range []struct {
		policy catalog.Admission
		tried  string
	}{{"", "false"}, {catalog.AdmitNone, "false"}, {catalog.AdmitVerified, "true"}, {catalog.AdmitAll, "false"}} {
		h := newHub(t, func(s *setup) { s.http.Admission, s.catalog.Admission = c.policy, c.policy })
		first := h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example","signer_public_key":"`+testKey("a").PublicBase64()+`"}`).want(200)
		first.is("acknowledged", "true").is("peer_added", "true").is("status", `"pending"`).is("trusted", "false").is("assay_scheduled", c.tried)
		h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example","hub_name":"Evil"}`).want(200).
			is("peer_added", "false").is("status", `"known"`).is("trusted", "false")
		r := h.get(prefix + "/federation/peers").want(200)
		r.is("pending.0.name", `"a.example"`).is("pending.0.public_key", `""`)
	}
}

// A row is its publisher's and the operator's to take off, nobody else's; published
// again it is what was published last.
func TestUnpublish(t *testing.T) {
	h := newHub(t, func(s *setup) {
		s.http.PublisherTokens = map[string]string{"pub-1": publisherSecret, "pub-2": "other-secret"}
		s.catalog.PublishPerHr = 0
	})
	pub, other, adm := bearerHeader(publisherSecret), bearerHeader("other-secret"), bearerHeader(adminSecret)
	row := prefix + "/supply/prod-x/greet@v1"
	listed := func(want bool) {
		t.Helper()
		m := h.get(prefix + "/manifest").want(200)
		if got := strings.Contains(string(m.body), `"prod-x"`); got != want {
			t.Fatalf("in the manifest: %v, want %v", got, want)
		}
		if got := h.get(prefix+"/search?intent=product:prod-x").want(200).num("total") != "0"; got != want {
			t.Fatalf("found: %v, want %v", got, want)
		}
	}
	h.listed()
	h.post(prefix+"/supply/register", strings.Replace(registration, `"publisher_id"`, `"price_per_call_usd":0.25,"publisher_id"`, 1), pub).want(200)
	h.get(prefix+"/search?intent=product:prod-x").want(200).is("matches.0.price_per_call_usd", "0.25").is("total", "1")

	h.do("DELETE", row, "", other).want(403)
	h.do("DELETE", row, `{"publisher_id":"pub-1"}`, other).want(403)
	h.do("DELETE", prefix+"/supply/hub/echo@v1", "", pub).want(403)
	listed(true)
	h.do("DELETE", row, `{"publisher_id":"pub-1"}`, pub).want(200).is("unpublished", "true").is("product_id", `"prod-x"`).
		is("capability_id", `"greet@v1"`).is("publisher_id", `"pub-1"`).is("protocol_version", `"v2"`)
	listed(false)
	h.do("DELETE", row, "", pub).want(404)

	h.listed()
	listed(true)
	h.do("DELETE", strings.Replace(row, "@", "%40", 1), "", adm).want(200).is("publisher_id", `"pub-1"`)
	listed(false)
}

// Nothing but the row's publisher takes it off where publishing is open, too.
func TestUnpublishInTheOpen(t *testing.T) {
	h := newHub(t, noTokens)
	h.post(prefix+"/supply/stake", `{"publisher_id":"pub-1","amount_usd":12}`).want(200)
	h.post(prefix+"/supply/register", registration).want(200)
	row := prefix + "/supply/prod-x/greet@v1"
	if r := h.do("DELETE", row, ""); r.status != 400 && r.status != 403 {
		t.Errorf("nobody took it off: %d %s", r.status, r.body)
	}
	h.do("DELETE", row+"?publisher_id=pub-2", "").want(403)
	h.do("DELETE", row+"?publisher_id=pub-1", "").want(200)
}

// A trust score comes with its reasons.
func TestReputationEvidence(t *testing.T) {
	h := newHub(t)
	h.post(prefix+"/federation/announce", `{"hub_url":"https://a.example"}`).want(200)
	r := h.get(prefix + "/reputation/https://a.example").want(200)
	r.is("status", `"pending"`).is("details.factors.penalty", "0").is("details.weights.bond", "0.3")
	seen := map[string]bool{}
	for e := range r.at("details.evidence").Elements {
		seen[e.Get("factor").Str()] = e.Get("detail").Str() != ""
	}
	for _, factor := range []string{"age", "bond", "success_rate", "volume"} {
		if !seen[factor] {
			t.Errorf("nothing is said of %s: %s", factor, r.body)
		}
	}
	if r := h.get(prefix + "/reputation/https://nobody.example").want(200); r.at("status").Exists() {
		t.Errorf("a hub that nobody knows has a state: %s", r.body)
	}
}

// event is a reputation event that a hub signed.
func event(by *identity.Key, consumer, provider string, at time.Time) string {
	stamp := at.UTC().Format(timeFormat)
	signed := "type:invoke_success|provider_hub:" + provider + "|timestamp:" + stamp + "|price_usd:0.5|latency_ms:120"
	return `{"type":"invoke_success","provider_hub":"` + provider + `","consumer_hub":"` + consumer + `","timestamp":"` + stamp +
		`","price_usd":0.5,"latency_ms":120,"signature":{"algorithm":"ed25519","value":"` + by.SignBase64([]byte(signed)) + `"}}`
}

// Experiences that an active peer signed count once and are shown; strangers' do not.
func TestReportedEvents(t *testing.T) {
	h := newHub(t)
	adm := bearerHeader(adminSecret)
	reporter, provider := testKey("reporter"), testKey("provider")
	for name, key := range map[string]*identity.Key{"reporter": reporter, "provider": provider} {
		u := "https://" + name + ".example"
		h.post(prefix+"/federation/announce", `{"hub_url":"`+u+`","signer_public_key":"`+key.PublicBase64()+`"}`, adm).want(200)
		h.post(prefix+"/federation/peers/approve", `{"url":"`+u+`"}`, adm).want(200)
	}
	at := h.clock.Now()
	good := event(reporter, "https://reporter.example", "https://provider.example", at)
	bad := []string{
		event(provider, "https://reporter.example", "https://provider.example", at.Add(time.Second)), // another's signature
		event(reporter, "https://stranger.example", "https://provider.example", at),
		event(reporter, "https://reporter.example", "https://provider.example", at.Add(-25*time.Hour)),
		`7`, `{}`, `null`,
	}
	post := func(events ...string) *response {
		return h.post(prefix+"/reputation/events", `{"events":[`+strings.Join(events, ",")+`]}`).want(200)
	}
	post(append(bad, good, good)...).is("received", "1").is("rejected", itoa(len(bad))).is("replayed", "1")
	post(good).is("received", "0").is("replayed", "1")
	r := h.get(prefix + "/reputation/https://provider.example").want(200)
	r.is("recent_events.0.type", `"invoke_success"`).is("recent_events.0.price_usd", "0.5").is("recent_events.0.latency_ms", "120").
		is("recent_events.0.consumer_hub", `"https://reporter.example"`)
	if r.at("recent_events").Len() != 1 {
		t.Errorf("%s", r.body)
	}
}

// A hub without an address is asked for by its key.
func TestReputationByKey(t *testing.T) {
	h := newHub(t)
	u := catalog.KeyURL(testKey("a").Public())
	for _, tail := range []string{u, strings.ReplaceAll(strings.ReplaceAll(u, ":", "%3A"), "/", "%2F")} {
		h.get(prefix+"/reputation/"+tail).want(200).is("hub_url", `"`+u+`"`).is("basis", `"unobserved"`)
	}
	for _, own := range []string{"local", hubURL, hubURL + "/", catalog.KeyURL(h.key.Public())} {
		h.get(prefix+"/reputation/"+own).want(200).is("basis", `"self"`).is("trust_score", "1")
	}
}
