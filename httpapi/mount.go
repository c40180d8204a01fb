package httpapi

import (
	"fmt"
	"net/http"
	"sort"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/aimarket/aimarket/routing"
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

// routed is what a plugin with routes of its own implements.
type routed interface {
	RegisterRoutes(func(method, path string, h http.HandlerFunc))
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

// mountPlugins mounts each loaded plugin's routes at /p/{name} and completes what
// GET /plugins says of its hooks: the router package cannot see this one.
func (s *Server) mountPlugins(router chi.Router) error {
	s.plugins = s.cfg.Router.Plugins()
	for _, p := range s.cfg.Router.Loaded() {
		owner, ok := p.(routed)
		if !ok {
			continue
		}
		name := p.Info().Name
		var fault error
		owner.RegisterRoutes(func(method, path string, h http.HandlerFunc) {
			switch {
			case h == nil || !strings.HasPrefix(path, "/") || method != strings.ToUpper(method) || method == "":
				fault = fmt.Errorf("httpapi: plugin %s registers an unusable route %q %q", name, method, path)
				return
			}
			pattern := prefix + "/p/" + name + path
			stats := s.metrics.route(pattern)
			router.Method(method, pattern, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if x, ok := w.(*exchange); ok {
					x.route = stats
				}
				h(w, r)
			}))
		})
		if fault != nil {
			return fault
		}
		for i := range s.plugins {
			if s.plugins[i].Name == name && !contains(s.plugins[i].Hooks, "register_routes") {
				s.plugins[i].Hooks = append([]string{"register_routes"}, s.plugins[i].Hooks...)
			}
		}
	}
	return nil
}

// pluginInfos is the state of the plugins now, with this package's hook added.
func (s *Server) pluginInfos() []routing.PluginInfo {
	now := s.cfg.Router.Plugins()
	for i := range now {
		for _, p := range s.plugins {
			if p.Name == now[i].Name {
				now[i].Hooks = p.Hooks
			}
		}
	}
	return now
}

// notFound is JSON below the protocol's paths, where programs call, and a page
// elsewhere, where people do.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, s.basePath)
	if strings.HasPrefix(path, "/ai-market") || strings.HasPrefix(path, "/.well-known") || !wantsPage(r) {
		s.fail(w, r, refuse(http.StatusNotFound, "not_found", "no route "+clip(r.URL.Path, 200)+" on this hub; /openapi.json lists them all"))
		return
	}
	s.sendPage(w, "404", http.StatusNotFound)
}

// wantsPage reports a request that a browser made for a person, or that did not
// say what it wants. A program that posts reads JSON, whatever it says it accepts.
func wantsPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	accept := r.Header.Get("Accept")
	return accept == "" || strings.Contains(accept, "text/html") || strings.Contains(accept, "*/*")
}

// notAllowed names the methods that the path does take.
func (s *Server) notAllowed(w http.ResponseWriter, r *http.Request) {
	allow := s.methods(r)
	w.Header().Set("Allow", allow)
	s.fail(w, r, refuse(http.StatusMethodNotAllowed, "method_not_allowed",
		clip(r.URL.Path, 200)+" takes "+allow+", not "+clip(r.Method, 20)))
}

// methods lists what a path takes; "" if there is no such path.
func (s *Server) methods(r *http.Request) string {
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, s.basePath); ok && strings.HasPrefix(rest, "/") {
		path = rest
	}
	if own := s.literals[strings.TrimSuffix(path, "/")]; own != nil {
		return strings.Join(own, ", ") + ", " + http.MethodOptions
	}
	var allow []string
	for _, m := range allMethods {
		if s.router.Match(chi.NewRouteContext(), m, path) {
			allow = append(allow, m)
		}
	}
	if allow == nil {
		return ""
	}
	return strings.Join(append(allow, http.MethodOptions), ", ")
}

// clip shortens what a stranger sent to what fits a sentence.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
