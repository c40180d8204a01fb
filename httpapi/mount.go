package httpapi

import (
	"net/http"
	"sort"
	"strings"

	"github.com/go-chi/chi/v5"
)

// prefix is where the protocol's routes live.
const prefix = "/ai-market/v2"

// route is one row of the table.
type route struct {
	method, path string
	id           string // operationId
	tag          string
	summary      string
	notes        string // longer description
	access       access
	params       []param
	takes        *schema // request body; nil: none
	maxBody      int64   // 0: MaxBody
	form         form    // of refusals before the handler decides
	answers      []answer
	handle       func(w http.ResponseWriter, r *http.Request, rt *route)
	hidden       bool // another spelling of a documented route
}

// access says who may call a route; the handler enforces it.
type access uint8

const (
	public access = iota
	operator
	publishers
	metricsReader
)

// answer is one documented outcome.
type answer struct {
	status int
	about  string
	media  string // "": application/json, "-": no body
	body   *schema
}

// mount builds the router from the table and the plugins' routes.
func (s *Server) mount() (http.Handler, error) {
	router := chi.NewRouter()
	for _, rt := range s.table {
		h := s.bind(rt)
		paths := []string{rt.path}
		if !strings.HasSuffix(rt.path, "/") && !strings.HasSuffix(rt.path, "*") {
			paths = append(paths, rt.path+"/") // a redirect would break clients
		}
		for _, p := range paths {
			router.Method(rt.method, p, h)
			if rt.method == http.MethodGet {
				router.Method(http.MethodHead, p, h) // net/http drops the body
			}
		}
	}
	if err := s.mountPlugins(router); err != nil {
		return nil, err
	}
	s.router = router
	s.guardLiterals(router)
	router.NotFound(s.notFound)
	router.MethodNotAllowed(s.notAllowed)
	if s.basePath == "" {
		return router, nil
	}
	stripped := http.StripPrefix(s.basePath, router)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rest, ok := strings.CutPrefix(r.URL.EscapedPath(), s.basePath); ok && strings.HasPrefix(rest, "/") {
			stripped.ServeHTTP(w, r)
			return
		}
		router.ServeHTTP(w, r)
	}), nil
}

// allMethods are the methods that a route of this hub could have.
var allMethods = []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodPatch, http.MethodPost, http.MethodPut}

// guardLiterals keeps a path like /channel/close, which takes POST only, from
// being served as GET /channel/{id} with the id "close".
func (s *Server) guardLiterals(router chi.Router) {
	s.literals = map[string][]string{}
	for _, rt := range s.table {
		if strings.ContainsAny(rt.path, "{*") {
			continue
		}
		s.literals[rt.path] = append(s.literals[rt.path], rt.method)
		if rt.method == http.MethodGet {
			s.literals[rt.path] = append(s.literals[rt.path], http.MethodHead)
		}
	}
	for path, own := range s.literals {
		for _, m := range allMethods {
			if !contains(own, m) && router.Match(chi.NewRouteContext(), m, path) {
				router.MethodFunc(m, path, s.notAllowed)
				router.MethodFunc(m, path+"/", s.notAllowed)
			}
		}
		sort.Strings(own)
	}
}

// bind names the route to the exchange, for its counters, and calls the handler.
func (s *Server) bind(rt *route) http.Handler {
	stats := s.metrics.route(rt.path)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if x, ok := w.(*exchange); ok {
			x.route = stats
		}
		rt.handle(w, r, rt)
	})
}

// clip shortens what a stranger sent to what fits a sentence.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
