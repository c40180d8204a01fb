package testnet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/node"
)

// checkEvery is how often a small network is asked whether a condition holds; a
// larger one in proportion, so that asking does not become its load.
const checkEvery = 5 * time.Millisecond

// named is how many hubs or rows an error names.
const named = 4

// WaitConnected waits until every running hub lists every other running one as an
// active peer. Hubs between which the network is cut need not have met.
func (n *Network) WaitConnected(ctx context.Context) error {
	return n.wait(ctx, "waiting for the hubs to know each other", func() []string {
		return n.strangers(n.running(), named)
	})
}

// WaitEqual waits until every running hub's catalogue holds exactly what each other
// running one sells, with the same words, price and schemas: the union of what their
// owners list.
func (n *Network) WaitEqual(ctx context.Context) error {
	return n.wait(ctx, "waiting for equal catalogues", func() []string {
		up := n.running()
		if d := n.disagreements(up, named); len(d) > 0 {
			return d
		}
		return n.differences(ctx, up, named)
	})
}

// wait asks until lacking is empty.
func (n *Network) wait(ctx context.Context, doing string, lacking func() []string) error {
	tick := time.NewTicker(checkEvery * time.Duration(1+len(n.hubs)/10))
	defer tick.Stop()
	for {
		lacks := lacking()
		if len(lacks) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("testnet: %s: %s: %w", doing, strings.Join(lacks, "; "), context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// pairs calls f for every ordered pair of hubs that may meet, until f returns false.
func (n *Network) pairs(hubs []*Hub, f func(h, o *Hub) bool) {
	for _, h := range hubs {
		for _, o := range hubs {
			if h != o && !n.isCut(h.number, o.number) && !f(h, o) {
				return
			}
		}
	}
}

// strangers says who does not list whom as active, the first most of them.
func (n *Network) strangers(hubs []*Hub, most int) (lacks []string) {
	n.pairs(hubs, func(h, o *Hub) bool {
		key := o.Key()
		h.use(func(nd *node.Node) {
			switch p, known := nd.Catalog().PeerByKey(key); {
			case !known:
				lacks = append(lacks, h.name+" does not know "+o.name)
			case p.Status != catalog.PeerActive:
				lacks = append(lacks, fmt.Sprintf("%s lists %s as %s (%s)", h.name, o.name, p.Status, p.Why))
			}
		})
		return len(lacks) < most
	})
	return lacks
}

// disagreements says who holds another listing of whom than its owner announces.
func (n *Network) disagreements(hubs []*Hub, most int) (lacks []string) {
	held := make(map[*Hub]map[[32]byte]string, len(hubs))
	for _, h := range hubs {
		heads := map[[32]byte]string{}
		h.use(func(nd *node.Node) {
			for _, r := range nd.Catalog().Heads() {
				heads[r.Key] = r.Held
			}
		})
		held[h] = heads
	}
	n.pairs(hubs, func(h, o *Hub) bool {
		key := o.Key()
		switch own, theirs := held[o][key], held[h][key]; {
		case own == "":
			lacks = append(lacks, o.name+" has not announced anything yet")
		case own != theirs:
			lacks = append(lacks, fmt.Sprintf("%s holds another listing of %s than it announces", h.name, o.name))
		}
		return len(lacks) < most
	})
	return lacks
}

// differences compares the rows themselves. They come from search, as a consumer would
// get them, so that what compares equal can be found as well.
func (n *Network) differences(ctx context.Context, hubs []*Hub, most int) (lacks []string) {
	own := make(map[*Hub]map[catalog.Key]catalog.Capability, len(hubs))
	for _, h := range hubs {
		rows, err := h.rows(ctx, catalog.Local)
		if err != nil {
			return []string{err.Error()}
		}
		own[h] = rows
	}
	n.pairs(hubs, func(h, o *Hub) bool {
		var at string
		h.use(func(nd *node.Node) {
			p, _ := nd.Catalog().PeerByKey(o.Key())
			at = p.URL
		})
		rows, err := h.rows(ctx, at)
		if err != nil {
			lacks = append(lacks, err.Error())
			return false
		}
		if why := compare(own[o], rows); why != "" {
			lacks = append(lacks, fmt.Sprintf("%s on %s: %s", o.name, h.name, why))
		}
		return len(lacks) < most
	})
	return lacks
}

func compare(own, theirs map[catalog.Key]catalog.Capability) string {
	for k, a := range own {
		b, ok := theirs[k]
		if !ok {
			return k.ProductID + "/" + k.CapabilityID + " is missing"
		}
		if a.Name != b.Name || a.Description != b.Description || a.PriceMicros != b.PriceMicros || a.Version != b.Version ||
			!bytes.Equal(a.InputSchema, b.InputSchema) || !bytes.Equal(a.OutputSchema, b.OutputSchema) {
			return k.ProductID + "/" + k.CapabilityID + " is not as its owner lists it"
		}
	}
	for k := range theirs {
		if _, ok := own[k]; !ok {
			return k.ProductID + "/" + k.CapabilityID + " is not for sale any more"
		}
	}
	return ""
}

// rows are all rows of one source hub as this hub's search shows them, the source left
// out of the keys.
func (h *Hub) rows(ctx context.Context, source string) (map[catalog.Key]catalog.Capability, error) {
	var floor float64
	q := catalog.Query{Hub: source, MinTrust: &floor, IncludeDemo: true, IncludeStale: true, LimitAll: true}
	rows := map[catalog.Key]catalog.Capability{}
	for {
		var page catalog.Result
		err := errors.New("it does not run")
		h.use(func(n *node.Node) { page, err = n.Catalog().Search(ctx, q) })
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", h.name, err)
		}
		for _, m := range page.Matches {
			k := m.Key
			k.SourceHub = ""
			rows[k] = m.Capability
		}
		if !page.HasMore() || len(page.Matches) == 0 {
			return rows, nil
		}
		q.Offset += len(page.Matches)
	}
}
