package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/testnet"
)

// The burst: so many changes in a second on one hub, a third of them new capabilities,
// a third price changes, a third removals.
const (
	burstChanges = 300
	burstWindow  = time.Second
	burstReach   = 2 * time.Second
)

func gossipBurst(ctx context.Context, o Options) (_ []Result, err error) {
	const nodes = 50
	n, _, err := startMesh(ctx, o, testnet.Config{Nodes: nodes})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stopMesh(n)) }()
	quiet, err := residentMiB("self")
	if err != nil {
		return nil, err
	}
	peak, stop := watchResident()
	defer stop()
	var slowest time.Duration
	var all []float64
	for round := range o.Rounds {
		o.Say(fmt.Sprintf("gossip_burst round %d of %d", round+1, o.Rounds))
		took, err := burst(ctx, n, n.Hub(round*7%nodes+1), round)
		if err != nil {
			return nil, err
		}
		all, slowest = append(all, ms(took)), max(slowest, took)
	}
	most := peak()
	bare, err := startBare(ctx, nodes, degree(n))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bare.close()) }()
	share, err := bare.burst(ctx, 0, burstChanges, 1, burstWindow)
	if err != nil {
		return nil, err
	}
	note := fmt.Sprintf("last of %d changes within %s on one of %d full hubs to all equal, slowest of %d bursts (median %.0f ms), every row compared; bare gossipsub delivered %.1f %% of such a burst",
		burstChanges, burstWindow, nodes, o.Rounds, median(all), 100*share)
	return []Result{
		atMost("gossip_burst", ms(slowest), ms(burstReach), "ms", 1, note),
		atMost("gossip_burst_memory", most, quiet, "MiB", 1.5, "most resident memory of the process meanwhile; floor: before the bursts"),
	}, nil
}

// burst makes the changes at an even pace and returns how long after the last of them
// every hub held the listing that has it.
func burst(ctx context.Context, n *testnet.Network, h *testnet.Hub, round int) (time.Duration, error) {
	pace := time.NewTicker(burstWindow / burstChanges)
	defer pace.Stop()
	var rows []probe
	for i := range burstChanges - 1 {
		var err error
		switch i % 3 {
		case 0:
			var p probe
			if p, err = publish(ctx, h, 1000*(round+1)+i); err == nil {
				rows = append(rows, p)
			}
		case 1:
			err = list(ctx, rows[len(rows)-1], 2000)
		case 2:
			if len(rows) > 1 { // the one before the newest, so that some stay
				gone := rows[0]
				rows = rows[1:]
				err = h.Node().Catalog().Remove(ctx, gone.key)
			}
		}
		if err != nil {
			return 0, err
		}
		<-pace.C
	}
	last, err := publish(ctx, h, 1000*(round+1)+burstChanges)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	// A hub that holds the last change holds all: the digest of the listing covers every row.
	_, took, err := arrive(ctx, n, last, began)
	if err != nil {
		return 0, err
	}
	wait, cancel := context.WithTimeout(ctx, meshPatient)
	defer cancel()
	return took, n.WaitEqual(wait)
}

// watchResident notes the most resident memory of this process, in MiB.
func watchResident() (peak func() float64, stop func()) {
	const every = 50 * time.Millisecond
	var most atomic.Uint64
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			if now, err := residentMiB("self"); err == nil && uint64(now) > most.Load() {
				most.Store(uint64(now))
			}
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	})
	return func() float64 { return float64(most.Load()) }, func() { close(done); watch.Wait() }
}
