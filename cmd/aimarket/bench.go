package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime/pprof"
	"time"

	"github.com/aimarket/aimarket/cmd/aimarket/bench"
)

type benchCmd struct {
	Names  []string      `arg:"" optional:"" help:"Measures to run; all if none is named."`
	Dir    string        `help:"Folder on the disk to measure; the system's temporary folder if not given." type:"path"`
	Round  time.Duration `help:"Length of one round." default:"3s"`
	Rounds int           `help:"Rounds of figure and floor in turns; the median counts." default:"3"`
	Child  bool          `hidden:"" help:"Run one measure in this process."`
	CPU    string        `help:"Write a CPU profile of one named measure here." name:"cpu-profile" type:"path" placeholder:"FILE"`
}

// Help is shown by aimarket bench --help.
func (benchCmd) Help() string {
	s := `Each measure runs in a process of its own, beside its bare floor: what the plainest program does with the
same bytes under the same load. The ratio is the figure to compare; absolute numbers belong to the machine.
With --json, one object a line: name, value, unit, floor, ratio, reached.

Measures:
`
	width := 0
	for _, m := range bench.Measures {
		width = max(width, len(m.Name))
	}
	for _, m := range bench.Measures {
		s += fmt.Sprintf("  %-*s  %s\n", width, m.Name, m.What)
	}
	return s
}

// Run measures and prints.
func (c benchCmd) Run(e *env) error {
	if c.Rounds < 1 || c.Round < 100*time.Millisecond {
		return unreadable(errors.New("bench needs at least one round of 100ms"))
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if len(c.Names) == 0 {
		for _, m := range bench.Measures {
			c.Names = append(c.Names, m.Name)
		}
	}
	for _, name := range c.Names {
		if _, err := bench.Find(name); err != nil {
			return unreadable(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	o := bench.Options{Dir: c.Dir, Round: c.Round, Rounds: c.Rounds, Self: self, Version: version,
		Say: func(s string) { fmt.Fprintln(e.err, "  "+s) }}
	if c.Child || c.CPU != "" {
		return c.child(e, o)
	}
	sync, err := bench.SyncCost(c.Dir)
	if err != nil {
		return fmt.Errorf("measuring the disk under %s: %w", c.Dir, err)
	}
	machine := bench.Machine()
	us := float64(sync) / float64(time.Microsecond)
	first := bench.Result{Name: "disk_sync", Value: us, Unit: "µs", Floor: us, Ratio: 1, Reached: true,
		Reach: "for reading the others", Note: "median of a 4 KiB write and its fsync", Machine: machine}
	if e.json {
		fmt.Fprintf(e.out, "%s", first.Encode())
	} else {
		fmt.Fprintf(e.out, "%s\none disk sync: %.0f µs\n\n", machine, us)
	}
	var rows [][]string
	for _, name := range c.Names {
		results, err := c.measure(e, self, name)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", name, err)
		}
		for _, r := range results {
			r.Machine = machine
			if e.json {
				fmt.Fprintf(e.out, "%s", r.Encode())
				continue
			}
			verdict := "no"
			if r.Reached {
				verdict = "yes"
			}
			rows = append(rows, []string{r.Name, fmt.Sprintf("%.4g %s", r.Value, r.Unit), fmt.Sprintf("%.4g", r.Floor),
				fmt.Sprintf("%.2f", r.Ratio), verdict, r.Reach, r.Note})
		}
	}
	if e.json {
		return nil
	}
	return e.table("NAME VALUE FLOOR RATIO REACHED REACH NOTE", rows)
}

// measure runs one measure in a process of its own, so that none inherits
// another's heap.
func (c benchCmd) measure(e *env, self, name string) ([]bench.Result, error) {
	cmd := exec.CommandContext(e.ctx, self, "bench", "--child", "--dir", c.Dir, "--round", c.Round.String(), "--rounds", fmt.Sprint(c.Rounds), name)
	cmd.Stderr = e.err
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	var results []bench.Result
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var r bench.Result
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	return results, nil
}

func (c benchCmd) child(e *env, o bench.Options) error {
	m, err := bench.Find(c.Names[0])
	if err != nil {
		return err
	}
	if c.CPU != "" {
		f, err := os.Create(c.CPU)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	useCores() // as serve does
	results, err := m.Run(e.ctx, o)
	for _, r := range results {
		if _, err := e.out.Write(r.Encode()); err != nil {
			return err
		}
	}
	return err
}
