package testnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/httpapi/client"
	"github.com/aimarket/aimarket/node"
)

// patience is how long a test waits for what takes well under a second.
const patience = 30 * time.Second

// within is a context for one wait.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func start(t *testing.T, c Config) *Network {
	t.Helper()
	n, err := Start(within(t), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(n.Dir()); c.Dir == "" && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder of a stopped network: %v", err)
		}
	})
	return n
}

func ready(t *testing.T, n *Network) {
	t.Helper()
	if err := n.WaitConnected(within(t)); err != nil {
		t.Fatal(err)
	}
	equal(t, n)
}

func equal(t *testing.T, n *Network) {
	t.Helper()
	if err := n.WaitEqual(within(t)); err != nil {
		t.Fatal(err)
	}
}

// hubClient is a consumer of one hub.
func hubClient(t *testing.T, h *Hub) *client.Client {
	t.Helper()
	c, err := client.New(h.URL(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func search(t *testing.T, h *Hub, intent string) []client.Match {
	t.Helper()
	r, err := hubClient(t, h).Search(within(t), client.Query{Intent: intent, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return r.Matches
}

func list(t *testing.T, h *Hub, id, description string, micros int64) {
	t.Helper()
	_, err := h.Node().Catalog().Register(within(t), catalog.Registration{Publisher: providerName, Capability: catalog.Capability{
		Key: catalog.Key{ProductID: h.Name(), CapabilityID: id, SourceHub: catalog.Local}, Name: id, Description: description,
		InputSchema: []byte(`{}`), OutputSchema: []byte(`{}`), PriceMicros: micros, InvokeURL: "http://127.0.0.1:9/" + h.Name() + id,
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// The story of the mesh: all know each other, find everything anywhere, and a change
// travels.
func TestMarket(t *testing.T) {
	n := start(t, Config{Nodes: 5})
	ready(t, n)
	for i := 1; i <= n.Len(); i++ {
		offers := map[string]bool{}
		for _, m := range search(t, n.Hub(i), "greeting in the name of the hub") {
			if m.CapabilityID == "greet@v1" {
				offers[m.ProductID] = true
			}
		}
		if len(offers) != n.Len() {
			t.Errorf("on hub %d a search shows greetings of %v", i, offers)
		}
	}

	list(t, n.Hub(2), "fresh@v1", "Peels a pomelo.", 5000)
	equal(t, n)
	found := search(t, n.Hub(5), "pomelo")
	if len(found) != 1 || found[0].CapabilityID != "fresh@v1" || found[0].PriceUSD != "0.005" {
		t.Fatalf("published on hub 2, found on hub 5: %+v", found)
	}
	list(t, n.Hub(2), "fresh@v1", "Peels a pomelo.", 7000)
	equal(t, n)
	if found = search(t, n.Hub(4), "pomelo"); len(found) != 1 || found[0].PriceUSD != "0.007" {
		t.Fatalf("the new price on hub 4: %+v", found)
	}
	err := n.Hub(2).Node().Catalog().Remove(within(t), catalog.Key{ProductID: "hub-2", CapabilityID: "fresh@v1", SourceHub: catalog.Local})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, n)
	if found = search(t, n.Hub(1), "pomelo"); slices.ContainsFunc(found, func(m client.Match) bool { return m.CapabilityID == "fresh@v1" }) {
		t.Fatalf("taken off on hub 2, found on hub 1: %+v", found)
	}

	s := n.Status()
	if s.Up != 5 || !s.Connected || !s.Agree || len(s.Cuts) != 0 || s.Goroutines == 0 || s.HeapBytes == 0 {
		t.Errorf("state of the network: %+v", s)
	}
	for _, h := range s.Hubs {
		if h.State != Up || len(h.Active) != 4 || len(h.Pending) != 0 || len(h.Linked) == 0 || h.Peers != 4 || h.Total != 5*h.Local || len(h.Multiaddrs) == 0 {
			t.Errorf("state of a hub: %+v", h)
		}
	}
}

// What a hub lists of its own can be called and paid.
func TestOwnCapabilitiesWork(t *testing.T) {
	n := start(t, Config{Nodes: 1, OwnRows: MaxOwnRows})
	c := hubClient(t, n.Hub(1))
	ch, err := c.OpenChannel(within(t), client.OpenRequest{DepositUSD: "5"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range n.provider.own(1) {
		o, err := c.Invoke(within(t), client.Invocation{ProductID: "hub-1", CapabilityID: w.id, Input: json.RawMessage(`{"text":"noon","n":28}`), Channel: ch.ID, Secret: ch.Secret})
		if err != nil || !o.Success || len(o.Receipt) == 0 || o.PriceUSD != "0.0011" {
			t.Errorf("%s: %s, price %s, %v", w.id, o.Raw.Raw, o.PriceUSD, err)
		}
	}
}

func TestKillAndRestart(t *testing.T) {
	n := start(t, Config{Nodes: 3, Topology: Ring})
	ready(t, n)
	url, key := n.Hub(3).URL(), n.Hub(3).Key()
	if err := n.Kill(3); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get(url + "/healthz"); err == nil {
		resp.Body.Close()
		t.Error("a killed hub answers")
	}
	if err := n.Kill(3); err == nil || !strings.Contains(err.Error(), "hub-3 does not run") {
		t.Errorf("killed twice: %v", err)
	}
	until(t, "the others see the connection break", func() error {
		s := n.Status()
		if h := s.Hubs[2]; h.State != Down || s.Up != 2 {
			return fmt.Errorf("%+v", h)
		}
		for _, h := range s.Hubs[:2] {
			if slices.Contains(h.Linked, 3) || !slices.Contains(h.Active, 3) {
				return fmt.Errorf("%+v", h)
			}
		}
		return nil
	})
	list(t, n.Hub(1), "meanwhile@v1", "Sells a quince.", 1000)
	if err := n.Restart(within(t), 3); err != nil {
		t.Fatal(err)
	}
	if n.Hub(3).URL() != url || n.Hub(3).Key() != key {
		t.Errorf("it came back as %s, %s", n.Hub(3).URL(), n.Hub(3).Key())
	}
	ready(t, n)
	if found := search(t, n.Hub(3), "quince"); len(found) != 1 {
		t.Errorf("what was published while it was away: %+v", found)
	}
	if err := n.Restart(within(t), 2); err != nil { // one that runs
		t.Fatal(err)
	}
	ready(t, n)
}

func TestCutAndHeal(t *testing.T) {
	n := start(t, Config{Nodes: 4})
	ready(t, n)
	if err := n.Cut([]int{1, 2}, nil); err != nil {
		t.Fatal(err)
	}
	list(t, n.Hub(1), "left@v1", "Sells a medlar.", 1000)
	list(t, n.Hub(4), "right@v1", "Sells a loquat.", 1000)
	equal(t, n) // each side for itself
	for _, c := range []struct {
		hub    int
		intent string
		want   int
	}{{2, "medlar", 1}, {2, "loquat", 0}, {3, "medlar", 0}, {3, "loquat", 1}} {
		if found := search(t, n.Hub(c.hub), c.intent); len(found) != c.want {
			t.Errorf("while cut, hub %d finds %d %ss", c.hub, len(found), c.intent)
		}
	}
	s := n.Status()
	if want := [][2]int{{1, 3}, {1, 4}, {2, 3}, {2, 4}}; !slices.Equal(s.Cuts, want) {
		t.Errorf("cut are %v, want %v", s.Cuts, want)
	}
	for _, h := range s.Hubs {
		for _, o := range h.Linked {
			if n.isCut(h.Number, o) {
				t.Errorf("%s is connected to hub %d across the cut", h.Name, o)
			}
		}
	}
	if n.Hub(1).mayAsk(n.Hub(3).URL()+"/.well-known/ai-market.json") || !n.Hub(1).mayAsk(n.Hub(2).URL()) || !n.Hub(1).mayAsk("https://hub.example") {
		t.Error("the cut of HTTP is not where the cut is")
	}
	n.Heal()
	equal(t, n)
	for i := 1; i <= n.Len(); i++ {
		if a, b := search(t, n.Hub(i), "medlar"), search(t, n.Hub(i), "loquat"); len(a) != 1 || len(b) != 1 {
			t.Errorf("after healing, hub %d finds %d and %d", i, len(a), len(b))
		}
	}
}

func TestRefusals(t *testing.T) {
	n := start(t, Config{Nodes: 2, OwnRows: -1})
	for name, err := range map[string]error{
		"kill 0":           n.Kill(0),
		"kill 3":           n.Kill(3),
		"restart 3":        n.Restart(t.Context(), 3),
		"cut nothing":      n.Cut(nil, nil),
		"cut all":          n.Cut([]int{1, 2}, nil),
		"cut itself":       n.Cut([]int{1}, []int{1, 2}),
		"cut a stranger":   n.Cut([]int{1}, []int{7}),
		"slow nobody":      n.Slow(9, time.Second),
		"slow for an hour": n.Slow(1, time.Hour),
		"slow backwards":   n.Slow(1, -1),
	} {
		if err == nil {
			t.Errorf("%s was done", name)
		}
	}
	if len(n.Status().Cuts) > 0 {
		t.Error("a refused cut cuts")
	}
	for name, c := range map[string]Config{
		"none":     {},
		"too many": {Nodes: MaxNodes + 1},
		"ports":    {Nodes: 10, HTTPPort: 65530},
		"topology": {Nodes: 1, Topology: "star"},
		"policy":   {Nodes: 1, Policy: "friends"},
		"rows":     {Nodes: 1, OwnRows: MaxOwnRows + 1},
		"a hub":    {Nodes: 1, Configure: func(_ int, c *node.Config) { c.RequestTimeout = -1 }},
	} {
		if n, err := Start(t.Context(), c); err == nil {
			t.Errorf("%s: started", name)
			_ = n.Stop()
		}
	}
}

func TestSlow(t *testing.T) {
	n := start(t, Config{Nodes: 1})
	const delay = 150 * time.Millisecond
	if err := n.Slow(1, delay); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	search(t, n.Hub(1), "greeting")
	if took := time.Since(began); took < delay {
		t.Errorf("a slow hub answered after %s", took)
	}
	if err := n.Slow(1, 0); err != nil {
		t.Fatal(err)
	}
	if n.Status().Hubs[0].DelayMS != 0 {
		t.Error("it stays slow")
	}
}

// A folder that was given stays, and a network on it is the same market.
func TestFolderStays(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	n := start(t, Config{Nodes: 1, Dir: dir})
	key := n.Hub(1).Key()
	list(t, n.Hub(1), "kept@v1", "Keeps a damson.", 1000)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = start(t, Config{Nodes: 1, Dir: dir})
	if n.Hub(1).Key() != key {
		t.Error("it has another key")
	}
	if found := search(t, n.Hub(1), "damson"); len(found) != 1 {
		t.Errorf("what was published before: %+v", found)
	}
}

// until polls a condition of other goroutines' doing.
func until(t *testing.T, what string, ok func() error) {
	t.Helper()
	ctx := within(t)
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s: %v", what, patience, err)
		case <-tick.C:
		}
	}
}
