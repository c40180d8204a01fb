package routing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/limit"
	"github.com/aimarket/aimarket/ledger"
)

const (
	// defaultRequestTimeout is the whole time of a call when none is configured.
	defaultRequestTimeout = 30 * time.Second

	// settleMargin is the part of the whole time that is kept back from execution,
	// so that a client that waits RequestTimeout still gets its answer or refusal
	// (consumers.md, trap 4).
	settleMargin = 2 * time.Second

	// settleTimeout is kept for capture and receipt beyond the time of the request,
	// and bounds the release of a hold: work that must happen whether or not the
	// caller is still there.
	settleTimeout = 10 * time.Second
)

// Router runs invokes. It is safe for concurrent use.
type Router struct {
	c           Config
	execTimeout time.Duration
	callTimeout time.Duration // everything that a call may take, hooks included

	plugins      []*plugin // everything that was admitted, failed ones too
	active       []*plugin
	downRequired *plugin // a required plugin whose startup failed
	observed     bool    // some plugin wants to know how calls end
	issues       bool    // some plugin adds a receipt

	rate     *limit.Limiter
	trials   *trials
	breakers *breakers
	stats    *stats
	notifier *notifier
	flights  flights
	gate     gate
	counters counters

	closeOnce sync.Once
	closeErr  error
	funcs     atomic.Int32 // built-ins that overran their deadline and still run
}

// New starts the plugins and reloads trials and statistics. On an error nothing
// keeps running.
func New(ctx context.Context, c Config) (*Router, error) {
	switch {
	case c.Catalog == nil, c.Ledger == nil, c.Signer == nil, c.Now == nil, c.Rand == nil:
		return nil, errors.New("routing: Catalog, Ledger, Signer, Now and Rand must all be set")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = defaultRequestTimeout
	}
	c.HubURL = strings.TrimRight(c.HubURL, "/")
	r := &Router{c: c, execTimeout: max(c.RequestTimeout-settleMargin, c.RequestTimeout/2)}
	r.counters.init()
	r.rate = limit.New(limit.Config{Max: c.RatePerMin, Window: time.Minute, Now: c.Now})
	r.trials = newTrials(c)
	r.breakers = newBreakers()
	var err error
	if r.stats, err = openStats(c.Store, c.Now, c.Logger); err != nil {
		return nil, fmt.Errorf("routing: reading the statistics: %w", err)
	}
	if err := r.loadPlugins(ctx, c); err != nil {
		r.stats.close()
		return nil, errors.Join(err, r.stopPlugins(ctx))
	}
	r.callTimeout = c.RequestTimeout + settleTimeout
	for _, p := range r.active {
		r.callTimeout += p.timeout * time.Duration(len(p.info.Hooks))
	}
	r.notifier = newNotifier(r)
	return r, nil
}

// Close refuses new calls, waits for calls in flight, stops plugins and flushes
// the event log. It gives up waiting when ctx is done, but still stops and
// flushes. Closing again changes nothing.
func (r *Router) Close(ctx context.Context) error {
	r.closeOnce.Do(func() { r.closeErr = r.shutDown(ctx) })
	return r.closeErr
}

func (r *Router) shutDown(ctx context.Context) error {
	var errs []error
	if err := r.gate.close(ctx); err != nil {
		errs = append(errs, fmt.Errorf("routing: calls were still in flight at shutdown: %w", err))
	}
	r.notifier.close()
	// Plugins stop even if the patience for the calls is used up.
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	errs = append(errs, r.stopPlugins(stopCtx), r.stats.close())
	return errors.Join(errs...)
}

// local reports whether a call's source_hub means this hub. Clients leave it out
// or guess; a missing one is local (consumers.md §3).
func (r *Router) local(sourceHub string) bool {
	return sourceHub == "" || sourceHub == catalog.Local ||
		r.c.HubURL != "" && strings.TrimRight(sourceHub, "/") == r.c.HubURL
}

// Invoke runs one call. Every error is a *Refusal; nothing was billed then. Once
// money is held the call runs to its end whether or not ctx is cancelled, within
// the hub's own deadlines, so that a caller who goes away leaves no hold behind.
func (r *Router) Invoke(ctx context.Context, c Call) (Answer, error) {
	if !r.gate.enter() {
		return Answer{}, refuse(NoBackend, "this hub is shutting down and takes no new calls; nothing was billed; send the call again in a moment").retryIn(settleMargin)
	}
	defer r.gate.leave()
	answer, refusal := r.invoke(ctx, c)
	if refusal != nil {
		r.counters.refused(refusal.Kind)
		return Answer{}, refusal
	}
	r.counters.served(answer.Replayed)
	return answer, nil
}

func (r *Router) invoke(ctx context.Context, c Call) (Answer, *Refusal) {
	if ok, wait := r.rate.Allow(c.ClientKey); !ok {
		return Answer{}, refuse(RateLimited, "this address may invoke %d times a minute; nothing was billed; wait %s and send the call again",
			r.c.RatePerMin, wait.Round(time.Second)).retryIn(wait)
	}
	if refusal := checkIDs(c); refusal != nil {
		return Answer{}, refusal
	}
	x := r.newCall(ctx, c)
	if c.RequestID == "" {
		return x.run(ctx)
	}
	return r.once(ctx, x)
}

// call is one invoke under way. It is used by one goroutine.
type call struct {
	Call
	r        *Router
	ctx      context.Context // keeps the caller's values, not its cancellation
	whole    context.Context // ctx with the deadline of the whole call, for catalogue and ledger
	info     CallInfo
	local    bool
	scope    string // of the request id; "" without one
	print    [32]byte
	payload  *Payload // the input, as the pre-checks left it
	checked  bool     // at least one pre-check looked at the input
	row      catalog.Capability
	quote    Quote
	quoted   bool // plugins were asked for a price, so they hear how the call ends
	plan     *verifyPlan
	trial    *trial
	auth     *authorization
	hold     *ledger.Hold
	nonce    string
	executed bool // counts in the statistics
	excused  bool // a failure says nothing about the provider
	latency  time.Duration
}

func (r *Router) newCall(ctx context.Context, c Call) *call {
	x := &call{Call: c, r: r, ctx: context.WithoutCancel(ctx), local: r.local(c.SourceHub), payload: NewPayload(c.Input)}
	if r.c.Mode == ledger.Off {
		// No channel exists and nothing costs anything: a channel named out of habit
		// is not an error, and no trial is used up by a call that is free anyway.
		x.ChannelID, x.Secret, x.Visitor = "", "", ""
	}
	if x.local {
		x.SourceHub = catalog.Local
	}
	x.info = CallInfo{ProductID: c.ProductID, CapabilityID: c.CapabilityID, SourceHub: x.SourceHub, ChannelID: x.ChannelID}
	if !x.local {
		x.info.ProviderHub = x.SourceHub
	}
	return x
}

// run takes the call through the stages. Whatever was taken on the way is given
// back exactly once unless the call was delivered, also when a stage panics.
func (x *call) run(caller context.Context) (answer Answer, refusal *Refusal) {
	whole, cancel := context.WithTimeout(x.ctx, x.r.callTimeout)
	defer cancel()
	x.whole = whole
	delivered := false
	defer func() {
		if !delivered {
			x.undo()
		}
	}()
	for _, stage := range []func() *Refusal{
		x.preCheck, x.takeTrial, x.lookUp, x.price, x.checkPayment, x.planVerification,
	} {
		if refusal := stage(); refusal != nil {
			return Answer{}, refusal
		}
	}
	// The last moment at which a caller who has gone costs nobody anything. With a
	// request id the caller is expected back, or others wait for the same answer.
	if caller.Err() != nil && x.RequestID == "" {
		return Answer{}, refuse(Internal, "the caller went away before the call was paid or executed").because(caller.Err())
	}
	for _, stage := range []func() *Refusal{x.authorize, x.takeHold, x.admitInput} {
		if refusal := stage(); refusal != nil {
			return Answer{}, refusal
		}
	}
	result, refusal := x.execute()
	if refusal != nil {
		x.record(false)
		return Answer{}, refusal
	}
	output, refusal := x.postCheck(result)
	if refusal != nil {
		x.record(false)
		return Answer{}, refusal
	}
	if answer, refusal = x.settle(output); refusal != nil {
		return Answer{}, refusal
	}
	delivered = true
	return answer, nil
}

// gate counts the calls in flight and lets Close wait for the last one.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside int
	idle   chan struct{} // made by close, closed by the last call
}

func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.closed && g.inside == 0 {
		close(g.idle)
	}
}

func (g *gate) close(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed, g.idle = true, make(chan struct{})
		if g.inside == 0 {
			close(g.idle)
		}
	}
	idle := g.idle
	g.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
