package catalog

// keyElsewhere deals with a key that is known at another URL: a move or an alias.
func (v *visit) keyElsewhere(p Peer, known bool, q Peer) Sighting {
	base := v.d.BaseURL
	if isKeyURL(base) { // reached by its key: the same hub, whatever its address
		return v.update(q, false)
	}
	if q.Status == PeerRejected {
		return v.ignore(ReasonRejected, "the operator rejected this hub, known as "+q.URL)
	}
	if known && p.Status != PeerPending && p.PublicKey != "" {
		return v.keyChanged(p) // admitted under another key
	}
	admitted := known && p.Status != PeerPending // by the operator, before any key was known
	if known && !(admitted && q.Status == PeerPending) {
		if err := v.drop(p); err != nil {
			return v.failed(err)
		}
	}
	switch {
	case admitted && q.Status == PeerPending: // the operator's word on the address decides
		if err := v.drop(q); err != nil {
			return v.failed(err)
		}
		p.absorb(&q)
		return v.update(p, true)
	case v.moves(q):
		if known {
			q.absorb(&p)
		}
		return v.move(q)
	}
	out := v.ignore(ReasonAlias, base+" shows the key of "+q.URL+", which keeps its URL; if the hub has moved, its old address or its signed documents must say so, or the operator removes the old one")
	out.Peer, out.State = q.URL, q.Status
	if other := v.d.OtherBase(); other != "" && !sameHub(other, q.URL) {
		out.Elsewhere = other
	}
	return out
}

// moves reports whether q now lives where the document was found.
func (v *visit) moves(q Peer) bool {
	base := v.d.BaseURL
	if named := manifestBase(q.ManifestURL); named != "" && sameHub(named, base) && !sameHub(named, q.URL) {
		return true // its known address said so
	}
	if q.ClaimedURL != "" && sameHub(q.ClaimedURL, base) {
		return true // its head says so, and the address shows its key
	}
	at := v.d.GeneratedAt
	if !v.d.Signed || !v.d.namesItself() || at.IsZero() || tooOld(at, v.now) != nil {
		return false
	}
	return isKeyURL(q.URL) || at.After(q.LastSeen)
}

// move makes the document's address the URL of q.
func (v *visit) move(q Peer) Sighting {
	from := q.URL
	q.URL, q.WellKnownURL = v.d.BaseURL, v.d.BaseURL+wellKnownPath
	if q.ClaimedURL != "" && sameHub(q.ClaimedURL, q.URL) {
		q.ClaimedURL = ""
	}
	q.Why = string(q.Status) + ": it moved here from " + from
	if q.Status == PeerPending { // what it waits for matters more
		q.Why = v.c.waitingWhy(&q) + "; it moved here from " + from
	}
	q.MCPEndpoint = ""
	if err := v.c.movePeer(from, &q, nil); err != nil {
		return v.failed(err)
	}
	v.c.cfg.Logger.Info("catalog: a hub moved", "from", from, "to", q.URL, "key", q.PublicKey)
	out := v.update(q, false)
	out.Moved = from
	return out
}

// drop forgets a peer that turned out to be another address of somebody else.
func (v *visit) drop(p Peer) error {
	commits, err := v.c.removePeerLocked(p.URL)
	v.commits = append(v.commits, commits...)
	return err
}
