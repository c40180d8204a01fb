package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/aimarket/aimarket/node"
	"github.com/aimarket/aimarket/testnet"
)

// noBuiltins leaves a hub with what it sells of its own. With the built-in capabilities
// 200 hubs would list 3,400 each, and half a million rows in one process measure the index.
func noBuiltins(_ int, c *node.Config) { c.SkipSeed = true }

func nodesPerMachine(ctx context.Context, o Options) (_ []Result, err error) {
	const (
		nodes   = 200
		changes = 10
		nodesGC = 300 // percent
	)
	// There is memory to spare and no core: less collecting, as an operator of so many hubs would set GOGC.
	defer debug.SetGCPercent(debug.SetGCPercent(nodesGC))
	before, err := residentMiB("self")
	if err != nil {
		return nil, err
	}
	n, ready, err := startMesh(ctx, o, testnet.Config{Nodes: nodes, OwnRows: 1, Configure: noBuiltins})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopMesh(n)) }()
	var spread []time.Duration
	for i := range changes {
		o.Say(fmt.Sprintf("nodes_per_machine change %d of %d", i+1, changes))
		time.Sleep(meshQuiet)
		began := time.Now()
		p, err := publish(ctx, n.Hub(i*nodes/changes+1), i)
		if err != nil {
			return nil, err
		}
		_, last, err := arrive(ctx, n, p, began)
		if err != nil {
			return nil, err
		}
		spread = append(spread, last)
	}
	after, err := residentMiB("self")
	if err != nil {
		return nil, err
	}
	s := n.Status()
	note := fmt.Sprintf("%d full hubs (store, HTTP, DHT, gossip; one capability each) from the first start until each lists all others; %.1f connections each, %d file descriptors, %d goroutines",
		nodes, float64(degree(n)), s.Files, s.Goroutines)
	return []Result{
		atMost("nodes_per_machine", ready.Seconds(), 60, "s", 1, note),
		atMost("nodes_per_machine_spread", ms(quantile(spread, 1)), 1000, "ms", 1, fmt.Sprintf("publish to searchable on the last hub, slowest of %d changes, median %.0f ms", changes, ms(quantile(spread, .5)))),
		atMost("nodes_per_machine_memory", (after-before)/nodes, 24*1024/nodes, "MiB a hub", 1, "resident memory of the process, divided; bound: 24 GiB"),
	}, nil
}
