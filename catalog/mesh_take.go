package catalog

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
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

// IntakeOf words an error of ParseHead or ParseUpdate.
func IntakeOf(err error) Intake {
	in := Intake{Verdict: Reject, Reason: ReasonMalformed, Detail: err.Error()}
	if errors.Is(err, ErrSignature) {
		in.Reason = ReasonSignature
	}
	return in
}

// taking is one head on its way in, alone or with a listing.
type taking struct {
	c   *Catalog
	h   *Head
	u   *Update // nil for a head alone
	s   Source
	now time.Time

	key      string // of the author, standard base64
	claimOK  bool   // the claimed URL was checked and may be called
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
	if in, done := t.judgeClaim(ctx); done {
		return in
	}
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
	case !t.now.Before(h.ExpiresAt):
		return t.ignore(ReasonExpired, "expired at "+stamp(h.ExpiresAt)), true
	case h.GeneratedAt.After(t.now.Add(MaxHeadAge)):
		return t.ignore(ReasonFuture, "generated at "+stamp(h.GeneratedAt)+", which is more than "+MaxHeadAge.String()+" ahead of this hub's clock"), true
	case t.u != nil && !t.u.Bound && t.s.Via == ViaGossip:
		return Intake{Verdict: Reject, Reason: ReasonMismatch, Detail: "the changes are not those that the head binds"}, true
	}
	return Intake{}, false
}

// judgeClaim checks whether the claimed URL may be called, where that matters now: an
// address written as a number always, a name only where the policy takes claims
// at their word, since a check may have to resolve it.
func (t *taking) judgeClaim(ctx context.Context) (Intake, bool) {
	claim := t.h.HubURL
	if claim == "" {
		return Intake{}, false
	}
	literal := literalHost(claim)
	if p, known := t.c.PeerByKey(t.h.PublicKey); known && (p.URL == claim || p.ClaimedURL == claim) && p.Status == PeerActive {
		t.claimOK = p.URL == claim
		return Intake{}, false
	}
	if !literal && t.c.cfg.Admission != AdmitAll {
		return Intake{}, false
	}
	err := t.c.cfg.URLs.CheckURL(ctx, claim)
	t.claimOK = err == nil
	if err != nil && literal {
		t.c.cfg.Logger.Info("catalog: head with an address that may not be called", "key", t.key, "url", claim, "error", err)
		return t.blame(ReasonUnsafe, claim+" is not a public address that this hub may call"), true
	}
	return Intake{}, false
}

// literalHost is true for a URL whose host needs no resolver.
func literalHost(base string) bool {
	u, err := url.Parse(base)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err == nil || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
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

// checkClaim refuses a head that claims the URL of somebody else.
func (t *taking) checkClaim() (Intake, bool) {
	c, claim := t.c, t.h.HubURL
	if claim == "" {
		return Intake{}, false
	}
	if c.isSelf(claim) {
		return t.blame(ReasonURLTaken, claim+" is this hub's own address"), true
	}
	if key, ok := c.mesh.seedURLs[claim]; ok && key != t.h.PublicKey {
		return t.blame(ReasonURLTaken, claim+" is pinned to another key by the operator"), true
	}
	o, ok := c.Peer(claim)
	switch {
	case !ok || o.PublicKey == t.key:
	case o.PublicKey != "" && (t.h.Succeeds == nil || t.h.Succeeds.PublicKey != o.PublicKey):
		return t.blame(ReasonURLTaken, claim+" belongs to another key"), true
	case o.PublicKey == "" && o.Status == PeerRejected:
		return t.ignore(ReasonRejected, "the operator rejected the hub at "+claim), true
	}
	return Intake{}, false
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

// content brings the peer's rows in line with the head as far as that is possible now.
func (t *taking) content(before, p Peer, out Intake) Intake {
	h, u := t.h, t.u
	held := p.Held
	switch {
	case held == h.Digest: // still current
		t.confirm(&p)
		return t.refresh(before, p, out)
	case h.Digest == emptyListing:
		return t.apply(before, p, &digests{}, nil, out)
	case u == nil:
		out.Want = t.want(&p)
		if out.Reason == ReasonApplied {
			out.Reason = ReasonWanted
		}
		return t.refresh(before, p, out)
	case u.Base == "":
		return t.apply(before, p, u.changes, u.Removed, out)
	case u.Base != held && (held != "" || u.Base != emptyListing):
		out.Want = t.want(&p)
		out.Reason, out.Detail = ReasonBase, "the listing that these changes apply to is not held"
		return t.refresh(before, p, out)
	}
	base := &digests{}
	if held != "" {
		var err error
		if base, err = t.c.listingFor(h.PublicKey); err != nil {
			return t.failed(err)
		}
	}
	next := base.apply(u.changes)
	if !h.announces(next) {
		return t.blame(ReasonMismatch, "these changes do not lead to the listing that the head announces")
	}
	return t.apply(before, p, next, u.Removed, out)
}

func (t *taking) want(p *Peer) *Want {
	return &Want{Key: t.h.PublicKey, Digest: t.h.Digest, Have: p.Held}
}

// refresh stores a head that changes no rows.
func (t *taking) refresh(before, p Peer, out Intake) Intake {
	if before.Name != p.Name || before.URL != p.URL {
		if err := t.c.movePeer(before.URL, &p, t.stageHead); err != nil {
			return t.failed(err)
		}
		out.Peer = p.URL
		return out
	}
	return t.note(p, out)
}

// note stores the peer's record and head alone.
func (t *taking) note(p Peer, out Intake) Intake {
	value, err := encodePeer(&p)
	if err != nil {
		return t.failed(err)
	}
	b := t.c.cfg.Store.NewBatch()
	defer b.Close()
	b.Set(joinKey(rangePeer, p.URL), value)
	if p.Sequence == t.h.Sequence && p.Digest == t.h.Digest && p.Status == PeerActive {
		t.stageHead(b)
	}
	if err := t.c.cfg.Store.WriteNoSync(b); err != nil {
		return t.failed(err)
	}
	old, _ := t.c.Peer(p.URL)
	t.c.setPeer(p.URL, &p)
	if p.Status == PeerActive {
		t.c.syncHubFlag(p.URL, t.now)
	}
	if !shownAlike(&old, &p) {
		t.c.touch()
	}
	out.Peer, out.State = p.URL, p.Status
	return out
}

func (t *taking) stageHead(b *store.Batch) {
	b.Set(headKey(t.h.PublicKey), store.PutValue(listingVersion, t.h.raw))
}

// apply makes next, which u leads to, the peer's listing.
func (t *taking) apply(before, p Peer, next *digests, removed []RowID, out Intake) Intake {
	c, key := t.c, t.h.PublicKey
	if before.Name != p.Name || before.URL != p.URL {
		// The rows that stay get the new name first.
		was := before
		was.URL, was.Name = p.URL, p.Name
		if err := c.movePeer(before.URL, &was, nil); err != nil {
			return t.failed(err)
		}
	}
	held, err := c.listingFor(key)
	if err != nil {
		return t.failed(err)
	}
	whole := t.u == nil || t.u.Base == "" || p.Held == ""
	var tools []Tool
	if t.u != nil {
		t.readTools()
		tools = t.u.Tools
	}
	if whole { // what is stored verbatim already is not written again
		changed, gone := held.diff(next)
		removed = gone
		if len(changed) < len(tools) {
			tools = slices.DeleteFunc(slices.Clone(tools), func(tool Tool) bool {
				_, there := slices.BinarySearchFunc(changed, tool.RowID, RowID.compare)
				return !there
			})
		}
	}
	from := p.Held
	p.Held, p.Away = t.h.Digest, false
	t.confirm(&p)
	changed, err := c.applyRows(&p, rowsChange{
		Whole: whole, Rows: t.rows, Gone: append(slices.Clone(removed), t.unlisted...),
		Also: func(b *store.Batch) {
			stageTools(b, key, tools, removed)
			t.stageHead(b)
		},
		After: func() {
			c.mesh.listings.put(key, next)
			c.mesh.history.add(key, from, tools, removed)
		},
	})
	if err != nil {
		return t.failed(err)
	}
	out.Peer, out.State, out.Changed, out.Dropped = p.URL, p.Status, changed, t.dropped
	return out
}

// failed words an error of this hub: nobody else is to blame.
func (t *taking) failed(err error) Intake {
	reason := ReasonStorage
	if errors.Is(err, ErrFull) || errors.Is(err, ErrDuplicateIdentity) {
		reason = ReasonFull
	}
	t.c.cfg.Logger.Warn("catalog: a head was not taken", "key", t.key, "sequence", t.h.Sequence, "reason", reason, "error", err)
	return t.ignore(reason, err.Error())
}

// confirm notes that the peer's catalogue is current.
func (t *taking) confirm(p *Peer) {
	now := t.now.UTC().Truncate(time.Second)
	p.LastCrawl = now
	if p.Status == PeerActive && (p.Away || strings.HasPrefix(p.Why, "away")) {
		p.Away, p.Why = false, "active: heard of again at "+stamp(now)
	}
}

// describe copies what a head says of its hub.
func (t *taking) describe(p *Peer) {
	h := t.h
	p.LastSeen = t.now.UTC().Truncate(time.Second)
	p.PublicKey = t.key
	if h.Name != "" {
		p.Name = h.Name
	} else if p.Name == "" {
		p.Name = hostname(p.URL)
	}
	p.HubVersion, p.Categories, p.Multiaddrs = h.HubVersion, h.Categories, h.Multiaddrs
	p.Capabilities = h.Capabilities
	p.HeadTime, p.Expires = h.GeneratedAt, h.ExpiresAt
	p.ClaimedURL = ""
	switch {
	case h.HubURL == "" || h.HubURL == p.URL:
	case p.Status == PeerActive && t.mayTakeURL():
		p.URL = h.HubURL
		p.WellKnownURL, p.ManifestURL, p.MCPEndpoint = p.URL+wellKnownPath, "", ""
	default:
		p.ClaimedURL = h.HubURL
	}
}

// mayTakeURL reports whether the claimed URL counts without a trial: the operator
// pinned it to this key, or the policy is open and nobody else has it.
func (t *taking) mayTakeURL() bool {
	c, claim := t.c, t.h.HubURL
	if claim == "" {
		return false
	}
	if c.mesh.seedURLs[claim] == t.h.PublicKey {
		return true
	}
	o, taken := c.Peer(claim)
	return c.cfg.Admission == AdmitAll && t.claimOK && (!taken || o.Status == PeerPending)
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

// isAuthor reports whether a source_hub names the author of the head.
func (t *taking) isAuthor(sourceHub string) bool {
	base, err := NormalizeHubURL(sourceHub)
	return err == nil && (sameHub(base, t.h.HubURL) || base == KeyURL(t.h.PublicKey))
}

// sameHub compares base URLs without their schemes (federation notes §2, "Per tool").
func sameHub(a, b string) bool {
	_, x, _ := strings.Cut(a, "://")
	_, y, _ := strings.Cut(b, "://")
	return x == y
}
