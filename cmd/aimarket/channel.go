package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aimarket/aimarket/httpapi/client"
)

type channelCmd struct {
	Open  channelOpenCmd  `cmd:"" help:"Put money on a new channel and remember it."`
	Show  channelShowCmd  `cmd:"" help:"Show what is left on a channel."`
	Close channelCloseCmd `cmd:"" help:"Close a channel and settle."`
}

type channelOpenCmd struct {
	Deposit   amount `help:"USD to put on the channel, up to 10000." required:"" placeholder:"USD"`
	Token     string `help:"Token of the deposit."`
	Chain     string `help:"Chain of the deposit."`
	Wallet    string `help:"Wallet the deposit came from."`
	TxHash    string `help:"Transaction of the deposit." name:"tx-hash"`
	RequestID string `help:"16 to 255 characters, hard to guess, such as a UUID: whoever repeats it gets the same channel and secret." name:"request-id"`
	NoSave    bool   `help:"Do not remember the channel; the secret is printed either way."`
}

// Help is shown by aimarket channel open --help.
func (channelOpenCmd) Help() string {
	return `The secret is shown once. It is also kept in your wallet file (mode 0600), from where invoke and close take it.
Against a hub with demo money no deposit is needed: the credit is not real.

Example:
  aimarket channel open --deposit 5`
}

// Run opens a channel.
func (c channelOpenCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	w, err := openWallet()
	if err != nil {
		return err
	}
	ch, err := hub.OpenChannel(e.ctx, client.OpenRequest{
		DepositUSD: json.Number(c.Deposit), Token: c.Token, Chain: c.Chain, Wallet: c.Wallet, TxHash: c.TxHash, RequestID: c.RequestID,
	})
	if err != nil {
		return err
	}
	var saved error
	if !c.NoSave {
		w.Channels[hub.Base()] = walletChannel{ID: ch.ID, Secret: ch.Secret}
		saved = w.save()
	}
	// The channel exists: whatever happened to the wallet, its secret is shown.
	if e.json {
		return errors.Join(e.printRaw(ch.Raw.Raw), saved)
	}
	fmt.Fprintf(e.out, "channel  %s\nsecret   %s\nbalance  %s USD\nexpires  %s\n",
		printable(ch.ID), printable(ch.Secret), ch.Balance, printable(ch.ExpiresAt))
	return saved
}

// channelRef names a channel, by default the remembered one.
type channelRef struct {
	ID string `arg:"" optional:"" help:"Channel id; the one you opened at this hub if not given." name:"channel"`
}

func (r channelRef) resolve(base string) (walletChannel, *wallet, error) {
	w, err := openWallet()
	if err != nil {
		return walletChannel{}, nil, err
	}
	mine := w.Channels[base]
	if r.ID == "" && mine.ID == "" {
		return mine, w, unreadable(fmt.Errorf("no channel is remembered for %s: name one, or open one with aimarket channel open", base))
	}
	if r.ID != "" && r.ID != mine.ID {
		mine = walletChannel{ID: r.ID}
	}
	return mine, w, nil
}

type channelShowCmd struct{ channelRef }

// Help is shown by aimarket channel show --help.
func (channelShowCmd) Help() string {
	return `Anybody who knows a channel's id may look at it; spending takes the secret.

Example:
  aimarket channel show`
}

// Run shows the channel.
func (c channelShowCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	ref, _, err := c.resolve(hub.Base())
	if err != nil {
		return err
	}
	ch, err := hub.Channel(e.ctx, ref.ID)
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(ch.Raw.Raw)
	}
	fmt.Fprintf(e.out, "channel  %s (%s)\nbalance  %s of %s USD\nused     %s USD\nexpires  %s\n",
		printable(ch.ID), printable(ch.Status), ch.Balance, ch.Deposit, ch.Used, printable(ch.ExpiresAt))
	return nil
}

type channelCloseCmd struct {
	channelRef
	Secret string `help:"The channel's secret." env:"AIMARKET_CHANNEL_SECRET"`
	Wallet string `help:"Wallet the channel was opened with."`
}

// Help is shown by aimarket channel close --help.
func (channelCloseCmd) Help() string {
	return `What is left goes back; the hub refuses while calls are running. A channel of your wallet file needs no secret here,
and is forgotten once it is closed.

Example:
  aimarket channel close`
}

// Run closes the channel.
func (c channelCloseCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	ref, w, err := c.resolve(hub.Base())
	if err != nil {
		return err
	}
	if c.Secret != "" {
		ref.Secret = c.Secret
	}
	s, err := hub.CloseChannel(e.ctx, ref.ID, ref.Secret, c.Wallet)
	if err != nil {
		return err
	}
	if w.Channels[hub.Base()].ID == ref.ID {
		delete(w.Channels, hub.Base())
		if err := w.save(); err != nil {
			fmt.Fprintln(e.err, "aimarket:", err)
		}
	}
	if e.json {
		return e.printRaw(s.Raw.Raw)
	}
	fmt.Fprintf(e.out, "closed   %s\nspent    %s USD in %d calls\nrefund   %s USD\n", printable(s.ChannelID), s.Spent, s.Invocations, s.Refund)
	return nil
}
