package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/routing"
)

const (
	// reputationRoute is where the tail of GET /reputation/{hub_url} begins.
	reputationRoute = prefix + "/reputation/"
	// maxEventsOfHub is how many recent events GET /reputation shows.
	maxEventsOfHub = 20
	// reportsPerMin bounds POST /reputation/events per address: each event is a signature
	// to verify (federation notes §5).
	reportsPerMin = 30
	// maxReports is how many events one request may carry, maxReportsBody how many bytes.
	maxReports     = 100
	maxReportsBody = 256 << 10
)

// reputation takes the whole rest of the path as a hub's URL, slashes and all,
// percent-encoded or not: https://host and https%3A%2F%2Fhost name the same hub.
func (s *Server) reputation(w http.ResponseWriter, r *http.Request, rt *route) {
	path := r.URL.EscapedPath()
	hub := unescape(path[strings.Index(path, reputationRoute)+len(reputationRoute):], false)
	if hub == "" || len(hub) > catalog.MaxURLLen {
		s.fail(w, r, refuse(http.StatusNotFound, "not_found", "name a hub: "+reputationRoute+"https://host"))
		return
	}
	asked := hub
	if s.ownHub(hub) {
		asked = catalog.Local
	}
	rep := s.cfg.Catalog.Reputation(asked)
	b := newBody(1024).str("hub_url", hub).float("trust_score", rep.TrustScore).
		str("basis", rep.Basis).integer("observations_30d", rep.Observations)
	if p, ok := s.cfg.Catalog.Peer(hub); ok {
		b = b.str("status", string(p.Status)).str("why", p.Why)
	}
	b = b.open("details").str("provider_hub", hub).float("trust_score", rep.TrustScore).
		open("weights").float("age", 0.2).float("bond", 0.3).float("success_rate", 0.35).float("volume", 0.15).close()
	b = factorMembers(b.open("factors"), rep.Factors).close().openList("evidence")
	for i := range rep.Evidence {
		b = rep.Evidence[i].AppendJSON(b.comma())
	}
	b = b.closeList().close().openList("recent_events")
	for _, e := range s.eventsOf(hub) {
		b = append(b.element(), e.members...).close()
	}
	send(w, http.StatusOK, b.closeList().end())
}

func factorMembers(b jsonBody, f catalog.Factors) jsonBody {
	return b.float("age", roundTo(f.Age, 4)).float("bond", roundTo(f.Bond, 4)).float("success_rate", roundTo(f.SuccessRate, 4)).
		float("volume", roundTo(f.Volume, 4)).float("penalty", roundTo(f.Penalty, 4))
}

// slashes is the log of bonds that were taken from hubs, which crawlers of the protocol
// ask for. No bond is held here, so none was ever taken.
func (s *Server) slashes(w http.ResponseWriter, r *http.Request, rt *route) {
	send(w, http.StatusOK, newBody(96).str("hub_url", s.cfg.HubURL).openList("slashes").closeList().end())
}

// hubEvent is one exchange with a hub: the members of an event as they are sent, and
// when it was.
type hubEvent struct {
	at      string // protocol time, which sorts as text
	members []byte
}

// eventsOf are the newest exchanges with a hub: this hub's own calls, as far as they are
// among the newest of all, and what other hubs reported and signed.
func (s *Server) eventsOf(hub string) []hubEvent {
	own := s.ownHub(hub)
	base, err := catalog.NormalizeHubURL(hub)
	if err == nil && s.ownHub(base) {
		own = true
	}
	var out []hubEvent
	for _, e := range s.cfg.Router.Events(maxEvents) {
		if own && e.SourceHub == catalog.Local || !own && err == nil && strings.TrimRight(e.SourceHub, "/") == base {
			if out = append(out, ownEvent(e)); len(out) == maxEventsOfHub {
				break
			}
		}
	}
	if err == nil {
		for _, raw := range s.cfg.Catalog.EventsOf(base, maxEventsOfHub) {
			if e, ok := s.reported(raw); ok {
				out = append(out, e)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b hubEvent) int { return strings.Compare(b.at, a.at) })
	return out[:min(len(out), maxEventsOfHub)]
}

func ownEvent(e routing.Event) hubEvent {
	kind := "invoke_failure"
	if e.Success {
		kind = "invoke_success"
	}
	b := jsonBody{}.str("type", kind).time("timestamp", e.Time).usd("price_usd", e.Price).
		integer("latency_ms", e.Latency.Milliseconds()).str("consumer_hub", catalog.Local)
	return hubEvent{at: e.Time.UTC().Format(timeFormat), members: b}
}

// reported prints an event that another hub signed, with the numbers as it signed them.
// Those that this hub signed itself are its own calls, which are listed already.
func (s *Server) reported(raw []byte) (hubEvent, bool) {
	v, err := canon.Parse(raw)
	if err != nil || s.ownHub(str(v, "consumer_hub")) {
		return hubEvent{}, false
	}
	token := func(name string) string {
		if t := v.Get(name).Token(); t != "" {
			return t
		}
		return "0"
	}
	at := str(v, "timestamp")
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		at = t.UTC().Format(timeFormat)
	}
	b := jsonBody{}.str("type", str(v, "type")).str("timestamp", at).raw("price_usd", token("price_usd")).
		raw("latency_ms", token("latency_ms")).str("consumer_hub", str(v, "consumer_hub"))
	return hubEvent{at: at, members: b}, true
}

// takeEvents hands signed experiences of other hubs to the intake. What is wrong with one
// is counted, never an error (HTTP API notes §5).
func (s *Server) takeEvents(w http.ResponseWriter, r *http.Request, rt *route) {
	client := limit.AddressKey(s.clientAddress(r))
	if ok, wait := s.reports.Allow(client); !ok {
		p := refuse(http.StatusTooManyRequests, "rate_limited", "this address reports events too often; wait and send them again, up to 100 in one request").as(formInvoke)
		p.wait, p.limit = wait, reportsPerMin
		s.fail(w, r, p)
		return
	}
	v, ok := s.body(w, r, rt)
	if !ok {
		return
	}
	events := make([]canon.Value, 0, v.Get("events").Len())
	for e := range v.Get("events").Elements {
		events = append(events, e)
	}
	counts, _ := s.cfg.Catalog.TakeEvents(r.Context(), events, catalog.Source{Via: catalog.ViaAnnounce, Peer: client})
	send(w, http.StatusOK, newBody(64).integer("received", int64(counts.Received)).integer("rejected", int64(counts.Rejected)).
		integer("replayed", int64(counts.Replayed)).end())
}

// ownHub reports a name or address of this hub itself.
func (s *Server) ownHub(hub string) bool {
	return hub == catalog.Local || strings.TrimRight(hub, "/") == strings.TrimRight(s.cfg.HubURL, "/") || hub == catalog.KeyURL(s.cfg.PublicKey)
}
