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
	discoverTimeout = 30 * time.Second
	fewHubs         = 4 // below, the search starts over
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

// discoverLoop walks the DHT at random while there are connections to spare, slower the
// less it finds.
func (h *Host) discoverLoop() {
	wait := discoverFirst
	for h.sleep(h.jitter(wait)) {
		found := 0
		if !h.enough() {
			found = h.discover()
		}
		switch few := len(h.host.Network().Peers()) < fewHubs; {
		case found > 0 || few && wait < discoverEvery:
			wait = discoverEvery
		default:
			wait = min(2*wait, discoverLast)
		}
	}
}

// discover looks at a random place of the DHT and connects to hubs there.
func (h *Host) discover() (found int) {
	if h.dht.RoutingTable().Size() == 0 {
		return 0
	}
	ctx, cancel := context.WithTimeout(h.ctx, discoverTimeout)
	defer cancel()
	var place [16]byte
	for i := range place {
		place[i] = byte(h.random())
	}
	before := len(h.host.Network().Peers())
	ids, err := h.dht.GetClosestPeers(ctx, string(place[:]))
	if err != nil {
		h.log.Debug("a walk through the DHT failed", "error", err)
	}
	h.connectSome(ctx, ids, discoverDials)
	return len(h.host.Network().Peers()) - before
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
