// Package factory lists the products of an AI factory that keeps its records on
// this machine (HTTP API notes §8, "Factory import").
//
// It promises that a row it offers can be called (its address is the factory's
// invoke endpoint, so without that address nothing is offered), that it passes the
// catalogue's validation, that no id and no link leads a read out of the factory's
// folder, and that whatever it leaves out is counted and named in the Report: a
// broken file or row costs itself, never the hub's start. A product whose records
// cannot be read now keeps what it listed before, so that a file which is being
// written does not take a product off.
//
// Limits: it reads once, at the start; of a source it takes at most MaxProducts. A
// product's price is what the factory's files say, else that of the table in
// rows.go; a price that cannot be understood leaves the product out, since selling
// at another one would be worse. The reference hub gives these rows trust 0.0, by
// which its own default search hides them; here they are the operator's own
// products and get Trust, which is above the floors of search and invoke.
//
// SQLite is read with modernc.org/sqlite because it is SQLite itself in plain Go:
// the program stays one static binary without cgo. The database is opened
// read-only. It is not opened as immutable, since the factory may be writing to it
// and its write-ahead log holds the newest rows; for that SQLite may create the
// log's index (pipeline.db-shm) next to the database.
package factory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sort"

	"github.com/aimarket/aimarket/catalog"
)

// What every imported row says about where it is from.
const (
	HubName = "AI-Factory" // SourceHubName, the protocol's word
	Trust   = 0.5          // above the floors of search (0.3) and invoke (0.35), below any proven provider
)

// Bounds on one import.
const (
	MaxProducts    = 10_000   // products of the database, and of pipeline.json
	MaxReasons     = 100      // things left out that a Report names; all are counted
	maxPipelineLen = 32 << 20 // bytes of pipeline.json
	maxFileLen     = 1 << 20  // bytes of one marketing or specification file
	maxSpecLen     = 1 << 20  // bytes of the spec column
	maxIdeaLen     = 16 << 10 // characters of an idea that are looked at
)

// DefaultRoot is the factory's folder when none is named.
const DefaultRoot = "data"

// Options say where the factory is.
type Options struct {
	Root       string       // AIFACTORY_DATA_ROOT; "" is DefaultRoot
	SQLitePath string       // SQLITE_PATH; "" is Root/state/pipeline.db
	PublicURL  string       // AIFACTORY_PUBLIC_URL, where products are called; "": nothing is listed
	Logger     *slog.Logger // nil: discard; names what is left out
}

// Report says what an import found.
type Report struct {
	Products int      // listed
	Rows     int      // capabilities of these
	Skipped  int      // files and products that were left out
	Reasons  []string // of the first MaxReasons skipped, what and why
	Why      string   // why nothing was looked for; "" if it was

	partial bool            // a whole source could not be read
	seen    map[string]bool // products that are there but could not be read
	log     *slog.Logger
}

// String is one line for people.
func (r *Report) String() string {
	if r.Why != "" {
		return r.Why
	}
	return fmt.Sprintf("%d products with %d capabilities, %d left out", r.Products, r.Rows, r.Skipped)
}

// Gone reports whether a product that the import does not offer has really left
// the factory: every source was read, and none has it in a state that is sold.
func (r *Report) Gone(productID string) bool { return !r.partial && !r.seen[productID] }

func (r *Report) skip(what string, err error) {
	r.Skipped++
	if len(r.Reasons) < MaxReasons {
		r.Reasons = append(r.Reasons, what+": "+err.Error())
		r.log.Warn("factory: left out", "what", what, "reason", err)
	}
}

// lose is skip for a whole source.
func (r *Report) lose(what string, err error) {
	r.partial = true
	r.skip(what, err)
}

// hold is skip for a product that is there but cannot be read.
func (r *Report) hold(productID string, err error) {
	r.seen[productID] = true
	r.skip(fmt.Sprintf("product %q", clip(productID)), err)
}

// Import reads the factory. No factory is no error; what is broken is in the
// Report. The error is for options that cannot be meant and for an ended context.
func Import(ctx context.Context, o Options) ([]catalog.Capability, *Report, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Report{seen: map[string]bool{}, log: o.Logger}
	if o.PublicURL == "" {
		r.Why = "no factory address (AIFACTORY_PUBLIC_URL): its products could not be called, so none is listed"
		return nil, r, nil
	}
	base, err := catalog.NormalizeHubURL(o.PublicURL)
	if err != nil {
		return nil, r, fmt.Errorf("factory: address %q: %w; give the one that answers /capabilities/…/invoke", o.PublicURL, err)
	}
	if o.Root == "" {
		o.Root = DefaultRoot
	}
	products, err := gather(ctx, o, r)
	if err != nil {
		return nil, r, fmt.Errorf("factory: import from %s: %w", o.Root, err)
	}
	var rows []catalog.Capability
	for _, p := range products {
		offers, err := p.rows(base)
		if err != nil {
			r.hold(p.id, err)
			continue
		}
		r.Products++
		rows = append(rows, offers...)
	}
	r.Rows = len(rows)
	return rows, r, nil
}

// gather reads every source: the database, pipeline.json for products that it does
// not have, and the files that enrich a product. Products come ordered by id.
func gather(ctx context.Context, o Options, r *Report) ([]product, error) {
	byID, err := readDatabase(ctx, o, r)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(o.Root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		r.lose("folder "+o.Root, err)
	default:
		defer root.Close()
		readPipeline(root, byID, r)
	}
	products := make([]product, 0, len(byID))
	for _, p := range byID {
		if p.sold {
			products = append(products, p)
		}
	}
	sort.Slice(products, func(i, j int) bool { return products[i].id < products[j].id })
	whole := products[:0]
	for _, p := range products {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if root != nil {
			err = p.enrich(root)
		}
		if err != nil {
			r.hold(p.id, err)
			continue
		}
		whole = append(whole, p)
	}
	return whole, nil
}

// clip shortens what a stranger's file says for a log line.
func clip(s string) string {
	const shown = 64
	if len(s) > shown {
		return s[:shown] + "…"
	}
	return s
}
