package httpapi

import (
	"net/http"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
)

var repinRequest = object(
	req("url", text().length(1, 256)),
	opt("public_key", text().orNull().length(0, 128).about("The new key in base64; left out, the one that the hub's own address shows.")),
	opt("previous_public_key", text().orNull().length(0, 128).about("Refuse unless this is the present pin.")),
	opt("pq_public_key", text().orNull().about("Refused: this hub pins Ed25519 keys only.")),
	opt("previous_pq_public_key", text().orNull().about("Refused likewise.")),
	opt("trusted", boolean().orNull().or(true).about("true also admits the hub, false sends it back to pending, null leaves its state.")),
	opt("crawl", boolean().orNull().or(true).about("Read the hub again at once.")),
).named("RepinRequest")

// repinPeer gives a peer another key by the operator's hand: the only way in which the
// key of an admitted hub changes without its own old signature (federation notes §4).
func (s *Server) repinPeer(w http.ResponseWriter, r *http.Request, rt *route) {
	v, ok := s.operated(w, r, rt)
	if !ok {
		return
	}
	for _, name := range []string{"pq_public_key", "previous_pq_public_key"} {
		if str(v, name) != "" {
			s.fail(w, r, refuse(http.StatusBadRequest, "pq_unsupported",
				name+" cannot be pinned: this hub knows hubs by their Ed25519 key alone; send public_key, and leave the post-quantum members out"))
			return
		}
	}
	q := catalog.RepinRequest{URL: str(v, "url"), PublicKey: str(v, "public_key"), PreviousKey: str(v, "previous_public_key")}
	if m := v.Get("trusted"); m.Kind() != canon.Null {
		trusted := !m.Exists() || m.Bool()
		q.Trusted = &trusted
	}
	before, _ := s.cfg.Catalog.Peer(q.URL)
	peer, err := s.cfg.Catalog.Repin(r.Context(), q)
	if err != nil {
		s.fail(w, r, admissionProblem(err))
		return
	}
	read := s.cfg.CrawlHub != nil
	if m, ok := given(v, "crawl"); ok && !m.Bool() {
		read = false
	}
	var rotated []string
	if before.PublicKey != peer.PublicKey {
		rotated = []string{"ed25519"}
	}
	b := newBody(512).str("status", "repinned").open("peer").str("url", peer.URL).str("public_key", peer.PublicKey).
		str("previous_public_key", before.PublicKey).str("pq_public_key", "").str("previous_pq_public_key", "").
		strings("rotated", rotated).yes("trusted", peer.Status == catalog.PeerActive).str("status", string(peer.Status)).close()
	if read {
		b = b.open("crawl").str("status", "scheduled").close()
	} else {
		b = b.raw("crawl", "null")
	}
	send(w, http.StatusOK, b.end())
	if read {
		s.cfg.CrawlHub(peer.URL)
	}
}
