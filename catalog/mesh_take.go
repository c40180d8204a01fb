package catalog

import (
	"context"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// farStale is how much older than the known head a repeated one must be for its
// author to be blamed: messages overtake each other, but not by that much.
const farStale = 10 * time.Minute

// TakeHead is the intake's door for a head alone. A newer head of an active peer
// whose listing is unchanged takes effect at once; of a changed one it is noted and
// Want says what to fetch. A head of an unknown key makes a pending peer, or with
// AdmitAll an active one.
func (c *Catalog) TakeHead(ctx context.Context, h *Head, s Source) Intake {
	return c.take(ctx, h, nil, s)
}

// TakeUpdate is the intake's door for a head with its listing: verified, stored and
// searchable when it returns with Changed.
func (c *Catalog) TakeUpdate(ctx context.Context, u *Update, s Source) Intake {
	if u == nil || u.changes == nil {
		return Intake{Verdict: Reject, Reason: ReasonMalformed, Detail: "an update that ParseUpdate did not check"}
	}
	return c.take(ctx, u.Head, u, s)
}

// taking is one head on its way in, alone or with a listing.
type taking struct {
	c   *Catalog
	h   *Head
	u   *Update // nil for a head alone
	s   Source
	now time.Time

	key      string // of the author, standard base64
	claim    string // the URL that the head claims; "" if it claims none or one that may not be called
	claimOK  bool   // claim was checked and may be called
	claims   bool   // a URL that was not its claim before
	rows     []Capability
	unlisted []RowID // tools of the update that are no rows
	dropped  []Dropped
	read     bool // rows, unlisted and dropped are filled
}

func (c *Catalog) take(ctx context.Context, h *Head, u *Update, s Source) Intake {
	if h == nil || len(h.raw) == 0 {
		return Intake{Verdict: Reject, Reason: ReasonMalformed, Detail: "a head that ParseHead did not check"}
	}
	t := &taking{c: c, h: h, u: u, s: s, now: c.cfg.Now(), key: h.PublicKey.String()}
	c.judgeStale(t.now)
	if in, done := t.screen(); done {
		return in
	}
	t.judgeClaim(ctx)
	if t.willRead() {
		t.readTools()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	in := t.judge()
	if in.Peer == "" {
		if p, ok := c.PeerByKey(h.PublicKey); ok {
			in.Peer, in.State = p.URL, p.Status
		}
	}
	if t.claims && in.State == PeerActive {
		poke(c.mesh.admission)
	}
	return in
}

func (t *taking) ignore(reason, detail string) Intake {
	return Intake{Verdict: Ignore, Reason: reason, Detail: detail}
}

// blame rejects what its author sent itself; a relay may not have known.
func (t *taking) blame(reason, detail string) Intake {
	in := t.ignore(reason, detail)
	if t.s.Author {
		in.Verdict = Reject
	}
	return in
}

// screen judges what needs no peer.
func (t *taking) screen() (Intake, bool) {
	h := t.h
	switch {
	case h.PublicKey == t.c.mesh.ownKey:
		return t.c.takeOwn(h), true
	case t.c.cfg.Succeeds != nil && h.PublicKey == t.c.mesh.formerKey:
		return t.ignore(ReasonSelf, "the key that this hub gave up"), true
	case !t.now.Before(h.ExpiresAt):
		return t.ignore(ReasonExpired, "expired at "+stamp(h.ExpiresAt)), true
	case h.GeneratedAt.After(t.now.Add(MaxHeadAge)):
		return t.ignore(ReasonFuture, "generated at "+stamp(h.GeneratedAt)+", which is more than "+MaxHeadAge.String()+" ahead of this hub's clock"), true
	case t.u != nil && !t.u.Bound && t.s.Via == ViaGossip:
		return Intake{Verdict: Reject, Reason: ReasonMismatch, Detail: "the changes are not those that the head binds"}, true
	}
	return Intake{}, false
}

// judge decides and does it. c.mu is held.
func (t *taking) judge() Intake {
	c, h := t.c, t.h
	if hub, ok := c.retiredAt(h.PublicKey); ok {
		return t.blame(ReasonKeyChanged, "this key was given up for another one by the hub known as "+hub)
	}
	if in, done := t.checkClaim(); done {
		return in
	}
	if h.Succeeds != nil {
		if in, done := t.succeed(); done {
			return in
		}
	}
	p, known := c.PeerByKey(h.PublicKey)
	switch {
	case !known:
		return t.newcomer()
	case p.Status == PeerRejected:
		return t.ignore(ReasonRejected, "the operator rejected this hub")
	case p.Status == PeerKeyMismatch:
		return t.ignore(ReasonKeyChanged, p.URL+" shows another key than the pinned one; the operator must decide")
	case p.Status == PeerPending:
		return t.pending(p)
	}
	return t.active(p)
}

func (c *Catalog) retiredAt(key identity.PublicKey) (string, bool) {
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	hub, ok := c.mesh.retired[key]
	return hub, ok
}

// active takes a head of an admitted peer, which may be one that this very head
// admits (Sequence 0).
func (t *taking) active(p Peer) Intake {
	h := t.h
	out := Intake{Verdict: Accept, Reason: ReasonApplied, Peer: p.URL, State: p.Status}
	if t.u != nil && !t.u.Bound {
		out.Verdict = Ignore // made for one asker: nobody else could check it
	}
	switch {
	case h.Sequence < p.Sequence:
		in := t.ignore(ReasonStale, "a newer head of this hub is known")
		if p.HeadTime.Sub(h.GeneratedAt) > farStale {
			in = t.blame(ReasonStale, "a head from "+stamp(h.GeneratedAt)+" is repeated; the known one is from "+stamp(p.HeadTime))
		}
		return in
	case h.Sequence == p.Sequence && h.Digest == p.Digest:
		if p.Held == h.Digest {
			return t.ignore(ReasonDuplicate, "this head is known")
		}
		if t.u == nil { // this head was forwarded when it came first
			out.Verdict, out.Reason, out.Want = Ignore, ReasonWanted, t.want(&p)
			return out
		}
	case h.Sequence == p.Sequence:
		if p.Equivocated != h.Sequence {
			p.Equivocated = h.Sequence
			p.Equivocations++
		}
		in := t.blame(ReasonEquivocation, "another listing was signed under the same sequence")
		if h.Digest < p.Digest { // the greater digest wins everywhere
			return t.note(p, in)
		}
		out.Reason, out.Detail = in.Reason, in.Detail
		if t.s.Author {
			out.Verdict = Reject
		}
	}
	before := p
	t.describe(&p)
	p.Sequence, p.Digest = h.Sequence, h.Digest
	return t.content(before, p, out)
}

// willRead guesses before the lock whether the tools will be needed.
func (t *taking) willRead() bool {
	if t.u == nil || t.u.Refresh() {
		return false
	}
	p, known := t.c.PeerByKey(t.h.PublicKey)
	if !known {
		return t.c.cfg.Admission == AdmitAll
	}
	fresh := t.h.Sequence > p.Sequence || t.h.Sequence == p.Sequence && p.Held != t.h.Digest
	return p.Status == PeerActive && fresh && (t.u.Base == "" || p.Held == "" || t.u.Base == p.Held)
}

// readTools turns the update's tools into rows; a bad one is left out alone.
func (t *taking) readTools() {
	if t.read {
		return
	}
	t.read = true
	t.rows = make([]Capability, 0, len(t.u.Tools))
	for i := range t.u.Tools {
		tool := &t.u.Tools[i]
		v, err := tool.parsed, error(nil)
		if !v.Exists() {
			v, err = canon.Parse(tool.Raw)
		}
		var r Capability
		if err == nil {
			r, err = peerTool(v, t.isAuthor)
		}
		if err != nil {
			t.unlisted = append(t.unlisted, tool.RowID)
			t.dropped = append(t.dropped, Dropped{tool.RowID, err.Error()})
			continue
		}
		t.rows = append(t.rows, r)
	}
}
