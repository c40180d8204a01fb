package gossip

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

// state is one catalogue as a comparison sees it.
type state struct {
	refs    []ref // ordered by key
	of      map[identity.PublicKey]int
	root    digest
	buckets [bucketCount * bucketSize]byte
}

// look takes this hub's state.
func (m *Mesh) look() *state {
	heads := m.cat.Heads()
	s := &state{refs: make([]ref, 0, len(heads)), of: make(map[identity.PublicKey]int, len(heads))}
	for _, h := range heads {
		s.of[h.Key] = len(s.refs)
		s.refs = append(s.refs, ref{key: h.Key, sequence: h.Sequence, digest: digestOf(h.Digest), held: h.Own || h.Held == h.Digest})
	}
	s.hash()
	return s
}

// hash fills in the digests: of each bucket over its refs, and of all over the buckets.
func (s *state) hash() {
	var line [refSize]byte
	for i := 0; i < len(s.refs); {
		bucket := s.refs[i].key[0]
		sum := sha256.New()
		for ; i < len(s.refs) && s.refs[i].key[0] == bucket; i++ {
			sum.Write(appendRef(line[:0], s.refs[i]))
		}
		copy(s.buckets[int(bucket)*bucketSize:], sum.Sum(nil)[:bucketSize])
	}
	s.root = sha256.Sum256(s.buckets[:])
}

// better tells whether a says something that b does not know. Of two listings under
// one sequence the greater digest counts everywhere.
func (a ref) better(b ref) bool {
	if a.sequence != b.sequence {
		return a.sequence > b.sequence
	}
	return string(a.digest[:]) > string(b.digest[:])
}

// session is one comparison.
type session struct {
	m      *Mesh
	s      network.Stream
	peer   peer.ID
	mine   *state
	met    identity.PublicKey // of the other side, once its hello brought its head
	more   bool               // a bound cut something off, here or there
	gained int                // heads that had an effect
}

// compare begins a comparison with a connected peer. again is true if it brought
// something and there is more.
func (m *Mesh) compare(ctx context.Context, p peer.ID) (again bool, err error) {
	s, err := m.open(ctx, p, SyncProtocol, syncService, false, syncTimeout)
	if err != nil {
		return false, err
	}
	end := context.AfterFunc(ctx, func() { _ = s.Reset() })
	defer end()
	c := &session{m: m, s: s, peer: p, mine: m.look()}
	if err := c.begin(ctx); err != nil {
		_ = s.Reset()
		if errors.Is(err, errWire) {
			m.offend(p, "sync_format", err.Error())
		}
		return false, err
	}
	_ = s.Close()
	return c.more && c.gained > 0, nil
}

// serveSync answers a comparison that a peer begins.
func (m *Mesh) serveSync(ctx context.Context, s network.Stream) {
	p := s.Conn().RemotePeer()
	outcome := "answered"
	err := errors.Join(s.Scope().SetService(syncService), s.SetDeadline(time.Now().Add(syncTimeout)))
	if err == nil {
		err = (&session{m: m, s: s, peer: p}).answer(ctx)
	}
	if err != nil {
		outcome = "answer_failed"
		_ = s.Reset()
		if errors.Is(err, errWire) {
			m.offend(p, "sync_format", err.Error())
		}
	} else {
		_ = s.Close()
	}
	m.count.syncs.WithLabelValues(outcome).Inc()
}

func (c *session) begin(ctx context.Context) error {
	if err := c.sendHello(); err != nil {
		return err
	}
	theirs, err := c.readHello(ctx)
	if err != nil || theirs == c.mine.root {
		return err
	}
	if err := writeFrame(c.s, frameBuckets, c.mine.buckets[:]); err != nil {
		return err
	}
	_, differ, err := readFrame(c.s, frameDiffer)
	if err != nil {
		return err
	}
	if len(differ) != bucketCount/8 {
		return fmt.Errorf("%w: a bitmap of %d bytes", errWire, len(differ))
	}
	refs, err := c.readRefs()
	if err != nil {
		return err
	}
	asks, missing := c.wanted(refs)
	if err := c.sendHeads(c.offered(refs, differ)); err != nil {
		return err
	}
	if err := writeFrame(c.s, frameAsks, asks); err != nil {
		return err
	}
	if err := c.sendDone(); err != nil {
		return err
	}
	if err := c.s.CloseWrite(); err != nil {
		return err
	}
	for _, w := range missing {
		c.m.pulls.add(w.Want, w.sequence, c.peer, 0)
	}
	return c.readHeads(ctx, nil)
}

func (c *session) answer(ctx context.Context) error {
	theirs, err := c.readHello(ctx)
	if err != nil {
		return err
	}
	c.mine = c.m.look() // after the hello: its head may have changed it
	if err := c.sendHello(); err != nil {
		return err
	}
	if theirs == c.mine.root {
		return nil
	}
	_, buckets, err := readFrame(c.s, frameBuckets)
	if errors.Is(err, io.EOF) {
		return nil // it looked before its head arrived here, and found us equal
	}
	if err != nil {
		return err
	}
	if len(buckets) != len(c.mine.buckets) {
		return fmt.Errorf("%w: %d bytes of buckets", errWire, len(buckets))
	}
	var differ [bucketCount / 8]byte
	for i := range bucketCount {
		at := i * bucketSize
		if string(buckets[at:at+bucketSize]) != string(c.mine.buckets[at:at+bucketSize]) {
			differ[i/8] |= 1 << (i % 8)
		}
	}
	if err := c.sendRefs(differ[:]); err != nil {
		return err
	}
	var asked []identity.PublicKey
	if err := c.readHeads(ctx, &asked); err != nil {
		return err
	}
	if err := c.sendHeads(asked); err != nil {
		return err
	}
	return c.sendDone()
}

// sendHello says what this hub holds, and its own head: a hub that does not know it
// yet learns of it here.
func (c *session) sendHello() error {
	h := hello{root: c.mine.root}
	if own, ok := c.m.cat.RawHead(c.m.key); ok && len(own) <= catalog.MaxHeadBytes {
		h.head = own
	}
	return writeFrame(c.s, frameHello, h.encode())
}

func (c *session) readHello(ctx context.Context) (root digest, err error) {
	_, p, err := readFrame(c.s, frameHello)
	if err != nil {
		return root, err
	}
	h, err := decodeHello(p)
	if err != nil || len(h.head) == 0 {
		return h.root, err
	}
	known, err := c.m.parseHead(h.head)
	if err != nil {
		return root, fmt.Errorf("%w: its own head: %v", errWire, err)
	}
	if idOf(known.head.PublicKey) != c.peer {
		return root, fmt.Errorf("%w: it presents the head of another hub as its own", errWire)
	}
	c.met = known.head.PublicKey
	return h.root, c.take(ctx, known.head)
}

// take hands a head to the catalogue and remembers the ones that had no effect, so
// that they are not asked for again and again.
func (c *session) take(ctx context.Context, h *catalog.Head) error {
	in := c.m.cat.TakeHead(ctx, h, c.m.source(catalog.ViaSync, c.peer, h))
	c.m.took(h, in, c.peer, catalog.ViaSync, false)
	switch in.Reason {
	case catalog.ReasonApplied, catalog.ReasonWanted:
		c.gained++
	case catalog.ReasonStorage, catalog.ReasonStale, catalog.ReasonDuplicate:
	default:
		c.m.syncs.decline(h)
	}
	switch {
	case in.Verdict != catalog.Reject:
	case h.PublicKey == c.m.key: // what others know of us is not their fault
	case in.Reason == catalog.ReasonURLTaken, in.Reason == catalog.ReasonKeyChanged:
		// Its operator's mistake: the head has no effect, the comparison goes on.
	default:
		return fmt.Errorf("%w: a head that is refused (%s): %s", errWire, in.Reason, in.Detail)
	}
	return nil
}

func (c *session) sendRefs(differ []byte) error {
	if err := writeFrame(c.s, frameDiffer, differ); err != nil {
		return err
	}
	var b []byte
	for _, r := range c.mine.refs {
		if i := r.key[0]; differ[i/8]&(1<<(i%8)) == 0 {
			continue
		}
		if b = appendRef(b, r); len(b) == refsPerFrame*refSize {
			if err := writeFrame(c.s, frameRefs, b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	if len(b) > 0 {
		if err := writeFrame(c.s, frameRefs, b); err != nil {
			return err
		}
	}
	return writeFrame(c.s, frameDone, []byte{0})
}

func (c *session) readRefs() (list []ref, err error) {
	for {
		kind, p, err := readFrame(c.s, frameRefs, frameDone)
		if err != nil {
			return nil, err
		}
		if kind == frameDone {
			_, err := decodeDone(p)
			return list, err
		}
		refs, err := decodeRefs(p)
		if err != nil {
			return nil, err
		}
		if len(refs) == 0 || len(list)+len(refs) > maxSessionRefs {
			return nil, fmt.Errorf("%w: more than %d refs, or none in a frame", errWire, maxSessionRefs)
		}
		list = append(list, refs...)
	}
}

// missed is a listing that a peer holds under a head that is known here.
type missed struct {
	catalog.Want
	sequence uint64
}

// wanted picks what a peer knows better: keys to ask for, and listings to pull at once.
func (c *session) wanted(refs []ref) (asks []byte, pulls []missed) {
	for _, r := range refs {
		i, known := c.mine.of[r.key]
		switch {
		case r.key == c.met: // its hello brought its head
		case r.key == c.m.key && !known: // this hub has yet to speak
		case !known || r.better(c.mine.refs[i]):
			if c.m.syncs.declined(r) {
				continue
			}
			if len(asks) >= maxSessionHeads*keySize {
				c.more = true
				continue
			}
			asks = append(asks, r.key[:]...)
		case r.key != c.m.key && r.held && !c.mine.refs[i].held && r.sequence == c.mine.refs[i].sequence && r.digest == c.mine.refs[i].digest:
			pulls = append(pulls, missed{catalog.Want{Key: r.key, Digest: r.digest.text()}, r.sequence})
		}
	}
	return asks, pulls
}

// offered picks what this hub knows better than a peer, within the buckets compared.
func (c *session) offered(refs []ref, differ []byte) (keys []identity.PublicKey) {
	theirs := make(map[identity.PublicKey]ref, len(refs))
	for _, r := range refs {
		theirs[r.key] = r
	}
	for _, r := range c.mine.refs {
		if i := r.key[0]; differ[i/8]&(1<<(i%8)) == 0 {
			continue
		}
		t, known := theirs[r.key]
		if known && !r.better(t) && !(r.held && !t.held && r.sequence == t.sequence && r.digest == t.digest) {
			continue
		}
		if len(keys) >= maxSessionHeads {
			c.more = true
			break
		}
		keys = append(keys, r.key)
	}
	return keys
}

func (c *session) sendHeads(keys []identity.PublicKey) error {
	var b []byte
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		err := writeFrame(c.s, frameHeads, b)
		b, n = b[:0], 0
		return err
	}
	for _, k := range keys {
		head, ok := c.m.cat.RawHead(k)
		if !ok || len(head) == 0 || len(head) > catalog.MaxHeadBytes {
			continue
		}
		b = appendHead(b, head)
		if n++; n == headsPerFrame {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (c *session) sendDone() error {
	b := byte(0)
	if c.more {
		b = 1
	}
	return writeFrame(c.s, frameDone, []byte{b})
}

// readHeads takes heads until the other side is done; asked, if not nil, receives the
// keys that it asks for.
func (c *session) readHeads(ctx context.Context, asked *[]identity.PublicKey) error {
	kinds := []byte{frameHeads, frameDone}
	if asked != nil {
		kinds = append(kinds, frameAsks)
	}
	for n := 0; ; {
		kind, p, err := readFrame(c.s, kinds...)
		if err != nil {
			return err
		}
		switch kind {
		case frameDone:
			more, err := decodeDone(p)
			c.more = c.more || more
			return err
		case frameAsks:
			keys, err := decodeAsks(p)
			if err != nil {
				return err
			}
			kinds = kinds[:2] // once
			*asked = keys
		case frameHeads:
			heads, err := decodeHeads(p)
			if err != nil {
				return err
			}
			if n += len(heads); len(heads) == 0 || n > maxSessionHeads {
				return fmt.Errorf("%w: more than %d heads, or none in a frame", errWire, maxSessionHeads)
			}
			for _, raw := range heads {
				known, err := c.m.parseHead(raw)
				if err != nil {
					return fmt.Errorf("%w: a head: %v", errWire, err)
				}
				if err := c.take(ctx, known.head); err != nil {
					return err
				}
				c.repull(known.head)
			}
		}
	}
}

// repull asks again for a listing whose head was known here already and whose content
// was not: who sends that head has it.
func (c *session) repull(h *catalog.Head) {
	if c.mine == nil {
		return
	}
	if i, ok := c.mine.of[h.PublicKey]; ok {
		if r := c.mine.refs[i]; !r.held && r.sequence == h.Sequence && r.digest == digestOf(h.Digest) {
			c.m.pulls.add(catalog.Want{Key: h.PublicKey, Digest: h.Digest}, h.Sequence, c.peer, 0)
		}
	}
}

// refOf is the identity of a head for the memory of declined ones.
func refOf(h *catalog.Head) [40]byte {
	var b [40]byte
	d := digestOf(h.Digest)
	copy(b[:], d[:])
	binary.BigEndian.PutUint64(b[32:], h.Sequence)
	return b
}
