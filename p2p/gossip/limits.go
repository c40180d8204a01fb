package gossip

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

// Rhythm of what a hub sends by itself.
const (
	DefaultRefresh = 3 * time.Hour    // between heads of an unchanged listing: half of what makes it stale
	DefaultSync    = 60 * time.Second // between comparisons with a random peer

	publishPace   = 50 * time.Millisecond   // between updates of this hub: more changes share one
	publishRetry  = time.Second             // after an update could not be made
	repairDelay   = 200 * time.Millisecond  // quiet time after an update before its head follows
	maxRepairWait = time.Second             // the head follows after this much even without quiet
	joinDelay     = 1200 * time.Millisecond // from the first peer to the announcement: one heartbeat, in which the mesh forms
	eventPace     = 500 * time.Millisecond  // between bursts of events
	eventBurst    = 20                      // events of this hub in one burst
	maxEventQueue = 1000                    // events of this hub that wait for their burst
	rumourDelay   = 300 * time.Millisecond  // mean wait before a head learned by a comparison is passed on
	youth         = 2 * syncSettle          // after the first neighbour came
	rumourRate    = 128                     // such heads a second
	maxRumours    = 2048                    // that wait
)

// Bounds on gossip messages.
const (
	maxAnnounce    = 4 << 10   // a head has at most 2 KiB, an event less than this
	maxRPC         = 256 << 10 // one gossipsub frame: messages and control together
	maxControl     = 128 << 10 // the control part of one
	queueSize      = 1024      // outbound queue per peer and validation queue, in messages
	validateAtOnce = 512       // messages under validation, and so goroutines
	dontWantFrom   = 16 << 10  // below this size telling a neighbour not to send a message costs more than its second copy
	maxTopicSubs   = 8         // subscriptions in one frame

	authorRate  = 60  // updates, heads or events of one author a second, in the long run
	authorBurst = 120 // at once
	sourceRate  = 500 // messages from one neighbour a second that are looked into
	sourceBurst = 2000
	maxBuckets  = 16384 // authors, and pairs of neighbour and author, that are counted

	maxVerifiedHeads = 4096
	maxLanes         = 4096
	laneWait         = 250 * time.Millisecond // for the update before, when one overtook it
	maxLaneWaits     = 128
)

// Bounds on pulling listings.
const (
	pullDelay       = 250 * time.Millisecond // for the update to come by gossip, ±half
	pullSpread      = 25 * time.Millisecond  // mean, where there is nothing to wait for: not all at once
	pullBackoff     = 250 * time.Millisecond // after a failed attempt, doubling
	maxPullBackoff  = 8 * time.Second
	maxPullAttempts = 8
	maxPulls        = 4096 // listings wanted
	pullsAtOnce     = 8
	pullsPerPeer    = 2
	maxOffers       = 8 // peers remembered to have a wanted listing

	fetchWait     = 5 * time.Second // for the whole exchange, and in addition
	fetchMinSpeed = 128 << 10       // bytes a second that the listing must flow at
	fetchRate     = 50              // requests of one peer a second that are served
	fetchBurst    = 200
	fetchByteRate = 4 << 20 // bytes a second for one peer
	fetchByteMax  = 16 << 20
	servedAtOnce  = 32
	servedPerPeer = 4
)

// Bounds on comparing catalogues.
const (
	syncTimeout      = 20 * time.Second
	syncFollowUp     = 3 * time.Second // the side that was connected to waits this long for the other to begin
	syncSettle       = 3 * time.Second // after the first comparison with a new neighbour: the mesh has formed
	syncRate         = 1               // comparisons one peer may begin a second
	syncBurst        = 32
	syncsAtOnce      = 4  // that this hub begins; one in its youth, for all would bring the same
	syncServed       = 16 // that others begin
	syncServedOfOne  = 2  // that one peer begins
	maxSyncQueue     = 1024
	maxSessionHeads  = 512                        // in one comparison, each way; the rest follows in the next
	maxSessionRefs   = catalog.MaxActivePeers + 1 // no honest catalogue has more
	maxDeclined      = 4096
	declineFor       = 10 * time.Minute // a head that had no effect is not asked for again
	maxBlamed        = 4096
	maxStreamOffence = 4 // a peer with so many is not served any more until they faded
)

// idOf is the peer ID of a hub's key.
func idOf(key identity.PublicKey) peer.ID {
	pub, err := crypto.UnmarshalEd25519PublicKey(key[:])
	if err != nil { // only for other lengths
		return ""
	}
	id, err := peer.IDFromPublicKey(pub)
	if err != nil {
		return ""
	}
	return id
}

// chance guards the source of jitter: it is used from many goroutines.
type chance struct {
	mu sync.Mutex
	r  *rand.Rand
}

func (c *chance) float() float64 {
	if c.r == nil {
		return rand.Float64()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.r.Float64()
}

// around is d, give or take the share of it.
func (c *chance) around(d time.Duration, share float64) time.Duration {
	return time.Duration(float64(d) * (1 + share*(2*c.float()-1)))
}

func (c *chance) below(n int) int { return min(int(c.float()*float64(n)), n-1) }

// buckets are token buckets by key, the longest unused forgotten first.
type buckets[K comparable] struct {
	mu    sync.Mutex
	rate  float64
	burst float64
	keys  *simplelru.LRU[K, *bucket]
	now   func() time.Time
}

type bucket struct {
	tokens float64 // below zero: taken although there were none
	at     time.Time
}

func newBuckets[K comparable](rate, burst float64, size int, now func() time.Time) *buckets[K] {
	keys, _ := simplelru.NewLRU[K, *bucket](size, nil) // fails only for sizes ≤ 0
	return &buckets[K]{rate: rate, burst: burst, keys: keys, now: now}
}

// take takes n tokens. ok is false if there were not so many; who goes on then sinks
// into debt, and far is true once that is as deep as the burst.
func (b *buckets[K]) take(key K, n float64) (ok, far bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	t, found := b.keys.Get(key)
	if !found {
		t = &bucket{tokens: b.burst, at: now}
		b.keys.Add(key, t)
	}
	if past := now.Sub(t.at); past > 0 {
		t.tokens, t.at = min(b.burst, t.tokens+past.Seconds()*b.rate), now
	}
	ok = t.tokens >= n
	t.tokens = max(-b.burst, t.tokens-n)
	return ok, t.tokens <= -b.burst
}

// charge takes what an answer turned out to cost; in debt tells whether one may ask.
func (b *buckets[K]) inDebt(key K) bool {
	ok, _ := b.take(key, 0)
	return !ok
}

// relayed names the messages that one neighbour hands over in one author's name.
// Counting them apart from the author's own keeps a neighbour from using up the
// allowance of somebody else with forgeries.
type relayed struct {
	source peer.ID
	author string
}

type limits struct {
	source  *buckets[peer.ID]
	relayed *buckets[relayed]
	author  *buckets[string]
	fetch   *buckets[peer.ID]
	bytes   *buckets[peer.ID]
	sync    *buckets[peer.ID]
}

func newLimits(now func() time.Time) *limits {
	return &limits{
		source:  newBuckets[peer.ID](sourceRate, sourceBurst, maxBuckets, now),
		relayed: newBuckets[relayed](authorRate, authorBurst, maxBuckets, now),
		author:  newBuckets[string](authorRate, authorBurst, maxBuckets, now),
		fetch:   newBuckets[peer.ID](fetchRate, fetchBurst, maxBuckets, now),
		bytes:   newBuckets[peer.ID](fetchByteRate, fetchByteMax, maxBuckets, now),
		sync:    newBuckets[peer.ID](syncRate, syncBurst, maxBuckets, now),
	}
}

// slots bounds what runs at once, in all and per peer.
type slots struct {
	mu   sync.Mutex
	all  int
	each int
	used int
	of   map[peer.ID]int
}

func newSlots(all, each int) *slots { return &slots{all: all, each: each, of: map[peer.ID]int{}} }

func (s *slots) acquire(p peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.used >= s.all || s.of[p] >= s.each {
		return false
	}
	s.used++
	s.of[p]++
	return true
}

func (s *slots) release(p peer.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	if s.of[p]--; s.of[p] == 0 {
		delete(s.of, p)
	}
}

func (s *slots) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used > 0
}

func (s *slots) free() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used < s.all
}
