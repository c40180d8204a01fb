package httpapi

import "net/http"

func (s *Server) supplyRoutes() []*route {
	answers := func(done answer) []answer {
		return []answer{done, no(http.StatusBadRequest, "A publishing gate refused; error names it."), noToken401,
			no(http.StatusForbidden, "The Bearer token is wrong, or of another publisher."),
			no(http.StatusServiceUnavailable, "Publishing is not configured in production, or the catalogue is full.")}
	}
	return []*route{
		{
			method: http.MethodPost, path: prefix + "/supply/stake", id: "stake", tag: "supply", access: publishers,
			summary: "Declare a publisher's stake; it counts as unverified until a chain backs it",
			takes: object(
				opt("publisher_id", publisherID()),
				req("amount_usd", number().gated(number().between(0.000001, 1e9))),
				opt("tx_hash", text().orNull().length(0, 128)),
				opt("payer_signature", text().orNull().length(0, 256)),
			),
			answers: answers(ok("The publisher's standing.", stakeSchema)),
			handle:  s.stake,
		},
		{
			method: http.MethodPost, path: prefix + "/supply/register", id: "register", tag: "supply", access: publishers,
			summary: "List a capability that runs at your own endpoint",
			notes: "The hub POSTs {input, product_id, capability_id} to invoke_url and takes the answer's result. With provider_pubkey every answer must carry X-Provider-Signature. " +
				"Registering the same ids again replaces the row, price and description included. A replacement counts against the publisher's hourly limit like a first listing: every change travels to all hubs.",
			takes: registerRequest, maxBody: maxRegisterBody,
			answers: answers(ok("The listing.", registerSchema)),
			handle:  s.register,
		},
		{
			method: http.MethodDelete, path: prefix + "/supply/{product_id}/{capability_id}", id: "unpublish", tag: "supply", access: publishers,
			summary: "Take your capability off this hub",
			notes:   "The publisher may stand in the query or, as for register, in a JSON body; the token's own is taken otherwise. It is gone from every hub of the mesh as soon as the change has reached it.",
			params: []param{
				inPath(req("product_id", text())), inPath(req("capability_id", text())),
				query(opt("publisher_id", text().length(0, 128).about("May be left out where the token names the publisher, and by the operator."))),
			},
			answers: append(answers(ok("It is no longer listed.", unpublishSchema)), tooLarge413, no(http.StatusNotFound, "unknown_capability: not listed by this hub itself.")),
			handle:  s.unpublish,
		},
	}
}

func (s *Server) stateRoutes() []*route {
	health := func(path, id string, hidden bool) *route {
		return &route{method: http.MethodGet, path: path, id: id, tag: "state", summary: "The hub is up", hidden: hidden,
			answers: []answer{ok("Alive.", healthSchema)}, handle: s.health}
	}
	return []*route{
		health(prefix+"/health", "health", false),
		health("/health", "healthRoot", false),
		{
			method: http.MethodGet, path: "/healthz", id: "live", tag: "state", summary: "Liveness probe",
			answers: []answer{ok("Alive.", object(req("status", text())))}, handle: s.live,
		},
		{
			method: http.MethodGet, path: "/readyz", id: "ready", tag: "state", summary: "Readiness probe",
			answers: []answer{ok("Ready.", object(req("status", text()))), no(http.StatusServiceUnavailable, "Not ready; unmet says why.")}, handle: s.ready,
		},
		{
			method: http.MethodGet, path: "/metrics", id: "metrics", tag: "state", access: metricsReader, summary: "Prometheus metrics, if they are published",
			answers: []answer{{status: http.StatusOK, about: "The metrics.", media: "text/plain"}, noToken401, wrong403, no(http.StatusNotFound, "Metrics are not published here.")},
			handle:  s.metricsPage,
		},
		{
			method: http.MethodGet, path: prefix + "/stats/live", id: "stats", tag: "state", summary: "The newest calls and the hub's totals; poll it",
			params:  []param{query(opt("limit", integer().atLeast(0).about("Events, at most 200.").or(defaultEvents)))},
			answers: []answer{ok("Events, newest first, and totals.", statsSchema)},
			handle:  s.liveStats,
		},
		{
			method: http.MethodGet, path: prefix + "/plugins", id: "plugins", tag: "plugins", summary: "Plugins of this hub and the hooks they use",
			answers: []answer{ok("The plugins.", pluginList)}, handle: s.listPlugins,
		},
		{
			method: http.MethodGet, path: prefix + "/plugins/registry", id: "pluginRegistry", tag: "plugins", summary: "Registry of plugins; empty here",
			answers: []answer{ok("The registry.", object(req("registry_version", text()), req("plugins", list(object())), opt("note", text())))}, handle: s.pluginRegistry,
		},
		{
			method: http.MethodGet, path: prefix + "/plugins/{name}", id: "plugin", tag: "plugins", summary: "One plugin",
			params:  []param{inPath(req("name", text()))},
			answers: []answer{ok("The plugin.", pluginSchema), no(http.StatusNotFound, "Not loaded.")}, handle: s.showPlugin,
		},
	}
}

func (s *Server) pageRoutes() []*route {
	var all []*route
	for _, p := range []struct{ path, id, name, summary string }{
		{"/", "home", "home", "The hub, live, for people"},
		{"/live", "livePage", "live", "Calls as they happen"},
		{"/mesh", "meshPage", "mesh", "The hubs that this one knows, as a picture"},
		{"/developers", "developersPage", "developers", "How to buy and sell here"},
		{"/plugins/demo", "pluginsPage", "plugins", "The plugins, for people"},
		{"/widget/demo", "widgetPage", "widget", "Search, pay, call and verify in the browser"},
		{"/docs", "docs", "docs", "This document, for people"},
	} {
		all = append(all, &route{method: http.MethodGet, path: p.path, id: p.id, tag: "pages", summary: p.summary,
			answers: []answer{page200("The page.")},
			handle:  func(w http.ResponseWriter, r *http.Request, _ *route) { s.sendPage(w, p.name, http.StatusOK) }})
	}
	return append(all, &route{method: http.MethodGet, path: "/openapi.json", id: "openapi", tag: "pages", summary: "This document",
		params:  []param{header(opt("If-None-Match", text().about("ETag of the copy that the caller has.")))},
		answers: []answer{ok("OpenAPI 3.1.", object(req("openapi", text()))), unchanged}, handle: s.openapiJSON})
}
