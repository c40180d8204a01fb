package gossip

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/aimarket/aimarket/catalog"
)

// cheat is a peer that speaks the protocols and follows no rule.
type cheat struct {
	*author
	s      *simulation
	host   host.Host
	topics map[string]*pubsub.Topic
}

// cheat starts one and connects it to the victims.
func (s *simulation) cheat(n int, victims ...*hub) *cheat {
	s.t.Helper()
	c := &cheat{author: newAuthor(n), s: s, topics: map[string]*pubsub.Topic{}}
	c.host = s.host(c.key)
	ps, err := pubsub.NewGossipSub(s.t.Context(), c.host, pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID), pubsub.WithFloodPublish(true), pubsub.WithPeerOutboundQueueSize(20000),
		pubsub.WithPeerScore(scoreParams(newBlame(time.Now).score)))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{AnnounceTopic, ManifestTopic} {
		if c.topics[name], err = ps.Join(name); err != nil {
			s.t.Fatal(err)
		}
		if _, err := c.topics[name].Relay(); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, v := range victims {
		s.connect(c.host, v.host)
	}
	time.Sleep(3 * time.Second) // into the meshes
	return c
}

func (c *cheat) say(topic string, data []byte) {
	c.s.t.Helper()
	if err := c.topics[topic].Publish(c.s.t.Context(), bytes.Clone(data)); err != nil {
		c.s.t.Fatal(err)
	}
}

// graylisted waits until the victims are deaf to the cheat.
func (c *cheat) graylisted(victims ...*hub) {
	c.s.t.Helper()
	c.s.eventually("the cheat's score below the graylist", 10*time.Second, func() bool {
		for _, v := range victims {
			if v.mesh.Score(c.host.ID()) >= graylistThreshold {
				return false
			}
		}
		return true
	})
}

// settled starts a few honest hubs that know each other.
func (s *simulation) settled(n int) []*hub {
	s.t.Helper()
	hubs := s.hubs(n)
	for i, h := range hubs {
		h.sell("p", "c", fmt.Sprint(i))
	}
	s.agree(hubs, 20*time.Second)
	time.Sleep(3 * time.Second)
	return hubs
}

// spread changes a listing and returns how long it took to the last hub.
func (s *simulation) spread(hubs []*hub, text string) time.Duration {
	s.t.Helper()
	hubs[0].sell("p", "spread", text)
	return s.eventually("an honest change everywhere", 5*time.Second, func() bool {
		for _, h := range hubs[1:] {
			if !h.know(hubs[0], "p", "spread", text) {
				return false
			}
		}
		return true
	})
}

func TestForgedSignature(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(5)
		c := s.cheat(66, hubs[0], hubs[1])
		victim := hubs[3].self
		for i := range 10 {
			forged := &author{key: c.key, now: time.Now, tools: map[catalog.RowID][]byte{}}
			forged.set("p", "c", "forged")
			forged.sequence = uint64(time.Now().UnixMilli()) + uint64(i)
			update, head := forged.whole()
			// In the victim's name, with the cheat's signature.
			swap := func(b []byte) []byte {
				return bytes.ReplaceAll(b, []byte(c.key.PublicBase64()), []byte(victim.key.PublicBase64()))
			}
			c.say(AnnounceTopic, swap(head))
			c.say(ManifestTopic, swap(update))
		}
		c.graylisted(hubs[0], hubs[1])
		for i, h := range hubs {
			if h.lists(victim.key.Public(), "p", "c", "forged") {
				t.Errorf("hub %d took a forgery", i)
			}
			if got := counted(h.mesh.count.messages, "reject"); i > 1 && got > 0 {
				t.Errorf("a forgery was forwarded to hub %d", i)
			}
		}
		s.eventually("the cheat out of the mesh", 3*time.Second, func() bool { return counted(hubs[0].mesh.count.mesh, "prune") > 0 })
		if took := s.spread(hubs, "after"); took > 300*time.Millisecond {
			t.Errorf("an honest change took %v", took)
		}
	})
}

// TestReplayIsNoNews: old messages with other spellings are ignored, change nothing,
// and do not use up their author's allowance.
func TestReplayIsNoNews(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(5)
		old, err := hubs[0].UpdateFor(t.Context(), hubs[0].self.key.Public(), "")
		if err != nil {
			t.Fatal(err)
		}
		s.spread(hubs, "v1")
		c := s.cheat(66, hubs[1], hubs[2])
		for i := range 1000 {
			c.say(ManifestTopic, append(bytes.Repeat([]byte{' '}, i), old...))
		}
		time.Sleep(time.Second)
		for i, h := range hubs[1:] {
			if !h.know(hubs[0], "p", "spread", "v1") {
				t.Errorf("hub %d was taken back in time", i+1)
			}
		}
		for i := range 5 {
			if took := s.spread(hubs, fmt.Sprint("next ", i)); took > 300*time.Millisecond {
				t.Errorf("an honest change took %v", took)
			}
		}
		if n := counted(hubs[4].mesh.count.messages, catalog.ReasonStale); n > 0 {
			t.Errorf("replays were forwarded %v times", n)
		}
	})
}

func TestOversizeIsRejected(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(4)
		c := s.cheat(66, hubs[0])
		c.set("p", "c", strings.Repeat("x", MaxGossipUpdate))
		for range 5 {
			update, head := c.whole()
			c.say(ManifestTopic, update)
			c.say(AnnounceTopic, append(head, bytes.Repeat([]byte{' '}, maxAnnounce)...))
		}
		c.graylisted(hubs[0])
		if n := counted(hubs[0].mesh.count.messages, reasonSize); n < 4 {
			t.Errorf("%v were counted as oversized", n)
		}
		s.spread(hubs, "after")
	})
}

// TestWrongTopicDoesNotSuppress: a good message sent to the wrong topic first must not
// be taken for seen when it comes by the right one.
func TestWrongTopicDoesNotSuppress(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(3)
		c, honest := s.cheat(66, hubs[0]), newAuthor(77)
		honest.set("p", "c", "v")
		update, _ := honest.whole()
		c.say(AnnounceTopic, update)
		time.Sleep(time.Second)
		if hubs[0].lists(honest.key.Public(), "p", "c", "v") {
			t.Fatal("an update was taken from the wrong topic")
		}
		c.say(ManifestTopic, update)
		s.eventually("the update by its own topic", time.Second, func() bool { return hubs[2].lists(honest.key.Public(), "p", "c", "v") })
	})
}

// TestFloodFromOneKey: 10,000 announcements of one key. Few get through, memory is
// bounded, the flooder is ignored in the end, honest changes are as fast as before.
func TestFloodFromOneKey(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(6)
		quiet := s.spread(hubs, "quiet")
		c := s.cheat(66, hubs[1], hubs[2])
		heads := make([][]byte, 10_000)
		for i := range heads {
			c.set("p", "c", fmt.Sprint(i))
			c.next()
			heads[i] = c.headOf(c.sequence, c.tools, nil, "")
		}
		before := heapBytes()
		for i, h := range heads {
			if i == 5000 {
				if busy := s.spread(hubs, "busy"); busy > max(2*quiet, 100*time.Millisecond) {
					t.Errorf("an honest change took %v in the flood, %v in quiet", busy, quiet)
				}
			}
			c.say(AnnounceTopic, h)
		}
		c.graylisted(hubs[1], hubs[2])
		time.Sleep(5 * time.Second)
		for i, h := range hubs {
			judged := counted(h.mesh.count.messages, catalog.ReasonWanted)
			if judged > 3*authorBurst {
				t.Errorf("hub %d let %v announcements through", i, judged)
			}
			h.mesh.pulls.mu.Lock()
			if n := len(h.mesh.pulls.of); n > 2 {
				t.Errorf("hub %d wants %d listings", i, n)
			}
			h.mesh.pulls.mu.Unlock()
		}
		if grown := heapBytes() - before; grown > 64<<20 {
			t.Errorf("the heap grew by %d MB", grown>>20)
		}
		if after := s.spread(hubs, "after"); after > max(2*quiet, 100*time.Millisecond) {
			t.Errorf("an honest change took %v after the flood, %v before", after, quiet)
		}
	})
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestEquivocatorConverges: two listings under one sequence, told to two sides. All
// hubs end with the same one.
func TestEquivocatorConverges(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(6)
		one, two := s.cheat(66, hubs[0]), newAuthor(66)
		one.set("p", "c", "to the left")
		two.set("p", "c", "to the right")
		two.sequence = one.sequence
		left, _ := one.whole()
		two.sequence = one.sequence - 1
		two.now = func() time.Time { return time.UnixMilli(0) } // the same sequence
		right, _ := two.updateAt(one.sequence)
		// Both reach different hubs first: the second by a helper with another key.
		helper := s.cheat(67, hubs[3])
		one.say(ManifestTopic, left)
		helper.say(ManifestTopic, right)
		key := one.key.Public()
		s.eventually("one listing everywhere", 10*time.Second, func() bool {
			l, r := 0, 0
			for _, h := range hubs {
				if h.lists(key, "p", "c", "to the left") {
					l++
				}
				if h.lists(key, "p", "c", "to the right") {
					r++
				}
			}
			return l == len(hubs) || r == len(hubs)
		})
	})
}

// updateAt is whole with a given sequence and today's time.
func (a *author) updateAt(sequence uint64) (update, head []byte) {
	a.now = time.Now
	head = a.headOf(sequence, a.tools, nil, "")
	return updateOf(head, "", a.tools), head
}

// TestSlowDrip: a hub that serves its large listing a byte a second costs one slot for
// a bounded time, and nobody else's listing waits for it.
func TestSlowDrip(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(4)
		c := s.cheat(66, hubs[0])
		c.host.SetStreamHandler(FetchProtocol, func(st network.Stream) {
			defer st.Reset()
			_, _ = st.Write(binary.BigEndian.AppendUint32([]byte{statusOK}, catalog.MaxUpdateBytes))
			for {
				if _, err := st.Write([]byte{'{'}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		c.set("p", "c", "never comes")
		_, head := c.whole()
		c.say(AnnounceTopic, head)
		time.Sleep(2 * time.Second)
		hubs[1].fake.mu.Lock()
		for i := range 400 {
			hubs[1].self.set("p", fmt.Sprint(i), strings.Repeat("long ", 60))
		}
		hubs[1].fake.mu.Unlock()
		hubs[1].poke(hubs[1].changes)
		s.eventually("a large honest listing", 5*time.Second, func() bool { return hubs[0].know(hubs[1], "p", "7", strings.Repeat("long ", 60)) })
		s.eventually("the pull given up", 5*time.Minute, func() bool {
			hubs[0].mesh.pulls.mu.Lock()
			defer hubs[0].mesh.pulls.mu.Unlock()
			return len(hubs[0].mesh.pulls.of) == 0
		})
		if n := counted(hubs[0].mesh.count.pulls, pullFailed); n == 0 || n > maxPullAttempts {
			t.Errorf("%v pulls failed", n)
		}
	})
}

// TestOtherContent: who answers with something else is to blame, and the listing comes
// from another peer.
func TestOtherContent(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(3)
		honest := newAuthor(77)
		honest.set("p", "c", "true")
		_, head := honest.whole()
		truth := updateOf(head, "", honest.tools)
		for i, lie := range []func() []byte{
			func() []byte { return []byte("not JSON") },
			func() []byte { u, _ := newAuthor(78).whole(); return u },
			func() []byte {
				return updateOf(head, "", map[catalog.RowID][]byte{{ProductID: "p", CapabilityID: "c"}: tool("p", "c", "false")})
			},
			func() []byte { return bytes.Repeat([]byte{' '}, catalog.MaxUpdateBytes+1) },
		} {
			c := s.cheat(66+i*100, hubs[0])
			asked := 0
			c.host.SetStreamHandler(FetchProtocol, func(st network.Stream) {
				asked++
				_, _ = st.Write(appendAnswer(statusOK, lie()))
				_ = st.Close()
			})
			hubs[0].mesh.pulls.add(catalog.Want{Key: honest.key.Public()}, uint64(i), c.host.ID(), 0)
			s.eventually("the lie noticed", 5*time.Second, func() bool { return hubs[0].mesh.blame.of(c.host.ID()) > 0.9 })
			if hubs[0].lists(honest.key.Public(), "p", "c", "false") {
				t.Errorf("lie %d was believed", i)
			}
			s.eventually("its score", 5*time.Second, func() bool { return hubs[0].mesh.Score(c.host.ID()) < 0 })
			if asked > maxStreamOffence { // after so many it is asked for nothing; before, chance says when
				t.Errorf("lie %d was asked for %d times", i, asked)
			}
		}
		if in := hubs[2].TakeUpdate(t.Context(), mustUpdate(truth), catalog.Source{}); in.Reason != catalog.ReasonApplied {
			t.Fatal(in)
		}
		hubs[0].mesh.pulls.add(catalog.Want{Key: honest.key.Public()}, 9, hubs[2].host.ID(), 0)
		s.eventually("the truth", 5*time.Second, func() bool { return hubs[0].lists(honest.key.Public(), "p", "c", "true") })
	})
}

// TestSyncBombs: whatever a peer sends in a comparison ends after a bounded amount and
// is held against it.
func TestSyncBombs(t *testing.T) {
	hello := func() []byte {
		var b bytes.Buffer
		_ = writeFrame(&b, frameHello, hello{root: digest{1}}.encode())
		return b.Bytes()
	}
	refs := func() []byte {
		var b []byte
		for i := range refsPerFrame {
			b = appendRef(b, ref{key: [32]byte{byte(i), byte(i >> 8)}, sequence: 1 << 60, digest: digest{1}, held: true})
		}
		return b
	}()
	for name, bomb := range map[string]func(w io.Writer) error{
		"a million refs": func(w io.Writer) error {
			if err := writeFrame(w, frameDiffer, bytes.Repeat([]byte{255}, bucketCount/8)); err != nil {
				return err
			}
			for range 1_000_000 / refsPerFrame {
				if err := writeFrame(w, frameRefs, refs); err != nil {
					return err
				}
			}
			return nil
		},
		"a frame of 4 GB": func(w io.Writer) error {
			_, err := w.Write([]byte{frameDiffer, 255, 255, 255, 255})
			return err
		},
		"an unknown frame": func(w io.Writer) error { return writeFrame(w, 99, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
				hubs := s.settled(3)
				c := s.cheat(66)
				sent := 0
				c.host.SetStreamHandler(SyncProtocol, func(st network.Stream) {
					defer st.Reset()
					_, _ = st.Write(hello())
					_ = bomb(writerFunc(func(b []byte) (int, error) {
						n, err := st.Write(b)
						sent += n
						return n, err
					}))
					_, _ = io.Copy(io.Discard, st)
				})
				s.connect(hubs[0].host, c.host)
				before := heapBytes()
				for range maxStreamOffence + 1 {
					hubs[0].mesh.SyncWith(c.host.ID())
					time.Sleep(2 * time.Second)
				}
				if n := hubs[0].mesh.blame.of(c.host.ID()); n < 1 {
					t.Errorf("offences: %v", n)
				}
				c.graylisted(hubs[0])
				if grown := heapBytes() - before; grown > 64<<20 {
					t.Errorf("the heap grew by %d MB", grown>>20)
				}
				t.Logf("%d KB went through", sent>>10)
				s.spread(hubs, "after")
			})
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// TestSybilHeadsInComparison: more heads than a comparison may carry are refused.
func TestTooManyHeadsInComparison(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(3)
		c := s.cheat(66, hubs[0])
		head := func(n int) []byte {
			a := newAuthor(1000 + n)
			_, h := a.whole()
			return h
		}
		st, err := c.host.NewStream(t.Context(), hubs[0].host.ID(), SyncProtocol)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Reset()
		_ = writeFrame(st, frameHello, hello{root: digest{1}}.encode())
		if _, _, err := readFrame(st, frameHello); err != nil {
			t.Fatal(err)
		}
		_ = writeFrame(st, frameBuckets, make([]byte, bucketCount*bucketSize))
		for i := 0; i < 2000; i += headsPerFrame {
			var b []byte
			for j := range headsPerFrame {
				b = appendHead(b, head(i+j))
			}
			if writeFrame(st, frameHeads, b) != nil {
				break
			}
		}
		s.eventually("the offence", 5*time.Second, func() bool { return hubs[0].mesh.blame.of(c.host.ID()) > 0.9 })
		if n := hubs[0].count(); n > maxSessionHeads+10 {
			t.Errorf("%d hubs were taken from one comparison", n)
		}
	})
}
