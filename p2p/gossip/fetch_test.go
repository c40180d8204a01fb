package gossip

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/aimarket/aimarket/catalog"
)

// authors makes n hubs with one capability each, and what asks for their listings.
func authors(from, n int) (list []*author, updates [][]byte, requests []request) {
	for i := range n {
		a := newAuthor(from + i)
		a.set("p", "c", "of one of many")
		u, _ := a.whole()
		list, updates = append(list, a), append(updates, u)
		requests = append(requests, request{key: a.key.Public()})
	}
	return list, updates, requests
}

// answers counts the streams on which a cheat was asked, and reads each to its end.
func (c *cheat) answers(say func(st network.Stream, asked []request)) (streams *int) {
	streams = new(int)
	c.host.SetStreamHandler(FetchProtocol, func(st network.Stream) {
		*streams++
		raw, err := io.ReadAll(st)
		if err != nil {
			_ = st.Reset()
			return
		}
		var asked []request
		for ; len(raw) >= requestSize; raw = raw[requestSize:] {
			r, err := decodeRequest(raw[:requestSize])
			if err != nil {
				_ = st.Reset()
				return
			}
			asked = append(asked, r)
		}
		say(st, asked)
		_ = st.Close()
	})
	return streams
}

// TestManyListingsOnOneStream: what a peer offers at once is asked for at once.
func TestManyListingsOnOneStream(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		h := s.settled(2)[0]
		list, updates, _ := authors(900, maxFetches+10)
		c := s.cheat(66, h)
		streams := c.answers(func(st network.Stream, asked []request) {
			if len(asked) > maxFetches {
				t.Errorf("%d requests on a stream", len(asked))
			}
			for _, r := range asked {
				for i, a := range list {
					if a.key.Public() == r.key {
						_, _ = st.Write(appendAnswer(statusOK, updates[i]))
					}
				}
			}
		})
		for _, a := range list {
			h.mesh.pulls.add(catalog.Want{Key: a.key.Public()}, 1, c.host.ID(), time.Second)
		}
		s.eventually("all listings", 5*time.Second, func() bool {
			for _, a := range list {
				if !h.lists(a.key.Public(), "p", "c", "of one of many") {
					return false
				}
			}
			return true
		})
		if *streams > 4 {
			t.Errorf("%d listings took %d streams", len(list), *streams)
		}
	})
}

// TestServedInOrder: a hub answers each of many requests, in their order, and no more
// than maxFetches on a stream.
func TestServedInOrder(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		h := s.settled(2)[0]
		_, updates, requests := authors(900, 3)
		for _, i := range []int{0, 2} {
			if in := h.TakeUpdate(t.Context(), mustUpdate(updates[i]), catalog.Source{}); in.Reason != catalog.ReasonApplied {
				t.Fatal(in)
			}
		}
		c := s.cheat(66, h)
		for name, ask := range map[string]struct {
			requests int
			answers  int
		}{"three": {3, 3}, "as many as may be": {maxFetches, maxFetches}, "one more": {maxFetches + 1, maxFetches}} {
			st, err := c.host.NewStream(t.Context(), h.host.ID(), FetchProtocol)
			if err != nil {
				t.Fatal(err)
			}
			for i := range ask.requests {
				if _, err := st.Write(requests[i%3].encode()); err != nil {
					t.Fatal(err)
				}
			}
			_ = st.CloseWrite()
			got := 0
			for ; ; got++ {
				status, update, err := readAnswer(st, func(int) error { return nil })
				if err != nil {
					break
				}
				want := byte(statusOK)
				if got%3 == 1 { // nobody here knows the second
					want = statusUnknown
				}
				if status != want || status == statusOK && string(update) != string(updates[got%3]) {
					t.Errorf("%s: answer %d has status %d and %d bytes", name, got, status, len(update))
				}
			}
			if got != ask.answers {
				t.Errorf("%s: %d answers", name, got)
			}
			_ = st.Close()
		}
		if h.mesh.blame.of(c.host.ID()) != 0 {
			t.Error("asking for many listings is no offence")
		}
	})
}

// TestBrokenConversation: what came before the break counts; of what should have come
// after it one answer is to blame, and the rest is asked for elsewhere.
func TestBrokenConversation(t *testing.T) {
	for name, broken := range map[string]struct {
		say     func(st network.Stream)
		offence bool
	}{
		"ends":               {func(st network.Stream) {}, false},
		"breaks the format":  {func(st network.Stream) { _, _ = st.Write([]byte{77}) }, true},
		"promises the earth": {func(st network.Stream) { _, _ = st.Write([]byte{statusOK, 255, 255, 255, 255}) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
				h := s.settled(2)[0]
				_, updates, requests := authors(900, 4)
				c := s.cheat(66, h)
				c.answers(func(st network.Stream, asked []request) {
					_, _ = st.Write(appendAnswer(statusOK, updates[0]))
					broken.say(st)
				})
				var got []error
				h.mesh.fetch(t.Context(), c.host.ID(), requests, false, func(i int, raw []byte, err error) {
					if i != len(got) {
						t.Errorf("answer %d after %d", i, len(got))
					}
					got = append(got, err)
				})
				if len(got) != 4 || got[0] != nil {
					t.Fatalf("answers: %v", got)
				}
				for i, err := range got[1:] {
					if blamed := errors.Is(err, errWire); err == nil || blamed != (broken.offence && i == 0) {
						t.Errorf("answer %d: %v", i+1, err)
					}
				}
			})
		})
	}
}

// TestTimeForManyAnswers: a peer that is slow with each of many answers has no more time
// than for one, and what this hub needs to take them is not held against the peer.
func TestTimeForManyAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		peer, own time.Duration // for each answer
		most      int
	}{"slow peer": {time.Second, 0, 8}, "slow hub": {0, 3 * time.Second, 30}} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
				h := s.settled(2)[0]
				_, updates, requests := authors(900, 30)
				drip := s.cheat(66, h)
				drip.answers(func(st network.Stream, asked []request) {
					for i := range asked {
						time.Sleep(c.peer)
						_, _ = st.Write(appendAnswer(statusOK, updates[i]))
					}
				})
				ok := 0
				h.mesh.fetch(t.Context(), drip.host.ID(), requests, false, func(_ int, _ []byte, err error) {
					if err == nil {
						ok++
						time.Sleep(c.own)
					}
				})
				if ok < 4 || ok > c.most || c.peer == 0 && ok != len(requests) {
					t.Errorf("%d of %d answers came", ok, len(requests))
				}
			})
		})
	}
}

// TestTimeForManyRequests: a peer that asks in drips keeps its place no longer with many
// requests than with one.
func TestTimeForManyRequests(t *testing.T) {
	for name, c := range map[string]struct {
		every   time.Duration
		answers int // at most
	}{"drips": {time.Second, 6}, "asks in time": {50 * time.Millisecond, maxFetches}} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
				h := s.settled(2)[0]
				asker := s.cheat(66, h)
				st, err := asker.host.NewStream(t.Context(), h.host.ID(), FetchProtocol)
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					for range maxFetches {
						if _, err := st.Write(request{key: h.self.key.Public()}.encode()); err != nil {
							return
						}
						time.Sleep(c.every)
					}
				}()
				begun, got := time.Now(), 0
				for ; ; got++ {
					if _, _, err := readAnswer(st, func(int) error { return nil }); err != nil {
						break
					}
				}
				if took := time.Since(begun); took > 2*fetchWait {
					t.Errorf("the place was held for %s", took)
				}
				if got < 4 || got > c.answers || c.answers == maxFetches && got != maxFetches {
					t.Errorf("%d answers", got)
				}
			})
		})
	}
}

// TestAuthorIsDialledLast: a hub asks whom it knows before it connects to a stranger, and
// connects when nobody else is left.
func TestAuthorIsDialledLast(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(3)
		stranger := s.hub(70)
		stranger.sell("p", "c", "from afar")
		h := hubs[0]
		h.host.Peerstore().AddAddrs(stranger.host.ID(), stranger.host.Addrs(), time.Hour)
		h.mesh.pulls.add(catalog.Want{Key: stranger.self.key.Public()}, 1, hubs[1].host.ID(), 0)
		time.Sleep(100 * time.Millisecond)
		if h.host.Network().Connectedness(stranger.host.ID()) == network.Connected {
			t.Error("it was dialled although a neighbour may have its listing in a moment")
		}
		s.eventually("the stranger's listing", 5*time.Second, func() bool { return h.lists(stranger.self.key.Public(), "p", "c", "from afar") })
		if asked := counted(h.mesh.count.pulls, pullUnknown); asked < 2 {
			t.Errorf("%v neighbours were asked before", asked)
		}
	})
}

// TestNoRumourOfForwardedHeads: what gossip brought and this hub forwarded is no news to
// its neighbours when the listing comes later over a stream.
func TestNoRumourOfForwardedHeads(t *testing.T) {
	inVirtualTime(t, 10*time.Millisecond, func(t *testing.T, s *simulation) {
		hubs := s.settled(4)
		time.Sleep(youth)
		hubs[1].fake.mu.Lock()
		for i := range 400 { // too large for a message: its head is gossiped and it is pulled
			hubs[1].self.set("p", time.Duration(i).String(), "a capability among many, with a description of some length to make it large, and larger still, until it does not fit any more")
		}
		hubs[1].fake.mu.Unlock()
		hubs[1].poke(hubs[1].changes)
		s.agree(hubs, 20*time.Second)
		for i, h := range hubs {
			if n := counted(h.mesh.count.published, "rumour"); n > 0 {
				t.Errorf("hub %d passed on %v rumours", i, n)
			}
		}
	})
}
