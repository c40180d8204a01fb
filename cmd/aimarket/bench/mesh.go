package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/testnet"
)

// How the mesh is probed. Between two probes the mesh is left alone so long that what
// follows an update (the announcement of its head) is over.
const (
	meshProbes  = 40 // a round
	meshQuiet   = 300 * time.Millisecond
	meshLook    = 500 * time.Microsecond // between two looks at the catalogues
	meshPatient = 30 * time.Second       // with one change
	meshReady   = 2 * time.Minute        // with the start of a network
)

// startMesh runs full hubs on loopback until each knows all.
func startMesh(ctx context.Context, o Options, c testnet.Config) (n *testnet.Network, ready time.Duration, err error) {
	dir, err := os.MkdirTemp(o.Dir, "mesh-")
	if err != nil {
		return nil, 0, err
	}
	nodes := c.Nodes
	o.Say(fmt.Sprintf("starting %d hubs", nodes))
	began := time.Now()
	c.Topology, c.Seed, c.Dir, c.Version = testnet.Random, 1, dir, o.Version
	n, err = testnet.Start(ctx, c)
	if err != nil {
		return nil, 0, errors.Join(err, os.RemoveAll(dir))
	}
	o.Say(fmt.Sprintf("%d hubs serve after %.1f s", nodes, time.Since(began).Seconds()))
	wait, cancel := context.WithTimeout(ctx, meshReady)
	defer cancel()
	if err := n.WaitConnected(wait); err != nil {
		return nil, 0, errors.Join(err, stopMesh(n))
	}
	ready = time.Since(began)
	o.Say(fmt.Sprintf("all know all after %.1f s", ready.Seconds()))
	if err := n.WaitEqual(wait); err != nil {
		return nil, 0, errors.Join(err, stopMesh(n))
	}
	return n, ready, nil
}

func stopMesh(n *testnet.Network) error {
	return errors.Join(n.Stop(), os.RemoveAll(n.Dir()))
}

// probe is a change that can be looked for: a row with a word of its own.
type probe struct {
	from *testnet.Hub
	key  catalog.Key // as its owner lists it
	word string
}

const meshPublisher = "bench"

// publish lists a new capability with a word in its description that no other has.
func publish(ctx context.Context, h *testnet.Hub, number int) (probe, error) {
	word := fmt.Sprintf("zyx%dq%d", h.Number(), number)
	p := probe{from: h, word: word, key: catalog.Key{ProductID: "bench-" + h.Name(), CapabilityID: fmt.Sprintf("probe%d@v1", number), SourceHub: catalog.Local}}
	return p, list(ctx, p, 1000)
}

// list publishes the probe's row, or changes its price.
func list(ctx context.Context, p probe, micros int64) error {
	c := p.from.Node().Catalog()
	r := catalog.Registration{Publisher: meshPublisher, Capability: catalog.Capability{
		Key: p.key, Name: "Probe " + p.word, Version: "v1", Description: "Answers at once; look for " + p.word + ".",
		InputSchema: textInput, OutputSchema: textOutput, PriceMicros: micros, RoutedMicros: micros, SuccessRate30d: 1, P50LatencyMS: 1,
		InvokeURL: "http://127.0.0.1:9/" + p.word,
	}}
	_, err := c.Register(ctx, r)
	if gate := (*catalog.GateError)(nil); errors.As(err, &gate) && gate.Gate == catalog.GateStake {
		if _, err = c.Stake(ctx, catalog.StakeRequest{PublisherID: meshPublisher, AmountMicros: 10_000_000}); err == nil {
			_, err = c.Register(ctx, r)
		}
	}
	if err != nil {
		return fmt.Errorf("publishing on %s: %w", p.from.Name(), err)
	}
	return nil
}

// arrive waits until every other hub finds the probe in a search and returns when the
// first and the last of them did. It looks up the row first, which costs next to
// nothing, so that looking is not what loads the machine.
func arrive(ctx context.Context, n *testnet.Network, p probe, began time.Time) (first, last time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, meshPatient)
	defer cancel()
	type hub struct {
		*testnet.Hub
		source string
	}
	var left []hub
	for i := range n.Len() {
		h := n.Hub(i + 1)
		if h == p.from {
			continue
		}
		peer, _ := h.Node().Catalog().PeerByKey(p.from.Key())
		left = append(left, hub{h, peer.URL})
	}
	floor := 0.0
	for len(left) > 0 {
		still := left[:0]
		for _, h := range left {
			c := h.Node().Catalog()
			if _, err := c.Lookup(ctx, p.key.ProductID, p.key.CapabilityID, h.source); err != nil {
				still = append(still, h)
				continue
			}
			r, err := c.Search(ctx, catalog.Query{Intent: p.word, MinTrust: &floor, Limit: 1})
			if err != nil {
				return 0, 0, err
			}
			if len(r.Matches) == 0 || r.Matches[0].CapabilityID != p.key.CapabilityID {
				still = append(still, h)
				continue
			}
			last = time.Since(began)
			if first == 0 {
				first = last
			}
		}
		if left = still; len(left) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("%d hubs, %s among them, do not find what %s published: %w", len(left), left[0].Name(), p.from.Name(), ctx.Err())
		case <-time.After(meshLook):
		}
	}
	return first, last, nil
}

// degree is how many connections a hub of n has on average.
func degree(n *testnet.Network) int {
	links := 0
	for _, h := range n.Status().Hubs {
		links += len(h.Linked)
	}
	return (links + n.Len()/2) / n.Len()
}

// gossip50 measures the hubs first and the floor when they are gone: beside fifty hubs
// in one process, bare gossip would not be bare.
func gossip50(ctx context.Context, o Options) ([]Result, error) {
	const nodes = 50
	hubs, links, err := spreadOverHubs(ctx, o, nodes)
	if err != nil {
		return nil, err
	}
	debug.FreeOSMemory()
	floor, lost, err := spreadOverBare(ctx, o, nodes, links)
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("publish to searchable on the last of %d full hubs, %d changes; floor: 4 KiB on bare gossipsub with as many hosts and %d connections each, %d deliveries lost, p99 %.0f ms",
		nodes, len(hubs), links, lost, ms(quantile(floor, .99)))
	return []Result{
		atMost("gossip_50", ms(quantile(hubs, .5)), ms(quantile(floor, .5)), "ms", 3, note),
		atMost("gossip_50_p99", ms(quantile(hubs, .99)), 150, "ms", 1, fmt.Sprintf("p99 of %d changes", len(hubs))),
	}, nil
}

func spreadOverHubs(ctx context.Context, o Options, nodes int) (took []time.Duration, links int, err error) {
	n, _, err := startMesh(ctx, o, testnet.Config{Nodes: nodes})
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, stopMesh(n)) }()
	o.Say("changing capabilities")
	for number := range o.Rounds * meshProbes {
		time.Sleep(meshQuiet)
		began := time.Now()
		p, err := publish(ctx, n.Hub(number%nodes+1), number)
		if err != nil {
			return nil, 0, err
		}
		_, last, err := arrive(ctx, n, p, began)
		if err != nil {
			return nil, 0, err
		}
		took = append(took, last)
	}
	return took, degree(n), nil
}

func spreadOverBare(ctx context.Context, o Options, nodes, links int) (took []time.Duration, lost int, err error) {
	o.Say(fmt.Sprintf("the same over %d bare gossip hosts", nodes))
	bare, err := startBare(ctx, nodes, links)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, bare.close()) }()
	for number := range o.Rounds * meshProbes {
		time.Sleep(meshQuiet)
		last, missed, err := bare.spread(ctx, number%nodes, uint64(number), time.Second)
		if err != nil {
			return nil, 0, err
		}
		lost += missed
		if missed == 0 {
			took = append(took, last)
		}
	}
	return took, lost, nil
}
