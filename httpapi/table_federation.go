package httpapi

import "net/http"

func (s *Server) federationRoutes() []*route {
	return append(append(s.knownRoutes(), s.operatorRoutes()...), s.trustRoutes()...)
}

// knownRoutes show which hubs are known, and make others known.
func (s *Server) knownRoutes() []*route {
	return []*route{
		{
			method: http.MethodPost, path: prefix + "/federation/announce", id: "announce", tag: "federation",
			summary: "Make a hub known here",
			notes:   "An announced hub waits as pending until this hub's operator or its admission policy admits it. With the admin token the announcement also records the hub's name, key and count.",
			takes: object(
				req("hub_url", text().length(1, 256).gated(text().matching(httpURL))),
				opt("well_known_url", text().orNull().length(0, 256).gated(text().matching(`^(https?://[^\s]+)?$`))),
				opt("capabilities_count", integer().orNull().between(0, 1e9)),
				opt("hub_name", text().orNull().length(0, 128)),
				opt("signer_public_key", text().orNull().length(0, 128)),
				opt("signature", object().orNull()),
			),
			answers: []answer{ok("What the announcement led to.", announceSchema),
				no(http.StatusBadRequest, "The address may not be stored: malformed, private or unresolvable."),
				noToken401, wrong403, adminOff503,
				no(http.StatusTooManyRequests, "rate_limited, or pending_full: too many hubs wait to be admitted.")},
			handle: s.announce,
		},
		{
			method: http.MethodGet, path: prefix + "/federation/peers", id: "peers", tag: "federation",
			summary: "Hubs this one works with, and hubs that wait to be admitted",
			notes:   "With the admin token also those that the operator rejected.",
			answers: []answer{ok("The peers.", peersSchema)},
			handle:  s.listPeers,
		},
		{
			method: http.MethodGet, path: prefix + "/federation/preview", id: "preview", tag: "federation",
			summary: "What a hub that waits to be admitted offers",
			notes:   "At most 25 rows are kept of each. Neither search, nor the manifest, nor any call ever sees them.",
			params: []param{
				query(req("url", text().length(1, 256))),
				query(opt("limit", integer().atLeast(0).about("At most 500.").or(defaultPreview))),
			},
			answers: []answer{ok("Its rows; none for a hub that is unknown or admitted.", previewSchema)},
			handle:  s.preview,
		},
	}
}

// operatorRoutes decide about hubs.
func (s *Server) operatorRoutes() []*route {
	unheard := no(http.StatusNotFound, "Never heard of.")
	taken := no(http.StatusConflict, "duplicate_identity: its key is active at another URL; or active_full.")
	admin := func(more ...answer) []answer { return append(more, noToken401, wrong403, adminOff503) }
	return []*route{
		{
			method: http.MethodPost, path: prefix + "/federation/peers/approve", id: "approvePeer", tag: "federation", access: operator,
			summary: "Admit a pending hub, or send an active one back",
			notes:   "An admitted hub is read at once, after the answer.",
			takes:   object(req("url", text().length(1, 256)), opt("trusted", boolean().orNull().or(true))),
			answers: admin(ok("The hub's new state.", decidedSchema), unheard, taken),
			handle:  s.approvePeer,
		},
		{
			method: http.MethodPost, path: prefix + "/federation/peers/reject", id: "rejectPeer", tag: "federation", access: operator,
			summary: "Say no to a pending hub, for good",
			notes:   "Nothing that it or others say reopens it; approving or removing it does.",
			takes:   object(req("url", text().length(1, 256))),
			answers: admin(ok("The hub's new state.", decidedSchema), unheard, no(http.StatusConflict, "rejected_full: this many rejected hubs are remembered; remove some.")),
			handle:  s.rejectPeer,
		},
		{
			method: http.MethodPost, path: prefix + "/federation/peers/repin", id: "repinPeer", tag: "federation", access: operator,
			summary: "Give a hub another key",
			notes:   "For a hub in state key_mismatch whose new key you have checked with its operator by other means.",
			takes:   repinRequest,
			answers: admin(ok("The hub with its key.", repinSchema), unheard, taken,
				no(http.StatusBadRequest, "invalid_key: no usable key, none to take, or the previous one is not the present pin; pq_unsupported.")),
			handle: s.repinPeer,
		},
		{
			method: http.MethodDelete, path: prefix + "/federation/peers", id: "removePeer", tag: "federation", access: operator,
			summary: "Forget a hub",
			params:  []param{query(req("url", text().length(1, 256)))},
			answers: admin(ok("Forgotten.", object(req("url", text()), req("deleted", boolean()), req("status", text()))), unheard),
			handle:  s.removePeer,
		},
		{
			method: http.MethodPost, path: prefix + "/federation/crawl", id: "crawl", tag: "federation", access: operator,
			summary: "Read the seeds and every hub they lead to, now",
			notes:   "The answer comes when the cycle is over, which may take minutes; a cycle under way is joined.",
			answers: admin(ok("What happened.", crawlSchema), no(http.StatusNotImplemented, "crawl_unavailable: this hub runs without a crawler.")),
			handle:  s.crawlNow,
		},
	}
}

// trustRoutes show and collect experiences with hubs.
func (s *Server) trustRoutes() []*route {
	return []*route{
		{
			method: http.MethodPost, path: prefix + "/reputation/events", id: "reportEvents", tag: "federation",
			summary: "Report experiences with hubs, signed by the hub that had them",
			notes:   "Each event counts once, if its consumer_hub is a peer of this hub that signed it within 24 hours. What does not count is counted as rejected or replayed, never refused.",
			takes:   reportsRequest, maxBody: maxReportsBody,
			answers: []answer{ok("How many counted.", reportsSchema), no(http.StatusTooManyRequests, "rate_limited.")},
			handle:  s.takeEvents,
		},
		{
			method: http.MethodGet, path: prefix + "/reputation/slashes", id: "slashes", tag: "federation",
			summary: "Bonds that were taken from hubs; none is held here, so none ever was",
			answers: []answer{ok("The log.", slashesSchema)},
			handle:  s.slashes,
		},
		{
			method: http.MethodGet, path: reputationRoute + "*", id: "reputation", tag: "federation",
			summary: "Trust in a hub and what it rests on",
			notes:   "The rest of the path is the hub's URL, percent-encoded or as it is; libp2p:// and a key in hex names a hub without an address.",
			params:  []param{inPath(req("hub_url", text().like("https://hub.example")))},
			answers: []answer{ok("The trust score; a hub that nobody has seen gets a stranger's.", reputationSchema), no(http.StatusNotFound, "No hub was named.")},
			handle:  s.reputation,
		},
	}
}
