package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/testnet"
)

type testnetUpCmd struct {
	Nodes      int    `help:"Number of hubs." default:"5"`
	HTTPPort   int    `help:"HTTP port of the first hub, the others follow; 0 takes free ones." name:"http-port" default:"9101"`
	Topology   string `help:"Who joins by whom: full, ring or random." enum:"full,ring,random" default:"full"`
	Seed       uint64 `help:"Of the random topology." default:"1"`
	Policy     string `help:"What makes a stranger's catalogue count: closed (the operator), verified (a trial call) or open (a signature)." enum:"closed,verified,open" default:"open"`
	Dir        string `help:"Folder for the hubs' data, kept at the end; a temporary one that is removed if not given." type:"path" placeholder:"DIR"`
	AdminToken string `help:"Bearer token of every hub's operator routes; without one they are off. It closes publishing for everybody who does not give it (401)." env:"AIMARKET_ADMIN_TOKEN" placeholder:"SECRET"`
	Log        string `help:"File for the hubs' logs." type:"path" placeholder:"FILE"`
	steering   `embed:""`
}

// Help is shown by aimarket testnet up --help.
func (testnetUpCmd) Help() string {
	return `Starts the hubs and shows who knows whom until it is interrupted; then everything ends and the temporary folder
is removed. Every hub sells a greeting and two more things of its own; all sell the built-in ones. Money is demo
money, limits on rates are off, and everybody on this machine may publish, unless there is an admin token: then who gives it.

KNOWS has one sign per hub, in the order of their numbers: ● active and connected, ○ active over others,
? pending, x in another state, · unknown, - the hub itself.

With --json: one line {"event":"ready",…} with every hub's URL, key and multiaddrs and the control socket, one
{"event":"status",…} at every change, {"event":"stopped"} at the end.

Examples:
  aimarket testnet up
  aimarket testnet up --nodes 12 --topology ring --policy verified --http-port 0
  aimarket testnet up --nodes 3 --dir ./net --log hubs.log --json`
}

// Bounds on how often the table is looked at.
const (
	watchEvery = 500 * time.Millisecond
	watchShare = 5 // times as long as asking takes: the watching must not be the load
)

// Run runs the network until the context ends.
func (c testnetUpCmd) Run(e *env) (err error) {
	log := slog.New(slog.DiscardHandler)
	if c.Log != "" {
		f, err := os.OpenFile(c.Log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return unreadable(fmt.Errorf("opening the log: %w", err))
		}
		defer f.Close()
		log = slog.New(slog.NewTextHandler(f, nil))
	}
	if !e.json {
		fmt.Fprintf(e.err, "starting %d hubs…\n", c.Nodes)
	}
	n, err := testnet.Start(e.ctx, testnet.Config{
		Nodes: c.Nodes, HTTPPort: c.HTTPPort, Topology: testnet.Topology(c.Topology), Seed: c.Seed,
		Policy: catalog.Admission(c.Policy), Dir: c.Dir, Version: version, AdminToken: c.AdminToken, Logger: log,
	})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, n.Stop())
		if e.json && err == nil {
			fmt.Fprintln(e.out, `{"event":"stopped"}`)
		}
	}()
	control, err := testnet.ListenControl(n, c.path())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, control.Close()) }()
	if err := c.announce(e, n); err != nil {
		return err
	}
	return c.watch(e, n)
}

// announce says where everything is.
func (c testnetUpCmd) announce(e *env, n *testnet.Network) error {
	s := n.Status()
	if e.json {
		return e.event("ready", s, map[string]any{"control": c.path(), "dir": n.Dir()})
	}
	first := s.Hubs[0]
	publish := "open to everybody on this machine"
	if c.AdminToken != "" {
		publish = "with the admin token only: --token, or AIMARKET_PUBLISH_TOKEN"
	}
	_, err := fmt.Fprintf(e.out, `
  A market of %d hubs. DEMO MONEY: channels are credited from nothing.

    data       %s
    control    %s
    publish    %s

  Try: aimarket search greeting --server %s
       aimarket testnet cut 1%s      Stop: Ctrl-C

`, len(s.Hubs), n.Dir(), c.path(), publish, first.URL, c.elsewhere())
	return err
}

// elsewhere is the flag that steering commands need to find this network.
func (c testnetUpCmd) elsewhere() string {
	if c.path() == testnet.DefaultControl() {
		return ""
	}
	return " --control " + c.path()
}

// watch shows the network at every change: a table drawn over the last one on a
// terminal, one after the other elsewhere, or JSON lines.
func (c testnetUpCmd) watch(e *env, n *testnet.Network) error {
	var last []byte
	lines := 0
	screen := terminal(e.out)
	for {
		began := time.Now()
		s := n.Status()
		if key := outline(s); !bytes.Equal(key, last) || screen {
			last = key
			if e.json {
				if err := e.event("status", s, nil); err != nil {
					return err
				}
			} else if err := c.draw(e, s, screen, &lines); err != nil {
				return err
			}
		}
		pause := time.NewTimer(max(watchEvery, watchShare*time.Since(began)))
		select {
		case <-e.ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

// draw prints the table, over the lines of the last one on a terminal.
func (testnetUpCmd) draw(e *env, s testnet.Status, screen bool, lines *int) error {
	var table bytes.Buffer
	to := *e
	to.out = &table
	if err := to.network(s); err != nil {
		return err
	}
	if screen && *lines > 0 {
		fmt.Fprintf(e.out, "\x1b[%dA\x1b[J", *lines)
	} else if *lines > 0 {
		fmt.Fprintln(e.out)
	}
	*lines = bytes.Count(table.Bytes(), []byte("\n"))
	_, err := table.WriteTo(e.out)
	return err
}

// outline is what of a state counts as a change: memory and clock do not.
func outline(s testnet.Status) []byte {
	s.Time, s.Goroutines, s.HeapBytes, s.Resident, s.Files = time.Time{}, 0, 0, 0, 0
	raw, _ := json.Marshal(s)
	return raw
}

// event prints a JSON line: the event's name, further members and the state.
func (e *env) event(name string, s testnet.Status, more map[string]any) error {
	line := map[string]any{"event": name}
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	for k, v := range members {
		line[k] = v
	}
	for k, v := range more {
		line[k] = v
	}
	return e.printJSON(line)
}

// terminal reports whether text can be drawn over.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || strings.EqualFold(os.Getenv("TERM"), "dumb") {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
