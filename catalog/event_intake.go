package catalog

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// EventCounts is what became of a batch of reputation events.
type EventCounts struct{ Received, Rejected, Replayed int }

// TakeEvents is the intake's door for signed reputation events (HTTP API notes §5,
// federation notes §5): the consumer must be an active peer and have signed, the time
// within 24 hours, no event counts twice. The verdict is for a message that carries
// just these events: Reject for what no honest hub would have passed on.
func (c *Catalog) TakeEvents(ctx context.Context, events []canon.Value, s Source) (EventCounts, Verdict) {
	var n EventCounts
	verdict := Ignore
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	for i, v := range events {
		if i == MaxEventsATime || ctx.Err() != nil {
			n.Rejected += len(events) - i
			break
		}
		f, blame := c.takeEvent(b, v)
		switch {
		case blame != nil:
			n.Rejected++
			verdict = Reject
			c.cfg.Logger.Debug("catalog: reputation event refused", "from", s.Peer, "via", s.Via, "error", blame)
		case f == eventKept:
			n.Received++
			if verdict == Ignore {
				verdict = Accept
			}
		case f == eventReplayed:
			n.Replayed++
		default:
			n.Rejected++
		}
	}
	c.writeEvents(b, n.Received)
	return n, verdict
}

// takeEvent judges one event. blame is a fault of shape or signature, which whoever
// passed the event on should have seen.
func (c *Catalog) takeEvent(b *store.Batch, v canon.Value) (f fate, blame error) {
	e, err := parseEvent(v)
	if err != nil {
		return eventRefused, err
	}
	now := c.cfg.Now()
	consumer, ok := c.keyOf(e.consumer)
	provider, known := c.keyOf(e.provider)
	if !ok || !known || !e.timely(now) {
		return eventRefused, nil
	}
	own := consumer == c.mesh.ownKey
	if p, ok := c.PeerByKey(consumer); !own && (!ok || p.Status != PeerActive) {
		return eventRefused, nil
	}
	if c.events.saw(e.digest(consumer), now) {
		return eventReplayed, nil // before the signature, which costs most
	}
	if err := identity.VerifyBase64(consumer, e.message, e.signature); err != nil {
		return eventRefused, err
	}
	if own {
		return eventReplayed, nil // this hub counted it when it signed it
	}
	return c.keepEvent(b, provider, consumer, e, now), nil
}

func (c *Catalog) keepEvent(b *store.Batch, provider, consumer identity.PublicKey, e *repEvent, now time.Time) fate {
	good, counts := outcome(e.kind)
	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	return c.events.keep(b, provider, event{
		digest: e.digest(consumer), reporter: consumer, at: e.at.Unix(), good: good, counts: counts,
	}, e.raw, now)
}

// writeEvents saves events without waiting for the disk: what a crash takes, the other
// hubs still have.
func (c *Catalog) writeEvents(b *store.Batch, n int) {
	if n == 0 {
		return
	}
	if err := c.cfg.Store.WriteNoSync(b); err != nil {
		c.cfg.Logger.Warn("catalog: reputation events are not saved; they count until the next restart", "events", n, "error", err)
	}
}

// keyOf resolves the URL under which somebody names a hub to the hub's pinned key:
// this hub's own, a peer's, or the key that the URL itself is.
func (c *Catalog) keyOf(hubURL string) (identity.PublicKey, bool) {
	base, err := NormalizeHubURL(hubURL)
	if err != nil {
		return identity.PublicKey{}, false
	}
	if c.isSelf(base) {
		return c.mesh.ownKey, true
	}
	if p, ok := c.Peer(base); ok {
		return decodeKey(p.PublicKey)
	}
	if key, ok := keyOfURL(base); ok {
		_, known := c.PeerByKey(key)
		return key, known
	}
	return identity.PublicKey{}, false
}

// Experience is one finished exchange of this hub with another.
type Experience struct {
	ProviderHub string
	Success     bool
	PriceMicros int64
	LatencyMS   int64
}

// Report signs an experience as a reputation event of this hub, counts it, and puts it
// where NextEvents finds it. Events about one hub with one outcome are at least
// eventPace apart; what comes in between is in this hub's own measurements anyway.
// ErrUnknown for a hub that is no peer with a key.
func (c *Catalog) Report(ctx context.Context, e Experience) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("catalog: report on %s: %w", clip(e.ProviderHub), err)
	}
	p, _ := c.Peer(e.ProviderHub)
	about, ok := decodeKey(p.PublicKey)
	if !ok {
		return fmt.Errorf("catalog: report: %w", &UnknownError{SourceHub: e.ProviderHub, NoHub: true})
	}
	now := c.cfg.Now()
	if !c.events.mayReport(pace{about, e.Success}, now) {
		return nil
	}
	raw, err := c.printEvent(e, p.URL, c.selfURL(), now)
	if err != nil {
		return fmt.Errorf("catalog: report on %s: %w", p.URL, err)
	}
	parsed, err := parseStoredEvent(raw)
	if err != nil {
		return fmt.Errorf("catalog: report on %s: %w", p.URL, err)
	}
	b := c.cfg.Store.NewBatch()
	defer b.Close()
	if c.keepEvent(b, about, c.mesh.ownKey, parsed, now) == eventKept {
		c.events.enqueue(raw)
		c.writeEvents(b, 1)
	}
	return nil
}

// selfURL is the address by which other hubs know this one best.
func (c *Catalog) selfURL() string {
	switch a := c.ownAddress(); {
	case a.PublicURL != "":
		return a.PublicURL
	case a.PeerID != "":
		return KeyURL(c.mesh.ownKey) // the mesh knows the key; a local address means nothing there
	}
	return c.cfg.HubURL
}

// mayReport allows one event of a kind per eventPace.
func (l *eventLog) mayReport(k pace, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last, ok := l.paced[k]; ok && now.Sub(last) < eventPace && !now.Before(last) {
		return false
	}
	const many = 1024
	if len(l.paced) >= many {
		for k, last := range l.paced {
			if now.Sub(last) >= eventPace {
				delete(l.paced, k)
			}
		}
	}
	l.paced[k] = now
	return true
}

// enqueue puts an own event in line for gossip.
func (l *eventLog) enqueue(raw []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) >= MaxQueuedEvents {
		l.queue = slices.Delete(l.queue, 0, 1)
	}
	l.queue = append(l.queue, raw)
	select {
	case l.due <- struct{}{}:
	default:
	}
}

// NextEvents takes the events of this hub that were not gossiped yet.
func (c *Catalog) NextEvents() [][]byte {
	c.events.mu.Lock()
	defer c.events.mu.Unlock()
	out := c.events.queue
	c.events.queue = nil
	return out
}

// EventsDue has an element whenever NextEvents has something.
func (c *Catalog) EventsDue() <-chan struct{} { return c.events.due }

// EventsOf lists the newest events about a hub, as received, newest first.
func (c *Catalog) EventsOf(hubURL string, n int) [][]byte {
	about, ok := c.keyOf(hubURL)
	if !ok || n <= 0 {
		return nil
	}
	c.events.mu.Lock()
	list := slices.Clone(c.events.about[about])
	c.events.mu.Unlock()
	slices.Reverse(list)
	out := make([][]byte, 0, min(n, len(list)))
	for _, e := range list[:min(n, len(list))] {
		value, err := c.cfg.Store.Get(eventKey(about, e.seq))
		if err != nil || len(value) <= 1+eventHeaderBytes {
			continue // it gave way to a newer one just now
		}
		out = append(out, value[1+eventHeaderBytes:])
	}
	return out
}

// parseStoredEvent reads an event's text again.
func parseStoredEvent(raw []byte) (*repEvent, error) {
	v, err := canon.Parse(slices.Clone(raw))
	if err != nil {
		return nil, err
	}
	return parseEvent(v)
}

func appendUint64(dst []byte, v uint64) []byte { return binary.BigEndian.AppendUint64(dst, v) }

func readUint64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

func parseHex64(s string) (uint64, error) { return strconv.ParseUint(s, 16, 64) }

// cutKey reads the two parts after a range.
func cutKey(rng string, key []byte) (a, b string, ok bool) {
	rest, ok := strings.CutPrefix(string(key), rng)
	if !ok {
		return "", "", false
	}
	a, b, ok = strings.Cut(rest, "\x00")
	return a, b, ok && a != "" && b != ""
}
