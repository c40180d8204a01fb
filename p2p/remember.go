package p2p

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	ma "github.com/multiformats/go-multiaddr"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

// Known hubs are rows range + 32-byte key → version + JSON of a knownHub.
const (
	rangeKnown   = "p2p/peer/"
	knownVersion = 1
)

// Bounds on known hubs.
const (
	maxKnown   = 10_000
	keptKnown  = maxKnown - maxKnown/20 // after forgetting, so that it is not done for each new hub
	flushEvery = 30 * time.Second
	repeatFor  = 20 * time.Minute // libp2p keeps addresses for an hour
)

// knownHub is where a hub can be reached.
type knownHub struct {
	Addrs     []string `json:"addrs"`               // without /p2p/<id>, at most maxAddresses
	Worked    string   `json:"worked,omitempty"`    // the address of the last connection made to it
	Connected int64    `json:"connected,omitempty"` // last connection, Unix seconds
	Heard     int64    `json:"heard"`               // addresses last told, Unix seconds

	dirty  bool
	told   []string  // what Learn was last given, before it was looked into
	toldAt time.Time // and when
}

// remembered are the hubs whose addresses are known, in memory and in the store. A change
// reaches the store within flushEvery: losing it costs one more search.
type remembered struct {
	db      *store.DB // nil keeps them in memory
	log     *slog.Logger
	metrics *metrics

	mu   sync.Mutex
	hubs map[identity.PublicKey]*knownHub
	gone map[identity.PublicKey]bool // forgotten since the last flush
}

func loadRemembered(db *store.DB, log *slog.Logger, m *metrics) (*remembered, error) {
	r := &remembered{db: db, log: log, metrics: m, hubs: map[identity.PublicKey]*knownHub{}, gone: map[identity.PublicKey]bool{}}
	if db == nil {
		return r, nil
	}
	err := db.Scan([]byte(rangeKnown), nil, func(row, value []byte) (bool, error) {
		var key identity.PublicKey
		if len(row) != len(rangeKnown)+len(key) {
			log.Warn("a row of known hubs has a malformed key and is left alone", "row", fmt.Sprintf("%q", row))
			return true, nil
		}
		copy(key[:], row[len(rangeKnown):])
		hub, err := decodeKnown(value)
		if err != nil {
			log.Warn("the addresses of a known hub are not readable and are forgotten", "key", key, "error", err)
			r.gone[key] = true
			return true, nil
		}
		r.hubs[key] = hub
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("p2p: reading the known hubs: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.evict()
	return r, nil
}

func decodeKnown(value []byte) (*knownHub, error) {
	version, payload, err := store.SplitValue(value)
	if err != nil {
		return nil, err
	}
	if version != knownVersion {
		return nil, fmt.Errorf("version %d of a known hub, this program reads %d", version, knownVersion)
	}
	hub := &knownHub{}
	if err := json.Unmarshal(payload, hub); err != nil {
		return nil, err
	}
	if len(hub.Addrs) > maxAddresses {
		return nil, errors.New("too many addresses of a known hub")
	}
	for _, a := range append(slices.Clone(hub.Addrs), hub.Worked) {
		if len(a) > maxAddressBytes {
			return nil, errors.New("an address of a known hub is too long")
		}
	}
	return hub, nil
}

func (r *remembered) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.hubs)
}

func (r *remembered) get(key identity.PublicKey) *knownHub {
	hub := r.hubs[key]
	if hub == nil {
		hub = &knownHub{}
		r.hubs[key] = hub
		delete(r.gone, key)
	}
	return hub
}

// repeats reports that a known hub's head said the same within repeatFor, and notes what
// it says now: many neighbours bring the same head.
func (r *remembered) repeats(key identity.PublicKey, multiaddrs []string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	hub := r.hubs[key]
	if hub == nil {
		return false
	}
	if past := now.Sub(hub.toldAt); past >= 0 && past < repeatFor && slices.Equal(hub.told, multiaddrs) {
		return true
	}
	hub.told, hub.toldAt = multiaddrs, now
	return false
}

// learn notes what a hub, by its signed head or over its own connection, says of its
// addresses: the newest word replaces earlier ones.
func (r *remembered) learn(key identity.PublicKey, addrs []ma.Multiaddr, now time.Time) {
	if len(addrs) == 0 {
		return
	}
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	hub := r.get(key)
	if slices.Equal(hub.Addrs, texts) && now.Unix()-hub.Heard < int64(time.Hour/time.Second) {
		return // not worth a write
	}
	hub.Addrs, hub.Heard, hub.dirty = texts, now.Unix(), true
	r.evict()
}

// connected notes a connection; at is nil when it was not made from here or when the
// address is not worth noting.
func (r *remembered) connected(key identity.PublicKey, at ma.Multiaddr, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hubs[key] == nil && at == nil {
		return // nobody said where it is
	}
	hub := r.get(key)
	if at != nil {
		hub.Worked = at.String()
	}
	hub.Connected, hub.dirty = now.Unix(), true
	r.evict()
}

// addrs are the texts of a hub's addresses, the one that worked first.
func (r *remembered) addrs(key identity.PublicKey) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	hub := r.hubs[key]
	if hub == nil {
		return nil
	}
	var out []string
	if hub.Worked != "" {
		out = append(out, hub.Worked)
	}
	for _, a := range hub.Addrs {
		if a != hub.Worked {
			out = append(out, a)
		}
	}
	return out
}

// keys are those of all known hubs, in a fixed order: what is drawn from them depends on
// the source of chance alone.
func (r *remembered) keys() []identity.PublicKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := slices.Collect(maps.Keys(r.hubs))
	slices.SortFunc(keys, func(a, b identity.PublicKey) int { return slices.Compare(a[:], b[:]) })
	return keys
}

// newest are the n hubs that were connected, or else heard of, last.
func (r *remembered) newest(n int) []identity.PublicKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.byAge()
	slices.Reverse(keys)
	return keys[:min(n, len(keys))]
}

// byAge orders the keys from the hub least worth keeping up.
func (r *remembered) byAge() []identity.PublicKey {
	keys := make([]identity.PublicKey, 0, len(r.hubs))
	for key := range r.hubs {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b identity.PublicKey) int {
		x, y := r.hubs[a], r.hubs[b]
		return cmp.Or(cmp.Compare(x.Connected, y.Connected), cmp.Compare(x.Heard, y.Heard), slices.Compare(a[:], b[:]))
	})
	return keys
}

func (r *remembered) evict() {
	if len(r.hubs) <= maxKnown {
		return
	}
	for _, key := range r.byAge()[:len(r.hubs)-keptKnown] {
		delete(r.hubs, key)
		r.gone[key] = true
		r.metrics.evicted.Inc()
	}
}

// flush writes what changed, without waiting for the disk.
func (r *remembered) flush() error {
	if r.db == nil {
		return nil
	}
	r.mu.Lock()
	b := r.db.NewBatch()
	defer b.Close()
	for key := range r.gone {
		b.Delete(rowOf(key))
	}
	clear(r.gone)
	for key, hub := range r.hubs {
		if !hub.dirty {
			continue
		}
		payload, err := json.Marshal(hub)
		if err != nil { // strings and numbers always marshal
			r.mu.Unlock()
			return fmt.Errorf("p2p: encoding a known hub: %w", err)
		}
		b.Set(rowOf(key), store.PutValue(knownVersion, payload))
		hub.dirty = false
	}
	r.mu.Unlock()
	if b.Len() == 0 {
		return nil
	}
	if err := r.db.WriteNoSync(b); err != nil {
		return fmt.Errorf("p2p: storing the known hubs: %w", err)
	}
	return nil
}

func rowOf(key identity.PublicKey) []byte { return append([]byte(rangeKnown), key[:]...) }

func (h *Host) flushLoop() {
	for h.sleep(h.jitter(flushEvery)) {
		if err := h.peers.flush(); err != nil {
			h.log.Warn("addresses of hubs are not stored", "error", err)
		}
	}
}
