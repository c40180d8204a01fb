package httpapi

import (
	"encoding/base64"
	"net/http"
	"time"

	"github.com/mr-tron/base58"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

// keyChanged is what GET /federation/peers says of a peer whose address shows another
// key than the pinned one (federation notes §4).
const keyChanged = "peer rejected: key changed"

// listPeers shows every hub that this one knows: those it works with, the ones whose
// key changed first since they need the operator, then by trust; those that wait, and
// to the operator those it said no to.
func (s *Server) listPeers(w http.ResponseWriter, r *http.Request, rt *route) {
	listed := append(s.cfg.Catalog.Peers(catalog.PeerKeyMismatch), s.cfg.Catalog.Peers(catalog.PeerActive)...)
	pending := s.cfg.Catalog.Peers(catalog.PeerPending)
	b := newBody(256 + 1200*len(listed) + 900*len(pending)).openList("peers")
	for i := range listed {
		b = s.peerMembers(b.element(), &listed[i]).close()
	}
	b = b.closeList().integer("count", int64(len(listed))).openList("pending")
	for i := range pending {
		b = s.pendingMembers(b.element(), &pending[i]).close()
	}
	b = b.closeList().integer("pending_count", int64(len(pending)))
	if s.isOperator(r) {
		rejected := s.cfg.Catalog.Peers(catalog.PeerRejected)
		b = b.openList("rejected")
		for i := range rejected {
			b = s.pendingMembers(b.element(), &rejected[i]).close()
		}
		b = b.closeList().integer("rejected_count", int64(len(rejected)))
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, http.StatusOK, b.yes("open_federation", true).yes("observation_gossip", true).
		str("admission", string(s.admission())).end())
}

func (s *Server) admission() catalog.Admission {
	if s.cfg.Admission == "" {
		return catalog.AdmitNone
	}
	return s.cfg.Admission
}

// peerMembers prints a hub that is, or was, admitted.
func (s *Server) peerMembers(b jsonBody, p *catalog.PeerInfo) jsonBody {
	rejected := ""
	if p.Status == catalog.PeerKeyMismatch {
		rejected = keyChanged
	}
	b = b.str("url", p.URL).str("name", p.Name).integer("capabilities_count", int64(p.Capabilities)).
		time("last_crawl", p.LastCrawl).float("trust_score", p.Reputation.TrustScore).
		str("trust_basis", p.Reputation.Basis).integer("observations_30d", p.Reputation.Observations)
	b = factorMembers(b.open("trust_factors"), p.Reputation.Factors).close().
		str("pin_reject_reason", rejected).str("route_status", p.Route.Status).yes("away", p.Away)
	return s.commonMembers(b, &p.Peer, p.Status == catalog.PeerActive)
}

// pendingMembers prints a hub without any effect here.
func (s *Server) pendingMembers(b jsonBody, p *catalog.PeerInfo) jsonBody {
	b = b.str("url", p.URL).str("name", p.Name).time("last_crawl", p.LastCrawl).
		integer("preview_capabilities", int64(p.Previewed)).integer("declared_capabilities", int64(p.Capabilities)).
		str("assay_verdict", verdictOf(p.Trial))
	return s.commonMembers(b, &p.Peer, false)
}

// commonMembers are those that every state of a peer has.
func (s *Server) commonMembers(b jsonBody, p *catalog.Peer, trusted bool) jsonBody {
	b = b.yes("trusted", trusted).str("status", string(p.Status)).str("why", p.Why).
		str("well_known_url", p.WellKnownURL).strings("categories", p.Categories).integer("depth", int64(p.Depth)).
		str("discoverer", p.Discoverer).time("first_seen", p.FirstSeen).time("last_seen", p.LastSeen).
		str("public_key", p.PublicKey).str("advertised_public_key", p.AdvertisedKey).str("peer_id", peerID(p.PublicKey)).
		str("canonical_id", s.canonical(p))
	switch {
	case p.PublicKey == "":
		b = b.raw("identity_key_matches", "null")
	default:
		b = b.yes("identity_key_matches", p.AdvertisedKey == "" || p.AdvertisedKey == p.PublicKey)
	}
	b = b.open("declared").str("description", p.Description).str("hub_version", p.HubVersion).str("id", "").
		str("mcp_endpoint", p.MCPEndpoint).close()
	if p.ClaimedURL != "" {
		b = b.str("claimed_url", p.ClaimedURL)
	}
	if p.Sequence > 0 {
		b = b.strings("multiaddrs", p.Multiaddrs).integer("sequence", int64(p.Sequence)).
			time("head_time", p.HeadTime).time("head_expires", p.Expires)
	}
	if p.Equivocations > 0 {
		b = b.integer("equivocations", int64(p.Equivocations))
	}
	return s.linkMembers(trialMembers(b, p.Trial), p.PublicKey)
}

// linkMembers says how a hub is connected now, if this hub takes part in the mesh.
func (s *Server) linkMembers(b jsonBody, key string) jsonBody {
	if s.cfg.Links == nil || key == "" {
		return b
	}
	l := s.cfg.Links(key)
	return b.open("link").yes("connected", l.Connected).str("address", l.Address).yes("relayed", l.Relayed).
		float("latency_ms", roundTo(float64(l.Latency)/float64(time.Millisecond), 3)).close()
}

// trialMembers prints the newest attempt to admit a peer, if there was one.
func trialMembers(b jsonBody, t catalog.Trial) jsonBody {
	if t.At.IsZero() {
		return b
	}
	return b.open("trial").time("at", t.At).yes("passed", t.Passed).str("detail", t.Detail).yes("url_confirmed", t.URLConfirmed).
		integer("failures", int64(t.Failures)).time("next", t.Next).integer("latency_ms", t.Latency.Milliseconds()).
		str("product_id", t.Capability.ProductID).str("capability_id", t.Capability.CapabilityID).close()
}

// verdictOf is the protocol's word for a trial.
func verdictOf(t catalog.Trial) string {
	switch {
	case t.At.IsZero():
		return ""
	case t.Passed:
		return "pass"
	}
	return "fail"
}

// canonical is where a peer's key is at home: its own URL, or for another address of a
// key that is active already the active one. "" while no key is known.
func (s *Server) canonical(p *catalog.Peer) string {
	key, ok := pinnedKey(p.PublicKey)
	if !ok {
		return ""
	}
	if p.Status == catalog.PeerActive {
		return p.URL
	}
	if known, ok := s.cfg.Catalog.PeerByKey(key); ok {
		return known.URL
	}
	return p.URL
}

// pinnedKey decodes a key that the catalogue keeps. It was checked when it was pinned:
// to judge the point again for every peer would be most of the work of listing them.
func pinnedKey(text string) (key identity.PublicKey, ok bool) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != len(key) {
		return key, false
	}
	return identity.PublicKey(raw), true
}

// peerID is the libp2p peer ID of an Ed25519 key: the base58 of the identity multihash
// over the key's protobuf form (libp2p peer ID specification). "" for no key.
func peerID(key string) string {
	k, ok := pinnedKey(key)
	if !ok {
		return ""
	}
	return base58.Encode(append([]byte{0x00, 0x24, 0x08, 0x01, 0x12, 0x20}, k[:]...))
}
