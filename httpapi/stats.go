package httpapi

import (
	"net/http"
	"runtime"
	"time"

	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/routing"
)

// Bounds of the event list (HTTP API notes §6).
const (
	defaultEvents = 50
	maxEvents     = 200
)

func (s *Server) liveStats(w http.ResponseWriter, r *http.Request, rt *route) {
	args, bad := readQuery(r, rt.params)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	events := s.cfg.Router.Events(min(args.integer("limit", defaultEvents), maxEvents))
	b := newBody(1024 + 320*len(events)).openList("events")
	for _, e := range events {
		b = eventMembers(b.element(), e).close()
	}
	b = s.summaryMembers(b.closeList().open("summary")).close()
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, b.str("protocol_version", protocolVersion).end())
}

func eventMembers(b jsonBody, e routing.Event) jsonBody {
	success := int64(0)
	if e.Success {
		success = 1
	}
	return b.integer("id", int64(e.ID)).str("capability_id", e.CapabilityID).str("product_id", e.ProductID).
		str("source_hub", e.SourceHub).usd("price_usd", e.Price).integer("latency_ms", e.Latency.Milliseconds()).
		integer("success", success).time("timestamp", e.Time).
		str("consumer_hub", e.ConsumerHub).str("traffic_class", e.TrafficClass)
}

// summaryMembers prints the totals. Every figure is a number; only the two
// percentiles may be null, while no call was made for a day.
func (s *Server) summaryMembers(b jsonBody) jsonBody {
	sum, counts, money := s.cfg.Router.Summary(), s.cfg.Catalog.Counts(), s.cfg.Ledger.Stats()
	b = b.integer("total_invocations", sum.Total).integer("successful_invocations", sum.Successful).
		float("success_rate", roundTo(sum.SuccessRate, 4)).
		float("avg_price_usd", roundTo(sum.AvgPriceUSD, 4)).
		float("avg_latency_ms", roundTo(sum.AvgLatencyMS, 1)).
		usd("revenue_per_hour_usd", sum.RevenuePerHour).
		integer("invocations_1h", sum.Last1h).integer("invocations_24h", sum.Last24h).
		integer("failed_invocations_24h", sum.Failed24h).
		float("rps_1h", roundTo(sum.RPS1h, 4))
	b = b.orNull("p50_latency_ms_24h", sum.P50LatencyMS24h).orNull("p95_latency_ms_24h", sum.P95LatencyMS24h).
		integer("peers_count", int64(counts.Peers)).
		integer("capabilities_count", int64(counts.Local)).
		integer("federated_capabilities_count", int64(counts.Total)).
		integer("open_channels", int64(money.OpenChannels)).
		usd("settled_volume_usd", money.Settled).
		usd("outstanding_obligations_usd", money.Owed).
		str("hub_url", s.cfg.HubURL).str("money", string(s.cfg.Mode))
	b = b.open("payment_readiness").yes("can_credit_channels", s.cfg.Mode == ledger.Demo)
	if s.cfg.Mode == ledger.Off {
		b = b.strings("blockers", []string{"crypto_disabled"})
	} else {
		b = b.strings("blockers", nil)
	}
	return b.close()
}

func (s *Server) sandboxQuota(w http.ResponseWriter, r *http.Request, rt *route) {
	args, bad := readQuery(r, rt.params)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	visitor, asked := args["visitor_id"], args["visitor_id"]
	if !visitorID.MatchString(visitor) {
		visitor, asked = "", s.nobody // shown as a visitor who has called nothing yet
	}
	q, err := s.cfg.Router.SandboxQuota(r.Context(), asked)
	if err != nil {
		s.fail(w, r, internalError(err).as(formInvoke))
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, newBody(160).yes("enabled", q.Enabled).integer("max_trials", int64(q.MaxTrials)).
		integer("used", int64(q.Used)).integer("remaining", int64(q.Remaining)).
		str("visitor_id", visitor).str("quota_window", "lifetime").str("protocol_version", protocolVersion).end())
}

// health is for people and dashboards, live and ready for supervisors.
func (s *Server) health(w http.ResponseWriter, r *http.Request, rt *route) {
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, newBody(160).str("status", "ok").str("service", "aimarket-hub").
		str("version", s.cfg.Version).integer("uptime_seconds", int64(s.now().Sub(s.started)/time.Second)).
		str("money", string(s.cfg.Mode)).end())
}

func (s *Server) live(w http.ResponseWriter, r *http.Request, rt *route) {
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, newBody(32).str("status", "ok").end())
}

func (s *Server) ready(w http.ResponseWriter, r *http.Request, rt *route) {
	w.Header().Set("Cache-Control", "no-store")
	unmet := s.unmet()
	if len(unmet) == 0 {
		send(w, http.StatusOK, newBody(32).str("status", "ready").end())
		return
	}
	send(w, http.StatusServiceUnavailable, newBody(160).str("status", "not_ready").strings("unmet", unmet).
		str("error", "not_ready").str("detail", "the hub is running but not ready to serve").yes("success", false).end())
}

func (s *Server) unmet() []string {
	if s.cfg.Ready == nil {
		return nil
	}
	return s.cfg.Ready()
}

// state is what the operator's listener shows at /debug/state.
type state struct {
	Version    string               `json:"version"`
	Go         string               `json:"go"`
	HubURL     string               `json:"hub_url"`
	Key        string               `json:"signer_public_key"`
	Money      ledger.Mode          `json:"money"`
	Started    time.Time            `json:"started"`
	Unmet      []string             `json:"unmet"`
	Goroutines int                  `json:"goroutines"`
	HeapBytes  uint64               `json:"heap_bytes"`
	SysBytes   uint64               `json:"sys_bytes"`
	Catalog    any                  `json:"catalog"`
	Ledger     ledger.Stats         `json:"ledger"`
	Routing    routing.Summary      `json:"routing"`
	Plugins    []routing.PluginInfo `json:"plugins"`
}

func (s *Server) state() state {
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	return state{
		Version: s.cfg.Version, Go: runtime.Version(), HubURL: s.cfg.HubURL, Key: s.key, Money: s.cfg.Mode,
		Started: s.started.UTC(), Unmet: s.unmet(), Goroutines: runtime.NumGoroutine(),
		HeapBytes: mem.HeapAlloc, SysBytes: mem.Sys,
		Catalog: s.cfg.Catalog.Counts(), Ledger: s.cfg.Ledger.Stats(), Routing: s.cfg.Router.Summary(), Plugins: s.pluginInfos(),
	}
}
