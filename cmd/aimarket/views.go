package main

import (
	"encoding/json"
	"fmt"
	"sort"
)

type peersCmd struct{}

// Help is shown by aimarket peers --help.
func (peersCmd) Help() string {
	return `A pending hub has announced itself and nobody admitted it: its capabilities are in no search.

Example:
  aimarket peers --server https://hub.example.com`
}

// Run shows the hubs that the hub knows.
func (peersCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	raw, err := hub.Peers(e.ctx)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	type peer struct {
		URL    string      `json:"url"`
		Name   string      `json:"name"`
		Status string      `json:"status"`
		Count  int         `json:"capabilities_count"`
		Trust  json.Number `json:"trust_score"`
		Seen   string      `json:"last_crawl"`
	}
	var a struct{ Peers, Pending []peer }
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	var rows [][]string
	for _, p := range append(a.Peers, a.Pending...) {
		if p.Status == "" {
			p.Status = "active"
		}
		rows = append(rows, []string{p.URL, p.Name, p.Status, fmt.Sprint(p.Count), p.Trust.String(), p.Seen})
	}
	if len(rows) == 0 {
		fmt.Fprintln(e.out, "This hub knows no other hub yet.")
		return nil
	}
	return e.table("URL NAME STATE CAPABILITIES TRUST SEEN", rows)
}

type statsCmd struct {
	Limit int `help:"Newest calls to show, up to 200." default:"10"`
}

// Help is shown by aimarket stats --help.
func (statsCmd) Help() string {
	return `Newest calls first, then the hub's totals.

Example:
  aimarket stats --json | jq .summary`
}

// Run shows the newest calls and the totals.
func (c statsCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	raw, err := hub.Stats(e.ctx, c.Limit)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	var a struct {
		Events []struct {
			Time       string      `json:"timestamp"`
			Product    string      `json:"product_id"`
			Capability string      `json:"capability_id"`
			Hub        string      `json:"source_hub"`
			Price      json.Number `json:"price_usd"`
			Latency    int64       `json:"latency_ms"`
			Success    int         `json:"success"`
		}
		Summary map[string]json.RawMessage
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	var rows [][]string
	for _, v := range a.Events {
		outcome := "ok"
		if v.Success == 0 {
			outcome = "failed"
		}
		rows = append(rows, []string{v.Time, v.Product + "/" + v.Capability, v.Hub, v.Price.String(), fmt.Sprint(v.Latency), outcome})
	}
	if len(rows) > 0 {
		if err := e.table("TIME CAPABILITY HUB USD MS OUTCOME", rows); err != nil {
			return err
		}
		fmt.Fprintln(e.out)
	}
	names := make([]string, 0, len(a.Summary))
	for n := range a.Summary {
		names = append(names, n)
	}
	sort.Strings(names)
	rows = nil
	for _, n := range names {
		rows = append(rows, []string{n, string(a.Summary[n])})
	}
	return e.table("TOTAL VALUE", rows)
}

type trustCmd struct {
	HubURL string `arg:"" default:"local" help:"URL of the hub to judge; local is the hub asked itself."`
}

// Help is shown by aimarket trust --help.
func (trustCmd) Help() string {
	return `The score is the weighted sum of its factors, each 0…1. It is the opinion of the hub that is asked.

Examples:
  aimarket trust
  aimarket trust https://other.example.com --json`
}

// Run shows a hub's trust score and its factors.
func (c trustCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	raw, err := hub.Reputation(e.ctx, c.HubURL)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	var a struct {
		URL     string      `json:"hub_url"`
		Score   json.Number `json:"trust_score"`
		Details struct {
			Weights map[string]float64 `json:"weights"`
			Factors map[string]float64 `json:"factors"`
		} `json:"details"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s has trust %s\n", printable(a.URL), a.Score)
	var rows [][]string
	for _, name := range []string{"age", "bond", "success_rate", "volume"} {
		if f, ok := a.Details.Factors[name]; ok {
			rows = append(rows, []string{name, fmt.Sprintf("%.4f", f), fmt.Sprintf("%.2f", a.Details.Weights[name])})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return e.table("FACTOR VALUE WEIGHT", rows)
}
