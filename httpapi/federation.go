package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/limit"
)

// announcesPerMin bounds announcements of one address: each may resolve a name.
const announcesPerMin = 30

// What an announcement leads to, by policy.
const (
	noteClosed   = "An announcement only makes a hub known here; the operator of this hub decides whether it is admitted."
	noteVerified = "An announcement only makes a hub known here; this hub will read its documents and try one call, and admits it if all verify."
	noteOpen     = "An announcement only makes a hub known here; a signed head of the hub over the mesh, or the operator, admits it."
)

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
	status, note, tried := string(res.Status), noteClosed, false
	if res.Known {
		status = "known"
	}
	switch s.admission() {
	case catalog.AdmitVerified:
		note, tried = noteVerified, res.Status == catalog.PeerPending
	case catalog.AdmitAll:
		note = noteOpen
	}
	send(w, http.StatusOK, newBody(320).yes("acknowledged", true).yes("peer_added", res.Added).str("url", res.URL).
		str("status", status).yes("trusted", res.Status == catalog.PeerActive).yes("assay_scheduled", tried).str("note", note).end())
}

// operated reads the body of an operator's request; false if the refusal is sent.
func (s *Server) operated(w http.ResponseWriter, r *http.Request, rt *route) (v canon.Value, ok bool) {
	if v, ok = s.body(w, r, rt); !ok {
		return v, false
	}
	if p := s.admin(r); p != nil {
		s.fail(w, r, p)
		return v, false
	}
	return v, true
}

func (s *Server) approvePeer(w http.ResponseWriter, r *http.Request, rt *route) {
	v, ok := s.operated(w, r, rt)
	if !ok {
		return
	}
	trusted := true
	if m, ok := given(v, "trusted"); ok {
		trusted = m.Bool()
	}
	peer, err := s.cfg.Catalog.Approve(r.Context(), str(v, "url"), trusted)
	if err != nil {
		s.fail(w, r, admissionProblem(err))
		return
	}
	read := peer.Status == catalog.PeerActive && s.cfg.CrawlHub != nil
	send(w, http.StatusOK, newBody(160).str("url", peer.URL).yes("trusted", peer.Status == catalog.PeerActive).
		str("status", "updated").str("peer_status", string(peer.Status)).yes("crawl_scheduled", read).end())
	if read {
		s.cfg.CrawlHub(peer.URL)
	}
}

func (s *Server) rejectPeer(w http.ResponseWriter, r *http.Request, rt *route) {
	v, ok := s.operated(w, r, rt)
	if !ok {
		return
	}
	peer, err := s.cfg.Catalog.Reject(r.Context(), str(v, "url"))
	if errors.Is(err, catalog.ErrFull) {
		s.fail(w, r, refuse(http.StatusConflict, "rejected_full", err.Error()))
		return
	}
	if err != nil {
		s.fail(w, r, admissionProblem(err))
		return
	}
	send(w, http.StatusOK, newBody(128).str("url", peer.URL).yes("trusted", false).
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
	send(w, http.StatusOK, newBody(96).str("url", args["url"]).yes("deleted", true).str("status", "removed").end())
}

// admissionProblem is peerProblem for routes that admit: there a bound is the
// operator's to resolve, not the caller's to wait for.
func admissionProblem(err error) *problem {
	if errors.Is(err, catalog.ErrFull) {
		return refuse(http.StatusConflict, "active_full", err.Error())
	}
	return peerProblem(err)
}

// peerProblem words what the catalogue refused about a hub.
func peerProblem(err error) *problem {
	var wrong *catalog.InvalidError
	switch {
	case errors.As(err, &wrong):
		code := "invalid_url"
		switch wrong.Field {
		case "public_key", "previous_public_key", "signer_public_key":
			code = "invalid_key"
		}
		return refuse(http.StatusBadRequest, code, wrong.Error())
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
