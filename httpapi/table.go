package httpapi

import (
	"net/http"
	"regexp"
)

// visitorID is the form of a sandbox visitor's id.
var visitorID = regexp.MustCompile(`^[A-Za-z0-9_-]{8,64}$`)

// Standard outcomes of the table below.
func ok(about string, body *schema) answer {
	return answer{status: http.StatusOK, about: about, body: body}
}
func page200(about string) answer {
	return answer{status: http.StatusOK, about: about, media: "text/html"}
}
func no(status int, about string) answer { return answer{status: status, about: about, body: refusal} }

var (
	invalid422  = answer{status: http.StatusUnprocessableEntity, about: "The request does not fit its schema.", body: validationError}
	fault500    = no(http.StatusInternalServerError, "The hub stopped at an unexpected fault.")
	tooLarge413 = no(http.StatusRequestEntityTooLarge, "The body is larger than this route takes.")
	adminOff503 = no(http.StatusServiceUnavailable, "The hub runs without an admin token.")
	noToken401  = no(http.StatusUnauthorized, "No Bearer token was sent.")
	wrong403    = no(http.StatusForbidden, "The Bearer token is wrong.")
	unchanged   = answer{status: http.StatusNotModified, about: "The caller's copy is still the present one.", media: "-"}
)

// routes is the table of everything this surface serves. Order is the order of the
// OpenAPI document.
func (s *Server) routes() []*route {
	var all []*route
	for _, part := range [][]*route{
		s.marketRoutes(), s.callRoutes(), s.channelRoutes(), s.supplyRoutes(),
		s.federationRoutes(), s.stateRoutes(), s.pageRoutes(),
	} {
		all = append(all, part...)
	}
	for _, rt := range all {
		rt.answers = append(rt.answers, fault500)
		if rt.takes != nil {
			rt.answers = append(rt.answers, tooLarge413)
			if !rt.documents(http.StatusBadRequest) {
				rt.answers = append(rt.answers, no(http.StatusBadRequest, "The body ended before it was complete."))
			}
		}
		if (rt.takes != nil || rt.checksQuery()) && !rt.documents(http.StatusUnprocessableEntity) {
			rt.answers = append(rt.answers, invalid422)
		}
	}
	return all
}

func (rt *route) documents(status int) bool {
	for _, a := range rt.answers {
		if a.status == status {
			return true
		}
	}
	return false
}

func (rt *route) checksQuery() bool {
	for _, p := range rt.params {
		if p.in == "query" {
			return true
		}
	}
	return false
}

func (s *Server) marketRoutes() []*route {
	document := func(path, id, summary string, handle func(http.ResponseWriter, *http.Request, *route)) *route {
		return &route{method: http.MethodGet, path: path, id: id, tag: "market", summary: summary, handle: handle,
			params:  []param{header(opt("If-None-Match", text().about("ETag of the copy that the caller has.")))},
			answers: []answer{ok("The signed document. Verify the signature over the bytes as received.", signedDocument), unchanged}}
	}
	return []*route{
		document("/.well-known/ai-market.json", "discovery", "What this hub is, where everything is, and the key it signs with", s.discovery),
		document(prefix+"/manifest", "manifest", "Every capability with its schemas and price", s.manifest),
		document(prefix+"/prices", "prices", "The prices alone", s.prices),
		{
			method: http.MethodGet, path: prefix + "/search", id: "search", tag: "market",
			summary: "Find capabilities by what they should do",
			notes:   "Ranked by relevance first and by quality second; score, match_type and matched_terms explain each rank. Unknown parameters are ignored.",
			params: []param{
				query(opt("intent", text().length(0, maxIntent).about("What the capability should do, in plain words; product:<id> looks a product up; empty browses.").like("hash a text"))),
				query(opt("budget", number().atLeast(0).about("Most that one call may cost in USD, routing fee included.").like(0.05))),
				query(opt("budget_usd", number().atLeast(0).about("Older name of budget."))),
				query(opt("category", text().length(0, maxCategory).about("Empty: any."))),
				query(opt("max_latency_ms", integer().atLeast(0).about("Highest median latency; 0: any."))),
				query(opt("min_trust", number().atLeast(0).about("Lowest trust, 0 to 1; the hub's own floor if absent."))),
				query(opt("hub", text().length(0, maxHub).about("any, local, or the URL of a hub.").or("any"))),
				query(opt("limit", integer().atLeast(0).about("Matches per page, at most 100; 0: as many as there are.").or(defaultMatches))),
				query(opt("offset", integer().atLeast(0).or(0))),
				query(opt("include_demo", boolean().or(false))),
				query(opt("include_stale", boolean().or(false))),
			},
			answers: []answer{ok("The matches, best first.", searchResult)},
			handle:  s.search,
		},
	}
}

func (s *Server) callRoutes() []*route {
	return []*route{
		{
			method: http.MethodPost, path: prefix + "/invoke", id: "invoke", tag: "call",
			summary: "Call a capability",
			notes: "Unpaid calls are refused before anything runs; a call that fails releases its hold. The answer leaves after its debit is on disk. " +
				"With an Idempotency-Key the same request returns the first answer again and is billed once. " +
				"X-AIMarket-Affiliate, X-Market-Signature and X-AIMarket-Route-Ok are accepted and not used; so is payment_authorization while no escrow chain backs the money.",
			params: []param{
				header(opt("X-Payment-Channel", text().about("Channel that pays."))),
				header(opt("X-Payment-Channel-Secret", text().about("The secret that channel/open returned."))),
				header(opt("X-AIMarket-Sandbox-Visitor", text().matching(`^([A-Za-z0-9_-]{8,64})?$`).about("A free trial instead of a payment."))),
				header(opt("X-API-Key", text().about("This hub keeps no credit accounts; a call that only a key would pay is answered 401."))),
				header(opt("Idempotency-Key", text().length(1, maxIdempotencyKey).matching(`^[!-~]+$`).about("Visible ASCII; a UUID is a good one."))),
			},
			takes: invokeRequest, maxBody: s.cfg.MaxInvokeBody, form: formInvoke,
			answers: []answer{
				ok("The result and its signed receipt.", invokeResult),
				no(http.StatusBadRequest, "Malformed id, header or input; sandbox_conflict; verify_invalid."),
				no(http.StatusUnauthorized, "invalid_api_key: nothing but an API key came with a priced call."),
				no(http.StatusPaymentRequired, "payment_required, with needed and balance in USD, or payment_failed."),
				no(http.StatusForbidden, "safety_blocked or plugin_blocked_response, with category, reason and refund."),
				no(http.StatusNotFound, "No such capability or hub."),
				no(http.StatusConflict, "price_limit_exceeded."),
				no(http.StatusTooManyRequests, "rate_limited, trial_quota_exhausted or rate_limit_exceeded."),
				no(http.StatusBadGateway, "The provider failed; nothing was billed."),
				no(http.StatusServiceUnavailable, "Nothing here can run this capability now; nothing was billed."),
				{status: http.StatusUnprocessableEntity, about: "The body does not fit its schema, or request_id_reused: the Idempotency-Key belongs to another request.", body: refusal},
			},
			handle: s.invoke,
		},
		{
			method: http.MethodGet, path: prefix + "/sandbox/quota", id: "sandboxQuota", tag: "call",
			summary: "How many free trials a visitor has left",
			params:  []param{query(opt("visitor_id", text().length(0, 256).about("8 to 64 of A-Z a-z 0-9 _ -; anything else counts as a new visitor.")))},
			answers: []answer{ok("The quota.", sandboxQuota)},
			handle:  s.sandboxQuota,
		},
		{
			method: http.MethodPost, path: prefix + "/receipts/verify", id: "verifyReceipt", tag: "receipts",
			summary: "Check a receipt's signature",
			notes:   "valid says that the signature holds under this hub's key or the key that the receipt names; signer_matches_live_key says that it is this hub's. Whole numbers are tried in both spellings, 1 and 1.0.",
			takes:   object(req("receipt", object().about("The receipt as issued."))), maxBody: MaxReceiptBody,
			answers: []answer{ok("The verdict.", receiptVerdictSchema)},
			handle:  s.verifyReceipt,
		},
		{
			method: http.MethodGet, path: prefix + "/receipts/{nonce}", id: "receipt", tag: "receipts",
			summary: "An issued receipt, byte for byte as it was sent",
			params:  []param{inPath(req("nonce", text()))},
			answers: []answer{ok("The receipt.", receiptSchema), no(http.StatusNotFound, "receipt_not_found.")},
			handle:  s.showReceipt,
		},
		{
			method: http.MethodGet, path: prefix + "/verification/{nonce}", id: "verification", tag: "receipts",
			summary: "State of a verified settlement; this hub runs no verifier, so none is ever found",
			params:  []param{inPath(req("nonce", text()))},
			answers: []answer{no(http.StatusNotFound, "verification_not_found.")},
			handle:  s.showVerification,
		},
	}
}

func (s *Server) channelRoutes() []*route {
	id := inPath(req("id", text()))
	off := no(http.StatusServiceUnavailable, "crypto_disabled: this hub takes no money; or the channel is busy.")
	limited := no(http.StatusTooManyRequests, "rate_limited.")
	return []*route{
		{
			method: http.MethodPost, path: prefix + "/channel/open", id: "openChannel", tag: "channels",
			summary: "Open a prepaid channel",
			notes:   "The channel_secret is shown once; every call on the channel needs it. Name an owner_key to be able to recover a lost secret. With an Idempotency-Key of 16 to 128 hard-to-guess characters the same request returns the same channel.",
			params: []param{
				header(opt("Idempotency-Key", text().length(16, maxIdempotencyKey).matching(`^[!-~]+$`).about("Visible ASCII, hard to guess: a UUID."))),
				header(opt("X-AIMarket-Sandbox-Visitor", text().about("With it, a deposit whose tx_hash is not of the form 0x… is refused: the visitor's free trials need no channel."))),
			},
			takes: openRequest, form: formChannel,
			answers: []answer{ok("The channel and its secret.", openResult), {status: http.StatusBadRequest, about: "The ledger refused, and says why; a missing payer proof comes with the challenge to sign; sandbox_conflict.", body: refusal}, off, limited},
			handle:  s.openChannel,
		},
		{
			method: http.MethodPost, path: prefix + "/channel/close", id: "closeChannel", tag: "channels",
			summary: "Close a channel and settle it",
			notes:   "A channel without a wallet needs no secret to be closed. The totals are sent flat and under settlement; they agree.",
			params:  []param{header(opt("X-Payment-Channel-Secret", text()))},
			takes:   closeRequest, form: formChannel,
			answers: []answer{ok("The settlement.", closeResult), no(http.StatusBadRequest, "The channel is closed already, calls are running, or secret or wallet do not match."), no(http.StatusNotFound, "channel not found."), off, limited},
			handle:  s.closeChannel,
		},
		{
			method: http.MethodPost, path: prefix + "/channel/recover", id: "recoverChannel", tag: "channels",
			summary: "Replace a lost channel secret",
			notes:   "The proof is a signature over AIMarket-Channel-Recover/v1, hub:<url>, channel:<id>, time:<timestamp>, joined by line feeds: EIP-191 by the channel's wallet, or Ed25519 in base64 by its owner_key.",
			takes:   recoverRequest, form: formChannel,
			answers: []answer{ok("The new secret; the old one no longer works.", recoverResult), no(http.StatusBadRequest, "The proof does not hold; challenge is the text to sign."), no(http.StatusNotFound, "channel not found."), off, limited},
			handle:  s.recoverChannel,
		},
		{
			method: http.MethodGet, path: prefix + "/channel/obligations", id: "obligations", tag: "channels", access: operator,
			summary: "Remainders of ended channels that the operator owes",
			params: []param{
				query(opt("status", text().oneOf("", "owed", "paid").about("Empty: both."))),
				query(opt("limit", integer().atLeast(0).about("At most 1000.").or(defaultObligations))),
			},
			answers: []answer{ok("The obligations.", obligationList), noToken401, wrong403, adminOff503},
			handle:  s.listObligations,
		},
		{
			method: http.MethodPost, path: prefix + "/channel/obligations/{id}/paid", id: "payObligation", tag: "channels", access: operator,
			summary: "Record that an obligation was paid out",
			params:  []param{id},
			takes:   object(req("payout_tx_hash", text().length(1, 128).gated(text().matching(noBreak)).about("The payout; it is recorded, not looked up."))),
			answers: []answer{ok("The obligation, now paid.", object(req("obligation", obligationSchema))), no(http.StatusBadRequest, "The ledger refused, and says why."), noToken401, wrong403, adminOff503, no(http.StatusNotFound, "No obligation of that channel."), no(http.StatusConflict, "Paid already by another transaction.")},
			handle:  s.payObligation,
		},
		{
			method: http.MethodGet, path: prefix + "/channel/{id}", id: "channel", tag: "channels",
			summary: "A channel's balance; neither secret nor wallet are shown",
			params:  []param{id},
			answers: []answer{ok("The channel.", channelSchema), no(http.StatusNotFound, "channel not found."), no(http.StatusServiceUnavailable, "crypto_disabled: this hub takes no money.")},
			handle:  s.showChannel,
		},
	}
}
