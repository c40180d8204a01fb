package httpapi

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"
)

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
