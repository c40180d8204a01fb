package httpapi

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/routing"
)

// announcesPerMin bounds announcements of one address: each may resolve a name.
const announcesPerMin = 30

func (s *Server) announce(w http.ResponseWriter, r *http.Request, rt *route) {
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	own := false
	if r.Header.Get("Authorization") != "" {
		if p := s.admin(r); p != nil {
			s.fail(w, r, p)
			return
		}
		own = true
	} else if ok, wait := s.announces.Allow(limit.AddressKey(s.clientAddress(r))); !ok {
		p := refuse(http.StatusTooManyRequests, "rate_limited", "this address announces hubs too often; wait and send the announcement again").as(formInvoke)
		p.wait, p.limit = wait, announcesPerMin
		s.fail(w, r, p)
		return
	}
	a := catalog.Announcement{
		HubURL: str(v, "hub_url"), WellKnownURL: str(v, "well_known_url"), HubName: str(v, "hub_name"),
		PublicKey: str(v, "signer_public_key"), Operator: own,
	}
	if n, ok := given(v, "capabilities_count"); ok {
		f, _ := n.Float64()
		a.Capabilities = int(f)
	}
	res, err := s.cfg.Catalog.Announce(r.Context(), a)
	if err != nil {
		s.fail(w, r, peerProblem(err))
		return
	}
	status, note := string(res.Status), "An announcement only makes a hub known here; the operator of this hub decides whether it is admitted."
	if res.Known {
		status = "known"
	}
	send(w, http.StatusOK, newBody(256).yes("acknowledged", true).yes("peer_added", res.Added).str("url", res.URL).
		str("status", status).yes("trusted", res.Status == catalog.PeerActive).yes("assay_scheduled", false).str("note", note).end())
}

func (s *Server) listPeers(w http.ResponseWriter, r *http.Request, rt *route) {
	active, pending := s.cfg.Catalog.Peers(catalog.PeerActive), s.cfg.Catalog.Peers(catalog.PeerPending)
	b := newBody(256 + 400*(len(active)+len(pending))).openList("peers")
	for _, p := range active {
		b = b.element().str("url", p.URL).str("name", p.Name).integer("capabilities_count", int64(p.Capabilities)).
			time("last_crawl", p.LastCrawl).float("trust_score", p.Reputation.TrustScore).integer("depth", int64(p.Depth)).
			strings("categories", p.Categories).str("well_known_url", p.WellKnownURL).
			yes("trusted", true).str("public_key", p.PublicKey).str("status", string(p.Status)).close()
	}
	b = b.closeList().integer("count", int64(len(active))).openList("pending")
	for _, p := range pending {
		b = b.element().str("url", p.URL).str("name", p.Name).time("first_seen", p.FirstSeen).time("last_crawl", p.LastCrawl).
			str("discoverer", p.Discoverer).str("well_known_url", p.WellKnownURL).strings("categories", p.Categories).
			yes("trusted", false).str("status", string(p.Status)).integer("declared_capabilities", int64(p.Capabilities)).close()
	}
	send(w, http.StatusOK, b.closeList().integer("pending_count", int64(len(pending))).yes("open_federation", true).end())
}

func (s *Server) approvePeer(w http.ResponseWriter, r *http.Request, rt *route) {
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	if p := s.admin(r); p != nil {
		s.fail(w, r, p)
		return
	}
	trusted := true
	if m, ok := given(v, "trusted"); ok {
		trusted = m.Bool()
	}
	peer, err := s.cfg.Catalog.Approve(r.Context(), str(v, "url"), trusted)
	if errors.Is(err, catalog.ErrFull) {
		s.fail(w, r, refuse(http.StatusConflict, "active_full", err.Error()))
		return
	}
	if err != nil {
		s.fail(w, r, peerProblem(err))
		return
	}
	send(w, http.StatusOK, newBody(128).str("url", peer.URL).yes("trusted", peer.Status == catalog.PeerActive).
		str("status", "updated").str("peer_status", string(peer.Status)).end())
}

func (s *Server) removePeer(w http.ResponseWriter, r *http.Request, rt *route) {
	args, bad := readQuery(r, rt.params)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	if p := s.admin(r); p != nil {
		s.fail(w, r, p)
		return
	}
	if err := s.cfg.Catalog.RemovePeer(r.Context(), args["url"]); err != nil {
		s.fail(w, r, peerProblem(err))
		return
	}
	send(w, http.StatusOK, newBody(96).str("url", args["url"]).str("status", "removed").end())
}

// peerProblem words what the catalogue refused about a hub.
func peerProblem(err error) *problem {
	var wrong *catalog.InvalidError
	switch {
	case errors.As(err, &wrong):
		return refuse(http.StatusBadRequest, "invalid_url", wrong.Error())
	case errors.Is(err, catalog.ErrDuplicateIdentity):
		return refuse(http.StatusConflict, "duplicate_identity", err.Error())
	case errors.Is(err, catalog.ErrUnknown):
		return refuse(http.StatusNotFound, "unknown_peer", "Peer hub not found: this hub has never heard of it; announce it first")
	case errors.Is(err, catalog.ErrFull):
		p := refuse(http.StatusTooManyRequests, "pending_full", err.Error())
		p.wait = time.Hour // until the operator has decided about some
		return p
	}
	return internalError(err)
}

// reputationRoute is where the tail of GET /reputation/{hub_url} begins.
const reputationRoute = prefix + "/reputation/"

// maxEventsOfHub is how many recent events GET /reputation shows.
const maxEventsOfHub = 20

// reputation takes the whole rest of the path as a hub's URL, slashes and all,
// percent-encoded or not: https://host and https%3A%2F%2Fhost name the same hub.
func (s *Server) reputation(w http.ResponseWriter, r *http.Request, rt *route) {
	path := r.URL.EscapedPath()
	hub := unescape(path[strings.Index(path, reputationRoute)+len(reputationRoute):], false)
	if hub == "" || len(hub) > catalog.MaxURLLen {
		s.fail(w, r, refuse(http.StatusNotFound, "not_found", "name a hub: "+reputationRoute+"https://host"))
		return
	}
	rep := s.cfg.Catalog.Reputation(hub)
	b := newBody(768).str("hub_url", hub).float("trust_score", rep.TrustScore).
		str("basis", rep.Basis).integer("observations_30d", rep.Observations).
		open("details").str("provider_hub", hub).float("trust_score", rep.TrustScore).
		open("weights").float("age", 0.2).float("bond", 0.3).float("success_rate", 0.35).float("volume", 0.15).close().
		open("factors").float("age", rep.Factors.Age).float("bond", rep.Factors.Bond).
		float("success_rate", rep.Factors.SuccessRate).float("volume", rep.Factors.Volume).close().close().
		openList("recent_events")
	for _, e := range s.eventsOf(hub) {
		kind := "invocation_failed"
		if e.Success {
			kind = "invocation_succeeded"
		}
		b = b.element().str("type", kind).time("timestamp", e.Time).usd("price_usd", e.Price).
			integer("latency_ms", e.Latency.Milliseconds()).close()
	}
	send(w, http.StatusOK, b.closeList().end())
}

// eventsOf are the newest calls that went to a hub, as far as they are among the
// newest of all.
func (s *Server) eventsOf(hub string) []routing.Event {
	own := hub == catalog.Local
	base, err := catalog.NormalizeHubURL(hub)
	if err == nil && base == strings.TrimRight(s.cfg.HubURL, "/") {
		own = true
	}
	var out []routing.Event
	for _, e := range s.cfg.Router.Events(maxEvents) {
		if own && e.SourceHub == catalog.Local || !own && err == nil && strings.TrimRight(e.SourceHub, "/") == base {
			if out = append(out, e); len(out) == maxEventsOfHub {
				break
			}
		}
	}
	return out
}
