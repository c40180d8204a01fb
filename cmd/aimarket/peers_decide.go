package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/httpapi/client"
)

// operatorFlags are those of commands that only a hub's operator may run.
type operatorFlags struct {
	Token string `help:"The hub's admin token." env:"AIMARKET_ADMIN_TOKEN" placeholder:"SECRET"`
}

// operator returns a client for an operator's command.
func (f operatorFlags) operator(e *env) (*client.Client, error) {
	if f.Token == "" {
		return nil, unreadable(errors.New("this is the operator's to do: give --token, or set AIMARKET_ADMIN_TOKEN to the hub's"))
	}
	return e.hub()
}

type peersApproveCmd struct {
	operatorFlags
	URL string `arg:"" help:"URL of the hub, whole or as peers prints it."`
}

// Help is shown by aimarket peers approve --help.
func (peersApproveCmd) Help() string {
	return `Look at what it offers first: aimarket peers --pending. Its documents are read at once.

Example:
  aimarket peers approve https://other.example.com --token "$AIMARKET_ADMIN_TOKEN"`
}

// Run admits the hub.
func (c peersApproveCmd) Run(e *env) error {
	return decide(e, c.operatorFlags, c.URL, func(hub *client.Client, url string) (json.RawMessage, error) {
		return hub.Approve(e.ctx, c.Token, url)
	})
}

type peersRejectCmd struct {
	operatorFlags
	URL string `arg:"" help:"URL of the hub, whole or as peers prints it."`
}

// Help is shown by aimarket peers reject --help.
func (peersRejectCmd) Help() string {
	return `Nothing that the hub or others say brings it back; aimarket peers approve or remove does.`
}

// Run rejects the hub.
func (c peersRejectCmd) Run(e *env) error {
	err := decide(e, c.operatorFlags, c.URL, func(hub *client.Client, url string) (json.RawMessage, error) {
		return hub.Reject(e.ctx, c.Token, url)
	})
	if err == nil && !e.json {
		fmt.Fprintln(e.out, rejectedHint)
	}
	return err
}

type peersRemoveCmd struct {
	operatorFlags
	URL string `arg:"" help:"URL of the hub, whole or as peers prints it."`
}

// Help is shown by aimarket peers remove --help.
func (peersRemoveCmd) Help() string {
	return `Its key is forgotten, too. A removed hub may become known again as a stranger: reject it to keep it out.`
}

// Run removes the hub.
func (c peersRemoveCmd) Run(e *env) error {
	return decide(e, c.operatorFlags, c.URL, func(hub *client.Client, url string) (json.RawMessage, error) {
		return hub.RemovePeer(e.ctx, c.Token, url)
	})
}

type peersRepinCmd struct {
	operatorFlags
	URL      string `arg:"" help:"URL of the hub, whole or as peers prints it."`
	Key      string `help:"Its new key in base64; the one that its own address shows if not given." placeholder:"KEY"`
	Previous string `help:"Do nothing unless this is the key pinned now." placeholder:"KEY"`
	Admit    string `help:"Also admit it (yes), send it back to pending (no), or keep its state." enum:"yes,no,keep" default:"yes"`
}

// Help is shown by aimarket peers repin --help.
func (peersRepinCmd) Help() string {
	return `A hub in state key_mismatch shows another key than the one pinned at first contact: it lost its key, or somebody took
its address. Ask its operator by other means which key is theirs before you change it.

Example:
  aimarket peers repin https://other.example.com --key "$THEIR_KEY"`
}

// Run changes the key.
func (c peersRepinCmd) Run(e *env) error {
	r := client.Repin{PublicKey: c.Key, PreviousKey: c.Previous}
	if c.Admit != "keep" {
		admit := c.Admit == "yes"
		r.Trusted = &admit
	}
	hub, err := c.operator(e)
	if err != nil {
		return err
	}
	if r.URL, err = wholeURL(e.ctx, hub, c.Token, c.URL); err != nil {
		return err
	}
	raw, err := hub.Repin(e.ctx, c.Token, r)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	var a struct {
		Peer struct {
			URL      string `json:"url"`
			Key      string `json:"public_key"`
			Previous string `json:"previous_public_key"`
			Status   string `json:"status"`
		} `json:"peer"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	fmt.Fprintf(e.out, "%s is %s\nkey      %s\nbefore   %s\n", printable(a.Peer.URL), printable(a.Peer.Status), printable(a.Peer.Key), printable(a.Peer.Previous))
	return nil
}

// decide sends an operator's decision about the hub that text names and prints what became of it.
func decide(e *env, f operatorFlags, text string, send func(hub *client.Client, url string) (json.RawMessage, error)) error {
	hub, err := f.operator(e)
	if err != nil {
		return err
	}
	url, err := wholeURL(e.ctx, hub, f.Token, text)
	if err != nil {
		return err
	}
	raw, err := send(hub, url)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(raw)
	}
	var a struct {
		URL    string `json:"url"`
		Status string `json:"status"`
		Peer   string `json:"peer_status"`
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		return err
	}
	state := a.Peer
	if state == "" {
		state = a.Status
	}
	fmt.Fprintf(e.out, "%s is %s\n", printable(strings.TrimSpace(a.URL)), printable(state))
	return nil
}
