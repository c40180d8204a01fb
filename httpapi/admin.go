package httpapi

import (
	"net/http"
	"net/http/pprof"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// backupTakes is the body of POST /backup on the operator's listener.
var backupTakes = object(req("dir", text().length(1, 4096)))

// adminRoutes are the operator's. The listener itself is the only lock on them, so
// they refuse what a page in a browser on the same machine could make it send.
func (s *Server) adminRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.Handle("GET /metrics", s.metricsHandler)
	mux.HandleFunc("GET /debug/state", s.debugState)
	mux.HandleFunc("POST /backup", s.backup)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" || !loopbackHost(r.Host) {
			s.fail(w, r, refuse(http.StatusForbidden, "not_for_browsers",
				"the operator's listener takes no requests from web pages and none for a public name; use curl on the hub's own machine"))
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// loopbackHost reports a Host header that means this machine. A page that tricked
// a browser into resolving its own name to 127.0.0.1 still sends that name.
func loopbackHost(host string) bool {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	host = strings.Trim(host, "[]")
	switch host {
	case "", "localhost", "unix", "admin":
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func (s *Server) debugState(w http.ResponseWriter, r *http.Request) {
	b, err := plainJSON(s.state())
	if err != nil {
		s.fail(w, r, internalError(err))
		return
	}
	send(w, http.StatusOK, b)
}

// backup writes a consistent copy of the hub's state to a folder on its machine.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	raw, p := readBody(r, MaxBody)
	if p != nil {
		s.fail(w, r, p)
		return
	}
	var v canon.Value
	v, bad := decodeBody(raw, backupTakes)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return
	}
	dir := str(v, "dir")
	switch {
	case s.cfg.Backup == nil:
		s.fail(w, r, refuse(http.StatusNotImplemented, "backup_unavailable", "this hub was built without a way to back up its state"))
	case !filepath.IsAbs(dir):
		s.fail(w, r, refuse(http.StatusBadRequest, "invalid_dir", "dir must be an absolute path on the hub's machine, not "+clip(dir, 200)))
	default:
		if err := s.cfg.Backup(r.Context(), dir); err != nil {
			// The operator is who asks, so the cause is for them.
			s.fail(w, r, refuse(http.StatusInternalServerError, "backup_failed", "backup to "+clip(dir, 200)+" failed: "+err.Error()).because(err))
			return
		}
		send(w, http.StatusOK, newBody(64+len(dir)).str("dir", dir).str("status", "complete").end())
	}
}
