package main

import (
	"errors"
	"fmt"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/node"
)

type rotateKeyCmd struct {
	Data string `help:"The hub's data folder." default:"./data" env:"AIMARKET_DATA" type:"path"`
	Key  string `help:"The hub's key file, if it is not in the data folder." name:"signing-key-path" env:"AIMARKET_SIGNING_KEY_PATH" type:"path" placeholder:"FILE"`
}

// Help is shown by aimarket rotate-key --help.
func (rotateKeyCmd) Help() string {
	return `Gives a stopped hub another key. The former key vouches for it, and the hubs of the mesh follow as soon as they hear
of it: rows, state and trust stay. Channels and balances are untouched.

What does not follow: hubs that read this one over HTTP only, and buyers who pinned the key; their operators decide
(POST /ai-market/v2/federation/peers/repin). Addresses with the former peer ID (--bootstrap) must be given anew.
Change a key before others have it: to whoever holds it, too, the mesh would listen, and the first succession counts.
Give the mesh a day before the next change, for hubs follow one step at a time.

The former key file stays beside the new one. Back up the new one.`
}

// Run changes the key.
func (c rotateKeyCmd) Run(e *env) error {
	r, err := node.RotateKey(e.ctx, c.Data, c.Key)
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("the hub must be stopped while its key changes: %w", err)
	}
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]string{"former_public_key": r.Former, "public_key": r.Next, "former_file": r.FormerFile})
	}
	fmt.Fprintf(e.out, "former key  %s\nnew key     %s\n\nThe former key's file is now %s.\nStart the hub: the mesh follows. Back up the new key.\n", r.Former, r.Next, r.FormerFile)
	return nil
}
