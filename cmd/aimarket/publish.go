package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aimarket/aimarket/httpapi/client"
)

type publishCmd struct {
	File  string `arg:"" default:"capability.json" help:"Capability document; - reads standard input."`
	Hub   string `help:"URL of the hub to list it on; --server if not given." placeholder:"URL"`
	Token string `help:"Publisher token." env:"AIMARKET_PUBLISH_TOKEN"`
	Stake amount `help:"USD to declare as stake first if the hub asks for more than is staked." default:"10" placeholder:"USD"`
}

// Help is shown by aimarket publish --help.
func (publishCmd) Help() string {
	return `The document names product_id, capability_id (…@v1), name, description, invoke_url, price_per_call_usd,
input_schema, output_schema, publisher_id and, if the provider signs its answers, provider_pubkey.
Publishing the same ids again replaces the row. examples/hello-provider has a document to start from.

A hub lists only publishers with a stake. If yours is too small, --stake is declared and the document sent again;
until a chain confirms it the hub marks it unverified.

Example:
  aimarket publish examples/hello-provider/capability.json`
}

// Run publishes the document.
func (c publishCmd) Run(e *env) error {
	doc, err := e.readInput(c.File, maxDocument)
	if err != nil {
		return unreadable(fmt.Errorf("reading the capability document: %w", err))
	}
	var d struct {
		Publisher string `json:"publisher_id"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return unreadable(fmt.Errorf("reading the capability document %s: %w", c.File, err))
	}
	hub, err := e.hubAt(c.Hub)
	if err != nil {
		return err
	}
	raw, err := hub.Publish(e.ctx, c.Token, doc)
	if refused := (*client.Error)(nil); errors.As(err, &refused) && refused.Code == "stake" && d.Publisher != "" {
		if _, err := hub.Stake(e.ctx, c.Token, d.Publisher, json.Number(c.Stake)); err != nil {
			return err
		}
		fmt.Fprintf(e.err, "declared a stake of %s USD for %s\n", c.Stake, printable(d.Publisher))
		raw, err = hub.Publish(e.ctx, c.Token, doc)
	}
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	var a struct {
		Product    string      `json:"product_id"`
		Capability string      `json:"capability_id"`
		Price      json.Number `json:"price_per_call_usd"`
		Trust      json.Number `json:"trust_score"`
		Stake      json.Number `json:"stake_usd"`
		Hint       string      `json:"search_hint"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "published  %s/%s\nprice      %s USD a call\ntrust      %s (stake %s USD)\n",
		printable(a.Product), printable(a.Capability), a.Price, a.Trust, a.Stake)
	return nil
}
