package crawl

import (
	"github.com/aimarket/aimarket/catalog"
)

// reach notes that url is depth hops away and queues it if it should be read.
func (y *cycle) reach(url string, depth int, discoverer string, teller *node) *node {
	n := y.nodes[url]
	if n != nil {
		y.lower(n, depth)
		return n
	}
	if len(y.nodes) >= MaxAddresses {
		y.report.Truncated = true
		return nil
	}
	n = &node{url: url, depth: depth, discoverer: discoverer, teller: teller, seed: discoverer == "seed" && depth == 0}
	if n.peer, n.known = y.peers[url]; n.known {
		n.discoverer = n.peer.Discoverer
	}
	y.nodes[url] = n
	y.order = append(y.order, n)
	y.place(n)
	return n
}

// lower shortens the way to a node, and to everything behind it. Depths only fall, so
// the recursion is at most as deep as they are.
func (y *cycle) lower(n *node, depth int) {
	if depth >= n.depth {
		return
	}
	far := n.depth > y.c.cfg.MaxDepth
	n.depth = depth
	switch {
	case n.stage == stageFar && far && depth <= y.c.cfg.MaxDepth:
		y.place(n)
	case n.stage == stageDone:
		for _, next := range n.told {
			y.lower(next, depth+1)
		}
	}
}

// place decides what becomes of an address.
func (y *cycle) place(n *node) {
	skip := func(outcome, why string) {
		n.stage, n.report = stageDone, &HubReport{Outcome: outcome, Detail: why, Status: string(n.peer.Status)}
	}
	switch {
	case y.c.isSelf(n.url):
		skip(OutcomeRefused, "this is the hub itself")
	case n.peer.Status == catalog.PeerRejected:
		skip(OutcomeSkipped, "the operator rejected it")
	case n.known && keyOnly(&n.peer.Peer):
		n.stage = stageFresh
	case n.known && !n.seed && y.c.fresh(&n.peer.Peer):
		n.stage = stageFresh
	case n.depth > y.c.cfg.MaxDepth && n.known:
		n.stage = stageFar
	default:
		y.enqueue(n)
	}
}

// enqueue puts a node into its lane, unless it keeps failing and nobody asks.
func (y *cycle) enqueue(n *node) {
	if wait, times := y.c.failing.wait(n.url, y.c.cfg.Now()); wait > 0 && !y.manual.Load() {
		n.stage = stageDone
		n.report = &HubReport{Outcome: OutcomeSkipped, Status: string(n.peer.Status), Detail: restDetail(times, wait)}
		y.resting = append(y.resting, n)
		return
	}
	lane := laneStranger
	if n.seed || n.peer.Status == catalog.PeerActive || n.peer.Status == catalog.PeerKeyMismatch {
		lane = laneKnown
	}
	n.stage, n.report = stageQueued, nil
	y.lanes[lane] = append(y.lanes[lane], n)
}

// follow goes to the neighbours that a hub names, as far as its bounds allow.
func (y *cycle) follow(n *node, neighbours []string) {
	strangers := 0
	for i, url := range neighbours {
		if i == MaxNeighbours {
			y.report.Truncated = true
			return
		}
		if url == n.url || y.c.isSelf(url) {
			continue
		}
		_, known := y.peers[url]
		if y.nodes[url] == nil && !known {
			if y.c.rests(url) && !y.manual.Load() {
				continue
			}
			if strangers++; strangers > MaxNewOfTeller {
				y.report.Truncated = true
				continue
			}
		}
		if next := y.reach(url, n.depth+1, "gossip:"+n.url, n); next != nil {
			n.told = append(n.told, next)
		}
	}
}

// abandon empties the lanes.
func (y *cycle) abandon(why string) {
	for lane, waiting := range y.lanes {
		for _, n := range waiting {
			y.leave(n, why)
		}
		y.lanes[lane] = nil
	}
}

func (y *cycle) leave(n *node, why string) {
	y.report.Truncated = true
	n.stage = stageDone
	if n.depth > y.c.cfg.MaxDepth {
		return // only its address would have been noted
	}
	n.report = &HubReport{Outcome: OutcomeSkipped, Detail: why, Status: string(n.peer.Status)}
}
