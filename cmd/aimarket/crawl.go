package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
)

// crawlPatience bounds the wait for a crawl cycle, which has bounds of its own.
const crawlPatience = 30 * time.Minute

type crawlCmd struct{ operatorFlags }

// Help is shown by aimarket crawl --help.
func (crawlCmd) Help() string {
	return `The hub reads the discovery documents of its seeds and of every hub they lead to, as far as its crawl depth goes, and
the catalogues of those it has admitted. It does so by itself, too: --auto-crawl and --crawl-interval-s of serve.

Example:
  aimarket crawl --token "$AIMARKET_ADMIN_TOKEN"`
}

// Run has the hub crawl and shows what happened.
func (c crawlCmd) Run(e *env) error {
	if _, err := c.operator(e); err != nil {
		return err
	}
	hub, err := client.New(e.server, client.Options{Timeout: crawlPatience})
	if err != nil {
		return unreadable(err)
	}
	defer hub.Close()
	raw, err := hub.Crawl(e.ctx, c.Token)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	var a struct {
		Stats struct {
			Discovered int `json:"discovered"`
			Indexed    int `json:"indexed"`
			Errors     int `json:"errors"`
			PeersFound int `json:"peers_found"`
		} `json:"stats"`
		Truncated bool `json:"truncated"`
		Hubs      []struct {
			URL     string `json:"url"`
			Depth   int    `json:"depth"`
			Status  string `json:"status"`
			Outcome string `json:"outcome"`
			Detail  string `json:"detail"`
			Indexed int    `json:"indexed"`
		} `json:"hubs"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	var rows [][]string
	for _, h := range a.Hubs {
		rows = append(rows, []string{h.URL, fmt.Sprint(h.Depth), h.Outcome, h.Status, fmt.Sprint(h.Indexed), h.Detail})
	}
	if len(rows) > 0 {
		if err := e.table("URL DEPTH OUTCOME STATE INDEXED DETAIL", rows); err != nil {
			return err
		}
	}
	fmt.Fprintf(e.out, "%d hubs read, %d capabilities indexed, %d hubs found, %d errors\n",
		a.Stats.Discovered, a.Stats.Indexed, a.Stats.PeersFound, a.Stats.Errors)
	if a.Truncated {
		fmt.Fprintln(e.out, "The cycle reached a bound and ended early; the rest comes with the next one.")
	}
	return nil
}
