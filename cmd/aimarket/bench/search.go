package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/store"
)

func search100k(ctx context.Context, o Options) ([]Result, error) {
	return searchOver(ctx, o, "search_100k", 100_000, 5, 0)
}

func search1m(ctx context.Context, o Options) ([]Result, error) {
	return searchOver(ctx, o, "search_1m", 1_000_000, 20, 1536)
}

// openCatalog opens a catalogue over a database in dir.
func openCatalog(ctx context.Context, dir string) (*catalog.Catalog, func() error, error) {
	db, err := store.Open(filepath.Join(dir, "db"), store.Options{})
	if err != nil {
		return nil, nil, err
	}
	key, _, err := identity.LoadOrCreate(filepath.Join(dir, "hub_signing_key"), rand.Reader)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	c, err := catalog.Open(ctx, catalog.Config{Store: db, Signer: key, URLs: anyURL{}, Now: time.Now,
		HubURL: "http://localhost:9083", HubName: "bench", MinTrust: 0.3, RoutingFeeBps: 100})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return c, func() error { return errors.Join(c.Close(), db.Close()) }, nil
}

// anyURL admits the made-up addresses of a made-up market; nothing is fetched.
type anyURL struct{}

func (anyURL) CheckURL(context.Context, string) error { return nil }

// fill lists n capabilities of a made-up market.
func fill(ctx context.Context, o Options, c *catalog.Catalog, n int) error {
	const batch = 2000
	m := market(n)
	for i, seen := 0, map[string]bool{}; i < n; i++ {
		hub := m.Hub(i)
		if hub == catalog.Local || seen[hub] {
			continue
		}
		seen[hub] = true
		if _, err := c.Announce(ctx, catalog.Announcement{HubURL: hub, HubName: hub}); err != nil {
			return err
		}
		if _, err := c.Approve(ctx, hub, true); err != nil {
			return err
		}
	}
	for i := 0; i < n; i += batch {
		if err := c.Put(ctx, capabilities(m, i, min(batch, n-i))); err != nil {
			return err
		}
		if i%100_000 == 0 {
			o.Say(fmt.Sprintf("listing %d of %d capabilities", i, n))
		}
	}
	return nil
}

func searchOver(ctx context.Context, o Options, name string, rows int, reachMS, residentMax float64) (_ []Result, err error) {
	dir, err := os.MkdirTemp(o.Dir, "search-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c, stop, err := openCatalog(ctx, dir)
	if err != nil {
		return nil, err
	}
	if err := fill(ctx, o, c, rows); err != nil {
		return nil, errors.Join(err, stop())
	}
	// Opened anew, so that memory is that of a hub that runs, not of one that was filled.
	if err := stop(); err != nil {
		return nil, err
	}
	began := time.Now()
	if c, stop, err = openCatalog(ctx, dir); err != nil {
		return nil, err
	}
	opened := time.Since(began)
	defer func() { err = errors.Join(err, stop()) }()
	debug.FreeOSMemory()

	queries := searches(market(rows))
	var took []time.Duration
	o.Say(fmt.Sprintf("%s: asking", name))
	for deadline := time.Now().Add(o.Round * time.Duration(o.Rounds)); time.Now().Before(deadline) || len(took) < 1000; {
		q := queries[len(took)%len(queries)]
		asked := time.Now()
		if _, err := c.Search(ctx, q); err != nil {
			return nil, err
		}
		took = append(took, time.Since(asked))
	}
	p50, p99 := quantile(took, .5), quantile(took, .99)
	resident, err := residentMiB("self")
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("p50 %.2f ms, %d queries, opened in %.1f s, %.0f MiB resident", ms(p50), len(took), opened.Seconds(), resident)
	results := []Result{atMost(name, ms(p99), reachMS, "ms", 1, note)}
	if residentMax > 0 {
		results = append(results, atMost(name+"_resident", resident, residentMax, "MiB", 1, "whole process"))
	}
	return results, nil
}
