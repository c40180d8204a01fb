package catalog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// event prints an event that s reports about provider; changes are made before it signs.
func (s *stranger) event(provider string, changes members) []byte {
	s.t.Helper()
	e := members{"type": "invoke_success", "provider_hub": provider, "consumer_hub": s.url,
		"timestamp": stamp(s.clock.Now()), "price_usd": 0.02, "latency_ms": 120}.with(changes)
	return s.signed(e, canon.ReputationMessage)
}

func values(t testing.TB, raws ...[]byte) []canon.Value {
	t.Helper()
	var out []canon.Value
	for _, raw := range raws {
		v, err := canon.Parse(raw)
		must(t, err)
		out = append(out, v)
	}
	return out
}

func (h *hub) report(raws ...[]byte) (EventCounts, Verdict) {
	h.t.Helper()
	return h.TakeEvents(context.Background(), values(h.t, raws...), Source{Via: ViaGossip, Peer: "somebody"})
}

// pair is a hub with an admitted provider and an admitted consumer.
func pair(t testing.TB) (h *hub, provider, consumer *stranger) {
	h = newHub(t)
	provider, consumer = newStranger(h, "https://provider.example.org"), newStranger(h, "https://consumer.example.org")
	h.admit(provider)
	h.admit(consumer)
	return h, provider, consumer
}

func TestTakeEvents(t *testing.T) {
	var (
		kept     = EventCounts{Received: 1}
		refused  = EventCounts{Rejected: 1}
		replayed = EventCounts{Replayed: 1}
	)
	tests := []struct {
		name    string
		event   func(h *hub, p, c *stranger) []byte
		counts  EventCounts
		verdict Verdict
	}{
		{"good", func(h *hub, p, c *stranger) []byte { return c.event(p.url, nil) }, kept, Accept},
		{"unknown members", func(h *hub, p, c *stranger) []byte { return c.event(p.url, members{"capability_id": "x", "nonce": 1}) }, kept, Accept},
		{"of a type that nobody knows", func(h *hub, p, c *stranger) []byte { return c.event(p.url, members{"type": "applause"}) }, kept, Accept},
		{"signature as text", func(h *hub, p, c *stranger) []byte {
			var e members
			must(h.t, json.Unmarshal(c.event(p.url, nil), &e))
			e["signature"] = e["signature"].(map[string]any)["value"]
			return jsonText(h.t, e)
		}, kept, Accept},
		{"without price and latency", func(h *hub, p, c *stranger) []byte {
			return c.event(p.url, members{"price_usd": nil, "latency_ms": nil})
		}, kept, Accept},
		{"names its provider by key", func(h *hub, p, c *stranger) []byte { return c.event(KeyURL(p.key.Public()), nil) }, kept, Accept},
		{"names itself by key", func(h *hub, p, c *stranger) []byte {
			return c.event(p.url, members{"consumer_hub": KeyURL(c.key.Public())})
		}, kept, Accept},
		{"about this hub", func(h *hub, p, c *stranger) []byte { return c.event(h.cfg.HubURL, nil) }, kept, Accept},
		{"a day old", func(h *hub, p, c *stranger) []byte {
			return c.event(p.url, members{"timestamp": stamp(h.clock.Now().Add(-EventWindow))})
		}, kept, Accept},
		{"older", func(h *hub, p, c *stranger) []byte {
			return c.event(p.url, members{"timestamp": stamp(h.clock.Now().Add(-EventWindow - time.Second))})
		}, refused, Ignore},
		{"too far ahead", func(h *hub, p, c *stranger) []byte {
			return c.event(p.url, members{"timestamp": stamp(h.clock.Now().Add(EventWindow + time.Second))})
		}, refused, Ignore},
		{"unknown provider", func(h *hub, p, c *stranger) []byte { return c.event("https://nobody.example.org", nil) }, refused, Ignore},
		{"unknown consumer", func(h *hub, p, c *stranger) []byte { return newStranger(h, "https://x.example.org").event(p.url, nil) }, refused, Ignore},
		{"pending consumer", func(h *hub, p, c *stranger) []byte {
			x := newStranger(h, "https://pending.example.org")
			h.meet(x)
			return x.event(p.url, nil)
		}, refused, Ignore},
		{"consumer whose address shows another key", func(h *hub, p, c *stranger) []byte {
			h.take(newStrangerNamed(h, "thief", c.url).found(nil))
			return c.event(p.url, nil)
		}, refused, Ignore},
		{"signed by another", func(h *hub, p, c *stranger) []byte { return p.event(p.url, members{"consumer_hub": c.url}) }, refused, Reject},
		{"changed", func(h *hub, p, c *stranger) []byte {
			return bytes.Replace(c.event(p.url, nil), []byte("0.02"), []byte("9.02"), 1)
		}, refused, Reject},
		{"unsigned", func(h *hub, p, c *stranger) []byte {
			return []byte(`{"type":"invoke_success","provider_hub":"` + p.url + `","consumer_hub":"` + c.url + `","timestamp":"2026-11-24T09:00:00Z"}`)
		}, refused, Reject},
		{"signed with nothing known", func(h *hub, p, c *stranger) []byte {
			return bytes.Replace(c.event(p.url, nil), []byte(`"ed25519"`), []byte(`"none"`), 1)
		}, refused, Reject},
		{"no type", func(h *hub, p, c *stranger) []byte { return c.event(p.url, members{"type": nil}) }, refused, Reject},
		{"no time", func(h *hub, p, c *stranger) []byte { return c.event(p.url, members{"timestamp": "now"}) }, refused, Reject},
		{"no consumer", func(h *hub, p, c *stranger) []byte { return c.event(p.url, members{"consumer_hub": nil}) }, refused, Reject},
		{"price below zero", func(h *hub, p, c *stranger) []byte { return c.event(p.url, members{"price_usd": -1}) }, refused, Reject},
		{"latency of text", func(h *hub, p, c *stranger) []byte {
			return bytes.Replace(c.event(p.url, nil), []byte(`:120,`), []byte(`:"120",`), 1)
		}, refused, Reject},
		{"too long", func(h *hub, p, c *stranger) []byte {
			return c.event(p.url, members{"x": strings.Repeat("x", MaxEventBytes)})
		}, refused, Reject},
		{"no object", func(h *hub, p, c *stranger) []byte { return []byte("[]") }, refused, Reject},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, p, c := pair(t)
			raw := tt.event(h, p, c)
			counts, verdict := h.report(raw)
			if counts != tt.counts || verdict != tt.verdict {
				t.Fatalf("%+v, verdict %d; want %+v, %d", counts, verdict, tt.counts, tt.verdict)
			}
			if counts != kept {
				if got := h.EventsOf(p.url, 10); len(got) != 0 {
					t.Fatalf("kept %q", got)
				}
				return
			}
			for range 2 { // before and after a restart
				if counts, verdict := h.report(raw); counts != replayed || verdict != Ignore {
					t.Fatalf("again: %+v, verdict %d", counts, verdict)
				}
				about := p.url
				if tt.name == "about this hub" {
					about = h.cfg.HubURL
				}
				if got := h.EventsOf(about, 10); len(got) != 1 || !bytes.Equal(got[0], raw) {
					t.Fatalf("kept %q", got)
				}
				h.reopen(t)
			}
		})
	}
}

// Other unsigned members or another spelling make no second event.
func TestEventIsCountedOnce(t *testing.T) {
	h, p, c := pair(t)
	raw := c.event(p.url, nil)
	var e members
	must(t, json.Unmarshal(raw, &e))
	e["capability_id"] = "another"
	again := jsonText(t, e)
	if bytes.Equal(raw, again) {
		t.Fatal("the test sends the same twice")
	}
	if counts, verdict := h.report(raw, again); counts != (EventCounts{Received: 1, Replayed: 1}) || verdict != Accept {
		t.Fatalf("%+v, %d", counts, verdict)
	}
	// With a bad one among them, whoever sent them is to blame, and the good ones count.
	good := c.event(p.url, members{"latency_ms": 7})
	if counts, verdict := h.report([]byte("{}"), good); counts != (EventCounts{Received: 1, Rejected: 1}) || verdict != Reject {
		t.Fatalf("%+v, %d", counts, verdict)
	}
	var many [][]byte
	for range MaxEventsATime + 5 {
		many = append(many, raw)
	}
	if counts, _ := h.report(many...); counts != (EventCounts{Replayed: MaxEventsATime, Rejected: 5}) {
		t.Fatalf("%+v", counts)
	}
}

// Events per hub, per reporter and in all are bounded, and the newest stay.
func TestEventsAreBounded(t *testing.T) {
	h, p, _ := pair(t)
	for i := range 13 {
		c := newStranger(h, fmt.Sprintf("https://c%d.example.org", i))
		h.admit(c)
		for j := range maxOfReporter + 3 {
			if counts, _ := h.report(c.event(p.url, members{"latency_ms": j})); counts.Received != 1 {
				t.Fatalf("hub %d, event %d: %+v", i, j, counts)
			}
		}
	}
	check := func() {
		t.Helper()
		got := h.EventsOf(p.url, 1000)
		if len(got) != MaxEventsOfHub || h.events.total != MaxEventsOfHub {
			t.Fatalf("%d events, %d counted", len(got), h.events.total)
		}
		if !bytes.Contains(got[0], []byte("c12.example.org")) || bytes.Contains(bytes.Join(got, nil), []byte("c0.example.org")) {
			t.Fatalf("newest %s", got[0])
		}
		stored := 0
		must(t, h.db.Scan([]byte(rangeEvent), nil, func(_, _ []byte) (bool, error) { stored++; return true, nil }))
		if stored != MaxEventsOfHub {
			t.Fatalf("%d events on disk", stored)
		}
		if got := h.EventsOf(p.url, 3); len(got) != 3 {
			t.Fatalf("%d of 3 events", len(got))
		}
	}
	check()
	h.reopen(t)
	check()
	// The digests that guard against replay go when they cannot come again.
	if n := len(h.events.seen); n < MaxEventsOfHub {
		t.Fatalf("%d digests", n)
	}
	h.clock.add(hearsayWindow + time.Hour)
	h.fold(h.clock.Now())
	if len(h.events.seen) != 0 || h.events.total != 0 || len(h.EventsOf(p.url, 10)) != 0 {
		t.Fatalf("after a month: %d digests, %d events", len(h.events.seen), h.events.total)
	}
}

func TestSeenEventsAreBounded(t *testing.T) {
	l := &eventLog{about: map[identity.PublicKey][]event{}, seen: map[eventDigest]int64{}}
	h := newHub(t)
	b := h.db.NewBatch()
	defer b.Close()
	for i := range MaxSeenEvents {
		l.seen[eventDigest{byte(i), byte(i >> 8), byte(i >> 16), 1}] = testStart.Unix() + 10
	}
	e := event{digest: eventDigest{9, 9, 9, 9}, at: testStart.Unix()}
	if f := l.keep(b, identity.PublicKey{}, e, nil, testStart); f != eventRefused {
		t.Fatalf("fate %d while full", f)
	}
	if f := l.keep(b, identity.PublicKey{}, e, nil, testStart.Add(time.Minute)); f != eventKept || len(l.seen) != 1 {
		t.Fatalf("fate %d, %d digests once the others are too old to come again", f, len(l.seen))
	}
}

func TestReport(t *testing.T) {
	ctx := context.Background()
	h, p, _ := pair(t)
	other := newHub(t, func(c *Config) { c.Signer, c.HubURL = keyOf(200), "https://other.example.com" })
	other.clock.now = h.clock.Now()
	other.admit(p)
	other.meet(&stranger{t: t, key: mustKey(t), url: h.cfg.HubURL, clock: h.clock})
	_, err := other.Approve(ctx, h.cfg.HubURL, true)
	must(t, err)

	must(t, h.Report(ctx, Experience{ProviderHub: p.url, Success: true, PriceMicros: 20_000, LatencyMS: 40}))
	select {
	case <-h.EventsDue():
	default:
		t.Fatal("nothing is due")
	}
	events := h.NextEvents()
	if len(events) != 1 || h.NextEvents() != nil {
		t.Fatalf("%q", events)
	}
	want := `{"type":"invoke_success","provider_hub":"https://provider.example.org","consumer_hub":"https://hub.example.com","timestamp":"2026-11-24T09:00:00Z","price_usd":0.02,"latency_ms":40,`
	if !strings.HasPrefix(string(events[0]), want) {
		t.Fatalf("%s", events[0])
	}
	if counts, verdict := other.report(events[0]); counts.Received != 1 || verdict != Accept {
		t.Fatalf("the other hub: %+v", counts)
	}
	if counts, verdict := h.report(events[0]); counts.Replayed != 1 || verdict != Ignore {
		t.Fatalf("it came back: %+v", counts)
	}
	if diff := cmp.Diff(events, h.EventsOf(p.url, 10)); diff != "" {
		t.Fatal(diff)
	}
	// A busy hub does not flood the others: one event a minute, hub and outcome.
	for range 50 {
		must(t, h.Report(ctx, Experience{ProviderHub: p.url, Success: true}))
	}
	must(t, h.Report(ctx, Experience{ProviderHub: p.url, LatencyMS: 1 << 40, PriceMicros: -1}))
	if got := h.NextEvents(); len(got) != 1 || !bytes.Contains(got[0], []byte(`"invoke_failure"`)) {
		t.Fatalf("%q", got)
	}
	h.clock.add(eventPace)
	must(t, h.Report(ctx, Experience{ProviderHub: p.url, Success: true}))
	if got := h.NextEvents(); len(got) != 1 {
		t.Fatalf("%q", got)
	}
	// A hub of the mesh names itself by its key while it has no public address.
	h.SetAddresses("12D3KooWSelf", nil, "")
	h.clock.add(eventPace)
	must(t, h.Report(ctx, Experience{ProviderHub: p.url, Success: true}))
	if got := h.NextEvents(); !bytes.Contains(got[0], []byte(KeyURL(h.mesh.ownKey))) {
		t.Fatalf("%q", got)
	}
	for _, nobody := range []string{"https://nobody.example.org", Local, ""} {
		if err := h.Report(ctx, Experience{ProviderHub: nobody}); err == nil {
			t.Fatalf("reported on %q", nobody)
		}
	}
	for range MaxQueuedEvents + 50 {
		h.clock.add(eventPace)
		must(t, h.Report(ctx, Experience{ProviderHub: p.url, Success: true}))
	}
	if got := h.NextEvents(); len(got) != MaxQueuedEvents || !bytes.Contains(got[len(got)-1], []byte(stamp(h.clock.Now()))) {
		t.Fatalf("%d events wait", len(got))
	}
}

// mustKey is the private key of newHub's hubs.
func mustKey(t testing.TB) *identity.Key {
	t.Helper()
	k, err := identity.FromSeed(testKey.Seed())
	must(t, err)
	return k
}

// A stored event that cannot be read is no reason not to start.
func TestUnreadableEventIsSkipped(t *testing.T) {
	h, p, c := pair(t)
	h.report(c.event(p.url, nil))
	b := h.db.NewBatch()
	defer b.Close()
	key := eventKey(p.key.Public(), 99)
	for i, value := range [][]byte{nil, {9}, slices.Repeat([]byte{1}, 30), append(slices.Repeat([]byte{1}, 41), "no event"...)} {
		b.Set(append(slices.Clone(key[:len(key)-1]), byte('a'+i)), value)
	}
	b.Set([]byte(rangeEvent+"x"), []byte{1})
	must(t, h.db.WriteNoSync(b))
	h.reopen(t)
	if got := h.EventsOf(p.url, 10); len(got) != 1 {
		t.Fatalf("%q", got)
	}
}

// FuzzParseEvent: what is taken prints the same message again after it was stored.
func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"type":"invoke","provider_hub":"a","consumer_hub":"b","timestamp":"2026-11-24T09:00:00Z","price_usd":1e-05,"latency_ms":0.0,"signature":{"value":"x"}}`))
	f.Add([]byte(`{"type":"x","provider_hub":"a","consumer_hub":"b","timestamp":"2026-11-24 09:00:00","signature":"y"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := canon.Parse(raw)
		if err != nil {
			return
		}
		e, err := parseEvent(v)
		if err != nil {
			return
		}
		again, err := parseStoredEvent(e.raw)
		if err != nil || !bytes.Equal(again.message, e.message) || !again.at.Equal(e.at) {
			t.Fatalf("%v: %q, stored %q", err, e.message, e.raw)
		}
	})
}
