package httpapi

import (
	"context"
	"net/http"
	"strings"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/ledger"
)

// documentCache lets anybody keep a signed document as long as they ask whether
// it is still the present one before they use it.
const documentCache = "no-cache"

// sendDocument serves a signed document byte for byte, or 304 if the caller has it.
func (s *Server) sendDocument(w http.ResponseWriter, r *http.Request, make func(context.Context) (catalog.Document, error)) {
	doc, err := make(r.Context())
	if err != nil {
		s.fail(w, r, internalError(err))
		return
	}
	h := w.Header()
	h.Set("ETag", doc.ETag)
	h.Set("Cache-Control", documentCache)
	h.Set("Last-Modified", doc.GeneratedAt.UTC().Format(http.TimeFormat))
	if noneMatch(r.Header.Get("If-None-Match"), doc.ETag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, http.StatusOK, doc.Body)
}

// noneMatch reports whether an If-None-Match header names the tag. The comparison
// is weak, as RFC 9110 has it for this header.
func noneMatch(header, tag string) bool {
	if header == "" || tag == "" {
		return false
	}
	for _, t := range strings.Split(header, ",") {
		t = strings.TrimSpace(t)
		if t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func (s *Server) discovery(w http.ResponseWriter, r *http.Request, rt *route) {
	s.sendDocument(w, r, func(ctx context.Context) (catalog.Document, error) {
		return s.cfg.Catalog.Discovery(ctx, s.status())
	})
	s.notice(r)
}

// status is what the discovery document says beyond the catalogue. Demo money is
// no configured payment: nobody is paid with it.
func (s *Server) status() catalog.Status {
	return catalog.Status{
		PaymentConfigured: false,
		PaymentTestnet:    s.cfg.Mode == ledger.Demo,
		Money:             string(s.cfg.Mode),
		PluginsLoaded:     len(s.cfg.Router.Loaded()),
		PluginExtensions:  s.cfg.Router.PluginExtensions(),
	}
}

func (s *Server) manifest(w http.ResponseWriter, r *http.Request, rt *route) {
	s.sendDocument(w, r, s.cfg.Catalog.Manifest)
}

func (s *Server) prices(w http.ResponseWriter, r *http.Request, rt *route) {
	s.sendDocument(w, r, s.cfg.Catalog.Prices)
}
