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

Examples:
  aimarket serve
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
		line, _ := json.Marshal(map[string]any{"url": n.URL(), "listen": n.Addr().String(), "public_key": n.PublicKey(), "money": string(n.Mode())})
		fmt.Fprintf(e.out, "%s\n", line)
	} else {
		fmt.Fprint(e.out, n.Banner())
	}
	return n.Run(e.ctx)
}
