package catalog

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// minCrawlInterval is the least that the discovery schema allows.
const minCrawlInterval = time.Minute

// Bounds on the hubs that documents name.
const (
	maxDiscoveryPeers = 2000 // active ones, the most trusted first
	maxObservedHubs   = 2000 // pending ones (federation notes §1)
)

// Discovery returns the current signed discovery document. It is cached and signed
// anew only when its content, s included, changes or grows old.
func (c *Catalog) Discovery(ctx context.Context, s Status) (Document, error) {
	write := func(o *object, now time.Time) error { return c.writeDiscovery(o, now, s) }
	return c.document(ctx, "discovery document", &c.wellKnow, s.fingerprint(), write, canon.ObjectMessage)
}

func (c *Catalog) writeDiscovery(o *object, now time.Time, s Status) error {
	peers := c.Peers(PeerActive)
	if len(peers) > maxDiscoveryPeers {
		peers = peers[:maxDiscoveryPeers]
	}
	api := c.cfg.HubURL + "/ai-market/v2"
	o.text("name", c.cfg.HubName)
	o.texts("protocol_versions", []string{"v1", "v2"})
	o.text("hub_version", c.cfg.HubVersion)
	if s.MCPEndpoint {
		o.text("mcp_endpoint", c.cfg.HubURL+"/ai-market/mcp")
	}
	o.text("manifest_url", api+"/manifest")
	o.int("products_count", c.products.Load())
	o.int("capabilities_count", c.local.Load())
	o.int("federated_capabilities_count", c.total.Load()) // all rows, by the protocol's custom
	o.texts("supported_chains", c.cfg.Chains)
	o.texts("supported_tokens", c.cfg.Tokens)
	o.bool("payment_configured", s.PaymentConfigured)
	o.bool("payment_testnet", s.PaymentTestnet)
	o.textIf("payment_mode", s.Money)
	o.text("signer_public_key", c.cfg.Signer.PublicBase64())
	o.nest("federation", func(f *object) {
		f.int("crawl_interval_s", int64(max(c.cfg.CrawlInterval, minCrawlInterval)/time.Second))
		f.int("routing_fee_bps", int64(c.cfg.RoutingFeeBps))
		f.float("min_trust_score", c.cfg.MinTrust)
		f.texts("seed_list", c.cfg.SeedList)
	})
	o.list("peers", len(peers), func(dst []byte, i int) []byte {
		p := &peers[i]
		e := openObject(dst)
		e.text("url", p.URL)
		e.text("name", p.Name)
		e.int("capabilities_count", int64(p.Capabilities))
		if !p.LastCrawl.IsZero() {
			e.text("last_crawl", stamp(p.LastCrawl))
		}
		e.float("trust_score", p.Reputation.TrustScore)
		e.texts("categories", p.Categories)
		return e.close()
	})
	observed := c.observed()
	o.list("observed_hubs", len(observed), func(dst []byte, i int) []byte {
		p := &observed[i]
		e := openObject(dst)
		e.text("url", p.URL)
		e.text("name", p.Name)
		e.text("first_seen", stamp(p.FirstSeen))
		e.text("observed_by", c.cfg.HubURL)
		e.int("depth", int64(max(1, p.Depth)))
		e.text("status", observedStatus)
		return e.close()
	})
	if categories := c.ownCategories(); len(categories) > 0 {
		o.texts("categories", categories)
	}
	if a := c.ownAddress(); a.PeerID != "" {
		o.text("peer_id", a.PeerID)
		o.texts("multiaddrs", a.Multiaddrs)
	}
	o.int("plugins_loaded", int64(s.PluginsLoaded))
	if len(s.PluginExtensions) > 0 {
		ext := openObject(nil)
		for _, name := range sortedNames(s.PluginExtensions) {
			raw, err := normalJSON(s.PluginExtensions[name])
			if err != nil {
				return errf("extension of plugin %s: %w", name, err)
			}
			ext.raw(name, raw)
		}
		o.raw("plugin_extensions", ext.close())
	}
	o.list("mcp_servers", 0, nil)
	o.text("prices_url", api+"/prices")
	o.text("generated_at", stamp(now))
	return nil
}

// ownCategories are those of this hub's newest head; none before there is one.
func (c *Catalog) ownCategories() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.mesh.own.head; h != nil {
		return h.Categories
	}
	return nil
}

// observed lists the pending hubs that may be named, the longest known first: those
// that this hub itself has read at a public address of theirs and whose key it saw.
// What others merely claim to exist is not passed on, or one stranger could have
// thousands of names published by everybody; and who speaks only by heads is not
// published before it is admitted.
func (c *Catalog) observed() []Peer {
	var out []Peer
	c.peersMu.RLock()
	for _, p := range c.peers {
		if p.Status == PeerPending && p.PublicKey != "" && !isKeyURL(p.URL) && !p.LastSeen.IsZero() && p.ManifestURL != "" {
			out = append(out, *p)
		}
	}
	c.peersMu.RUnlock()
	slices.SortFunc(out, func(a, b Peer) int {
		return cmp.Or(a.FirstSeen.Compare(b.FirstSeen), strings.Compare(a.URL, b.URL))
	})
	return out[:min(len(out), maxObservedHubs)]
}
