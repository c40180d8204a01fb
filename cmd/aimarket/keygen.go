package main

import (
	"crypto/rand"
	"fmt"

	"github.com/aimarket/aimarket/internal/identity"
)

type keygenCmd struct {
	File string `arg:"" help:"Where to write the key; an existing key is kept and shown." type:"path"`
}

// Help is shown by aimarket keygen --help.
func (keygenCmd) Help() string {
	return `A hub makes its key by itself on first start. Use this to make one beforehand, or for a provider that signs
its answers. The file holds the private key: keep it secret and back it up.`
}

// Run makes the key, or shows the public half of the one there.
func (c keygenCmd) Run(e *env) error {
	key, created, err := identity.LoadOrCreate(c.File, rand.Reader)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(map[string]any{"file": c.File, "created": created, "public_key": key.PublicBase64()})
	}
	what := "read"
	if created {
		what = "made"
	}
	fmt.Fprintf(e.out, "%s %s\npublic key  %s\n", what, c.File, key.PublicBase64())
	return nil
}
