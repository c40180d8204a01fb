package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
)

type peersCmd struct {
	List    peersListCmd    `cmd:"" default:"withargs" help:"Show the hubs that a hub knows."`
	Approve peersApproveCmd `cmd:"" help:"Admit a hub: its capabilities are found and sold here."`
	Reject  peersRejectCmd  `cmd:"" help:"Say no to a hub that waits, for good."`
	Remove  peersRemoveCmd  `cmd:"" help:"Forget a hub and everything it listed."`
	Repin   peersRepinCmd   `cmd:"" help:"Give a hub another key."`
}

type peersListCmd struct {
	Pending bool   `help:"Only the hubs that wait to be admitted, and what they offer."`
	Token   string `help:"The hub's admin token: shows rejected hubs, too." placeholder:"SECRET"`
}

// Help is shown by aimarket peers list --help.
func (peersListCmd) Help() string {
	return `STATE and WHY say whether a hub counts here and what would change it: the capabilities of a pending one are in no
search, those of a stale one are hidden until it is heard again. ADDRESS and LATENCY are of the present connection.
Keys, URLs and reasons are cut to fit a line; --json has them whole. The other commands take a URL whole or as cut here.

Examples:
  aimarket peers
  aimarket peers --pending --server https://hub.example.com
  aimarket peers --json | jq '.peers[] | {url, status, why, link}'`
}

// Run shows the hubs that the hub knows.
func (c peersListCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	list, err := hub.Peers(e.ctx, c.Token)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(list.Raw.Raw)
	}
	if c.Pending {
		return c.pending(e, list.Pending)
	}
	var rows [][]string
	for _, p := range append(append(list.Peers, list.Pending...), list.Rejected...) {
		rows = append(rows, peerRow(p, time.Now()))
	}
	if len(rows) == 0 {
		fmt.Fprintln(e.out, "This hub knows no other hub yet.")
	} else if err := e.table("NAME URL STATE TRUST ADDRESS LATENCY SEEN FOUND WHY", rows); err != nil {
		return err
	}
	// The operator's own token stays here unless --token says otherwise: --server may be somebody else's hub.
	if c.Token == "" && (len(rows) == 0 || os.Getenv("AIMARKET_ADMIN_TOKEN") != "") {
		fmt.Fprintln(e.out, rejectedHint)
	}
	return nil
}

// rejectedHint is for an operator who looks for a hub that is in no list but the operator's.
const rejectedHint = "rejected hubs are shown with --token (aimarket peers --token SECRET)"

func (peersListCmd) pending(e *env, waiting []client.Peer) error {
	if len(waiting) == 0 {
		fmt.Fprintln(e.out, "No hub waits to be admitted.")
		return nil
	}
	var rows [][]string
	for _, p := range waiting {
		rows = append(rows, []string{p.Name, p.URL, ago(p.FirstSeen, time.Now()), clip(short(p.Discoverer), 24),
			fmt.Sprintf("%d of %d", p.Preview, p.Declared), why(p)})
	}
	return e.table("NAME URL FIRST-SEEN FOUND SHOWN WHY", rows)
}

// peerRow is one hub as the table shows it.
func peerRow(p client.Peer, now time.Time) []string {
	state := p.Status
	if state == "" {
		state = "active"
	}
	switch {
	case p.Away:
		state += ", away"
	case state == "active" && p.RouteStatus == "stale":
		state += ", stale"
	}
	address, latency := "-", "-"
	switch {
	case p.Link != nil && p.Link.Connected:
		address = clip(short(p.Link.Address), 44)
		if p.Link.Relayed {
			address += " (relayed)"
		}
		if p.Link.LatencyMS > 0 {
			latency = fmt.Sprintf("%.1f ms", p.Link.LatencyMS)
		}
	case len(p.Multiaddrs) > 0:
		address = "(" + clip(short(p.Multiaddrs[0]), 44) + ")" // where it would be, were it connected
	}
	trust := p.TrustScore.String()
	if trust == "" {
		trust = "-"
	}
	seen := p.LastSeen
	if seen == "" {
		seen = p.LastCrawl
	}
	return []string{clip(p.Name, 20), shortURL(p.URL), state, trust, address, latency, ago(seen, now), clip(short(p.Discoverer), 24), why(p)}
}

// why is a hub's reason as a table bears it: without the state that it begins with, which
// has a column of its own, without times, and of a trial that was passed no more than that.
func why(p client.Peer) string {
	text := aTime.ReplaceAllString(strings.TrimPrefix(p.Why, p.Status+": "), "")
	if p.Status == "active" && strings.HasPrefix(text, passedTrial) {
		return passedTrial
	}
	text, _, _ = strings.Cut(text, "; the next one is")
	return clip(short(text), 64)
}

const passedTrial = "admitted by its trial" // so begins the Why of a hub that passed

var (
	aTime = regexp.MustCompile(` (at|since) [0-9]{4}-[0-9-]{5}T[0-9:]{8}Z`)
	aKey  = regexp.MustCompile(`libp2p://([0-9a-f]{8})[0-9a-f]{52}([0-9a-f]{4})`)
	anID  = regexp.MustCompile(`12D3KooW[1-9A-HJ-NP-Za-km-z]{38}([1-9A-HJ-NP-Za-km-z]{6})`)
)

// short cuts the keys and peer IDs in a text to what tells them apart.
func short(text string) string {
	return anID.ReplaceAllString(aKey.ReplaceAllString(text, "libp2p://$1…$2"), "…$1")
}

// shortURL is a hub's URL as the table of peers shows it.
func shortURL(url string) string { return clip(short(url), 40) }

// wholeURL is the URL of the hub that text names: text itself, or, if a table cut it, the
// only one among the peers of the hub asked that a table cuts so. The token shows those
// that were rejected; "" asks as anybody.
func wholeURL(ctx context.Context, hub *client.Client, token, text string) (string, error) {
	if !strings.Contains(text, "…") {
		return text, nil
	}
	list, err := hub.Peers(ctx, token)
	if err != nil {
		return "", fmt.Errorf("finding out which hub %s is: %w", text, err)
	}
	var found []string
	for _, p := range slices.Concat(list.Peers, list.Pending, list.Rejected) {
		if (shortURL(p.URL) == text || short(p.URL) == text) && !slices.Contains(found, p.URL) {
			found = append(found, p.URL)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s is the short form of no hub that %s lists: give its whole URL, which peers --json has", text, hub.Base())
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%s may be any of %s: give the whole URL", text, strings.Join(found, ", "))
}

// ago is a protocol time as people say it.
func ago(timestamp string, now time.Time) string {
	t, err := time.Parse(time.RFC3339, timestamp)
	if err != nil {
		return "never"
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", d/time.Hour)
	}
	return fmt.Sprintf("%d days ago", d/(24*time.Hour))
}
