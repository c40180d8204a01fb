package httpapi

// The shapes of the federation routes (federation notes §4 and §5).

// peerCommon are the members that a hub has in every list.
var peerCommon = []prop{
	req("url", text()), req("name", text()), req("last_crawl", text().about("When its catalogue was last confirmed as current; empty: never.")),
	req("trusted", boolean()), req("status", text().oneOf("active", "key_mismatch", "pending", "rejected")),
	req("why", text().about("Why it has this status, and what would change it.")),
	req("well_known_url", text()), req("categories", list(text())), req("depth", integer()),
	req("discoverer", text().about("How it became known.")), req("first_seen", text()), req("last_seen", text().about("Its last signed sign of life, or answer; empty: none.")),
	req("public_key", text().about("The pinned key in base64; empty until one is known.")),
	req("advertised_public_key", text().about("Another key that its own address showed.")),
	req("peer_id", text().about("libp2p peer ID of the pinned key.")),
	req("canonical_id", text().about("URL at which its key is at home here; empty while no key is known.")),
	req("identity_key_matches", boolean().orNull().about("Its address shows the pinned key; null while no key is known.")),
	req("declared", object(req("description", text()), req("hub_version", text()), req("id", text()), req("mcp_endpoint", text())).about("What it says of itself.")),
	opt("claimed_url", text().about("An address that it claims and nobody confirmed.")),
	opt("multiaddrs", list(text())), opt("sequence", integer().about("Of its newest head over the mesh.")), opt("head_time", text()), opt("head_expires", text()),
	opt("equivocations", integer().about("Times it signed two listings under one sequence.")),
	opt("trial", object(
		req("at", text()), req("passed", boolean()), req("detail", text()), req("url_confirmed", boolean()), req("failures", integer()),
		req("next", text()), req("latency_ms", integer()), req("product_id", text()), req("capability_id", text()),
	).about("The newest attempt to admit it by the verified policy.")),
	opt("link", object(
		req("connected", boolean()), req("address", text()), req("relayed", boolean()), req("latency_ms", number()),
	).about("Its present connection over the mesh; absent where this hub speaks HTTP only.")),
}

// weights are the protocol's of each factor; factors what a hub reaches of each, 0…1.
func weights() []prop {
	return []prop{req("age", number()), req("bond", number()), req("success_rate", number()), req("volume", number())}
}

func factorSchema() *schema {
	return object(append(weights(), req("penalty", number().about("Share of the weighed sum that is taken off for what the hub signed against itself.")))...)
}

var (
	announceSchema = object(
		req("acknowledged", boolean()), req("peer_added", boolean()), req("url", text()), req("status", text().about("pending, or known if it was known before.")),
		req("trusted", boolean()), req("assay_scheduled", boolean().about("This hub will try to admit it by itself.")), req("note", text()),
	).named("Announced")

	peerSchema = object(append([]prop{
		req("capabilities_count", integer()), req("trust_score", number()), req("trust_basis", text()), req("trust_factors", factorSchema()),
		req("observations_30d", integer()), req("pin_reject_reason", text()), req("route_status", text().oneOf("live", "stale", "unavailable")),
		req("away", boolean().about("Silent for so long that its capabilities are off until it is heard again.")),
	}, peerCommon...)...).named("Peer")

	pendingSchema = object(append([]prop{
		req("preview_capabilities", integer().about("Rows that /federation/preview shows.")), req("declared_capabilities", integer()),
		req("assay_verdict", text().oneOf("", "pass", "fail")),
	}, peerCommon...)...).named("PendingPeer")

	peersSchema = object(
		req("peers", list(peerSchema).about("Those whose key changed first, then by trust.")), req("count", integer()),
		req("pending", list(pendingSchema)), req("pending_count", integer()),
		opt("rejected", list(pendingSchema).about("For the operator only.")), opt("rejected_count", integer()),
		req("open_federation", boolean()), req("observation_gossip", boolean()), req("admission", text().oneOf("closed", "verified", "open")),
	).named("Peers")

	previewSchema = object(
		req("capabilities", list(object(
			req("product_id", text()), req("capability_id", text()), req("source_hub", text()), req("source_hub_name", text()), req("name", text()), req("version", text()),
			req("description", text()), req("price_per_call_usd", number()), req("p50_latency_ms", number()),
			req("input_schema", object()), req("output_schema", object()), req("quarantined", boolean()),
		))),
		req("count", integer()), req("quarantined", boolean()), req("note", text()),
	).named("Preview")

	decidedSchema = object(
		req("url", text()), req("trusted", boolean()), req("status", text()), req("peer_status", text()),
		opt("crawl_scheduled", boolean()),
	).named("PeerDecision")

	repinSchema = object(
		req("status", text()),
		req("peer", object(
			req("url", text()), req("public_key", text()), req("previous_public_key", text()), req("pq_public_key", text()), req("previous_pq_public_key", text()),
			req("rotated", list(text())), req("trusted", boolean()), req("status", text()),
		)),
		req("crawl", object().orNull()),
	).named("Repinned")

	crawlSchema = object(
		req("status", text()),
		req("stats", object(req("discovered", integer()), req("indexed", integer()), req("errors", integer()), req("peers_found", integer()))),
		req("truncated", boolean().about("A bound ended the cycle early.")),
		req("hubs", list(object()).about("What happened at each hub.")),
	).named("Crawl")

	reputationSchema = object(
		req("hub_url", text()), req("trust_score", number()), req("basis", text()), req("observations_30d", integer()),
		opt("status", text()), opt("why", text()),
		req("details", object(req("provider_hub", text()), req("trust_score", number()), req("weights", object(weights()...)), req("factors", factorSchema()), req("evidence", list(object(
			req("factor", text()), req("source", text().about("self: this hub's own knowledge; peers: signed events of others; hub: what the judged one signed.")), req("detail", text()),
			opt("count", integer()), opt("good", integer()),
		))))),
		req("recent_events", list(object(req("type", text()), req("timestamp", text()), req("price_usd", number()), req("latency_ms", number()), req("consumer_hub", text())))),
	).named("Reputation")

	reportsRequest = object(req("events", list(anything()).length(1, maxReports).about("Signed reputation events."))).named("ReputationEvents")
	reportsSchema  = object(req("received", integer()), req("rejected", integer()), req("replayed", integer())).named("EventCounts")
	slashesSchema  = object(req("hub_url", text()), req("slashes", list(object()))).named("Slashes")
)
