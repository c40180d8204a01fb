package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

type unpublishCmd struct {
	Capability string `arg:"" help:"PRODUCT/CAPABILITY as search prints it."`
	Hub        string `help:"URL of the hub that lists it; --server if not given." placeholder:"URL"`
	Token      string `help:"Publisher token, or the hub's admin token." env:"AIMARKET_PUBLISH_TOKEN"`
	Publisher  string `help:"Publisher whose row it is; needed where the token does not say." placeholder:"ID"`
}

// Help is shown by aimarket unpublish --help.
func (unpublishCmd) Help() string {
	return `It is gone here at once and from every other hub as soon as the change has reached it. To change a capability's price or
description, publish it again instead.

Example:
  aimarket unpublish hello/hello.greet@v1 --publisher alice`
}

// Run takes the capability off.
func (c unpublishCmd) Run(e *env) error {
	product, capability, ok := strings.Cut(c.Capability, "/")
	if !ok || product == "" || capability == "" {
		return unreadable(errors.New("name it as PRODUCT/CAPABILITY, such as hello/hello.greet@v1"))
	}
	hub, err := e.hubAt(c.Hub)
	if err != nil {
		return err
	}
	raw, err := hub.Unpublish(e.ctx, c.Token, product, capability, c.Publisher)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	var a struct {
		Product    string `json:"product_id"`
		Capability string `json:"capability_id"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "unpublished  %s/%s\n", printable(a.Product), printable(a.Capability))
	return nil
}
