package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aimarket/aimarket/testnet"
)

type testnetCmd struct {
	Up      testnetUpCmd      `cmd:"" help:"Run a test network of many hubs in this process."`
	Status  testnetStatusCmd  `cmd:"" help:"Show the hubs of the running network and who knows whom."`
	Kill    testnetKillCmd    `cmd:"" help:"End a hub at once, without a goodbye."`
	Restart testnetRestartCmd `cmd:"" help:"Start a hub again on its folder and ports."`
	Cut     testnetCutCmd     `cmd:"" help:"Let nothing pass between two groups of hubs."`
	Heal    testnetHealCmd    `cmd:"" help:"Undo every cut."`
	Slow    testnetSlowCmd    `cmd:"" help:"Make a hub answer late."`
}

// Help is shown by aimarket testnet --help.
func (testnetCmd) Help() string {
	return `A test network is several complete hubs on this machine's loopback, each with its own key, address and a few
capabilities that work, to see the mesh before there is one.

  aimarket testnet up --nodes 5 --http-port 9101     in one terminal
  aimarket search greeting --server http://localhost:9103
  aimarket testnet kill 2                            in another: what do the others say?
  aimarket testnet cut 1,2                           two markets
  aimarket testnet heal                              one again`
}

// steering is how a command finds the network it steers.
type steering struct {
	Control string `help:"Control socket of the network, as 'testnet up' prints it." env:"AIMARKET_TESTNET_CONTROL" type:"path" placeholder:"PATH"`
}

func (s steering) path() string {
	if s.Control == "" {
		return testnet.DefaultControl()
	}
	return s.Control
}

// steer sends a command and shows the network's state after it.
func (s steering) steer(e *env, c testnet.Command) error {
	state, err := testnet.Steer(e.ctx, s.path(), c)
	if err != nil {
		return err
	}
	if e.json {
		return e.printJSON(state)
	}
	return e.network(state)
}

type testnetStatusCmd struct {
	steering `embed:""`
}

// Help is shown by aimarket testnet status --help.
func (testnetStatusCmd) Help() string {
	return `KNOWS has one sign per hub, in the order of their numbers: ● active and connected, ○ active over others,
? pending, x in another state, · unknown, - the hub itself. OWN counts the capabilities a hub sells itself, ALL
what a search on it can find.

Example:
  aimarket testnet status --json | jq '.hubs[] | {name, linked, active}'`
}

// Run shows the network.
func (c testnetStatusCmd) Run(e *env) error { return c.steer(e, testnet.Command{Do: "status"}) }

type testnetKillCmd struct {
	Hub      int `arg:"" help:"Number of the hub, from 1."`
	steering `embed:""`
}

// Help is shown by aimarket testnet kill --help.
func (testnetKillCmd) Help() string {
	return `Its connections break and calls in flight are cut off; its folder stays, so that restart brings it back.

Example:
  aimarket testnet kill 3 && aimarket peers --server http://localhost:9101`
}

// Run kills a hub.
func (c testnetKillCmd) Run(e *env) error {
	return c.steer(e, testnet.Command{Do: "kill", Hub: c.Hub})
}

type testnetRestartCmd struct {
	Hub      int `arg:"" help:"Number of the hub, from 1."`
	steering `embed:""`
}

// Help is shown by aimarket testnet restart --help.
func (testnetRestartCmd) Help() string {
	return `A hub that runs is stopped first, calls in flight are finished then. It comes back with its key, its
capabilities and what it remembers of the others.

Example:
  aimarket testnet restart 3`
}

// Run starts a hub again.
func (c testnetRestartCmd) Run(e *env) error {
	return c.steer(e, testnet.Command{Do: "restart", Hub: c.Hub})
}

type testnetCutCmd struct {
	A        hubList `arg:"" help:"Hubs on one side, such as 1,2 or 1-3."`
	B        hubList `arg:"" optional:"" help:"Hubs on the other side; all others if not given."`
	steering `embed:""`
}

// Help is shown by aimarket testnet cut --help.
func (testnetCutCmd) Help() string {
	return `Connections between the two sides are closed and refused, over libp2p and over HTTP. Cuts add up until heal.
Each side goes on as a market of its own; after heal both agree again, whatever changed meanwhile.

Examples:
  aimarket testnet cut 1,2          hubs 1 and 2 from all others
  aimarket testnet cut 1 4-5        hub 1 from hubs 4 and 5 only`
}

// Run cuts the network.
func (c testnetCutCmd) Run(e *env) error {
	return c.steer(e, testnet.Command{Do: "cut", A: c.A, B: c.B})
}

type testnetHealCmd struct {
	steering `embed:""`
}

// Help is shown by aimarket testnet heal --help.
func (testnetHealCmd) Help() string {
	return `The hubs find each other again by themselves, within seconds.

Example:
  aimarket testnet heal && aimarket testnet status`
}

// Run undoes every cut.
func (c testnetHealCmd) Run(e *env) error { return c.steer(e, testnet.Command{Do: "heal"}) }

type testnetSlowCmd struct {
	Hub      int           `arg:"" help:"Number of the hub, from 1."`
	Delay    time.Duration `arg:"" help:"Time it takes longer, such as 300ms; 0s ends it."`
	steering `embed:""`
}

// Help is shown by aimarket testnet slow --help.
func (testnetSlowCmd) Help() string {
	return `Every answer of the hub, over HTTP and streams, and of the provider behind it comes that much later.

Examples:
  aimarket testnet slow 2 500ms
  aimarket testnet slow 2 0s`
}

// Run delays a hub's answers.
func (c testnetSlowCmd) Run(e *env) error {
	return c.steer(e, testnet.Command{Do: "slow", Hub: c.Hub, Delay: int64(c.Delay)})
}

// hubList is numbers of hubs on the command line: "1,3-5".
type hubList []int

// UnmarshalText reads single numbers and ranges.
func (l *hubList) UnmarshalText(text []byte) error {
	*l = nil
	for _, item := range strings.Split(string(text), ",") {
		from, to, isRange := strings.Cut(strings.TrimSpace(item), "-")
		if !isRange {
			to = from
		}
		a, errA := strconv.Atoi(from)
		b, errB := strconv.Atoi(to)
		if errors.Join(errA, errB) != nil || a < 1 || b < a || b > testnet.MaxNodes {
			return fmt.Errorf("%q names no hubs: give numbers from 1 such as 2 or 1,3-5", text)
		}
		for n := a; n <= b; n++ {
			*l = append(*l, n)
		}
	}
	return nil
}

// Signs of the column KNOWS.
const (
	signLinked  = '●'
	signActive  = '○'
	signPending = '?'
	signOther   = 'x'
	signUnknown = '·'
	signSelf    = '-'
)

// maxMatrix is how many hubs a table shows by name; of larger networks it shows the
// hubs that differ from what is normal.
const maxMatrix = 40

// network prints the network's state as a table of who knows whom.
func (e *env) network(s testnet.Status) error {
	var rows [][]string
	for _, h := range s.Hubs {
		if len(s.Hubs) > maxMatrix && h.State == testnet.Up && len(h.Active) == s.Up-1 && h.DelayMS == 0 {
			continue
		}
		state := h.State
		if h.DelayMS > 0 {
			state += fmt.Sprintf(" +%dms", h.DelayMS)
		}
		if h.Why != "" {
			state += ": " + clip(h.Why, 40)
		}
		rows = append(rows, []string{h.Name, h.URL, state, fmt.Sprint(len(h.Active)), fmt.Sprint(len(h.Linked)),
			fmt.Sprint(h.Local), fmt.Sprint(h.Total), knows(s, h)})
	}
	if err := e.table("HUB URL STATE KNOWN CONNECTED OWN ALL KNOWS", rows); err != nil {
		return err
	}
	var notes []string
	if hidden := len(s.Hubs) - len(rows); hidden > 0 {
		notes = append(notes, fmt.Sprintf("%d more hubs know all that run", hidden))
	}
	notes = append(notes, fmt.Sprintf("%d of %d up", s.Up, len(s.Hubs)))
	switch {
	case !s.Connected:
		notes = append(notes, "not all know each other")
	case !s.Agree:
		notes = append(notes, "catalogues differ")
	default:
		notes = append(notes, "all know each other and agree")
	}
	if len(s.Cuts) > 0 {
		notes = append(notes, fmt.Sprintf("%d links cut", len(s.Cuts)))
	}
	notes = append(notes, fmt.Sprintf("%d MiB, %d goroutines, %d file descriptors", max(s.Resident, int64(s.HeapBytes))>>20, s.Goroutines, s.Files))
	_, err := fmt.Fprintln(e.out, strings.Join(notes, "; "))
	return err
}

// knows is one hub's row of the matrix.
func knows(s testnet.Status, h testnet.HubStatus) string {
	if len(s.Hubs) > maxMatrix {
		return fmt.Sprintf("%d of %d", len(h.Active), len(s.Hubs)-1)
	}
	if h.State != testnet.Up {
		return ""
	}
	signs := make([]rune, 0, len(s.Hubs))
	for _, o := range s.Hubs {
		sign := signUnknown
		switch {
		case o.Number == h.Number:
			sign = signSelf
		case slices.Contains(h.Active, o.Number):
			sign = signActive
			if slices.Contains(h.Linked, o.Number) {
				sign = signLinked
			}
		case slices.Contains(h.Pending, o.Number):
			sign = signPending
		case slices.Contains(h.Others, o.Number):
			sign = signOther
		}
		signs = append(signs, sign)
	}
	return string(signs)
}
