package p2p

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

func memStore(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open("db", store.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestRestartFindsHubsAgain(t *testing.T) {
	db := memStore(t)
	a := open(t, "a", nil)
	b := open(t, "b", func(c *Config) { c.Store, c.Bootstrap = db, a.Multiaddrs() })
	eventually(t, "b joins a", linked(b, a))
	eventually(t, "b remembers a", func() bool { return len(b.peers.addrs(key(a))) > 0 })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b = open(t, "b", func(c *Config) { c.Store = db })
	eventually(t, "b finds a again without bootstrap", linked(b, a))
}

func TestLearnIsBounded(t *testing.T) {
	a := open(t, "a", nil)
	other := testKey(t, "other").Public()
	id, err := peerIDOf(other)
	if err != nil {
		t.Fatal(err)
	}
	many := []string{"/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/1/p2p/" + id.String(), "/ip4/127.0.0.1/tcp/2/p2p/" + a.PeerID(),
		"not an address", "/dns4/" + strings.Repeat("x", maxAddressBytes) + ".example/tcp/1"}
	for i := range 100 {
		many = append(many, "/ip4/10.0.0.1/tcp/"+string(rune('1'+i%9))+"000")
	}
	a.Learn(other, many)
	got := a.peers.addrs(other)
	if len(got) == 0 || len(got) > maxAddresses || slices.Contains(got, "/ip4/127.0.0.1/tcp/2") || got[0] != "/ip4/127.0.0.1/tcp/1" {
		t.Errorf("%q", got)
	}
	a.Learn(other, []string{"/ip4/127.0.0.1/tcp/3"})
	if got := a.peers.addrs(other); !slices.Equal(got, []string{"/ip4/127.0.0.1/tcp/3"}) {
		t.Errorf("%q", got)
	}
	a.Learn(other, nil)
	if got := a.peers.addrs(other); len(got) != 1 {
		t.Errorf("%q", got)
	}
	a.Learn(key(a), []string{"/ip4/127.0.0.1/tcp/3"})
	if got := a.peers.addrs(key(a)); len(got) != 0 {
		t.Errorf("a hub remembers itself at %q", got)
	}
}

func numbered(i int) (key identity.PublicKey) {
	binary.BigEndian.PutUint32(key[:], uint32(i))
	return key
}

func TestTooManyKnownHubsForgetTheOldest(t *testing.T) {
	db := memStore(t)
	log := slog.New(slog.DiscardHandler)
	r, err := loadRemembered(db, log, newMetrics())
	if err != nil {
		t.Fatal(err)
	}
	at := []ma.Multiaddr{ma.StringCast("/ip4/1.2.3.4/tcp/5")}
	start := time.Unix(1_700_000_000, 0)
	r.learn(numbered(0), at, start)
	r.connected(numbered(0), at[0], start) // a hub that was met is worth more than ones heard of later
	for i := 1; i <= maxKnown; i++ {
		r.learn(numbered(i), at, start.Add(time.Duration(i)*time.Second))
		if i == maxKnown/2 {
			if err := r.flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	again, err := loadRemembered(db, log, newMetrics())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*remembered{r, again} {
		if r.len() != keptKnown || r.addrs(numbered(0)) == nil || r.addrs(numbered(1)) != nil || r.addrs(numbered(maxKnown)) == nil {
			t.Errorf("%d hubs, met %v, oldest %v, newest %v", r.len(), r.addrs(numbered(0)), r.addrs(numbered(1)), r.addrs(numbered(maxKnown)))
		}
		if got := r.newest(2); len(got) != 2 || got[0] != numbered(0) || got[1] != numbered(maxKnown) {
			t.Errorf("newest: %v", got)
		}
	}
}

func TestUnreadableRowIsForgotten(t *testing.T) {
	db := memStore(t)
	b := db.NewBatch()
	b.Set(rowOf(numbered(1)), store.PutValue(knownVersion+1, []byte("{}")))
	b.Set(rowOf(numbered(2)), store.PutValue(knownVersion, []byte("{")))
	b.Set(rowOf(numbered(3)), store.PutValue(knownVersion, []byte(`{"addrs":["/ip4/1.2.3.4/tcp/5"],"heard":1}`)))
	b.Set([]byte(rangeKnown+"short"), []byte{1})
	if err := db.Write(b); err != nil {
		t.Fatal(err)
	}
	r, err := loadRemembered(db, slog.New(slog.DiscardHandler), newMetrics())
	if err != nil {
		t.Fatal(err)
	}
	if r.len() != 1 || len(r.addrs(numbered(3))) != 1 {
		t.Errorf("%d hubs", r.len())
	}
	if err := r.flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Get(rowOf(numbered(2))); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func FuzzDecodeKnown(f *testing.F) {
	f.Add(store.PutValue(knownVersion, []byte(`{"addrs":["/ip4/1.2.3.4/tcp/5"],"worked":"/ip4/1.2.3.4/tcp/5","heard":1,"connected":2}`)))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		if hub, err := decodeKnown(value); err == nil && len(hub.Addrs) > maxAddresses {
			t.Errorf("%d addresses", len(hub.Addrs))
		}
	})
}
