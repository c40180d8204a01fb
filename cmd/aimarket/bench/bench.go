// Package bench measures a hub on this machine, each figure beside a bare floor
// from the same run: what the plainest program does with the same bytes.
//
// It promises that floor and figure run under the same load generator, in the same
// process, in turns, and that the figure to compare is the ratio: absolute numbers
// belong to the machine they were measured on. It judges only against the reach
// that each measure names. It is no test: nothing fails when a machine is slow.
package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Result is one measured figure.
type Result struct {
	Name    string  `json:"name"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit"`
	Floor   float64 `json:"floor"` // the bare floor, or the bound where only a bound makes sense
	Ratio   float64 `json:"ratio"` // value / floor
	Reached bool    `json:"reached"`
	Reach   string  `json:"reach"` // what counts as reached
	Note    string  `json:"note,omitempty"`
	Machine string  `json:"machine"`
}

// atLeast and atMost build a result from a figure, its floor and the ratio to reach.
func atLeast(name string, value, floor float64, unit string, ratio float64, note string) Result {
	r := value / floor
	return Result{Name: name, Value: value, Floor: floor, Unit: unit, Ratio: r, Reached: r >= ratio,
		Reach: fmt.Sprintf("≥ %g of the floor", ratio), Note: note}
}

func atMost(name string, value, floor float64, unit string, ratio float64, note string) Result {
	r := value / floor
	reach := fmt.Sprintf("≤ %g× the floor", ratio)
	if ratio == 1 {
		reach = fmt.Sprintf("≤ %g %s", floor, unit)
	}
	return Result{Name: name, Value: value, Floor: floor, Unit: unit, Ratio: r, Reached: r <= ratio, Reach: reach, Note: note}
}

// Options say how long to measure and where.
type Options struct {
	Dir     string        // scratch folder on the disk to measure
	Round   time.Duration // length of one round
	Rounds  int           // rounds of figure and floor in turns
	Self    string        // this program, for measures that start it
	Say     func(string)  // progress
	Version string
}

// Measure is one named measurement; it may yield several results.
type Measure struct {
	Name string
	What string
	Run  func(ctx context.Context, o Options) ([]Result, error)
}

// Measures are all measurements in the order they run.
var Measures = []Measure{
	{"invoke_paid", "paid in-process call over HTTP, 64 keep-alive clients, receipt signed, debit synced", invokePaid},
	{"invoke_proxy", "free call to a provider over HTTP, one client, latency added", invokeProxy},
	{"ledger", "hold + capture, 64 writers, synced", ledgerWrites},
	{"search_100k", "query over 100,000 capabilities, one client, mixed queries", search100k},
	{"search_1m", "query over 1,000,000 capabilities, one client, mixed queries", search1m},
	{"start", "start to ready, fresh and with 100,000 capabilities", start},
	{"gossip_50", "publish on one of 50 hubs until the last finds it, loopback", gossip50},
	{"gossip_burst", "300 changes within a second on one of 50 hubs until all are equal, loopback", gossipBurst},
	{"nodes_per_machine", "200 full hubs in one process until all know all, and a change through them", nodesPerMachine},
	{"intake", "a listing of 1,000 tools verified, stored and indexed; one tool of it changed", intake},
	{"gossip_100_sim", "one change through 100 hubs, 50 ms links, virtual time", gossipSim("gossip_100_sim", 100, 10, 50*time.Millisecond, 400)},
	{"gossip_1000_sim", "one change through 1,000 hubs, 20 ms links, virtual time", gossipSim("gossip_1000_sim", 1000, 3, 20*time.Millisecond, 500)},
	{"heal", "20 hubs cut in half for 10 min of changes, until equal again", heal},
	{"idle_bytes", "traffic per hub and hour in a quiet mesh of 100 hubs", idleBytes},
}

// Find returns the named measure.
func Find(name string) (Measure, error) {
	var names []string
	for _, m := range Measures {
		if m.Name == name {
			return m, nil
		}
		names = append(names, m.Name)
	}
	return Measure{}, fmt.Errorf("there is no measure %q; there are %s", name, strings.Join(names, ", "))
}

// Machine describes where the figures come from.
func Machine() string {
	cpu := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s/%s, %s", cpu, runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// SyncCost is the median time of one 4 KiB write and its fsync in dir.
func SyncCost(dir string) (time.Duration, error) {
	f, err := os.OpenFile(filepath.Join(dir, "sync"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	if _, err := rand.Read(block); err != nil {
		return 0, err
	}
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	return quantile(took, 0.5), nil
}

// quantile is the nearest-rank quantile of d, which it sorts.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	i := int(q*float64(len(d))+0.5) - 1
	return d[min(max(i, 0), len(d)-1)]
}

func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	return v[len(v)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func us(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// residentMiB is the resident memory of a process ("self" or a pid).
func residentMiB(pid string) (float64, error) {
	raw, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		return 0, fmt.Errorf("reading resident memory (Linux only): %w", err)
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if v, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kib float64
			if _, err := fmt.Sscanf(strings.TrimSpace(v), "%f kB", &kib); err != nil {
				return 0, err
			}
			return kib / 1024, nil
		}
	}
	return 0, errors.New("no VmRSS in /proc")
}

// Encode prints a result as one JSON line.
func (r Result) Encode() []byte {
	raw, _ := json.Marshal(r)
	return append(raw, '\n')
}
