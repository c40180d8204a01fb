package main

import (
	"encoding/json"
	"fmt"

	"github.com/aimarket/aimarket/node"
)

type serveCmd struct {
	settings `embed:""`
}

// Help is shown by aimarket serve --help.
func (serveCmd) Help() string {
	return `Runs a hub until it is interrupted; calls in flight are finished first, a second interrupt ends it at once.

The first start makes the data folder with the hub's key in it. Back the key up: it is who
this hub is. Money is demo money by default: channels are credited from nothing, every page
and log says so, and nothing is owed to anyone.

Hubs on one local network find each other. Elsewhere give one's join address, which it prints at its start, to
--bootstrap of another: from then on they are one market. aimarket peers shows who is in it, and why.

Examples:
  aimarket serve
  aimarket serve --bootstrap /ip4/198.51.100.7/tcp/9084/p2p/12D3KooW…
  aimarket serve --data /var/lib/aimarket --listen :9083 --hub-url https://hub.example.com
  AIMARKET_INVOKE_RATE_PER_MIN=0 aimarket serve --money off`
}

// Run serves until the context ends.
func (c serveCmd) Run(e *env) error {
	cfg, err := c.config()
	if err != nil {
		return unreadable(err)
	}
	cfg.Version = version
	if err := cfg.Validate(); err != nil {
		return unreadable(err)
	}
	useCores()
	n, err := node.New(e.ctx, cfg)
	if err != nil {
		return err
	}
	if e.json {
		line, _ := json.Marshal(map[string]any{"url": n.URL(), "listen": n.Addr().String(), "public_key": n.PublicKey(), "money": string(n.Mode()), "join": n.JoinAddress()})
		fmt.Fprintf(e.out, "%s\n", line)
	} else {
		fmt.Fprint(e.out, n.Banner())
	}
	return n.Run(e.ctx)
}
