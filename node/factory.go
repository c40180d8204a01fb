package node

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/catalog/factory"
	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/routing"
)

// importFactory lists the products of a factory on this machine and takes off
// those that it no longer has. Nothing that is wrong with a factory keeps the hub
// from starting.
func (n *Node) importFactory(ctx context.Context) error {
	log := n.cfg.Logger.With("part", "factory")
	rows, report, err := factory.Import(ctx, factory.Options{
		Root: n.cfg.FactoryRoot, SQLitePath: n.cfg.FactorySQLite, PublicURL: n.cfg.FactoryURL, Logger: log,
	})
	if err != nil {
		return err
	}
	removed, err := factory.Sync(ctx, n.catalog, n.store, rows, report)
	asked := n.cfg.FactoryRoot != "" || n.cfg.FactorySQLite != ""
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		log.Error("the factory's products are not all listed; the hub runs without the rest", "found", report.String(), "error", err)
	case report.Products+report.Skipped+removed > 0 || report.Why != "" && asked:
		log.Info("factory: "+report.String(), "taken_off", removed, "url", n.cfg.FactoryURL)
	}
	return nil
}

// completeFactory refuses an address that cannot be called.
func (c *Config) completeFactory() error {
	if c.FactoryURL == "" {
		return nil
	}
	base, err := catalog.NormalizeHubURL(c.FactoryURL)
	if err != nil {
		return fmt.Errorf("factory address %q: %w; give the one that answers /capabilities/…/invoke, such as http://localhost:8000", c.FactoryURL, err)
	}
	c.FactoryURL = base
	return nil
}

// provider is the way to invoke URLs. A factory mostly listens on this machine,
// where strangers' URLs must not lead; so its own endpoints, and only those, go
// through a client that may call that one address. Publishing keeps judging URLs
// by the other client, so nobody can list an address of the factory.
func (n *Node) provider() routing.Provider {
	if n.cfg.FactoryURL == "" {
		return n.out
	}
	u, err := url.Parse(n.cfg.FactoryURL)
	if err != nil {
		return n.out // completeFactory has parsed it
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	client := safehttp.New(safehttp.Options{
		AllowLocal: n.cfg.AllowLocal, AllowHosts: []string{net.JoinHostPort(u.Hostname(), port)},
		Timeout: n.cfg.RequestTimeout, UserAgent: "aimarket/" + n.cfg.Version,
	})
	n.onClose("connections to the factory", func(context.Context) error { client.Close(); return nil })
	return &providers{others: n.out, factory: client, prefix: n.cfg.FactoryURL + "/capabilities/"}
}

type providers struct {
	others, factory routing.Provider
	prefix          string
}

// Do sends a call by the client that may reach its URL.
func (p *providers) Do(ctx context.Context, method, url string, header http.Header, body []byte) (*safehttp.Response, error) {
	if strings.HasPrefix(url, p.prefix) {
		return p.factory.Do(ctx, method, url, header, body)
	}
	return p.others.Do(ctx, method, url, header, body)
}
