// Package node builds one hub from a Config, runs it and closes it in reverse
// order.
//
// It promises that a node that started is complete (key, store, catalogue,
// ledger, router, HTTP, mesh), that Close finishes the calls in flight before it lets
// go of the store, and that a second hub on the same folder is refused. It is
// the only package that knows all the others; it decides nothing that they could
// decide, reads no flags and no environment.
package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/httpapi"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/plugins/safety"
	"github.com/aimarket/aimarket/routing"
	"github.com/aimarket/aimarket/routing/builtin"
)

// Node is one hub. New builds it, Run serves until its context ends, Close
// undoes New for a node that was never run.
type Node struct {
	cfg      Config
	key      *identity.Key
	store    *store.DB
	out      *safehttp.Client
	catalog  *catalog.Catalog
	ledger   *ledger.Ledger
	router   *routing.Router
	api      *httpapi.Server
	mesh     mesh
	registry *prometheus.Registry
	public   *listener
	admin    *listener
	closers  []closer // in the order they were opened
}

// closer undoes one step of New.
type closer struct {
	name  string
	close func(context.Context) error
}

func (n *Node) onClose(name string, f func(context.Context) error) {
	n.closers = append(n.closers, closer{name, f})
}

// New builds the node and binds its addresses, so that a port in use or a folder
// that another hub holds is an error now and not later.
func New(ctx context.Context, c Config) (_ *Node, err error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c, err = c.complete(); err != nil {
		return nil, err
	}
	n := &Node{cfg: c}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Close(context.WithoutCancel(ctx)))
		}
	}()
	for _, step := range []func(context.Context) error{
		n.bind, n.openStore, n.openCatalog, n.openLedger, n.openRouter, n.openAPI, n.openMesh, n.listen,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Node) openStore(context.Context) error {
	database := filepath.Join(n.cfg.DataDir, databaseFolder)
	err := makeFolder(vfs.Default, n.cfg.DataDir)
	if err == nil {
		err = makeFolder(n.cfg.files, database)
	}
	if err != nil {
		return fmt.Errorf("making the data folder: %w", err)
	}
	// The store first: its lock is what keeps a second hub off this folder and key.
	db, err := store.Open(database, store.Options{FS: n.cfg.files, Logger: n.cfg.Logger.With("part", "store")})
	if err != nil {
		return fmt.Errorf("opening the data folder %s: %w", n.cfg.DataDir, err)
	}
	n.store = db
	n.onClose("store", func(context.Context) error { return db.Close() })

	if err := n.loadKey(); err != nil {
		return err
	}
	n.out = safehttp.New(safehttp.Options{
		AllowLocal: n.cfg.AllowLocal, Timeout: n.cfg.RequestTimeout, UserAgent: "aimarket/" + n.cfg.Version,
	})
	n.onClose("outbound connections", func(context.Context) error { n.out.Close(); return nil })
	return nil
}

func (n *Node) openCatalog(ctx context.Context) error {
	succeeds, err := n.succession()
	if err != nil {
		return err
	}
	c, err := catalog.Open(ctx, catalog.Config{
		Store: n.store, Signer: n.key, URLs: n.out, Now: n.cfg.Now, Logger: n.cfg.Logger.With("part", "catalogue"),
		HubURL: n.cfg.HubURL, HubName: n.cfg.HubName, HubVersion: n.cfg.Version,
		RoutingFeeBps: n.cfg.RoutingFeeBps, MinTrust: n.cfg.MinTrust,
		CrawlInterval: n.cfg.CrawlInterval, SeedList: n.cfg.SeedList, Chains: n.cfg.Chains, Tokens: n.cfg.Tokens,
		Production: n.cfg.Production, MinStake: int64(n.cfg.MinStake), PublishPerHr: n.cfg.PublishesPerHour,
		Admission: n.cfg.Admission, SeedKeys: n.cfg.SeedKeys, StaleAfter: n.cfg.StaleAfter, AwayAfter: n.cfg.AwayAfter,
		MaxPending: n.cfg.MaxPending, Succeeds: succeeds,
	})
	if err != nil {
		return fmt.Errorf("opening the catalogue: %w", err)
	}
	n.catalog = c
	n.onClose("catalogue", func(context.Context) error { return c.Close() })

	var rows []catalog.Capability
	if !n.cfg.SkipSeed {
		for _, b := range builtin.All() {
			b.Row.SourceHubName = n.cfg.HubName
			rows = append(rows, b.Row)
		}
	}
	if err := c.SetBuiltins(ctx, rows); err != nil {
		return fmt.Errorf("listing the built-in capabilities: %w", err)
	}
	return n.importFactory(ctx)
}

func (n *Node) openLedger(ctx context.Context) error {
	l, err := ledger.Open(ctx, ledger.Config{
		Storage: ledger.NewPebbleStorage(n.store), Signer: n.key, Now: n.cfg.Now, Rand: n.cfg.Rand,
		Mode: n.cfg.Money, HubURL: n.cfg.HubURL, Owner: "hub", Exclusive: true,
		Limits: ledger.Limits{
			MaxOpen: n.cfg.MaxOpenChannels, ReapAfter: orOff(n.cfg.ReapHoldsAfter),
			OpensPerWallet: orOff(n.cfg.OpensPerHour), ClosesPerWallet: orOff(n.cfg.ClosesPerHour),
		},
	})
	if err != nil {
		return fmt.Errorf("opening the ledger: %w", err)
	}
	n.ledger = l
	n.onClose("ledger", func(context.Context) error { return l.Close() })
	return nil
}

// orOff turns our 0, which means off, into the ledger's.
func orOff[T int | time.Duration](v T) T {
	if v <= 0 {
		return -1
	}
	return v
}

func (n *Node) openRouter(ctx context.Context) error {
	gate, err := safety.New(safety.Options{})
	if err != nil {
		return fmt.Errorf("building the safety gate: %w", err)
	}
	funcs, prompt := map[string]routing.Func{}, map[string]bool{}
	for _, b := range builtin.All() {
		funcs[b.Row.CapabilityID], prompt[b.Row.CapabilityID] = b.Run, b.Prompt
	}
	r, err := routing.New(ctx, routing.Config{
		Catalog: n.catalog, Ledger: n.ledger, Store: n.store, Provider: n.provider(), Builtins: funcs, Prompt: prompt,
		Plugins: []routing.PluginConfig{{Plugin: gate, EntryKey: "safety", Required: true}},
		Allow:   n.cfg.Plugins, AllowSet: n.cfg.PluginsSet,
		Signer: n.key, Now: n.cfg.Now, Rand: n.cfg.Rand, Logger: n.cfg.Logger.With("part", "routing"),
		HubURL: n.cfg.HubURL, Mode: n.cfg.Money, RatePerMin: n.cfg.InvokesPerMinute,
		SandboxTrials: n.cfg.SandboxTrials, SandboxPerIPHour: n.cfg.SandboxPerHour,
		MinTrustInvoke: n.cfg.MinTrustInvoke, RequestTimeout: n.cfg.RequestTimeout,
		RequireProviderSignature: n.cfg.RequireProviderSig,
	})
	if err != nil {
		return fmt.Errorf("opening the router: %w", err)
	}
	n.router = r
	n.onClose("calls in flight", func(ctx context.Context) error {
		// The public server has waited for them; these are the ones it cut off.
		ctx, cancel := context.WithTimeout(ctx, settlePatience)
		defer cancel()
		return r.Close(ctx)
	})
	return nil
}

func (n *Node) openAPI(context.Context) error {
	n.registry = prometheus.NewRegistry()
	api, err := httpapi.New(httpapi.Config{
		Catalog: n.catalog, Ledger: n.ledger, Router: n.router, PublicKey: n.key.Public(), Now: n.cfg.Now,
		Logger: n.cfg.Logger.With("part", "http"), HubURL: n.cfg.HubURL, HubName: n.cfg.HubName, Version: n.cfg.Version,
		Mode: n.cfg.Money, AdminToken: n.cfg.AdminToken, PublishToken: n.cfg.PublishToken, PublisherTokens: n.cfg.PublisherTokens,
		Production: n.cfg.Production, CORSOrigins: n.cfg.CORSOrigins, TrustedProxies: n.cfg.TrustedProxies,
		ChannelRatePerMin: n.cfg.ChannelsPerMinute, InvokeRatePerMin: n.cfg.InvokesPerMinute, MetricsPublic: n.cfg.MetricsPublic, MetricsToken: n.cfg.MetricsToken,
		Registry: n.registry, Ready: n.unready, Backup: n.Backup,
		Admission: n.cfg.Admission, Links: n.link, Crawl: n.crawl, CrawlHub: n.crawlSoon, Noticed: n.noticed,
	})
	if err != nil {
		return fmt.Errorf("building the HTTP API: %w", err)
	}
	n.api = api
	n.registerMetrics(n.registry)
	n.registerMesh(n.registry)
	return nil
}

// Close undoes New in reverse order and reports everything that went wrong.
func (n *Node) Close(ctx context.Context) error {
	var errs []error
	for i := len(n.closers) - 1; i >= 0; i-- {
		if err := n.closers[i].close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("closing the %s: %w", n.closers[i].name, err))
		}
	}
	n.closers = nil
	return errors.Join(errs...)
}
