package main

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

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
	return `The score is the weighted sum of its factors, each 0…1; the evidence says what each rests on. It is the opinion of the hub
that is asked. A hub without an address is named by its key, libp2p://… as peers prints it.

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
	if c.HubURL, err = wholeURL(e.ctx, hub, "", c.HubURL); err != nil {
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
		Basis   string      `json:"basis"`
		Calls   int64       `json:"observations_30d"`
		Status  string      `json:"status"`
		Why     string      `json:"why"`
		Details struct {
			Weights  map[string]float64 `json:"weights"`
			Factors  map[string]float64 `json:"factors"`
			Evidence []struct {
				Factor string `json:"factor"`
				Source string `json:"source"`
				Detail string `json:"detail"`
				Count  int64  `json:"count"`
				Good   int64  `json:"good"`
			} `json:"evidence"`
		} `json:"details"`
		Events []struct {
			Type     string      `json:"type"`
			Time     string      `json:"timestamp"`
			Price    json.Number `json:"price_usd"`
			Latency  json.Number `json:"latency_ms"`
			Consumer string      `json:"consumer_hub"`
		} `json:"recent_events"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s has trust %s (%s, %d calls in 30 days)\n", printable(a.URL), a.Score, printable(a.Basis), a.Calls)
	if a.Status != "" {
		fmt.Fprintf(e.out, "It is %s: %s\n", printable(a.Status), printable(strings.TrimPrefix(a.Why, a.Status+": ")))
	} else if a.Details.Evidence != nil && a.Basis == "unobserved" { // hubs that send no evidence send no status of any hub
		fmt.Fprintln(e.out, "unknown hub: the score of a stranger")
	}
	var rows [][]string
	for _, name := range []string{"age", "bond", "success_rate", "volume"} {
		if f, ok := a.Details.Factors[name]; ok {
			rows = append(rows, []string{name, fmt.Sprintf("%.4f", f), fmt.Sprintf("%.2f", a.Details.Weights[name])})
		}
	}
	if p := a.Details.Factors["penalty"]; p > 0 {
		rows = append(rows, []string{"penalty", fmt.Sprintf("%.4f", p), "share taken off"})
	}
	if len(rows) > 0 {
		if err := e.table("FACTOR VALUE WEIGHT", rows); err != nil {
			return err
		}
	}
	rows = nil
	for _, v := range a.Details.Evidence {
		count := "-"
		if v.Count > 0 {
			count = fmt.Sprintf("%d of %d", v.Good, v.Count)
		}
		rows = append(rows, []string{v.Factor, v.Source, count, v.Detail})
	}
	if len(rows) > 0 {
		fmt.Fprintln(e.out)
		if err := e.table("EVIDENCE-FOR KNOWN-BY GOOD WHAT", rows); err != nil {
			return err
		}
	}
	rows = nil
	for _, v := range a.Events {
		rows = append(rows, []string{v.Time, v.Type, v.Price.String(), v.Latency.String(), v.Consumer})
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(e.out)
	return e.table("TIME EVENT USD MS REPORTED-BY", rows)
}
