package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/internal/store"
)

// listing is everything a catalogue lists, in key order, as the store has it.
func listing(t fataler, c *Catalog) []Capability {
	t.Helper()
	var out []Capability
	err := c.cfg.Store.Scan([]byte(rangeRow), nil, func(key, value []byte) (bool, error) {
		k, ok := parseRowKey(key)
		if !ok {
			return false, errors.New("strange key")
		}
		r, err := decodeRow(k, append([]byte(nil), value...))
		out = append(out, r)
		return true, err
	})
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	return out
}

// consistent checks that everything derived agrees with the rows that are stored.
func consistent(t fataler, c *Catalog) {
	t.Helper()
	ctx := context.Background()
	rows := listing(t, c)
	zero := 0.0
	var want, got []string
	var counts Counts
	products := map[string]bool{}
	wantCap, wantURL := map[string]bool{}, map[string]bool{}
	for i := range rows {
		r := &rows[i]
		counts.Total++
		if r.SourceHub == Local {
			counts.Local++
			products[r.ProductID] = true
		}
		wantCap[string(byCapKey(r.Key))] = true
		if r.InvokeURL != "" {
			wantURL[string(byURLKey(r.InvokeURL, r.Key))] = true
		}
		if executable(r) {
			want = append(want, fmt.Sprint(r.Key))
		}
		found, err := c.Lookup(ctx, r.ProductID, r.CapabilityID, r.SourceHub)
		if err != nil || found.Key != r.Key {
			t.Fatalf("lookup of the listed row %v: %v, %v", r.Key, found.Key, err)
		}
	}
	for offset := 0; ; {
		res, err := c.Search(ctx, Query{MinTrust: &zero, IncludeDemo: true, IncludeStale: true, LimitAll: true, Offset: offset})
		if err != nil {
			t.Fatalf("search: %v", err)
		}
		for _, m := range res.Matches {
			got = append(got, fmt.Sprint(m.Key))
		}
		if offset += len(res.Matches); !res.HasMore() {
			break
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("search and store differ (-store +search):\n%s", diff)
	}
	have := c.Counts()
	if have.Total != counts.Total || have.Local != counts.Local || have.Products != len(products) {
		t.Fatalf("counts %+v, stored are %+v with %d products", have, counts, len(products))
	}
	for rng, want := range map[string]map[string]bool{rangeByCap: wantCap, rangeByURL: wantURL} {
		got := map[string]bool{}
		err := c.cfg.Store.Scan([]byte(rng), nil, func(key, _ []byte) (bool, error) {
			got[string(key)] = true
			return true, nil
		})
		if err != nil {
			t.Fatalf("scan %s: %v", rng, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("range %s (-want +got):\n%s", rng, diff)
		}
	}
	heldListings(t, c)
	previews(t, c)
	top, err := c.listed(c.cfg.Now())
	if err != nil || len(top) != min(len(want), MaxListed) {
		t.Fatalf("documents list %d rows of %d, %v", len(top), len(want), err)
	}
}

// heldListings checks that what is stored of each peer's listing is the one that its
// record says is in effect, and that nothing is stored of any other key but this hub's.
func heldListings(t fataler, c *Catalog) {
	t.Helper()
	stored := map[string]bool{}
	err := c.cfg.Store.Scan([]byte(rangeDigest), nil, func(key, _ []byte) (bool, error) {
		hub, _, _, _ := splitKey(rangeDigest, key)
		stored[hub] = true
		return true, nil
	})
	if err != nil {
		t.Fatalf("scan listings: %v", err)
	}
	delete(stored, keyHex(c.mesh.ownKey))
	var sum int64
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	for _, p := range c.peers {
		sum += p.HeldBytes
		if p.Held == "" {
			continue
		}
		key, _ := decodeKey(p.PublicKey)
		delete(stored, keyHex(key))
		if l, err := readListing(c.cfg.Store, key); err != nil || l.digest() != p.Held || l.size != p.HeldBytes {
			t.Fatalf("%s holds %s of %d bytes, stored are %d tools, %v", p.URL, p.Held, p.HeldBytes, len(l.entries), err)
		}
	}
	if len(stored) > 0 || sum != c.mesh.heldBytes {
		t.Fatalf("listings of nobody %v; %d bytes are held, %d counted", stored, sum, c.mesh.heldBytes)
	}
}

// previews checks that the records of peers count the rows of their previews.
func previews(t fataler, c *Catalog) {
	t.Helper()
	rows := map[string]int{}
	err := c.cfg.Store.Scan([]byte(rangePreview), nil, func(key, _ []byte) (bool, error) {
		hub, _, _, _ := splitKey(rangePreview, key)
		rows[hub]++
		return true, nil
	})
	if err != nil {
		t.Fatalf("scan previews: %v", err)
	}
	c.peersMu.RLock()
	defer c.peersMu.RUnlock()
	for hub, p := range c.peers {
		if rows[hub] != p.Previewed {
			t.Fatalf("%s, %s: %d rows of a preview, %d are counted", hub, p.Status, rows[hub], p.Previewed)
		}
		delete(rows, hub)
	}
	if len(rows) > 0 {
		t.Fatalf("previews of nobody: %v", rows)
	}
}

// Whatever is listed, removed, published and restarted: a plain map of rows tells
// the same story, and so do search, lookup, counts and every derived range.
func TestCatalogModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &hub{fs: vfs.NewMem(), clock: &clock{now: testStart}, urls: &publicOnly{}}
		h.cfg = Config{Signer: testSigner{}, URLs: h.urls, Now: h.clock.Now, HubURL: "https://hub.example.com", MinStake: 10 * usd, RoutingFeeBps: 100}
		h.open(t)
		defer func() { h.close(t) }()
		ctx := context.Background()
		model := map[Key]Capability{}
		for _, p := range []string{"alice", "bob"} {
			if _, err := h.Stake(ctx, StakeRequest{PublisherID: p, AmountMicros: 10 * usd}); err != nil {
				t.Fatal(err)
			}
		}
		draw := func(t *rapid.T) Capability {
			r := row(rapid.SampledFrom([]string{"p1", "p2", "p3"}).Draw(t, "product"), rapid.SampledFrom([]string{"a@v1", "b@v1", "a@v2"}).Draw(t, "capability"))
			r.TrustScore = rapid.SampledFrom([]float64{0, 0.2, 0.5, 1}).Draw(t, "trust")
			r.PriceMicros = rapid.Int64Range(0, 3).Draw(t, "price")
			r.Description = rapid.SampledFrom([]string{"adds numbers", "turns words"}).Draw(t, "description")
			r.Demo = rapid.Bool().Draw(t, "demo")
			r.Builtin = rapid.Bool().Draw(t, "builtin")
			return r
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				rows := rapid.SliceOfN(rapid.Custom(draw), 0, 4).Draw(t, "rows")
				if err := h.Put(ctx, rows); err != nil {
					t.Fatal(err)
				}
				for _, r := range rows {
					model[r.Key] = r
				}
			},
			"remove": func(t *rapid.T) {
				k := draw(t).Key
				err := h.Remove(ctx, k)
				if _, listed := model[k]; listed != (err == nil) || err != nil && !errors.Is(err, ErrUnknown) {
					t.Fatalf("listed %v, remove: %v", listed, err)
				}
				delete(model, k)
			},
			"register": func(t *rapid.T) {
				r := draw(t)
				r.PublisherID = rapid.SampledFrom([]string{"alice", "bob"}).Draw(t, "publisher")
				r.InvokeURL = rapid.SampledFrom([]string{"https://one.example.com", "https://two.example.com"}).Draw(t, "url")
				want := Gate("")
				for _, other := range model {
					if other.ProductID == r.ProductID && other.PublisherID != r.PublisherID {
						want = GateProduct
					}
				}
				for _, other := range model {
					if want == "" && other.InvokeURL == r.InvokeURL && other.ProductID != r.ProductID {
						want = GateURLOwner
					}
				}
				got, err := h.Register(ctx, Registration{Capability: r})
				if want != "" {
					if gateOf(err) != want {
						t.Fatalf("gate %s, want %s", gateOf(err), want)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				model[r.Key] = got
			},
			"observe": func(t *rapid.T) {
				h.Observe(draw(t).Key, rapid.Bool().Draw(t, "good"), time.Second)
				h.clock.add(time.Minute)
			},
			"restart": func(t *rapid.T) { h.reopen(t) },
			"": func(t *rapid.T) {
				h.folds.Wait()
				var want, got []string
				for k := range model {
					want = append(want, fmt.Sprint(k))
				}
				for _, r := range listing(t, h.Catalog) {
					got = append(got, fmt.Sprint(r.Key))
					m := model[r.Key]
					if m.PriceMicros != r.PriceMicros || m.Description != r.Description || m.TrustScore != r.TrustScore || m.PublisherID != r.PublisherID {
						t.Fatalf("stored %+v, want %+v", r, m)
					}
				}
				slices.Sort(want)
				slices.Sort(got)
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("(-model +stored):\n%s", diff)
				}
				consistent(t, h.Catalog)
			},
		})
	})
}

// After a crash every row whose call had returned is there, whole, and everything
// derived agrees with what is there.
func TestCrash(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		fs := vfs.NewCrashableMem()
		h := &hub{fs: fs, clock: &clock{now: testStart}, urls: &publicOnly{}}
		h.cfg = Config{Signer: testSigner{}, URLs: h.urls, Now: h.clock.Now, HubURL: "https://hub.example.com", MinStake: 10 * usd}
		h.open(t)
		ctx := context.Background()
		if _, err := h.Stake(ctx, StakeRequest{PublisherID: "alice", AmountMicros: 10 * usd, TxHash: "0x1"}); err != nil {
			t.Fatal(err)
		}
		n := rapid.IntRange(1, 12).Draw(t, "steps")
		done := map[string]int64{}
		for i := range n {
			r := registration("alice", fmt.Sprintf("p%d", i%4))
			r.PriceMicros = int64(i)
			if _, err := h.Register(ctx, r); err != nil {
				t.Fatal(err)
			}
			done[r.ProductID] = r.PriceMicros
			h.Observe(r.Key, true, time.Second)
			h.fold(h.clock.Now())
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rapid.IntRange(0, 100).Draw(t, "kept"), RNG: newRNG(rapid.Uint64().Draw(t, "seed"))})
		h.close(t)
		h.fs = crashed
		h.open(t)
		defer h.close(t)
		for product, price := range done {
			r, err := h.Lookup(ctx, product, "tool@v1", Local)
			if err != nil || r.PriceMicros != price {
				t.Fatalf("%s costs %d after the crash, %d before: %v", product, r.PriceMicros, price, err)
			}
		}
		if _, err := h.Stake(ctx, StakeRequest{PublisherID: "bob", AmountMicros: usd, TxHash: "0x1"}); gateOf(err) != GateReplay {
			t.Fatalf("a counted transaction is counted again after a crash: %v", err)
		}
		consistent(t, h.Catalog)
	})
}

// The list that documents use agrees with sorting everything.
func TestTopList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := map[Key]topRow{}
		var top topList
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			k := Key{fmt.Sprint(rapid.IntRange(0, 50).Draw(t, "product")), "c", rapid.SampledFrom([]string{Local, "https://a"}).Draw(t, "hub")}
			if old, there := all[k]; there {
				top.remove(old)
				delete(all, k)
			}
			if rapid.Bool().Draw(t, "keep") {
				all[k] = topRow{k, rapid.SampledFrom([]float64{0, 0.5, 1}).Draw(t, "trust")}
				top.add(all[k])
			}
		}
		var want []topRow
		for _, r := range all {
			want = append(want, r)
		}
		slices.SortFunc(want, compareTop)
		if !slices.Equal(want, top.rows) || top.broken || top.skipped {
			t.Fatalf("kept %v, want %v", top.rows, want)
		}
	})
}

func TestOpenRefusesDamage(t *testing.T) {
	for name, kv := range map[string][2]string{
		"row":  {string(rowKey(row("p", "c@v1").Key)), "\x01\x00"},
		"key":  {rangeRow + "nonsense", "\x01"},
		"peer": {rangePeer + "https://a.example.org", "\x01{}"},
	} {
		h := newHub(t)
		b := h.db.NewBatch()
		b.Set([]byte(kv[0]), []byte(kv[1]))
		must(t, h.db.Write(b))
		_, err := Open(context.Background(), h.cfg)
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("damaged %s: %v", name, err)
		}
	}
}

func TestOpenRefusesBadConfig(t *testing.T) {
	h := newHub(t)
	for name, change := range map[string]func(*Config){
		"store":   func(c *Config) { c.Store = (*store.DB)(nil) },
		"signer":  func(c *Config) { c.Signer = nil },
		"URL":     func(c *Config) { c.HubURL = "hub.example.com" },
		"fee":     func(c *Config) { c.RoutingFeeBps = 10_001 },
		"trust":   func(c *Config) { c.MinTrust = nan() },
		"checker": func(c *Config) { c.URLs = nil },
	} {
		cfg := h.cfg
		change(&cfg)
		if _, err := Open(context.Background(), cfg); err == nil || !strings.HasPrefix(err.Error(), "catalog: open") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenStopsWhenAsked(t *testing.T) {
	h := newHub(t)
	h.put(row("prod", "c@v1"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, h.cfg); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}
