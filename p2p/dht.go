package p2p

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"

	"github.com/aimarket/aimarket/internal/identity"
)

// The DHT's constants. Its protocol is /aimarket/kad/1.0.0.
const (
	dhtPrefix       = "/aimarket"
	providerLife    = 12 * time.Hour
	provideEvery    = 4 * time.Hour // three chances before a record ends
	provideFirst    = time.Minute   // a young mesh changes: once more soon, then ever later
	provideGrowth   = 6
	provideRetry    = 5 * time.Second
	provideRetryMax = 5 * time.Minute
	provideTimeout  = time.Minute
	maxCategories   = 32
	maxCategoryLen  = 64
	maxProviders    = 100
	dhtPerIPGroup   = 8 // hubs of one network block in the routing table
	dhtPerIPBucket  = 3 // in one of its buckets
	categoryKeyText = "aimarket/category/"
)

// Bounds on the search for more hubs.
const (
	discoverFirst   = 5 * time.Second
	discoverEvery   = 30 * time.Second // while it finds something
	discoverLast    = 30 * time.Minute
	discoverDials   = 8
	discoverWalk    = 4 // every so many rounds are a walk
	discoverTimeout = 30 * time.Second
	fewHubs         = 4 // below, every round is a walk too, and the search starts over
)

func (h *Host) openDHT() error {
	opts := []dht.Option{
		dht.ProtocolPrefix(dhtPrefix), dht.DisableValues(),
		// Walks of its own would connect a hub to all others of a small mesh; discoverLoop
		// looks around as long as there are connections to spare.
		dht.DisableAutoRefresh(),
		// A server as long as nothing says that others cannot reach this hub.
		dht.Mode(dht.ModeAutoServer),
		dht.ProviderManagerOpts(records.ProvideValidity(providerLife)),
		dht.AddressFilter(func(addrs []ma.Multiaddr) []ma.Multiaddr { return filterAddresses("", addrs, h.cfg.Local) }),
	}
	if !h.cfg.Local && len(h.cfg.Options) == 0 {
		opts = append(opts, dht.RoutingTablePeerDiversityFilter(dht.NewRTPeerDiversityFilter(h.host, dhtPerIPBucket, dhtPerIPGroup)))
	}
	var err error
	if h.dht, err = dht.New(h.host, opts...); err != nil {
		return fmt.Errorf("p2p: starting the DHT: %w", err)
	}
	return nil
}

// categoryID is where the DHT keeps who offers a category.
func categoryID(category string) cid.Cid {
	sum := sha256.Sum256([]byte(categoryKeyText + category))
	mh, err := multihash.Encode(sum[:], multihash.SHA2_256)
	if err != nil {
		panic(err) // the code is known and the length its own
	}
	return cid.NewCidV1(cid.Raw, mh)
}

// provisions are the categories to publish.
type provisions struct {
	mu         sync.Mutex
	categories []string
	lacking    bool          // the last attempt failed
	wake       chan struct{} // made by the first to come
}

// again tries at once what could not be published when a hub has come.
func (p *provisions) again() {
	p.mu.Lock()
	lacking := p.lacking
	p.mu.Unlock()
	if lacking {
		select {
		case p.woken() <- struct{}{}:
		default:
		}
	}
}

func (p *provisions) woken() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.wake == nil {
		p.wake = make(chan struct{}, 1)
	}
	return p.wake
}

// Provide publishes in the DHT that this hub offers these categories, at most 32 of at
// most 64 bytes, and keeps doing so. A later call replaces the list; what it leaves out
// ends within 12 hours.
func (h *Host) Provide(categories []string) {
	var list []string
	for _, c := range categories {
		if c != "" && len(c) <= maxCategoryLen && !slices.Contains(list, c) && len(list) < maxCategories {
			list = append(list, c)
		}
	}
	slices.Sort(list)
	wake := h.provide.woken()
	h.provide.mu.Lock()
	same := slices.Equal(list, h.provide.categories)
	h.provide.categories = list
	h.provide.mu.Unlock()
	if same {
		return
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (h *Host) provideLoop() {
	wake := h.provide.woken()
	timer := time.NewTimer(provideEvery)
	defer timer.Stop()
	every, retry := provideFirst, provideRetry
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-wake:
			every, retry = provideFirst, provideRetry
		case <-timer.C:
		}
		err := h.provideAll()
		h.provide.mu.Lock()
		h.provide.lacking = err != nil
		h.provide.mu.Unlock()
		if err != nil {
			h.log.Debug("categories are not in the DHT yet", "again_in", retry, "error", err)
			timer.Reset(h.jitter(retry))
			retry = min(2*retry, provideRetryMax)
			continue
		}
		retry = provideRetry
		timer.Reset(h.jitter(every))
		every = min(every*provideGrowth, provideEvery)
	}
}

func (h *Host) provideAll() error {
	h.provide.mu.Lock()
	list := h.provide.categories
	h.provide.mu.Unlock()
	if len(list) > 0 && h.dht.RoutingTable().Size() == 0 {
		return errors.New("no other hub is in the DHT")
	}
	var errs []error
	for _, c := range list {
		ctx, cancel := context.WithTimeout(h.ctx, provideTimeout)
		if err := h.dht.Provide(ctx, categoryID(c), true); err != nil {
			errs = append(errs, fmt.Errorf("providing %q: %w", c, err))
		}
		cancel()
	}
	return errors.Join(errs...)
}

// ErrNoDHT reports a host without the DHT.
var ErrNoDHT = errors.New("p2p: this host takes no part in the DHT")

// FindProviders asks the DHT for up to n (at most 100) other hubs that offer a category.
// What it learned before ctx ended is returned without an error. It is what others
// say: a hub found here may not exist or not offer it.
func (h *Host) FindProviders(ctx context.Context, category string, n int) ([]identity.PublicKey, error) {
	if h.dht == nil {
		return nil, ErrNoDHT
	}
	if category == "" || len(category) > maxCategoryLen {
		return nil, fmt.Errorf("p2p: looking for providers of a category of %d bytes: 1 to %d are allowed", len(category), maxCategoryLen)
	}
	if n = min(n, maxProviders); n <= 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var keys []identity.PublicKey
	for info := range h.dht.FindProvidersAsync(ctx, categoryID(category), n+1) { // this hub may be one
		if key, ok := keyOf(info.ID); ok && info.ID != h.id && len(keys) < n {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 && ctx.Err() != nil {
		return nil, fmt.Errorf("p2p: looking for providers of %q: %w", category, ctx.Err())
	}
	return keys, nil
}

// discoverLoop looks for more neighbours while there are connections to spare, slower the
// less it finds. It draws from the hubs that are known and now and then from the DHT, so
// that neither who fills the one nor who sits in the other chooses all neighbours.
func (h *Host) discoverLoop() {
	wait := discoverFirst
	for round := 1; h.sleep(h.jitter(wait)); {
		found := 0
		if before := len(h.host.Network().Peers()); before < h.cfg.ConnLow {
			h.discover(round%discoverWalk == 0, min(h.cfg.ConnLow-before, discoverDials))
			found = len(h.host.Network().Peers()) - before
			round++
		}
		switch few := len(h.host.Network().Peers()) < fewHubs; {
		case found > 0 || few && wait < discoverEvery:
			wait = discoverEvery
		default:
			wait = min(2*wait, discoverLast)
		}
	}
}

// discover connects to up to n hubs: to known ones, or if walk is set or hardly a hub is
// connected to those at a random place of the DHT. A walk connects to about twenty on its
// way.
func (h *Host) discover(walk bool, n int) {
	ctx, cancel := context.WithTimeout(h.ctx, discoverTimeout)
	defer cancel()
	if !walk {
		h.connectSome(ctx, h.knownStrangers(n), n)
	}
	if !walk && len(h.host.Network().Peers()) >= fewHubs || h.dht.RoutingTable().Size() == 0 {
		return
	}
	var place [16]byte
	for i := range place {
		place[i] = byte(h.random())
	}
	ids, err := h.dht.GetClosestPeers(ctx, string(place[:]))
	if err != nil {
		h.log.Debug("a walk through the DHT failed", "error", err)
	}
	h.connectSome(ctx, ids, n)
}

// knownStrangers draws up to n hubs whose addresses are known and that are not connected.
func (h *Host) knownStrangers(n int) (ids []peer.ID) {
	keys := h.peers.keys()
	for left := len(keys); left > 0 && len(ids) < n; left-- {
		i := int(h.random() % uint64(left))
		keys[i], keys[left-1] = keys[left-1], keys[i]
		if id, err := peerIDOf(keys[left-1]); err == nil && id != h.id && !h.connected(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// connectSome tries up to n hubs that are not connected.
func (h *Host) connectSome(ctx context.Context, ids []peer.ID, n int) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, id := range ids {
		if id == h.id || h.connected(id) {
			continue
		}
		if n--; n < 0 {
			return
		}
		wg.Go(func() {
			if err := h.connect(ctx, id, "search"); err != nil {
				h.log.Debug("a hub found in the DHT does not answer", "error", err)
			}
		})
	}
}
