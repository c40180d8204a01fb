// Package admit runs the trials by which the verified policy admits pending peers.
package admit

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/p2p/crawl"
)

// Catalog is what admission needs of the catalogue; *catalog.Catalog satisfies it.
type Catalog interface {
	AdmissionDue() <-chan struct{}
	TrialsDue(n int) (due []catalog.Peer, next time.Time)
	NoteTrial(ctx context.Context, hubURL string, t catalog.Trial) (catalog.Peer, error)
	Report(ctx context.Context, e catalog.Experience) error
}

// Config is what New needs.
type Config struct {
	Catalog  Catalog
	Fetch    crawl.Fetcher                             // over http(s) and, for URLs under catalog.KeyURL, over streams
	Admitted func(ctx context.Context, p catalog.Peer) // fetches the new peer's catalogue; may be nil
	HubURL   string
	Logger   *slog.Logger
	Registry *prometheus.Registry
	Now      func() time.Time
	Rand     io.Reader
	Workers  int // trials at a time, 0: 4
}

// Admitter works through the pending peers until Close.
type Admitter struct{}

// New starts it.
func New(c Config) (*Admitter, error) { panic("skeleton") }

// Try runs the trial of one peer now, whatever its backoff.
func (a *Admitter) Try(ctx context.Context, p catalog.Peer) catalog.Trial { panic("skeleton") }

// Close stops the trials under way and waits.
func (a *Admitter) Close() error { panic("skeleton") }
