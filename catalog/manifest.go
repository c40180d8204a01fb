package catalog

import (
	"context"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// bigTool is the size from which a tool waits for the others: publishers of huge
// schemas must not push everybody else out of the manifest.
const bigTool = 16 << 10

// manifestReserve is what the manifest needs beside its tools.
const manifestReserve = 4 << 10

// Manifest returns the current signed manifest: at most MaxListed rows that can be
// called, the hub's own first and then by trust, in at most MaxDocumentBytes. It is
// cached and signed anew only when its content changes or grows old.
func (c *Catalog) Manifest(ctx context.Context) (Document, error) {
	return c.document(ctx, "manifest", &c.manifest, "", c.writeManifest, canon.ManifestMessage)
}

func (c *Catalog) writeManifest(o *object, now time.Time) error {
	rows, err := c.listed(now)
	if err != nil {
		return err
	}
	peers := c.Peers(PeerActive)
	total, local := c.total.Load(), c.local.Load()
	o.text("protocol_version", documentVersion)
	o.text("generated_at", stamp(now))
	o.text("base_url", c.cfg.HubURL)
	o.int("total_capabilities", total)
	o.int("local_capabilities", local)
	o.int("federated_capabilities", max(0, total-local))
	o.int("hubs_indexed", int64(len(peers)))
	hubs := openObject(nil)
	c.writeHubs(&hubs, peers, now)
	byHub := hubs.close()
	tools := make([][]byte, len(rows))
	for i, r := range rows {
		tools[i] = appendTool(nil, r, c.route(r.SourceHub, now))
	}
	picked := pick(tools, MaxDocumentBytes-manifestReserve-len(byHub))
	c.omitted.Store(int64(len(tools) - len(picked)))
	o.list("tools", len(picked), func(dst []byte, i int) []byte { return append(dst, picked[i]...) })
	o.raw("by_hub", byHub)
	return nil
}

// pick returns the tools that fit into room bytes, in their order: first as many
// ordinary ones as fit, then big ones where they still do.
func pick(tools [][]byte, room int) [][]byte {
	keep := make([]bool, len(tools))
	n := 0
	for _, big := range []bool{false, true} {
		for i, t := range tools {
			if (len(t) >= bigTool) == big && len(t)+1 <= room {
				keep[i] = true
				room -= len(t) + 1
				n++
			}
		}
	}
	out := make([][]byte, 0, n)
	for i, t := range tools {
		if keep[i] {
			out = append(out, t)
		}
	}
	return out
}

// appendTool prints one row as the manifest lists it. What has no value is left out.
func appendTool(dst []byte, r *Capability, route Route) []byte {
	o := openObject(dst)
	o.text("name", r.ProductID+"."+r.Name+"@"+r.Version)
	o.text("display_name", r.Name)
	o.text("version", r.Version)
	o.text("description", r.Description)
	o.raw("input_schema", r.InputSchema)
	o.raw("output_schema", r.OutputSchema)
	o.micros("price_per_call_usd", r.PriceMicros)
	o.int("p50_latency_ms", int64(r.P50LatencyMS))
	o.float("success_rate_30d", r.SuccessRate30d)
	o.text("reputation_basis", r.ReputationBasis())
	o.int("observations_30d", r.Observations30d)
	o.text("product_id", r.ProductID)
	o.text("capability_id", r.CapabilityID)
	o.text("source_hub", r.SourceHub)
	o.text("source_hub_name", r.SourceHubName)
	o.micros("routed_price_usd", r.RoutedMicros)
	o.int("routing_fee_bps", int64(r.RoutingFeeBps))
	o.float("trust_score", r.TrustScore)
	o.text("route_status", route.Status)
	o.textIf("invoke_url", r.InvokeURL)
	return o.close()
}

// writeHubs prints by_hub: this hub, which is always there, and the active peers, the
// most trusted first where they are too many.
func (c *Catalog) writeHubs(o *object, peers []PeerInfo, now time.Time) {
	o.nest(Local, func(h *object) {
		h.int("capabilities_count", c.local.Load())
		h.float("trust_score", 1)
		h.text("trust_basis", basisSelf)
		h.int("observations_30d", c.table.byHub()[Local].calls)
		h.text("last_crawl", stamp(now))
	})
	for i := range peers[:min(len(peers), maxDiscoveryPeers)] {
		p := &peers[i]
		o.nest(p.URL, func(h *object) {
			h.int("capabilities_count", int64(p.Capabilities))
			h.float("trust_score", p.Reputation.TrustScore)
			h.text("trust_basis", p.Reputation.Basis)
			h.int("observations_30d", p.Reputation.Observations)
			if !p.LastCrawl.IsZero() {
				h.text("last_crawl", stamp(p.LastCrawl))
			}
		})
	}
}
