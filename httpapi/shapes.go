package httpapi

import "github.com/aimarket/aimarket/catalog"

// The shapes of bodies, requests first. Required members are what this hub always
// sends or always needs; clients rely on them (consumer contract §3).

// maxRegisterBody has room for two schemas of the size that manifests may carry.
const maxRegisterBody = 600 << 10

// Forms of text in requests.
const (
	httpURL = `^https?://[^\s]+$`
	noBreak = `^[^\x00-\x1f\x7f-\x9f]*$` // what is signed or logged line by line
	utcTime = `^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$`
	anyID   = `^[A-Za-z0-9_.@-]+$`
)

// publisherID is who publishes; the catalogue words what is wrong with one.
func publisherID() *schema {
	return text().orNull().length(0, 128).gated(text().matching(`^[A-Za-z0-9][A-Za-z0-9._:@-]*$`)).about("May be left out where the token names the publisher.")
}

var (
	invokeRequest = object(
		req("capability_id", text().length(2, 80).gated(text().matching(anyID)).like("echo@v1")),
		opt("product_id", text().orNull().matching(`^([\s\S]{2,80})?$`).about("May be left out or guessed: the capability id decides.")),
		opt("source_hub", text().orNull().length(0, 256).about("local, or the hub's URL as search gave it.").or("local")),
		opt("input", object().orNull().about("What the capability takes; see its input_schema in the manifest.").like(map[string]any{"text": "hello"})),
		opt("max_price_usd", number().orNull().between(0, 1_000_000).about("Refuse the call if it costs more.")),
		opt("verify", object(
			opt("requested", boolean().orNull().or(true)),
			opt("intent", anything().about("What the answer will be judged by: text of at most 20000 characters.")),
			opt("mode", text().orNull().oneOf("auto", "fast", "thinking", "council", "agent")),
			opt("wait", boolean().orNull()),
			opt("wait_timeout_s", number().orNull().between(1, 300)),
		).orNull()),
		opt("payment_authorization", object().orNull().about("Accepted and ignored while no escrow chain backs the money.")),
	).named("InvokeRequest")

	openRequest = object(
		req("deposit_usd", number().over(0).atMost(10_000).gated(number().atLeast(0.000001)).like(5)),
		opt("token", text().orNull().length(0, 16).matching(noBreak).or(defaultToken)),
		opt("chain", text().orNull().length(0, 32).matching(noBreak).or(defaultChain)),
		opt("wallet", text().orNull().length(0, 128).matching(noBreak)),
		opt("tx_hash", text().orNull().length(0, 128).matching(noBreak).about("In demo mode anything, or nothing.")),
		opt("payer_signature", text().orNull().length(0, 256)),
		opt("escrow_channel_id", text().orNull().length(0, 66)),
		opt("owner_key", text().orNull().length(0, 128).about("Base64 Ed25519 key that may recover a lost secret.")),
	).named("OpenRequest")

	closeRequest = object(
		req("channel_id", text().length(8, 64)),
		opt("settle_tx_hash", text().orNull().length(0, 128).matching(noBreak)),
		opt("wallet", text().orNull().length(0, 128).matching(noBreak)),
	).named("CloseRequest")

	recoverRequest = object(
		req("channel_id", text().length(8, 64)),
		req("timestamp", text().matching(utcTime).about("The time that was signed, within five minutes of now.").like("2026-05-21T12:00:00Z")),
		req("signature", text().length(1, 256)),
	).named("RecoverRequest")

	registerRequest = object(
		req("product_id", text().matching(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`).gated(text().length(2, 80))),
		req("capability_id", text().length(2, 80).matching(`^.+@v[0-9]+$`).like("translate@v1")),
		req("name", text().length(1, 200)),
		req("invoke_url", text().length(8, 2048).gated(text().matching(httpURL))),
		opt("description", text().orNull().length(0, 4096)),
		opt("version", text().orNull().length(0, 32).or(defaultVersion)),
		opt("price_per_call_usd", number().orNull().between(0, 1000).or(0.01)),
		opt("input_schema", object().orNull()),
		opt("output_schema", object().orNull()),
		opt("p50_latency_ms", integer().orNull().between(0, 300_000).or(defaultLatencyMS)),
		opt("success_rate_30d", number().orNull().between(0, 1).or(defaultSuccessRate)),
		opt("publisher_id", publisherID()),
		opt("provider_pubkey", text().orNull().length(0, 128)),
	).named("RegisterRequest")
)

var (
	refusal = object(
		req("error", text().about("Stable code; on channel routes a sentence, with the code beside it.")),
		opt("detail", anything().about("What was refused, why, and what to do; a list of faults where a request does not fit its schema.")),
		opt("code", text()), opt("success", boolean()), opt("challenge", text()),
		opt("needed", number()), opt("balance", number()), opt("category", text()), opt("reason", text()),
		opt("refund", object(opt("refunded", boolean()))), opt("rejection_receipt", object()),
	).named("Refusal")

	validationError = object(
		req("error", text()), req("success", boolean()),
		req("detail", list(object(req("type", text()), req("loc", list(value("string", "integer"))), req("msg", text()), req("input", anything())))),
	).named("ValidationError")

	signature = object(req("algorithm", text()), req("value", text()), opt("public_key", text()), opt("version", integer())).named("Signature")

	signedDocument = object(req("signature", signature)).named("SignedDocument")

	matchSchema = object(
		req("product_id", text()), req("capability_id", text()), req("source_hub", text()), req("source_hub_name", text()),
		req("name", text()), req("version", text()), req("description", text()),
		req("score", number()), req("match_type", text()), req("matched_terms", list(text())),
		req("price_per_call_usd", number()), req("routed_price_usd", number()), req("routing_fee_bps", integer()),
		req("trust_score", number()), req("reputation_basis", text().about("What success_rate_30d rests on: measured, or unobserved if its publisher declared it.")), req("observations_30d", integer()),
		req("success_rate_30d", number()), req("p50_latency_ms", number()),
		req("publisher_id", text().orNull()), req("stake_usd", number().orNull()), req("demo", boolean()),
		req("route_status", text().oneOf(catalog.RouteLive, catalog.RouteStale, catalog.RouteUnavailable)),
		req("route_age_s", integer().about("Since the hub's catalogue was last confirmed.")),
		req("input_required", list(text()).about("Inputs that a call must have.")), req("input_hint", object().about("The type of each of them, where the schema names one.")),
	).named("Match")

	searchResult = object(
		req("query", text()), req("category", text().orNull()), req("matches", list(matchSchema)),
		req("total", integer()), req("offset", integer()), req("limit", integer()), req("has_more", boolean()),
		opt("empty_hint", text()), req("total_hubs_searched", integer()), req("protocol_version", text()),
	).named("SearchResult")

	receiptSchema = object(
		req("nonce", text()), req("product_id", text()), req("capability_id", text()), req("timestamp", text()), req("success", boolean()),
		opt("price_usd", number()), opt("list_price_usd", number()), opt("latency_ms", number()), req("signature", signature),
	).named("Receipt")

	invokeResult = object(
		req("success", boolean()), req("result", object()), req("price_usd", number()), req("latency_ms", number()),
		req("receipt", object()), opt("output", object()), opt("list_price_usd", number()), opt("safety_checked", boolean()),
		opt("plugins_checked", integer()), opt("remaining_balance", number()), opt("sandbox", boolean()), opt("remaining", integer()),
		opt("verification", object()), req("protocol_version", text()),
	).named("InvokeResult")

	receiptVerdictSchema = object(
		req("valid", boolean()), req("classical_valid", boolean()), req("pq_present", boolean()), req("pq_valid", boolean().orNull()),
		req("algorithm", text()), req("signature_version", integer().orNull()), req("signer_matches_live_key", boolean()),
		req("policy_requires_pq", boolean()), req("uncovered", list(text()).about("Members that the signature does not cover.")),
		opt("reason", text()), req("protocol_version", text()),
	).named("ReceiptVerdict")

	channelMembersSchema = []prop{
		req("channel_id", text()), req("balance_usd", number()), req("deposit_usd", number()), req("original_deposit_usd", number()),
		req("used_usd", number()), req("held_usd", number()), req("token", text()), req("chain", text()), req("verify_stub", boolean()),
		req("status", text()), req("opened_at", text()), req("expires_at", text()), req("invocations", integer()), req("money", text()), opt("notice", text()),
	}
	channelSchema = object(channelMembersSchema...).named("Channel")
	openResult    = object(req("channel", object(append([]prop{
		req("wallet", text()), req("tx_hash", text()), req("recipient", text()), req("channel_secret", text()),
	}, channelMembersSchema...)...))).named("OpenResult")

	obligationSchema = object(
		req("channel_id", text()), req("chain", text()), req("token", text()), req("amount_usd", number()), req("kind", text()), req("status", text()),
		req("money", text()), req("created_at", text()), req("paid_at", text()), opt("wallet", text()), opt("deposit_tx_hash", text()), opt("payout_tx_hash", text()),
	).named("Obligation")
	obligationOrNull = object().orNull()
	obligationList   = object(req("obligations", list(obligationSchema)), req("count", integer()), req("listed_owed_usd", number()), req("outstanding_obligations_usd", number())).named("ObligationList")

	closeResult = object(
		req("channel_id", text()), req("total_spent_usd", number()), req("refund_usd", number()), req("invocations", integer()),
		req("settlement", object(
			req("channel_id", text()), req("used_usd", number()), req("refund_usd", number()), req("refund_executed_usd", number()),
			req("refund_owed_usd", number()), req("refund_status", text().oneOf("owed", "none")), req("obligation", obligationOrNull),
			req("original_deposit_usd", number()), req("invocations", integer()), req("status", text()), req("settle_tx_hash", text()),
		)),
	).named("CloseResult")
	recoverResult = object(req("channel_id", text()), req("channel_secret", text())).named("RecoverResult")
)

var (
	sandboxQuota = object(req("enabled", boolean()), req("max_trials", integer()), req("used", integer()), req("remaining", integer()), req("visitor_id", text()), req("protocol_version", text())).named("SandboxQuota")

	stakeSchema    = object(req("publisher_id", text()), req("stake_usd", number()), req("trust_score", number()), req("verified", boolean()), req("protocol_version", text())).named("Stake")
	registerSchema = object(
		req("published", boolean()), req("product_id", text()), req("capability_id", text()), req("invoke_url", text()), req("publisher_id", text()),
		req("trust_score", number()), req("stake_usd", number()), req("price_per_call_usd", number()), req("search_hint", text()), req("protocol_version", text()),
	).named("Registration")
	unpublishSchema = object(req("unpublished", boolean()), req("product_id", text()), req("capability_id", text()), req("publisher_id", text()), req("protocol_version", text())).named("Unpublished")

	healthSchema = object(req("status", text()), req("service", text()), req("version", text()), req("uptime_seconds", integer())).named("Health")

	statsSchema = object(
		req("events", list(object(
			req("id", integer()), req("capability_id", text()), req("product_id", text()), req("source_hub", text()), req("price_usd", number()),
			req("latency_ms", integer()), req("success", integer()), req("timestamp", text()), req("consumer_hub", text()), req("traffic_class", text()),
		))),
		req("summary", object(
			req("total_invocations", integer()), req("successful_invocations", integer()), req("success_rate", number()), req("avg_price_usd", number()),
			req("avg_latency_ms", number()), req("revenue_per_hour_usd", number()), req("invocations_1h", integer()), req("invocations_24h", integer()),
			req("failed_invocations_24h", integer()), req("rps_1h", number()), req("p50_latency_ms_24h", integer().orNull()), req("p95_latency_ms_24h", integer().orNull()),
			req("peers_count", integer()), req("capabilities_count", integer()), req("federated_capabilities_count", integer()),
			req("open_channels", integer()), req("settled_volume_usd", number()), req("outstanding_obligations_usd", number()), req("hub_url", text()),
		)),
		req("protocol_version", text()),
	).named("Stats")

	pluginSchema = object(req("name", text()), req("version", text()), req("description", text()), req("homepage", text()), req("category", text()), req("hooks", list(text())), opt("status", text())).named("Plugin")
	pluginList   = object(req("plugins", list(pluginSchema)), req("count", integer()), req("discovery", text()), req("registry_url", text())).named("PluginList")
)
