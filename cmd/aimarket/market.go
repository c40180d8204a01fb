package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/aimarket/aimarket/httpapi/client"
)

// maxDocument bounds a file or answer that a command reads whole.
const maxDocument = 16 << 20

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("larger than %d bytes", limit)
	}
	return raw, err
}

type searchCmd struct {
	Intent     string `arg:"" optional:"" help:"What it should do, in your words; nothing lists everything."`
	Budget     amount `help:"Most USD a call may cost, routing included." placeholder:"USD"`
	Category   string `help:"Text the id, product, name or description must contain."`
	MaxLatency int    `help:"Most milliseconds a typical call may take." name:"max-latency" placeholder:"MS"`
	MinTrust   amount `help:"Least trust, 0…1; the hub's floor if not given." name:"min-trust"`
	Hub        string `help:"Only this hub's capabilities: any, local or a URL." default:"any"`
	Limit      int    `help:"Most hits, up to 100." default:"10"`
	Offset     int    `help:"Hits to skip."`
}

// Help is shown by aimarket search --help.
func (searchCmd) Help() string {
	return `Hits come best first: by relevance, then by trust, success, speed and price. WHY says what matched. HUB cuts the key of a hub
without an address; --json has it whole, and --hub takes either.

Examples:
  aimarket search "translate a text" --budget 0.05
  aimarket search hash --json | jq '.matches[0].capability_id'`
}

// Run searches and prints the hits.
func (c searchCmd) Run(e *env) error {
	hub, err := e.hub()
	if err != nil {
		return err
	}
	if c.Hub, err = wholeURL(e.ctx, hub, "", c.Hub); err != nil {
		return err
	}
	r, err := hub.Search(e.ctx, client.Query{
		Intent: c.Intent, Budget: string(c.Budget), Category: c.Category, MaxLatencyMS: c.MaxLatency,
		MinTrust: string(c.MinTrust), Hub: c.Hub, Limit: c.Limit, Offset: c.Offset,
	})
	if err != nil {
		return err
	}
	if e.json {
		return e.printRaw(r.Raw.Raw)
	}
	if len(r.Matches) == 0 {
		fmt.Fprintln(e.out, "Nothing matches. Try other words, a larger --budget or --min-trust 0.")
		return nil
	}
	var rows [][]string
	for _, m := range r.Matches {
		why := m.MatchType
		if len(m.MatchedTerms) > 0 {
			why += ": " + strings.Join(m.MatchedTerms, " ")
		}
		rows = append(rows, []string{m.ProductID + "/" + m.CapabilityID, m.RoutedPriceUSD.String(),
			fmt.Sprintf("%.2f", m.TrustScore), fmt.Sprint(m.P50LatencyMS), short(m.SourceHub), clip(why, 40), clip(m.Description, 60)})
	}
	if err := e.table("CAPABILITY USD TRUST MS HUB WHY DESCRIPTION", rows); err != nil {
		return err
	}
	if r.HasMore {
		fmt.Fprintf(e.out, "%d of %d; --offset %d shows more\n", len(rows), r.Total, c.Offset+len(rows))
	}
	return nil
}

type invokeCmd struct {
	Capability string `arg:"" help:"PRODUCT/CAPABILITY as search prints it, or CAPABILITY alone."`
	Input      string `help:"The input, a JSON object; - reads standard input, @FILE a file." default:"{}" short:"i"`
	Hub        string `help:"Hub that sells it: local, or a URL as search prints it." default:"local"`
	MaxPrice   amount `help:"Refuse to pay more than this." name:"max-price" placeholder:"USD"`
	Channel    string `help:"Channel to pay from; the one you opened at this hub if not given." env:"AIMARKET_CHANNEL"`
	Secret     string `help:"The channel's secret." env:"AIMARKET_CHANNEL_SECRET"`
	Trial      string `help:"Call free as a sandbox visitor with this id (8 to 64 letters, digits, - or _)." placeholder:"VISITOR"`
	RequestID  string `help:"Repeating a call with the same id returns the first answer and bills once." name:"request-id"`
	Receipt    string `help:"Write the signed receipt to this file." type:"path" placeholder:"FILE"`
}

// Help is shown by aimarket invoke --help.
func (invokeCmd) Help() string {
	return `Prints the result; price, balance and receipt go to standard error. Nothing is billed unless a result came.

Examples:
  aimarket invoke aimarket.text/echo@v1 --input '{"text":"hello"}'
  aimarket invoke echo@v1 -i @input.json --max-price 0.01 --receipt receipt.json
  aimarket verify receipt.json --key http://localhost:9083`
}

// Run calls the capability.
func (c invokeCmd) Run(e *env) error {
	input := []byte(c.Input)
	var err error
	if c.Input == "-" {
		input, err = readLimited(e.in, maxDocument)
	} else if file, ok := strings.CutPrefix(c.Input, "@"); ok {
		input, err = e.readInput(file, maxDocument)
	}
	if err != nil {
		return unreadable(fmt.Errorf("reading the input: %w", err))
	}
	if !json.Valid(input) {
		return unreadable(fmt.Errorf("the input is not JSON: %s", clip(string(input), 80)))
	}
	hub, err := e.hub()
	if err != nil {
		return err
	}
	if c.Hub, err = wholeURL(e.ctx, hub, "", c.Hub); err != nil {
		return err
	}
	i := client.Invocation{CapabilityID: c.Capability, SourceHub: c.Hub, Input: input, MaxPriceUSD: json.Number(c.MaxPrice),
		Channel: c.Channel, Secret: c.Secret, Visitor: c.Trial, RequestID: c.RequestID}
	if product, capability, ok := strings.Cut(c.Capability, "/"); ok {
		i.ProductID, i.CapabilityID = product, capability
	}
	if i.Secret == "" && i.Visitor == "" {
		w, err := openWallet()
		if err != nil {
			return err
		}
		if mine := w.Channels[hub.Base()]; i.Channel == "" || i.Channel == mine.ID {
			i.Channel, i.Secret = mine.ID, mine.Secret
		}
	}
	o, err := hub.Invoke(e.ctx, i)
	if err != nil {
		return err
	}
	var r struct{ Nonce string }
	_ = json.Unmarshal(o.Receipt, &r)
	// The call is made and paid: whatever happens to its receipt, its result is shown.
	saved := c.save(o.Receipt, hub.Base(), r.Nonce)
	if e.json {
		return errors.Join(e.printRaw(o.Raw.Raw), saved)
	}
	fmt.Fprintf(e.err, "paid %s USD, %d ms, receipt %s", o.PriceUSD, o.LatencyMS, printable(r.Nonce))
	if o.Balance != "" {
		fmt.Fprintf(e.err, ", %s USD left", o.Balance)
	}
	fmt.Fprintln(e.err)
	return errors.Join(e.printRaw(harmless(o.Result)), saved)
}

// save writes the receipt where --receipt says.
func (c invokeCmd) save(receipt []byte, hub, nonce string) error {
	if c.Receipt == "" {
		return nil
	}
	if len(receipt) == 0 {
		return errors.New("the call was made, but the hub gave no receipt to write")
	}
	if err := os.WriteFile(c.Receipt, append(receipt, '\n'), 0o644); err != nil {
		return fmt.Errorf("the call was made and paid, but its receipt could not be written: %w; the hub keeps it at %s/ai-market/v2/receipts/%s", err, hub, nonce)
	}
	return nil
}
