package sim

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/p2p/gossip"
)

// roles are all of them, by name.
func roles() []role {
	return []role{
		{name: "forger", tries: "heads, listings and successions in others' names", policy: catalog.AdmitAll, play: forge, blamed: true},
		{name: "replayer", tries: "others' old listings in ever new spellings", policy: catalog.AdmitAll, play: replay, check: replayed},
		{name: "backdater", tries: "its own listing of an hour ago", policy: catalog.AdmitAll, play: backdate, check: backdated, blamed: true, admitted: true, forwarded: true},
		{name: "url-thief", tries: "the URL of another hub", policy: catalog.AdmitAll, play: stealURL, blamed: true},
		{name: "pinned-url-thief", tries: "the URL of a hub that the operator pinned", policy: catalog.AdmitVerified, play: stealURL, blamed: true},
		{name: "re-exporter", tries: "to sell others' tools as its own or undercut them in their name", policy: catalog.AdmitAll, play: reexport, check: reexported, admitted: true, forwarded: true},
		{name: "liar", tries: "a listing under counts and digests of another", policy: catalog.AdmitAll, play: lie, blamed: true},
		{name: "boaster", tries: "a head that promises more than is served", policy: catalog.AdmitAll, play: boast, check: boasted, admitted: true, forwarded: true},
		{name: "bomb", tries: "messages too long, too deep and of too many tools", policy: catalog.AdmitAll, play: bomb, blamed: true},
		{name: "bomb-served", tries: "listings that are too much when they are pulled: 2 GB, half a million levels, 170,000 tools, a byte a second", policy: catalog.AdmitAll, play: serveBombs, check: bombed, admitted: true, forwarded: true},
		{name: "flooder", tries: "ten thousand announcements", policy: catalog.AdmitAll, play: flood, check: flooded, blamed: true, admitted: true, forwarded: true},
		{name: "sybils", tries: "a crowd of one machine to be heard", policy: catalog.AdmitVerified, play: sybils(sybilHosts), check: crowded},
		{name: "sybils-few", tries: "a thousand keys by few mouths to be heard", policy: catalog.AdmitVerified, play: sybils(0), check: crowded},
		{name: "sybils-admitted", tries: "a thousand keys by few mouths under a policy that admits them", policy: catalog.AdmitAll, play: sybils(0), check: allAdmitted, admitted: true, forwarded: true},
		{name: "eclipse", tries: "to be all that one hub sees of the mesh", policy: catalog.AdmitAll, play: eclipse, check: eclipsed, forwarded: true},
		{name: "ssrf-announcer", tries: "hubs to call into private networks", policy: catalog.AdmitAll, play: lure, check: lured, admitted: true, forwarded: true}, // not blamed: a hub at home may name an address that others must not call
		{name: "stranger", tries: "to be republished without being admitted", policy: catalog.AdmitVerified, play: knock, check: knocked},
		{name: "equivocator", tries: "to leave halves of the mesh with different listings", policy: catalog.AdmitAll, play: equivocate, check: equivocated, admitted: true, forwarded: true},
	}
}

// forge speaks in the names of hubs, with a signature of another key.
func forge(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	c.sell("prod-0", "start-0@v1", nil)
	victims := a.w.Hubs
	a.every(20, 200*time.Millisecond, func(i int) error {
		victim := victims[i%len(victims)].Key
		inName := func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(c.key.PublicBase64()), []byte(victim.PublicBase64()))
		}
		head := inName(c.head())
		// Signed, but the former key's word is not its own.
		c.edit = func(doc map[string]any) {
			doc["succeeds"] = map[string]any{
				"public_key": victim.PublicBase64(),
				"signature":  c.key.SignBase64(catalog.SuccessionMessage(victim.PublicBase64(), c.key.PublicBase64())),
			}
		}
		succession := c.head()
		c.edit = nil
		return errors.Join(c.say(a.ctx, gossip.AnnounceTopic, head), c.say(a.ctx, gossip.ManifestTopic, updateOf(head, c.tools)),
			c.say(a.ctx, gossip.AnnounceTopic, succession))
	})
	return nil
}

// replay repeats what a hub said before its last changes. A relay may not know better, so
// it is not blamed; it must gain nothing.
func replay(a *attack) error {
	var old [][]byte
	for _, h := range a.w.Hubs[:3] {
		u, err := h.Catalog.UpdateFor(a.ctx, h.Key.Public(), "")
		if err != nil {
			return err
		}
		old = append(old, u)
		if err := h.Publish(a.ctx, "after-replay", 1000); err != nil {
			return err
		}
	}
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	a.every(900, 5*time.Millisecond, func(i int) error { // blanks make it another message of the same signature
		return c.say(a.ctx, gossip.ManifestTopic, append(bytes.Repeat([]byte{' '}, 1+i/3), old[i%3]...))
	})
	return nil
}

func replayed(a *attack) {
	for _, h := range a.first {
		if n := a.counted(h, "aimarket_gossip_messages_total", catalog.ReasonStale); n == 0 {
			a.t.Errorf("hub %d saw no replay", h.Index)
		}
	}
}

// backdate is admitted and then says what it said an hour ago.
func backdate(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	old := &author{key: c.key, tools: map[catalog.RowID][]byte{}, age: time.Hour}
	old.sell("prod-h", "cheap@v1", map[string]any{"price_per_call_usd": 0})
	c.sell("prod-h", "cheap@v1", nil)
	if err := c.tell(a.ctx); err != nil {
		return err
	}
	time.Sleep(2 * time.Second)
	a.every(20, 100*time.Millisecond, func(int) error {
		old.sequence = 0
		return errors.Join(c.say(a.ctx, gossip.AnnounceTopic, old.head()), c.say(a.ctx, gossip.ManifestTopic, old.update()))
	})
	return nil
}

func backdated(a *attack) {
	for _, h := range a.w.Hubs {
		url := catalog.KeyURL(a.members[1].key.Public())
		if r, err := h.Catalog.Lookup(a.ctx, "prod-h", "cheap@v1", url); err != nil || r.PriceMicros != 10_000 {
			a.t.Errorf("hub %d sells the backdated row for %d: %v", h.Index, r.PriceMicros, err)
		}
	}
	if n := a.leaks(); n > 2 {
		a.t.Errorf("%d messages passed the first hop, two were news", n)
	}
}

// stealURL claims the addresses of hubs under a key of its own, in all spellings.
func stealURL(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	c.sell("prod-0", "start-0@v1", nil)
	a.every(24, 100*time.Millisecond, func(i int) error {
		victim := a.w.Hubs[i%len(a.w.Hubs)].URL()
		_, rest, _ := strings.Cut(victim, "://")
		c.url = []string{victim, "https://" + rest, "HTTP://" + strings.ToUpper(rest), victim + ":80", victim + "/", victim}[i%6]
		return c.tell(a.ctx)
	})
	return nil
}

// reexport lists tools of other hubs, under their ids and in their names.
func reexport(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	c.sell("prod-own", "own@v1", nil)
	for i, h := range a.w.Hubs {
		spellings := []string{h.URL(), h.URL() + "/", "https" + h.URL()[4:], catalog.KeyURL(h.Key.Public()), strings.ToUpper(h.URL()), "nobody"}
		c.sell(fmt.Sprintf("prod-%d", i), "start-0@v1", map[string]any{"source_hub": spellings[i%len(spellings)], "price_per_call_usd": 0.000001})
	}
	a.every(5, 300*time.Millisecond, func(int) error { return c.tell(a.ctx) })
	return nil
}

func reexported(a *attack) {
	key := a.members[1].key.Public()
	for _, h := range a.w.Hubs {
		rows := 0
		p, ok := h.Catalog.PeerByKey(key)
		if !ok {
			a.t.Fatalf("hub %d does not know the re-exporter", h.Index)
		}
		for _, victim := range a.w.Hubs {
			product := fmt.Sprintf("prod-%d", victim.Index)
			if _, err := h.Catalog.Lookup(a.ctx, product, "start-0@v1", p.URL); err == nil {
				rows++
			}
			if price, ok := h.Price(a.ctx, victim, "start-0"); !ok || price != 1000 {
				a.t.Errorf("hub %d has the tool of hub %d for %d", h.Index, victim.Index, price)
			}
		}
		if rows > 0 {
			a.t.Errorf("hub %d sells %d tools of others as the re-exporter's", h.Index, rows)
		}
		if _, err := h.Catalog.Lookup(a.ctx, "prod-own", "own@v1", p.URL); err != nil {
			a.t.Errorf("hub %d does not sell what is its own: %v", h.Index, err)
		}
	}
}

// knock does everything by the rules but nobody admitted it.
func knock(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	c.url, c.addrs = "http://"+marker+".example", []string{c.addr()}
	a.every(30, 150*time.Millisecond, func(i int) error {
		c.sell("prod-h", fmt.Sprintf("new-%d@v1", i), nil)
		return c.tell(a.ctx)
	})
	return nil
}

func knocked(a *attack) {
	c := a.members[1]
	for _, h := range a.w.Hubs {
		p, known := h.Catalog.PeerByKey(c.key.Public())
		for _, f := range a.first {
			if f == h && !known {
				a.t.Errorf("hub %d noted nothing of the stranger: its operator could not admit it", h.Index)
			}
		}
		if known && p.Status != catalog.PeerPending {
			a.t.Errorf("the stranger is %s at hub %d", p.Status, h.Index)
		}
		if s := h.Mesh.Score(c.host.ID()); s < 0 {
			a.t.Errorf("hub %d blames the stranger (%.1f) for asking", h.Index, s)
		}
	}
}

// equivocate signs two listings under one sequence and tells each to other hubs.
func equivocate(a *attack) error {
	left, err := a.member(1, memberAt{}, a.first[0])
	if err != nil {
		return err
	}
	right, err := a.member(2, memberAt{}, a.first[1])
	if err != nil {
		return err
	}
	both, err := a.member(3, memberAt{}, a.first[2])
	if err != nil {
		return err
	}
	say := func(c *member, key *author, text string) error {
		other := &author{key: key.key, sequence: key.sequence, tools: map[catalog.RowID][]byte{}}
		other.sell("prod-h", "two-faced@v1", map[string]any{"description": marker + " " + text})
		other.edit = func(doc map[string]any) { doc["sequence"] = key.sequence }
		head := other.head()
		return errors.Join(c.say(a.ctx, gossip.ManifestTopic, updateOf(head, other.tools)), c.say(a.ctx, gossip.AnnounceTopic, head))
	}
	a.every(10, 400*time.Millisecond, func(i int) error {
		left.sequence, both.sequence = uint64(time.Now().UnixMilli()), uint64(time.Now().UnixMilli())
		return errors.Join(
			say(left, left.author, fmt.Sprint("left ", i)), say(right, left.author, fmt.Sprint("right ", i)), // two accomplices
			say(both, both.author, fmt.Sprint("this ", i)), say(both, both.author, fmt.Sprint("that ", i))) // to one hub
	})
	return nil
}

func equivocated(a *attack) {
	left, both := a.members[1], a.members[3]
	seen := 0
	texts := map[string]int{}
	for _, h := range a.w.Hubs {
		if p, ok := h.Catalog.PeerByKey(left.key.Public()); ok {
			seen += p.Equivocations
		}
		p, _ := h.Catalog.PeerByKey(left.key.Public())
		r, err := h.Catalog.Lookup(a.ctx, "prod-h", "two-faced@v1", p.URL)
		if err != nil {
			a.t.Errorf("hub %d: %v", h.Index, err)
		}
		texts[r.Description]++
	}
	if len(texts) != 1 {
		a.t.Errorf("the hubs believe in %v", texts)
	}
	if a.agreed > 5*time.Second {
		a.t.Errorf("it took %v until all believed in the same listing", a.agreed)
	}
	if seen == 0 {
		a.t.Error("no hub counted an equivocation")
	}
	if s := a.blame(a.first[2], both); s >= graylisted {
		a.t.Errorf("who told one hub both listings has a score of %.1f there", s)
	}
}
