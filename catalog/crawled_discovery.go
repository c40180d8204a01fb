package catalog

import (
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on what a foreign discovery document may bring. What passes them is cut, not
// refused (federation notes §2, step 6).
const (
	MaxNeighbours      = 2000 // of each sort that one document names
	maxSeedNeighbours  = 256  // of its seed list
	maxDescriptionPeer = 500  // bytes of a hub's description
	maxVersionPeer     = 32   // bytes of a hub's version
	maxEndpointPeer    = 500  // bytes of a hub's MCP endpoint
	maxPeerIDLen       = 128  // bytes of a libp2p peer ID
	maxClaimedCount    = 1 << 31
	manifestPath       = "/ai-market/v2/manifest"
	wellKnownDir       = "/.well-known/"
)

// Neighbour is a hub that another hub's discovery document names.
type Neighbour struct {
	URL      string // base URL in normal form, http or https
	Observed bool   // from observed_hubs, else from peers or the seed list
}

// CrawledDiscovery is a discovery document that was fetched from a hub's own address.
type CrawledDiscovery struct {
	BaseURL      string // the address it was fetched from, normal form
	Name         string
	HubVersion   string
	Description  string
	PublicKey    string // as advertised, standard base64; "" if it shows none
	ManifestURL  string
	MCPEndpoint  string // "" unless it has the origin of BaseURL
	Capabilities int
	Categories   []string
	PeerID       string    // our addition; "" if absent or unsigned
	Multiaddrs   []string  // our addition, of signed documents only
	GeneratedAt  time.Time // zero if absent
	Signed       bool      // it has a signature and it verifies under its own key
	Neighbours   []Neighbour
}

// ParseDiscovery decodes a discovery document fetched from baseURL and checks it
// against the protocol's schema and, if it is signed, its signature. A signature that
// does not verify makes the document an unsigned one: the protocol calls it optional,
// and nothing that needs one is believed then.
func ParseDiscovery(baseURL string, raw []byte) (*CrawledDiscovery, error) {
	base, err := NormalizeHubURL(baseURL)
	if err != nil {
		return nil, errf("catalog: read discovery document of %q: %w", clip(baseURL), err)
	}
	d, err := parseDiscovery(base, raw)
	if err != nil {
		return nil, errf("catalog: read discovery document of %s: %w", base, err)
	}
	return d, nil
}

func parseDiscovery(base string, raw []byte) (*CrawledDiscovery, error) {
	if len(raw) > MaxDocumentBytes {
		return nil, errf("it is %d bytes, at most %d are read", len(raw), MaxDocumentBytes)
	}
	doc, err := canon.Parse(slices.Clone(raw))
	if err != nil {
		return nil, err
	}
	if doc.Kind() != canon.Object {
		return nil, errf("it is %s, not an object", doc.Kind())
	}
	var s shape
	d := &CrawledDiscovery{BaseURL: base}
	d.readHead(&s, doc)
	key, manifestURL := s.text(doc, "", "signer_public_key", true), s.text(doc, "", "manifest_url", true)
	peers, seeds, observed := readNeighbours(&s, doc)
	if s.err != nil {
		return nil, s.err
	}
	if err := d.readKey(key, doc); err != nil {
		return nil, err
	}
	if err := d.readManifestURL(manifestURL); err != nil {
		return nil, err
	}
	if d.Signed {
		d.PeerID, d.Multiaddrs = readOwnAddresses(doc)
	} else {
		observed = nil // hearsay of nobody
	}
	d.Neighbours = neighbours(base, peers, seeds, observed)
	return d, nil
}

// readHead reads what the document says of the hub itself.
func (d *CrawledDiscovery) readHead(s *shape, doc canon.Value) {
	d.Name = cleanText(s.text(doc, "", "name", true), MaxHubNameLen)
	versions := 0
	if !doc.Get("protocol_versions").Exists() {
		s.wrong("protocol_versions", doc.Get("protocol_versions"), "an array of v1, v2 or mcp")
	}
	s.each(doc, "", "protocol_versions", func(at string, e canon.Value) {
		versions++
		if v := e.Str(); v != "v1" && v != "v2" && v != "mcp" {
			s.wrong(at, e, "v1, v2 or mcp")
		}
	})
	if versions == 0 && s.err == nil {
		s.err = invalid("protocol_versions", "must name at least one of v1, v2 and mcp")
	}
	d.HubVersion = cleanText(s.text(doc, "", "hub_version", false), maxVersionPeer)
	s.release(doc, "protocol_release_version")
	d.MCPEndpoint = sameOriginURL(d.BaseURL, s.text(doc, "", "mcp_endpoint", false))
	s.whole(doc, "", "products_count", 0)
	d.Capabilities = int(min(s.whole(doc, "", "capabilities_count", 0), maxClaimedCount))
	s.whole(doc, "", "federated_capabilities_count", 0)
	s.texts(doc, "", "supported_chains", func(string) {})
	s.texts(doc, "", "supported_tokens", func(string) {})
	d.Description = cleanText(doc.Get("description").Str(), maxDescriptionPeer)
	for e := range doc.Get("categories").Elements {
		if c := cleanText(e.Str(), maxCategoryLen); c != "" && len(d.Categories) < maxCategories && !slices.Contains(d.Categories, c) {
			d.Categories = append(d.Categories, c)
		}
	}
	d.GeneratedAt, _ = parseStamp(doc.Get("generated_at").Str())
}

// readNeighbours reads the three lists of other hubs, as written.
func readNeighbours(s *shape, doc canon.Value) (peers, seeds, observed []string) {
	s.nested(doc, "", "federation", func(path string, f canon.Value) {
		s.whole(f, path, "crawl_interval_s", 60)
		if s.whole(f, path, "routing_fee_bps", 0) > maxRoutingFeeBps {
			s.wrong(path+"routing_fee_bps", f.Get("routing_fee_bps"), "an integer of at most 10000")
		}
		s.between(f, path, "min_trust_score", 0, 1)
		s.texts(f, path, "seed_list", func(u string) {
			if len(seeds) < maxSeedNeighbours {
				seeds = append(seeds, u)
			}
		})
	})
	s.each(doc, "", "peers", func(at string, p canon.Value) {
		u := s.text(p, at+".", "url", true)
		s.text(p, at+".", "name", true)
		if v := p.Get("capabilities_count"); v.Exists() {
			if _, ok := wholeNumber(v); !ok {
				s.wrong(at+".capabilities_count", v, "an integer")
			}
		}
		s.text(p, at+".", "last_crawl", false)
		s.between(p, at+".", "trust_score", 0, 1)
		if len(peers) < MaxNeighbours {
			peers = append(peers, u)
		}
	})
	s.each(doc, "", "observed_hubs", func(at string, p canon.Value) {
		u := s.text(p, at+".", "url", true)
		if status := s.text(p, at+".", "status", true); status != observedStatus {
			s.wrong(at+".status", p.Get("status"), `"observed"`)
		}
		s.text(p, at+".", "name", false)
		s.text(p, at+".", "first_seen", false)
		s.text(p, at+".", "observed_by", false)
		s.whole(p, at+".", "depth", 1)
		if len(observed) < MaxNeighbours {
			observed = append(observed, u)
		}
	})
	return peers, seeds, observed
}

// readKey takes the advertised key and checks the signature under it. A hub without
// a key says "": its pin, if it had one, stays.
func (d *CrawledDiscovery) readKey(advertised string, doc canon.Value) error {
	if advertised == "" {
		return nil
	}
	key, err := identity.ParsePublicKey(advertised)
	if err != nil {
		return invalid("signer_public_key", "%q is no usable Ed25519 public key in base64: %v", clip(advertised), err)
	}
	d.PublicKey = key.String()
	d.Signed = verifyBlock(doc, key, canon.ObjectMessage) == nil
	if isKeyURL(d.BaseURL) && d.BaseURL != KeyURL(key) {
		return invalid("signer_public_key", "is %s, but the address belongs to another key", key)
	}
	return nil
}

// readManifestURL takes the manifest's address. A hub that is reached by its key
// may not know its own address, so there only the path counts.
func (d *CrawledDiscovery) readManifestURL(u string) error {
	if isKeyURL(d.BaseURL) {
		d.ManifestURL = d.BaseURL + manifestPath
		return nil
	}
	if _, err := parseHTTPURL(u, MaxURLLen); err != nil {
		return invalid("manifest_url", "%v", err)
	}
	d.ManifestURL = u
	return nil
}

// OtherBase is the base URL at which the hub says it lives if that is not where the
// document was found (federation notes §2, step 4); "" otherwise. The crawler reads
// the document there before it believes that.
func (d *CrawledDiscovery) OtherBase() string {
	if base := manifestBase(d.ManifestURL); base != "" && !isKeyURL(d.BaseURL) && !sameHub(base, d.BaseURL) {
		return base
	}
	return ""
}

// namesItself is true if the document says that BaseURL is the hub's address.
func (d *CrawledDiscovery) namesItself() bool {
	base := manifestBase(d.ManifestURL)
	return base != "" && sameHub(base, d.BaseURL)
}

// manifestBase is the hub's base URL that a manifest's usual address tells; "" for
// an unusual one.
func manifestBase(manifestURL string) string {
	base, ok := strings.CutSuffix(manifestURL, manifestPath)
	if !ok {
		return ""
	}
	base, err := NormalizeHubURL(base)
	if err != nil {
		return ""
	}
	return base
}

// sameOriginURL is u if it has the origin of base, else "".
func sameOriginURL(base, u string) string {
	if u == "" || len(u) > maxEndpointPeer {
		return ""
	}
	if _, err := parseHTTPURL(u, maxEndpointPeer); err != nil || origin(u) != origin(base) {
		return ""
	}
	return u
}

// readOwnAddresses reads our additions; whatever is not of their form is left out.
func readOwnAddresses(doc canon.Value) (peerID string, addrs []string) {
	if id := doc.Get("peer_id").Str(); len(id) <= maxPeerIDLen && slug(id, "") {
		peerID = id
	}
	for e := range doc.Get("multiaddrs").Elements {
		a := e.Str()
		if len(addrs) < MaxMultiaddrs && len(a) <= MaxMultiaddrLen && strings.HasPrefix(a, "/") && plainText(a, "") && !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
	}
	return peerID, addrs
}

// neighbours brings named addresses into normal form, each once and never the hub's
// own. Hubs that are known by their key alone are found through the mesh, not by
// reading documents.
func neighbours(self string, peers, seeds, observed []string) []Neighbour {
	seen := map[string]bool{self: true}
	var out []Neighbour
	add := func(list []string, isObserved bool) {
		for _, u := range list {
			if i := strings.LastIndex(u, wellKnownDir); i >= 0 {
				u = u[:i] // never more than the suffix: a hub may live under a path (§9.8)
			}
			base, err := NormalizeHubURL(u)
			if err != nil || seen[base] || isKeyURL(base) {
				continue
			}
			seen[base] = true
			out = append(out, Neighbour{URL: base, Observed: isObserved})
		}
	}
	add(peers, false)
	add(seeds, false)
	add(observed, true)
	return out
}
