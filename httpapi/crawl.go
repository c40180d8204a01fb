package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
)

// crawlReport is what the protocol shows of a crawl; the report behind Config.Crawl may
// say more.
type crawlReport struct {
	Discovered int64           `json:"discovered"`
	Indexed    int64           `json:"indexed"`
	Errors     int64           `json:"errors"`
	PeersFound int64           `json:"peers_found"`
	Truncated  bool            `json:"truncated"`
	Hubs       json.RawMessage `json:"hubs"`
}

// crawlNow runs a crawl cycle and tells what happened at each hub. It may take minutes,
// so the listener's bound on answers is lifted for it; the cycle has bounds of its own.
func (s *Server) crawlNow(w http.ResponseWriter, r *http.Request, rt *route) {
	if p := s.admin(r); p != nil {
		s.fail(w, r, p)
		return
	}
	if s.cfg.Crawl == nil {
		s.fail(w, r, refuse(http.StatusNotImplemented, "crawl_unavailable", "this hub runs without a crawler"))
		return
	}
	// A recorder or a stream may have no deadline to lift.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.log.WarnContext(r.Context(), "the answer to a crawl request may be cut short", "error", err)
	}
	report, err := s.cfg.Crawl(r.Context())
	if err != nil {
		// The operator is who asks, so the cause is for them.
		s.fail(w, r, refuse(http.StatusServiceUnavailable, "crawl_failed", "the crawl did not finish: "+err.Error()+"; ask again later").because(err))
		return
	}
	raw, err := json.Marshal(report)
	var c crawlReport
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err != nil {
		s.fail(w, r, internalError(err))
		return
	}
	if len(c.Hubs) == 0 || c.Hubs[0] != '[' {
		c.Hubs = []byte("[]")
	}
	send(w, http.StatusOK, newBody(256+len(c.Hubs)).str("status", "complete").open("stats").integer("discovered", c.Discovered).
		integer("indexed", c.Indexed).integer("errors", c.Errors).integer("peers_found", c.PeersFound).close().
		yes("truncated", c.Truncated).json("hubs", c.Hubs).end())
}

// Bounds of what a crawler says about itself (federation notes §4).
const (
	MaxCrawlerURL = 300
	MaxUserAgent  = 200
)

// notice passes a crawler's claim of who it is to Config.Noticed, once it is answered.
func (s *Server) notice(r *http.Request) {
	given := r.Header["X-Aimarket-Crawler"]
	if s.cfg.Noticed == nil || len(given) != 1 || !crawlerURL(given[0]) || s.ownHub(given[0]) {
		return
	}
	agent := r.UserAgent()
	if len(agent) > MaxUserAgent {
		agent = strings.ToValidUTF8(agent[:MaxUserAgent], "")
	}
	s.cfg.Noticed(given[0], agent)
}

// crawlerURL reports a text that may be a hub's address.
func crawlerURL(u string) bool {
	return visible(u, MaxCrawlerURL) && (strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://"))
}
