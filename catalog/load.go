package catalog

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"github.com/aimarket/aimarket/catalog/index"
)

// loadChunk is how many rows go to a decoder at a time: enough to make the hand-over
// cheap, few enough that all cores are busy from the start.
const loadChunk = 512

// chunk is some rows as stored, keys and values copied into one buffer.
type chunk struct {
	data []byte
	ends []int // two per row: end of key, end of value
}

// load fills a new catalogue from the store. Rows are read by one goroutine and
// decoded and indexed by all cores.
func (c *Catalog) load(ctx context.Context) error {
	if err := c.loadPeers(); err != nil {
		return err
	}
	if err := c.loadMeasured(); err != nil {
		return fmt.Errorf("read measurements: %w", err)
	}
	if err := c.countStakes(); err != nil {
		return fmt.Errorf("count stakes: %w", err)
	}
	b := index.NewBuilder(index.Options{MaxRows: c.cfg.MaxRows, Text: c.rowText})
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	chunks := make(chan chunk, 2*runtime.GOMAXPROCS(0))
	tops := make([]topList, runtime.GOMAXPROCS(0))
	var workers sync.WaitGroup
	for i := range tops {
		workers.Go(func() {
			for ch := range chunks {
				if err := c.indexChunk(b, ch, &tops[i]); err != nil {
					stop(err)
				}
			}
		})
	}
	err := c.readRows(ctx, chunks)
	close(chunks)
	workers.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for i := range tops {
		c.top.merge(&tops[i])
	}
	if c.idx, err = b.Index(); err != nil {
		return fmt.Errorf("build the search index: %w", err)
	}
	c.syncHubFlags(c.cfg.Now())
	return c.loadOwn()
}

// readRows sends every stored row and counts rows and own products, which lie
// side by side.
func (c *Catalog) readRows(ctx context.Context, out chan<- chunk) error {
	var ch chunk
	var product string
	send := func() bool {
		select {
		case out <- ch:
			ch = chunk{data: make([]byte, 0, cap(ch.data))}
			return true
		case <-ctx.Done():
			return false
		}
	}
	err := c.cfg.Store.Scan([]byte(rangeRow), nil, func(key, value []byte) (bool, error) {
		k, ok := parseRowKey(key)
		if !ok {
			return false, fmt.Errorf("%w: key %q is none of this program's; restore the data folder from a backup", ErrCorrupt, key)
		}
		c.total.Add(1)
		if k.SourceHub == Local {
			c.local.Add(1)
			if k.ProductID != product {
				product = k.ProductID
				c.products.Add(1)
			}
		}
		ch.data = append(ch.data, key...)
		ch.ends = append(ch.ends, len(ch.data))
		ch.data = append(ch.data, value...)
		ch.ends = append(ch.ends, len(ch.data))
		if len(ch.ends) == 2*loadChunk {
			return send(), nil
		}
		return true, nil
	})
	if err == nil && len(ch.ends) > 0 {
		send()
	}
	return err
}

// indexChunk decodes rows, hands them to the index and ranks them for documents.
func (c *Catalog) indexChunk(b *index.Builder, ch chunk, top *topList) error {
	rows := make([]index.Row, 0, len(ch.ends)/2)
	start := 0
	for i := 0; i < len(ch.ends); i += 2 {
		k, _ := parseRowKey(ch.data[start:ch.ends[i]])
		r, err := decodeRow(k, ch.data[ch.ends[i]:ch.ends[i+1]])
		if err != nil {
			return fmt.Errorf("%w; restore the data folder from a backup", err)
		}
		start = ch.ends[i+1]
		c.table.overlay(&r)
		rows = append(rows, indexRow(&r))
		c.noteBuiltin(&r)
		if executable(&r) {
			top.add(topRow{r.Key, r.TrustScore})
		}
	}
	return b.Add(rows)
}

// indexRow is what the search index is given of a row.
func indexRow(r *Capability) index.Row {
	return index.Row{Key: index.Key(r.Key), Name: r.Name, Description: r.Description, Numbers: numbers(r)}
}

func numbers(r *Capability) index.Numbers {
	n := index.Numbers{
		PriceMicros: r.RoutedMicros,
		Trust:       r.TrustScore,
		SuccessRate: r.SuccessRate30d,
		LatencyMS:   r.P50LatencyMS,
	}
	if r.Demo {
		n.Flags |= index.Demo
	}
	if !executable(r) {
		n.Flags |= index.Unexecutable
	}
	return n
}

// executable is true for rows that a call can reach: in this process, at a
// provider, or through a peer.
func executable(r *Capability) bool {
	return r.Builtin || r.InvokeURL != "" || r.SourceHub != Local
}

// rowText serves the index's category filter.
func (c *Catalog) rowText(k index.Key) (index.Text, bool) {
	r, err := c.peek(Key(k))
	if err != nil || r == nil {
		return index.Text{}, false
	}
	return index.Text{Name: r.Name, Description: r.Description}, true
}
