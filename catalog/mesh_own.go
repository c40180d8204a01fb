package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/store"
)

// ownState is this hub's own part of the mesh; c.mu guards it.
type ownState struct {
	head     *Head          // newest that is on disk; nil before the first
	sequence uint64         // greatest ever used by this key, as far as is known
	issued   bool           // head was made by this process
	due      bool           // addresses changed since head
	all      bool           // every own row is to be looked at
	partial  bool           // the listing has no room for some rows, which may come up later
	dirty    map[RowID]bool // own rows that changed since head
}

// loadOwn reads the newest own head. What this hub listed under a key that it gave up is
// not listed again.
func (c *Catalog) loadOwn() error {
	o := &c.mesh.own
	o.all, o.dirty = true, map[RowID]bool{} // rows may have changed while this hub was down
	c.mesh.ownDirty.Store(true)
	c.pokeOwn()
	if err := c.dropFormer(); err != nil {
		return fmt.Errorf("drop the listing of the key that this hub gave up: %w", err)
	}
	h, err := readStoredHead(c.cfg.Store, c.mesh.ownKey)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read this hub's own head: %w", err)
	}
	o.head, o.sequence = h, h.Sequence
	return nil
}

func (c *Catalog) dropFormer() error {
	if c.cfg.Succeeds == nil {
		return nil
	}
	former := c.mesh.formerKey
	l, err := readListing(c.cfg.Store, former)
	if err != nil {
		return err
	}
	if _, err := readStoredHead(c.cfg.Store, former); len(l.entries) == 0 && errors.Is(err, store.ErrNotFound) {
		return nil
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	dropListing(b, former, l)
	return c.cfg.Store.Write(b)
}

// SetAddresses says where this hub is reached: its multiaddrs, and the public URL if
// it has one. A change makes a new head due.
func (c *Catalog) SetAddresses(peerID string, multiaddrs []string, publicURL string) {
	base, err := "", error(nil)
	if publicURL != "" {
		if base, err = NormalizeHubURL(publicURL); err != nil || isKeyURL(base) {
			c.cfg.Logger.Warn("catalog: this hub's public URL is none that others can use", "url", publicURL, "error", err)
			base = ""
		}
	}
	var addrs []string
	for _, a := range multiaddrs {
		if a != "" && len(a) <= MaxMultiaddrLen && plainText(a, "") && len(addrs) < MaxMultiaddrs {
			addrs = append(addrs, a)
		}
	}
	c.mu.Lock()
	was := c.ownAddress()
	changed := was.PeerID != peerID || was.PublicURL != base || !slices.Equal(was.Multiaddrs, addrs)
	if changed {
		c.addresses.Store(&ownAddresses{PeerID: peerID, Multiaddrs: addrs, PublicURL: base})
		c.mesh.own.due = true
		c.mesh.ownDirty.Store(true)
	}
	c.mu.Unlock()
	if changed {
		c.touch()
	}
}

// OwnChanges has an element whenever a new head of this hub is due.
func (c *Catalog) OwnChanges() <-chan struct{} { return c.mesh.ownChanges }

// pokeOwn tells OwnChanges of what changed; whoever changes a document does it last.
func (c *Catalog) pokeOwn() {
	if c.mesh.ownDirty.CompareAndSwap(true, false) {
		poke(c.mesh.ownChanges)
	}
}

// markOwn notes that an own row came, changed or went. c.mu is held; touch follows.
func (c *Catalog) markOwn(k Key) {
	if k.SourceHub != Local {
		return
	}
	o := &c.mesh.own
	if !o.all {
		o.dirty[k.rowID()] = true
		if len(o.dirty) > MaxListed {
			o.all, o.dirty = true, map[RowID]bool{}
		}
	}
	c.mesh.ownDirty.Store(true)
}

// takeOwn judges a head that bears this hub's own key.
func (c *Catalog) takeOwn(h *Head) Intake {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := &c.mesh.own
	in := Intake{Verdict: Ignore, Reason: ReasonSelf, Detail: "this hub's own head"}
	switch {
	case o.head != nil && h.Sequence == o.head.Sequence && string(h.raw) == string(o.head.raw), h.Sequence < o.sequence:
	case !o.issued: // from before a restart, or before a backup that was restored
		o.sequence, o.due = max(o.sequence, h.Sequence), true
		c.mesh.ownDirty.Store(true)
		c.pokeOwn()
	default:
		in = Intake{Verdict: Reject, Reason: ReasonOwnKey, Detail: "signed with this hub's key, but not by it: another hub runs with a copy of the key file; stop one of them"}
		c.cfg.Logger.Error("catalog: another hub uses this hub's key; stop one of the two", "sequence", h.Sequence, "url", clip(h.HubURL), "addresses", h.Multiaddrs)
	}
	return in
}

// NextUpdate signs this hub's next head if its listing, addresses or name changed since
// the last one, or if refresh is set, and returns it with the changes since then; nil if
// nothing is due. The head's sequence is on disk before it returns.
func (c *Catalog) NextUpdate(ctx context.Context, refresh bool) (*Update, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("catalog: next head: %w", err)
	}
	c.judgeStale(c.cfg.Now())
	c.mesh.nextMu.Lock()
	defer c.mesh.nextMu.Unlock()
	c.mu.Lock()
	n, err := c.nextLocked(refresh)
	c.mu.Unlock()
	if err == nil && n != nil {
		err = n.commit.Wait()
	}
	if err != nil {
		return nil, fmt.Errorf("catalog: next head: %w", err)
	}
	if n == nil {
		return nil, nil
	}
	c.mu.Lock()
	c.mesh.own.head = n.update.Head
	c.mu.Unlock()
	return n.update, nil
}

// nextHead is an own head on its way to the disk.
type nextHead struct {
	update *Update
	commit *store.Commit
}

func (c *Catalog) nextLocked(refresh bool) (*nextHead, error) {
	o, key, now := &c.mesh.own, c.mesh.ownKey, c.cfg.Now().UTC().Truncate(time.Second)
	old, err := c.listingFor(key)
	if err != nil {
		return nil, err
	}
	next, tools, err := c.ownListing(old)
	if err != nil {
		return nil, err
	}
	changed, removed := old.diff(next)
	h := c.ownHead(next, now)
	switch {
	case refresh || o.head == nil || o.due || len(changed)+len(removed) > 0 || !now.Before(o.head.ExpiresAt):
	case h.HubURL != o.head.HubURL || h.Name != o.head.Name || h.HubVersion != o.head.HubVersion || (h.Succeeds == nil) != (o.head.Succeeds == nil):
	default:
		o.all, o.dirty = false, map[RowID]bool{}
		return nil, nil
	}
	list := make([]Tool, 0, len(changed))
	for _, id := range changed {
		list = append(list, tools[id])
	}
	base := ""
	if o.head != nil {
		base = o.head.Digest
	}
	changes, err := listingOf(list, removed)
	if err != nil {
		return nil, err
	}
	whole := base == "" || next.size <= 2*changes.size // which also heals who missed something
	if base == h.Digest {
		whole = false
	} else if !whole {
		h.UpdateDigest, h.UpdateBase = changes.digest(), base
	}
	h.Sequence = max(o.sequence+1, uint64(max(0, c.cfg.Now().UnixMilli())))
	head, err := c.signHead(h)
	if err != nil {
		return nil, err
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	stageTools(b, key, list, removed)
	b.Set(headKey(key), store.PutValue(listingVersion, head.raw))
	commit, err := c.cfg.Store.Apply(b)
	if err != nil {
		return nil, err
	}
	c.mesh.listings.put(key, next)
	if base != h.Digest {
		c.mesh.history.add(key, base, list, removed)
	}
	o.sequence, o.issued, o.due, o.all, o.dirty = h.Sequence, true, false, false, map[RowID]bool{}
	if whole {
		if list, err = c.toolsOf(next, tools); err != nil {
			return nil, err
		}
		removed = nil
	}
	u := newUpdate(head, base, list, removed)
	if whole {
		u = newUpdate(head, "", list, nil)
	}
	u.Bound, u.changes = true, changes
	if whole {
		u.changes = next
	}
	return &nextHead{u, commit}, nil
}

// ownHead describes this hub and its listing; what sequence and changes are is open.
func (c *Catalog) ownHead(l *digests, now time.Time) Head {
	at := c.ownAddress()
	return Head{
		PublicKey: c.mesh.ownKey, HubURL: at.PublicURL, Name: clipName(c.cfg.HubName), HubVersion: clipTo(c.cfg.HubVersion, maxVersionText),
		Multiaddrs: at.Multiaddrs, GeneratedAt: now, ExpiresAt: now.Add(max(c.cfg.AwayAfter, time.Second)),
		Digest: l.digest(), Size: int(l.size), Capabilities: len(l.entries), Categories: l.categories(), Succeeds: c.cfg.Succeeds,
	}
}

// clipTo cuts text to n bytes of UTF-8.
func clipTo(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "")
	}
	return s
}
