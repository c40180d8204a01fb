package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/node"
)

// config is a hub on loopback without rate limits, its state in dir.
func config(o Options, dir string) node.Config {
	return node.Config{
		DataDir: dir, Listen: "127.0.0.1:0", HubName: "bench", Version: o.Version, Money: ledger.Demo,
		AllowLocal: true, MaxOpenChannels: 10_000, ReapHoldsAfter: 24 * time.Hour, RequestTimeout: 28 * time.Second,
		RoutingFeeBps: 100, MinTrust: 0.3, MinTrustInvoke: 0.35, MinStake: 10_000_000, CrawlInterval: time.Hour,
		Chains: []string{"base"}, Tokens: []string{"USDC"},
	}
}

// startHub runs a hub until the returned stop.
func startHub(ctx context.Context, o Options) (n *node.Node, stop func() error, err error) {
	dir, err := os.MkdirTemp(o.Dir, "hub-")
	if err != nil {
		return nil, nil, err
	}
	n, err = node.New(ctx, config(o, dir))
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return n, func() error {
		cancel()
		return errors.Join(<-done, os.RemoveAll(dir))
	}, nil
}

// openChannels opens n channels with money for any bench.
func openChannels(ctx context.Context, base string, n int) ([]client.Channel, error) {
	c, err := client.New(base, client.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var all []client.Channel
	for range n {
		ch, err := c.OpenChannel(ctx, client.OpenRequest{DepositUSD: json.Number("10000")})
		if err != nil {
			return nil, fmt.Errorf("bench channel: %w", err)
		}
		all = append(all, ch)
	}
	return all, nil
}
