package gossip

import (
	"bytes"
	"context"
	"crypto/sha256"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
)

// Reasons of verdicts that the catalogue was not asked for.
const (
	reasonSize    = "size"         // longer than its topic carries
	reasonInvalid = "invalid"      // does not parse or does not verify
	reasonSource  = "source_rate"  // its neighbour sends more than is looked into
	reasonRelayed = "relayed_rate" // its neighbour sends too much in this author's name
	reasonAuthor  = "author_rate"  // its author says more than an author may
	reasonEvents  = "event"        // a reputation event, as the catalogue judged it
)

// verified is a head whose signature was checked.
type verified struct {
	head     *catalog.Head
	rumour   atomic.Bool // this hub is about to pass it on
	gossiped atomic.Bool // this hub forwarded it, so that its neighbours have it as well
}

// validateManifest is the validator of ManifestTopic. What it accepts is in the
// catalogue already.
func (m *Mesh) validateManifest(ctx context.Context, src peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	if src == m.self {
		return pubsub.ValidationAccept
	}
	data := msg.GetData()
	if len(data) > MaxGossipUpdate {
		return m.judge(ManifestTopic, catalog.Reject, reasonSize)
	}
	claimed := claimedAuthor(data)
	if v, why := m.allowance(src, claimed); v != catalog.Accept {
		return m.judge(ManifestTopic, v, why)
	}
	u, known, err := m.parseUpdate(data)
	if err != nil {
		return m.judge(ManifestTopic, catalog.Reject, reasonInvalid)
	}
	if v := m.authorAllowance(u.Head, src); v != catalog.Accept {
		return m.judge(ManifestTopic, v, reasonAuthor)
	}
	if m.lanes.await(ctx, u.Head.PublicKey, u.Head.Sequence, u.Base) {
		m.count.bound("lane_waits")
	}
	in := m.cat.TakeUpdate(ctx, u, m.source(catalog.ViaGossip, src, u.Head))
	m.took(u.Head, in, src, catalog.ViaGossip, true)
	if in.Reason == catalog.ReasonApplied && in.Verdict == catalog.Ignore {
		// Its head came first and was forwarded; the update still was not.
		in.Verdict = catalog.Accept
	}
	return m.judge(ManifestTopic, known.passOn(in), in.Reason)
}

// validateAnnounce is the validator of AnnounceTopic: heads, and events otherwise.
func (m *Mesh) validateAnnounce(ctx context.Context, src peer.ID, msg *pubsub.Message) pubsub.ValidationResult {
	if src == m.self {
		return pubsub.ValidationAccept
	}
	data := msg.GetData()
	if len(data) > maxAnnounce {
		return m.judge(AnnounceTopic, catalog.Reject, reasonSize)
	}
	known, ok := m.verified.Get(sha256.Sum256(data))
	if !ok {
		if v, why := m.allowance(src, claimedAuthor(data)); v != catalog.Accept {
			return m.judge(AnnounceTopic, v, why)
		}
		doc, err := canon.Parse(data)
		if err != nil {
			return m.judge(AnnounceTopic, catalog.Reject, reasonInvalid)
		}
		if doc.Get("type").Str() != headType {
			return m.judgeEvent(ctx, src, doc)
		}
		h, err := catalog.ParseHead(data)
		if err != nil {
			return m.judge(AnnounceTopic, catalog.Reject, reasonInvalid)
		}
		known = m.remember(h)
	}
	if v := m.authorAllowance(known.head, src); v != catalog.Accept {
		return m.judge(AnnounceTopic, v, reasonAuthor)
	}
	in := m.cat.TakeHead(ctx, known.head, m.source(catalog.ViaGossip, src, known.head))
	m.took(known.head, in, src, catalog.ViaGossip, false)
	return m.judge(AnnounceTopic, known.passOn(in), in.Reason)
}

// passOn is the verdict on a message with this head. One that this hub learned by a
// comparison and was about to pass on is forwarded although it is no news here.
func (v *verified) passOn(in catalog.Intake) catalog.Verdict {
	verdict := in.Verdict
	if verdict == catalog.Ignore && in.Reason == catalog.ReasonDuplicate && v.rumour.Swap(false) {
		verdict = catalog.Accept
	}
	if verdict == catalog.Accept {
		v.gossiped.Store(true)
	}
	return verdict
}

// headType is the type member of a head; events have none of that name.
const headType = "hub_head"

func (m *Mesh) judgeEvent(ctx context.Context, src peer.ID, doc canon.Value) pubsub.ValidationResult {
	if doc.Kind() != canon.Object {
		return m.judge(AnnounceTopic, catalog.Reject, reasonInvalid)
	}
	_, v := m.cat.TakeEvents(ctx, []canon.Value{doc}, catalog.Source{Via: catalog.ViaGossip, Peer: src.String()})
	if v == catalog.Accept { // only what its reporter signed counts against it
		if ok, _ := m.limits.author.take(clipAuthor(doc.Get("consumer_hub").Str()), 1); !ok {
			m.count.bound(reasonAuthor)
			return m.judge(AnnounceTopic, catalog.Ignore, reasonAuthor)
		}
	}
	return m.judge(AnnounceTopic, v, reasonEvents)
}

// remember keeps a head whose signature was checked, and returns the one entry for it.
func (m *Mesh) remember(h *catalog.Head) *verified {
	sum := sha256.Sum256(h.Raw())
	fresh := &verified{head: h}
	if old, ok, _ := m.verified.PeekOrAdd(sum, fresh); ok {
		return old
	}
	return fresh
}

// parseHead is catalog.ParseHead for heads that may have been verified before. A new one is
// copied: heads come many to a frame, and one that is kept must not keep them all.
func (m *Mesh) parseHead(raw []byte) (*verified, error) {
	if known, ok := m.verified.Get(sha256.Sum256(raw)); ok {
		return known, nil
	}
	h, err := catalog.ParseHead(bytes.Clone(raw))
	if err != nil {
		return nil, err
	}
	return m.remember(h), nil
}

// parseUpdate is catalog.ParseUpdate for updates whose head may have been verified before.
func (m *Mesh) parseUpdate(raw []byte) (u *catalog.Update, known *verified, err error) {
	u, err = catalog.ParseUpdateWith(raw, func(head []byte) (*catalog.Head, error) {
		if known, err = m.parseHead(head); err != nil {
			return nil, err
		}
		return known.head, nil
	})
	return u, known, err
}

// allowance is asked before anything expensive: has this neighbour sent too much, in
// all or in this author's name? A neighbour that is itself the author and far over
// its allowance is to blame; anybody else may only be passing on.
func (m *Mesh) allowance(src peer.ID, claimed string) (catalog.Verdict, string) {
	if ok, _ := m.limits.source.take(src, 1); !ok {
		m.count.bound(reasonSource)
		return catalog.Ignore, reasonSource
	}
	ok, far := m.limits.relayed.take(relayed{src, claimed}, 1)
	switch {
	case ok:
		return catalog.Accept, ""
	case far && isAuthor(src, claimed):
		m.count.bound(reasonRelayed)
		return catalog.Reject, reasonRelayed
	}
	m.count.bound(reasonRelayed)
	return catalog.Ignore, reasonRelayed
}

// authorAllowance counts verified news of one author, whoever brings it. What is not
// news does not count, or replaying old messages would silence their author.
func (m *Mesh) authorAllowance(h *catalog.Head, src peer.ID) catalog.Verdict {
	if m.lanes.behind(h.PublicKey, h.Sequence) {
		return catalog.Accept
	}
	ok, far := m.limits.author.take(h.PublicKey.String(), 1)
	if ok {
		return catalog.Accept
	}
	m.count.bound(reasonAuthor)
	if far && idOf(h.PublicKey) == src {
		return catalog.Reject
	}
	return catalog.Ignore
}

// claimedAuthor finds the first "signer_public_key" (of an event, "consumer_hub") of a
// message without parsing it. It is only a claim: it chooses an allowance, nothing more.
func claimedAuthor(data []byte) string {
	for _, member := range []string{`"signer_public_key"`, `"consumer_hub"`} {
		_, rest, ok := bytes.Cut(data, []byte(member))
		if !ok {
			continue
		}
		rest = bytes.TrimLeft(rest, " \t\r\n:")
		if len(rest) < 2 || rest[0] != '"' {
			continue
		}
		if value, _, ok := bytes.Cut(rest[1:], []byte{'"'}); ok {
			return clipAuthor(string(value))
		}
	}
	return ""
}

// maxAuthorText keeps the keys of the allowances short.
const maxAuthorText = 128

func clipAuthor(s string) string { return s[:min(len(s), maxAuthorText)] }

func isAuthor(src peer.ID, claimed string) bool {
	key, ok := keyOf(src)
	return ok && key.String() == claimed
}

func (m *Mesh) source(via catalog.Via, from peer.ID, h *catalog.Head) catalog.Source {
	return catalog.Source{Via: via, Peer: from.String(), Author: idOf(h.PublicKey) == from}
}

func (m *Mesh) judge(topic string, v catalog.Verdict, reason string) pubsub.ValidationResult {
	m.count.message(topic, v, reason)
	switch v {
	case catalog.Accept:
		return pubsub.ValidationAccept
	case catalog.Ignore:
		return pubsub.ValidationIgnore
	}
	return pubsub.ValidationReject
}

// took follows up on what the catalogue made of a head, with its listing or without:
// pulls what it wants, passes on what gossip had not brought, learns addresses.
func (m *Mesh) took(h *catalog.Head, in catalog.Intake, from peer.ID, via catalog.Via, listing bool) {
	switch in.Reason {
	case catalog.ReasonApplied, catalog.ReasonWanted, catalog.ReasonPending, catalog.ReasonBase, catalog.ReasonEquivocation:
		if m.cfg.Learn != nil && len(h.Multiaddrs) > 0 {
			m.cfg.Learn(h.PublicKey, h.Multiaddrs)
		}
	}
	switch in.Reason {
	case catalog.ReasonApplied:
		m.lanes.note(h.PublicKey, h.Sequence, h.Digest)
		m.pulls.settled(h.PublicKey, h.Sequence)
		if via != catalog.ViaGossip {
			m.count.repairs.WithLabelValues(string(via)).Inc()
			m.rumour(h)
		}
	case catalog.ReasonDuplicate:
		if listing && in.Want == nil {
			m.lanes.note(h.PublicKey, h.Sequence, h.Digest)
		}
	case catalog.ReasonWanted, catalog.ReasonBase:
		m.lanes.note(h.PublicKey, h.Sequence, "")
	case catalog.ReasonEquivocation:
		if in.Verdict == catalog.Reject && (in.Changed || in.Want != nil) {
			// Its author is to blame and its message goes no further, but it counts here now:
			// the others, which believe in the other listing, must hear of it.
			m.rumour(h)
		}
	}
	if in.Want == nil {
		return
	}
	var delay time.Duration
	switch {
	case via != catalog.ViaGossip:
	case listing: // the update came and is of no use: none will
		delay = m.chance.around(pullSpread, 1)
	default:
		delay = m.chance.around(pullDelay, 0.5)
	}
	m.pulls.add(*in.Want, h.Sequence, from, delay)
}
