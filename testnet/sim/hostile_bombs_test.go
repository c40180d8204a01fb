package sim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/p2p/gossip"
)

// lie signs heads whose counts, sizes and digests are not those of their listing.
func lie(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	c.sell("prod-h", "one@v1", nil)
	lies := []map[string]any{
		{"capabilities_count": 900}, {"listing_bytes": 1_900_000}, {"listing_digest": strings.Repeat("ab", 32)},
		{"capabilities_count": 0}, {"capabilities_count": -1}, {"listing_bytes": 1e300}, {"capabilities_count": 1_000_000},
	}
	a.every(21, 200*time.Millisecond, func(i int) error {
		c.edit = func(doc map[string]any) {
			for name, v := range lies[i%len(lies)] {
				doc[name] = v
			}
		}
		return c.say(a.ctx, gossip.ManifestTopic, c.update())
	})
	return nil
}

// boast announces a large listing by its head alone, as if it did not fit a message, and
// serves a small one. That shows only when it is pulled.
func boast(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	c.addrs = []string{c.addr()}
	c.sell("prod-h", "one@v1", nil)
	c.edit = func(doc map[string]any) { doc["capabilities_count"], doc["listing_bytes"] = 900, 1_900_000 }
	c.serve(func(s network.Stream) error {
		update := c.update()
		_, err := s.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(update))), update...))
		return err
	})
	a.every(10, 500*time.Millisecond, func(int) error { return c.say(a.ctx, gossip.AnnounceTopic, c.head()) })
	return nil
}

// requestBytes is the length of a request for a listing: version, key and two digests.
const requestBytes = 1 + 32 + 2*32

// serve answers requests for listings; what the answer fails with is the asker's doing.
func (m *member) serve(answer func(network.Stream) error) {
	m.host.SetStreamHandler(protocol.ID(gossip.FetchProtocol), func(s network.Stream) {
		m.serving.Add(1)
		defer m.serving.Done()
		defer s.Close()
		m.asked.Add(1)
		_, _ = s.Read(make([]byte, requestBytes))
		_ = answer(s)
	})
}

func boasted(a *attack) {
	c := a.members[1]
	if c.asked.Load() == 0 {
		a.t.Error("nobody asked for the listing")
	}
	for _, h := range a.w.Hubs {
		p, ok := h.Catalog.PeerByKey(c.key.Public())
		if !ok {
			a.t.Errorf("hub %d does not know the member that its policy admits", h.Index)
			continue
		}
		if _, err := h.Catalog.Lookup(a.ctx, "prod-h", "one@v1", p.URL); err == nil {
			a.t.Errorf("hub %d sells what was served under another head", h.Index)
		}
		if _, err := h.Catalog.UpdateFor(a.ctx, c.key.Public(), ""); !errors.Is(err, catalog.ErrUnknown) {
			a.t.Errorf("hub %d serves a listing that it cannot have: %v", h.Index, err)
		}
	}
	for _, h := range a.first {
		if s := a.blame(h, c); s >= 0 {
			a.t.Errorf("hub %d scored the member that served another listing %.1f", h.Index, s)
		}
	}
}

// bomb sends messages that are too long, too deep and too many.
func bomb(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	deep := strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000)
	many := &author{key: c.key, tools: map[catalog.RowID][]byte{}}
	for i := range 1500 {
		many.tools[catalog.RowID{ProductID: "p", CapabilityID: fmt.Sprint(i)}] = fmt.Appendf(nil, `{"product_id":"p","capability_id":"%d"}`, i)
	}
	c.sell("prod-h", "one@v1", nil)
	long := &author{key: c.key, tools: map[catalog.RowID][]byte{}}
	long.sell("prod-h", "long@v1", map[string]any{"description": strings.Repeat("long ", 40_000)})
	a.every(20, 200*time.Millisecond, func(i int) error {
		update := c.update()
		spliced := []byte(fmt.Sprintf(`{"x":%s,%s`, deep, update[1:]))
		switch i % 4 {
		case 0:
			return c.say(a.ctx, gossip.ManifestTopic, long.update())
		case 1:
			return c.say(a.ctx, gossip.ManifestTopic, spliced[:min(len(spliced), gossip.MaxGossipUpdate)])
		case 2:
			return c.say(a.ctx, gossip.ManifestTopic, many.update()[:gossip.MaxGossipUpdate-1])
		}
		return c.say(a.ctx, gossip.AnnounceTopic, append(c.head(), strings.Repeat(" ", 8<<10)...))
	})
	return nil
}

// bombs are what hubs get that pull a listing.
var bombs = []func(m *member, s network.Stream) error{
	func(_ *member, s network.Stream) error { // more than any listing may have
		_, err := s.Write(answerFrame(1 << 31))
		return err
	},
	func(_ *member, s network.Stream) error {
		_, err := s.Write(append(answerFrame(bombBytes), strings.Repeat("[", bombBytes)...))
		return err
	},
	func(m *member, s network.Stream) error {
		tools := strings.Repeat("{},", bombBytes/3)
		update := fmt.Sprintf(`{"announcement":%s,"base":"","tools":[%s{}]}`, m.head(), tools)
		_, err := s.Write(append(answerFrame(len(update)), update...))
		return err
	},
	func(_ *member, s network.Stream) error { // a drip
		if _, err := s.Write(answerFrame(catalog.MaxUpdateBytes)); err != nil {
			return err
		}
		for {
			if _, err := s.Write([]byte{' '}); err != nil {
				return err
			}
			time.Sleep(time.Second)
		}
	},
}

const dripping = 3 // the bomb that could also be a slow link: nobody is blamed for it

// bombBytes is the length of those bombs that come whole: far over what they may nest
// or list, and no more than the simulated wire carries in good time.
const bombBytes = 512 << 10

// maxAsks is how often a hub asks one peer for a listing that never comes.
const maxAsks = 8

func answerFrame(n int) []byte { return binary.BigEndian.AppendUint32([]byte{0}, uint32(n)) }

// serveBombs announces listings that are bombs when they are pulled, one member each.
func serveBombs(a *attack) error {
	var all []*member
	for i, bomb := range bombs {
		c, err := a.member(1+i, memberAt{})
		if err != nil {
			return err
		}
		c.addrs = []string{c.addr()}
		c.sell("prod-h", "one@v1", nil)
		c.edit = func(doc map[string]any) {
			doc["listing_digest"], doc["capabilities_count"], doc["listing_bytes"] = strings.Repeat("ee", 32), 1000, 1_900_000
		}
		c.serve(func(s network.Stream) error { return bomb(c, s) })
		all = append(all, c)
	}
	a.every(1, time.Second, func(int) error {
		var errs []error
		for _, c := range all {
			errs = append(errs, c.say(a.ctx, gossip.AnnounceTopic, c.head()))
		}
		return errors.Join(errs...)
	})
	return nil
}

func bombed(a *attack) {
	for i, c := range a.members[1:] {
		if n := c.asked.Load(); n == 0 || n > int64(maxAsks*len(a.w.Hubs)) {
			a.t.Errorf("%d hubs asked %d times for bomb %d", len(a.w.Hubs), n, i)
		} else {
			a.t.Logf("bomb %d was asked for %d times", i, n)
		}
		for _, h := range a.first {
			_, met := a.w.waitFor(time.Minute, step, func() bool { return i == dripping || a.blame(h, c) < 0 })
			if !met {
				a.t.Errorf("hub %d blames nobody for bomb %d", h.Index, i)
			}
		}
		for _, h := range a.w.Hubs {
			if _, err := h.Catalog.UpdateFor(a.ctx, c.key.Public(), ""); !errors.Is(err, catalog.ErrUnknown) {
				a.t.Errorf("hub %d serves bomb %d: %v", h.Index, i, err)
			}
		}
	}
}

// asks counts requests for listings.
type asks struct {
	asked   atomic.Int64
	serving sync.WaitGroup
}

// flood sends ten thousand announcements within five seconds.
func flood(a *attack) error {
	c, err := a.member(1, memberAt{})
	if err != nil {
		return err
	}
	c.sell("prod-h", "one@v1", nil)
	a.every(100, 50*time.Millisecond, func(int) error {
		for range 100 {
			if err := c.say(a.ctx, gossip.AnnounceTopic, c.head()); err != nil {
				return err
			}
		}
		return nil
	})
	return nil
}

// maxOfOneAuthor is how much of a flood may pass: what one author may say at once and in
// the seconds that it takes, at each first hop by itself.
const maxOfOneAuthor = firstHops * (120 + 10*60)

func flooded(a *attack) {
	if n := a.leaks(); n == 0 || n > maxOfOneAuthor {
		a.t.Errorf("%d of 10000 announcements passed the first hop, at most %d may", n, maxOfOneAuthor)
	} else {
		a.t.Logf("%d of 10000 announcements passed", n)
	}
}
