package crawl

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/catalog"
)

// cycle is one pass over the hubs. One goroutine, run, holds everything in it; visits
// run on others and hand back a result.
type cycle struct {
	c     *Crawler
	peers map[string]catalog.PeerInfo // as the cycle began

	nodes   map[string]*node // every address looked at
	order   []*node          // as found
	lanes   [2][]*node       // what waits: active peers and seeds before strangers
	resting []*node          // skipped because they keep failing
	busy    map[string]bool  // hosts that are being read
	running int
	guests  int // running and of the strangers' lane
	visits  int // begun
	results chan result

	manual atomic.Bool // somebody asked for this cycle
	done   chan struct{}
	report Report // complete once done is closed
}

// The lanes.
const (
	laneKnown = iota
	laneStranger
)

type stage uint8

const (
	stageNew   stage = iota
	stageFresh       // the mesh keeps it current
	stageFar         // beyond the depth that is read; its address is noted
	stageQueued
	stageRunning
	stageDone
)

// node is one address in a cycle.
type node struct {
	url        string
	depth      int // fewest hops from a seed found so far
	discoverer string
	teller     *node // whose document named it first
	seed       bool
	known      bool // the catalogue has it
	peer       catalog.PeerInfo
	stage      stage
	told       []*node // its neighbours
	report     *HubReport
}

func newCycle(c *Crawler) *cycle {
	return &cycle{
		c: c, peers: map[string]catalog.PeerInfo{}, nodes: map[string]*node{}, busy: map[string]bool{},
		results: make(chan result), done: make(chan struct{}),
	}
}

// run is the whole cycle: the frontier and what it leads to, then peers that nobody
// links and what they lead to.
func (y *cycle) run(ctx context.Context) {
	started, clock := y.c.cfg.Now(), time.Now()
	ctx, cancel := context.WithTimeout(ctx, CycleTimeout)
	defer cancel()
	for _, state := range []catalog.PeerState{catalog.PeerActive, catalog.PeerKeyMismatch, catalog.PeerPending, catalog.PeerRejected} {
		for _, p := range y.c.cfg.Catalog.Peers(state) {
			y.peers[p.URL] = p
		}
	}
	frontier, stop := context.WithTimeout(ctx, frontierTimeout)
	y.frontier()
	y.drain(frontier)
	stop()
	y.refresh()
	y.drain(ctx)
	y.finish(started, time.Since(clock))
}

// frontier queues the seeds in the order of the list, then pending peers, the newest
// first.
func (y *cycle) frontier() {
	for _, s := range y.c.seeds {
		if s.why != "" {
			y.note(&node{url: s.given, discoverer: "seed", report: &HubReport{Outcome: OutcomeRefused, Detail: "the seed list names no hub here: " + s.why}})
			continue
		}
		y.reach(s.url, 0, "seed", nil)
	}
	var pending []catalog.PeerInfo
	for _, p := range y.peers {
		if p.Status == catalog.PeerPending && !keyOnly(&p.Peer) {
			pending = append(pending, p)
		}
	}
	slices.SortFunc(pending, func(a, b catalog.PeerInfo) int {
		return cmp.Or(b.FirstSeen.Compare(a.FirstSeen), strings.Compare(a.URL, b.URL))
	})
	for _, p := range pending {
		y.reach(p.URL, 1, p.Discoverer, nil)
	}
}

// keyOnly is true for a mesh member without a confirmed address: its head says all.
func keyOnly(p *catalog.Peer) bool {
	return p.Sequence > 0 && strings.HasPrefix(p.URL, streamScheme)
}

// fresh is true for an active peer whose catalogue the mesh keeps current.
func (c *Crawler) fresh(p *catalog.Peer) bool {
	now := c.cfg.Now()
	return p.Status == catalog.PeerActive && !p.Away && p.Sequence > 0 && now.Before(p.Expires) && now.Sub(p.LastCrawl) < c.cfg.StaleAfter
}

// refresh queues active peers that nobody led to: those whose catalogue was confirmed
// longest ago first, then mesh members whose neighbours were not read for long.
func (y *cycle) refresh() {
	now := y.c.cfg.Now()
	var stale, members, failing []catalog.PeerInfo
	for url, p := range y.peers {
		if p.Status != catalog.PeerActive && p.Status != catalog.PeerKeyMismatch || keyOnly(&p.Peer) {
			continue
		}
		switch n := y.nodes[url]; {
		case n != nil && n.stage != stageFresh && n.stage != stageFar:
		case y.c.rests(url): // the dead would always be the stalest
			failing = append(failing, p)
		case !y.c.fresh(&p.Peer):
			stale = append(stale, p)
		case since(now, y.c.read.last(url)) >= rereadFresh:
			members = append(members, p)
		}
	}
	slices.SortFunc(stale, func(a, b catalog.PeerInfo) int {
		return cmp.Or(a.LastCrawl.Compare(b.LastCrawl), strings.Compare(a.URL, b.URL))
	})
	slices.SortFunc(members, func(a, b catalog.PeerInfo) int {
		return cmp.Or(y.c.read.last(a.URL).Compare(y.c.read.last(b.URL)), strings.Compare(a.URL, b.URL))
	})
	batch := append(stale, members...)
	if y.manual.Load() {
		batch = append(batch, failing...)
	}
	for _, p := range batch[:min(len(batch), RefreshHubs)] {
		n := y.reach(p.URL, 1, p.Discoverer, nil)
		if n != nil && n.stage == stageFresh {
			y.enqueue(n)
		}
	}
}

// drain reads what is queued and what that leads to, until nothing is left or ctx ends.
func (y *cycle) drain(ctx context.Context) {
	for {
		for y.next(ctx) {
		}
		if y.running == 0 {
			if !y.manual.Load() || len(y.resting) == 0 || ctx.Err() != nil {
				return
			}
			resting := y.resting // somebody joined who wants them tried
			y.resting = nil
			for _, n := range resting {
				y.enqueue(n)
			}
			continue
		}
		y.take(<-y.results)
	}
}

// next begins the first visit that may begin now.
func (y *cycle) next(ctx context.Context) bool {
	if ctx.Err() != nil {
		y.abandon("the cycle's time was up before its turn")
		return false
	}
	if y.running >= Parallel {
		return false
	}
	for lane := range y.lanes {
		if lane == laneStranger && y.guests >= MaxStrangers {
			continue
		}
		i := slices.IndexFunc(y.lanes[lane], func(n *node) bool { return !y.busy[hostOf(n.url)] })
		if i < 0 {
			continue
		}
		n := y.lanes[lane][i]
		y.lanes[lane] = slices.Delete(y.lanes[lane], i, i+1)
		if y.visits >= MaxHubs && n.depth <= y.c.cfg.MaxDepth {
			y.leave(n, "the cycle had read as many hubs as one may")
			return true
		}
		y.begin(ctx, n, lane)
		return true
	}
	return false
}

func (y *cycle) begin(ctx context.Context, n *node, lane int) {
	v := visit{url: n.url, depth: n.depth, discoverer: n.discoverer, seed: n.seed, known: n.known,
		far: n.depth > y.c.cfg.MaxDepth, fresh: n.known && y.c.fresh(&n.peer.Peer), status: n.peer.Status}
	host := hostOf(n.url)
	y.busy[host] = true
	n.stage = stageRunning
	y.running++
	if lane == laneStranger {
		y.guests++
	}
	if !v.far {
		y.visits++
	}
	go func() { // run waits for its result
		r := y.c.visit(ctx, v)
		r.node, r.host, r.lane, r.far = n, host, lane, v.far
		y.results <- r
	}()
}

// take books a result and goes where it leads.
func (y *cycle) take(r result) {
	n := r.node
	delete(y.busy, r.host)
	y.running--
	if r.lane == laneStranger {
		y.guests--
	}
	if r.added {
		y.report.PeersFound++
		if n.teller != nil && n.teller.report != nil {
			n.teller.report.NewPeers++
		}
	}
	n.known = n.known || r.kept
	if r.far {
		n.stage = stageFar
		if r.kept && n.depth <= y.c.cfg.MaxDepth {
			y.place(n) // a shorter way was found meanwhile
		}
		return
	}
	n.stage, n.report = stageDone, &r.report
	if r.read {
		y.report.Discovered++
	}
	y.report.Indexed += r.report.Indexed
	if r.wrong {
		y.report.Errors++
	}
	if r.cut {
		y.report.Truncated = true
	}
	if next, err := BaseURL(r.elsewhere); err == nil && byHTTP(next) && next != n.url {
		y.reach(next, n.depth, "gossip:"+n.url, n)
	}
	y.follow(n, r.neighbours)
}

// note puts a node that is no hub into the report.
func (y *cycle) note(n *node) {
	n.stage = stageDone
	y.order = append(y.order, n)
}

func (y *cycle) finish(started time.Time, took time.Duration) {
	r := &y.report
	r.StartedAt, r.Duration = started, took
	r.Hubs = []HubReport{}
	for _, n := range y.order {
		if n.report == nil {
			continue
		}
		y.c.metrics.hubs.WithLabelValues(n.report.Outcome).Inc()
		if len(r.Hubs) < MaxHubReports {
			n.report.URL, n.report.Depth, n.report.Discoverer = n.url, n.depth, n.discoverer
			r.Hubs = append(r.Hubs, *n.report)
		}
	}
	y.c.metrics.cycles.Inc()
	y.c.metrics.seconds.Observe(took.Seconds())
	if r.Truncated {
		y.c.metrics.cut.Inc()
	}
	y.c.cfg.Logger.Info("crawl: cycle done", "discovered", r.Discovered, "indexed", r.Indexed, "errors", r.Errors,
		"peers_found", r.PeersFound, "truncated", r.Truncated, "hubs", len(r.Hubs), "seconds", math.Round(took.Seconds()*10)/10)
}
