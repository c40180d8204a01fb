// Package admit runs the trials by which the verified policy admits pending peers.
//
// A trial asks what an operator would: is the hub where it says it is, does it sign
// what it shows with the key that was pinned, is its catalogue well-formed and fresh,
// and does one call to it come back with a receipt that verifies. All of it is read
// over HTTP at the address the hub claims, or, if that address cannot be used and the
// hub is in the mesh, over streams, which prove the key and confirm no address. An
// address that a hub claims and that was not confirmed when it was admitted is looked at
// now and then, by its discovery document alone.
//
// It promises that a trial costs nothing (it is a sandbox visitor's call, and a receipt
// that charges is a failure), that it is bounded in time and bytes, that at most
// Workers run at a time, each peer once, and that nothing is published about a peer
// that was not admitted. When a peer is tried again, and how often, is the catalogue's business.
//
// Limits: one good call proves that the hub can serve, not that it will.
package admit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/p2p/crawl"
)

// Bounds on trials.
const (
	DefaultWorkers = 4
	TrialTimeout   = 90 * time.Second // a whole trial
	// The catalogue says when to look again; these bound what it says.
	minAsk = time.Second
	maxAsk = 10 * time.Minute
	// A peer whose trial cannot be recorded (a full disk, no room for another active
	// peer) would be due again at once. It rests, each time twice as long.
	firstRest = time.Minute
	maxRest   = time.Hour
)

// Catalog is what admission needs of the catalogue; *catalog.Catalog satisfies it.
type Catalog interface {
	AdmissionDue() <-chan struct{}
	TrialsDue(n int) (due []catalog.Peer, next time.Time)
	NoteTrial(ctx context.Context, hubURL string, t catalog.Trial) (catalog.Peer, error)
	NoteClaim(ctx context.Context, hubURL, claim string, shown bool, detail string) (catalog.Peer, error)
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
	Workers  int // trials at a time, 0: DefaultWorkers
}

// Admitter works through the pending peers until Close. It is safe for concurrent use.
type Admitter struct {
	cfg    Config
	trials *prometheus.CounterVec
	looks  *prometheus.CounterVec
	random sync.Mutex // guards cfg.Rand

	ctx  context.Context // until Close
	stop context.CancelFunc
	work sync.WaitGroup

	mu     sync.Mutex
	closed bool
	busy   map[string]bool // peers on trial now, by URL
	rest   map[string]rest // peers whose trial could not be recorded, by URL
	ended  chan struct{}   // has an element when a trial ended
}

// rest is how long a peer is left alone, after how many trials that were not recorded.
type rest struct {
	n     int
	until time.Time
}

// New starts it.
func New(c Config) (*Admitter, error) {
	if c.Catalog == nil || c.Fetch == nil || c.Now == nil || c.Rand == nil {
		return nil, errors.New("admit: a catalogue, a fetcher, a clock and a source of randomness are needed")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Workers <= 0 {
		c.Workers = DefaultWorkers
	}
	a := &Admitter{
		cfg:    c,
		trials: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_admission_trials_total", Help: "Trials of pending hubs by result."}, []string{"result"}),
		looks:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "aimarket_admission_looks_total", Help: "Looks at addresses that admitted hubs claim, by result."}, []string{"result"}),
		busy:   map[string]bool{}, rest: map[string]rest{}, ended: make(chan struct{}, 1),
	}
	if c.Registry != nil {
		for _, m := range []prometheus.Collector{a.trials, a.looks} {
			if err := c.Registry.Register(m); err != nil {
				return nil, fmt.Errorf("admit: metrics: %w", err)
			}
		}
	}
	a.ctx, a.stop = context.WithCancel(context.Background())
	a.work.Go(a.loop)
	return a, nil
}

// loop gives due peers to free workers.
func (a *Admitter) loop() {
	for {
		timer := time.NewTimer(a.begin())
		select {
		case <-a.ctx.Done():
			timer.Stop()
			return
		case <-a.cfg.Catalog.AdmissionDue():
		case <-a.ended:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// begin starts what is due as far as workers are free, and tells how long nothing else
// can become due by itself.
func (a *Admitter) begin() (wait time.Duration) {
	now := a.cfg.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	wait = maxAsk
	for url, r := range a.rest {
		switch left := r.until.Sub(now); {
		case left > 0:
			wait = min(wait, left)
		case left < -maxRest: // long over: it is not due any more
			delete(a.rest, url)
		}
	}
	free := a.cfg.Workers - len(a.busy)
	if free <= 0 || a.closed {
		return maxAsk // a trial that ends wakes the loop
	}
	// Peers on trial are due until their trial is recorded.
	due, next := a.cfg.Catalog.TrialsDue(free + len(a.busy) + len(a.rest))
	for _, p := range due {
		if now.Before(a.rest[p.URL].until) || a.busy[p.URL] || free == 0 {
			continue
		}
		free--
		a.busy[p.URL] = true
		a.work.Go(func() {
			defer a.release(p.URL)
			if p.Status == catalog.PeerActive {
				a.look(a.ctx, p)
				return
			}
			a.run(a.ctx, p)
		})
	}
	if !next.IsZero() {
		wait = min(wait, next.Sub(now))
	}
	return max(wait, minAsk)
}

func (a *Admitter) release(url string) {
	a.mu.Lock()
	delete(a.busy, url)
	a.mu.Unlock()
	select {
	case a.ended <- struct{}{}:
	default:
	}
}

// Try runs the trial of one peer now, whatever its backoff, and records it as the
// background does: a peer that passes is active when Try returns.
func (a *Admitter) Try(ctx context.Context, p catalog.Peer) catalog.Trial {
	a.mu.Lock()
	switch {
	case a.closed:
		a.mu.Unlock()
		return catalog.Trial{At: a.cfg.Now(), Detail: "not tried: this hub is shutting down"}
	case a.busy[p.URL]:
		a.mu.Unlock()
		return catalog.Trial{At: a.cfg.Now(), Detail: "not tried again: a trial of this hub is under way"}
	}
	a.busy[p.URL] = true
	a.work.Add(1)
	a.mu.Unlock()
	defer a.work.Done()
	defer a.release(p.URL)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.ctx, cancel)()
	return a.run(ctx, p)
}

// run tries a peer, records what came of it, and for one that passed says so to others
// and fetches its catalogue.
func (a *Admitter) run(ctx context.Context, p catalog.Peer) catalog.Trial {
	v := a.judge(ctx, p)
	t := catalog.Trial{At: a.cfg.Now().UTC().Truncate(time.Second), Passed: v.passed, Unreached: v.unreached, Detail: v.detail,
		URLConfirmed: v.confirmed != "", Address: v.confirmed, Latency: v.latency, Capability: v.called}
	if ctx.Err() != nil && !v.passed {
		return t // it was broken off: nothing was learned about the peer
	}
	a.trials.WithLabelValues(v.result()).Inc()
	admitted, err := a.cfg.Catalog.NoteTrial(ctx, p.URL, t)
	if err != nil {
		a.cfg.Logger.Warn("admit: the trial could not be recorded", "hub", p.URL, "passed", t.Passed, "error", err)
		a.leaveAlone(p.URL)
		return t
	}
	a.mu.Lock()
	delete(a.rest, p.URL)
	a.mu.Unlock()
	t = admitted.Trial // with what the catalogue made of it: failures, when it is due again
	if !t.Passed {
		a.cfg.Logger.Info("admit: not admitted", "hub", p.URL, "detail", t.Detail, "failures", t.Failures)
		return t
	}
	a.cfg.Logger.Info("admit: admitted", "hub", admitted.URL, "detail", t.Detail)
	if v.called.CapabilityID != "" && v.served {
		e := catalog.Experience{ProviderHub: admitted.URL, Success: true, LatencyMS: v.latency.Milliseconds()}
		if err := a.cfg.Catalog.Report(ctx, e); err != nil {
			a.cfg.Logger.Warn("admit: the trial call is not in the hub's reputation", "hub", admitted.URL, "error", err)
		}
	}
	if a.cfg.Admitted != nil && admitted.Status == catalog.PeerActive {
		a.cfg.Admitted(ctx, admitted)
	}
	return t
}

// look sees whether the address that an admitted hub claims shows its key.
func (a *Admitter) look(ctx context.Context, p catalog.Peer) {
	key, err := identity.ParsePublicKey(p.PublicKey)
	if err != nil { // no key that the catalogue pins
		a.leaveAlone(p.URL)
		return
	}
	_, problem := a.discovery(ctx, p.ClaimedURL, key)
	result, detail := "confirmed", ""
	if problem != nil {
		if ctx.Err() != nil {
			return
		}
		result, detail = "unanswered", problem.text
		if problem.broken {
			result = "refuted"
		}
	}
	a.looks.WithLabelValues(result).Inc()
	if _, err := a.cfg.Catalog.NoteClaim(ctx, p.URL, p.ClaimedURL, problem == nil, detail); err != nil {
		a.cfg.Logger.Warn("admit: the look at a hub's address could not be recorded", "hub", p.URL, "address", p.ClaimedURL, "error", err)
		a.leaveAlone(p.URL)
		return
	}
	a.mu.Lock()
	delete(a.rest, p.URL)
	a.mu.Unlock()
}

func (a *Admitter) leaveAlone(url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rest[url]
	wait := maxRest
	if r.n < 10 {
		wait = min(maxRest, firstRest<<r.n)
	}
	a.rest[url] = rest{r.n + 1, a.cfg.Now().Add(wait)}
}

// visitor is a new sandbox visitor: trials are counted per visitor.
func (a *Admitter) visitor() (string, error) {
	var b [6]byte
	a.random.Lock()
	_, err := io.ReadFull(a.cfg.Rand, b[:])
	a.random.Unlock()
	if err != nil {
		return "", err
	}
	return "assay-" + hex.EncodeToString(b[:]), nil
}

// Close stops the trials under way and waits.
func (a *Admitter) Close() error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
	a.work.Wait()
	return nil
}
