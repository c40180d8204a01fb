package factory

import (
	"context"
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/store"
)

// Catalog is where rows are listed; *catalog.Catalog satisfies it.
type Catalog interface {
	Product(ctx context.Context, productID string) ([]catalog.Capability, error)
	Put(ctx context.Context, rows []catalog.Capability) error
	RemoveAll(ctx context.Context, keys []catalog.Key) error
}

// rangeProduct holds the products that rows were listed of: product → a format
// version. It tells a hub without a factory at the cost of one empty scan that
// there is nothing to take off. Which rows are the factory's, the rows say.
const rangeProduct = "factory/product/"

var mark = []byte{1}

// putChunk keeps one write far below what the store takes as one batch.
const putChunk = 500

// Mine reports whether a row came from a factory. No publisher can make such a row
// or take it over: theirs carry a publisher id, and publishing under the product
// of somebody else is refused.
func Mine(r *catalog.Capability) bool {
	return r.SourceHub == catalog.Local && !r.Builtin && r.PublisherID == "" && r.SourceHubName == HubName
}

// Sync lists what an import found, and takes off what earlier ones listed and the
// factory no longer has. A product of which somebody else lists a row is left out,
// and named in the report. It returns how many rows it took off.
//
// A crash in the middle is made good by the next Sync: a product is on record
// before its rows are listed, and until they are off.
func Sync(ctx context.Context, cat Catalog, db *store.DB, rows []catalog.Capability, r *Report) (removed int, err error) {
	before, err := recorded(db)
	if err != nil {
		return 0, fmt.Errorf("factory: read what earlier starts listed: %w", err)
	}
	if len(rows) == 0 && len(before) == 0 {
		return 0, nil
	}
	offered := map[string]map[string]bool{} // product → its capability ids
	for i := range rows {
		ids := offered[rows[i].ProductID]
		if ids == nil {
			ids = map[string]bool{}
			offered[rows[i].ProductID] = ids
		}
		ids[rows[i].CapabilityID] = true
	}
	var gone []catalog.Key
	var forget []string
	for product := range before {
		if offered[product] != nil || !r.Gone(product) {
			continue
		}
		if gone, _, err = compare(ctx, cat, product, nil, gone); err != nil {
			return 0, err
		}
		forget = append(forget, product)
	}
	var fresh []string
	for product, ids := range offered {
		var other string
		if gone, other, err = compare(ctx, cat, product, ids, gone); err != nil {
			return 0, err
		}
		if other != "" {
			r.taken(product, other, len(ids))
			delete(offered, product)
		} else if !before[product] {
			fresh = append(fresh, product)
		}
	}
	if err := record(db, fresh, nil); err != nil {
		return 0, fmt.Errorf("factory: record %d products: %w", len(fresh), err)
	}
	if err := list(ctx, cat, rows, offered); err != nil {
		return 0, err
	}
	if err := cat.RemoveAll(ctx, gone); err != nil {
		return 0, err
	}
	if err := record(db, nil, forget); err != nil {
		return 0, fmt.Errorf("factory: forget %d products: %w", len(forget), err)
	}
	return len(gone), nil
}

// compare adds the rows of ours to gone that ids lacks. other names whoever lists
// a row of the product and is not us; then ours all go.
func compare(ctx context.Context, cat Catalog, product string, ids map[string]bool, gone []catalog.Key) (_ []catalog.Key, other string, err error) {
	listed, err := cat.Product(ctx, product)
	if err != nil {
		return nil, "", fmt.Errorf("factory: compare: %w", err)
	}
	for i := range listed {
		if !Mine(&listed[i]) {
			other = listed[i].PublisherID
			if other == "" {
				other = "this hub"
			}
		}
	}
	for i := range listed {
		if Mine(&listed[i]) && (other != "" || !ids[listed[i].CapabilityID]) {
			gone = append(gone, listed[i].Key)
		}
	}
	return gone, other, nil
}

// taken is skip for a product that somebody else sells here.
func (r *Report) taken(product, other string, rows int) {
	r.Products--
	r.Rows -= rows
	r.skip(fmt.Sprintf("product %q", clip(product)), fmt.Errorf("is already listed by %s; take that off, or give the factory's another id", clip(other)))
}

func list(ctx context.Context, cat Catalog, rows []catalog.Capability, offered map[string]map[string]bool) error {
	chunk := make([]catalog.Capability, 0, putChunk)
	for i := range rows {
		if offered[rows[i].ProductID] != nil {
			chunk = append(chunk, rows[i])
		}
		if len(chunk) == putChunk || i == len(rows)-1 {
			if err := cat.Put(ctx, chunk); err != nil {
				return fmt.Errorf("factory: %w", err)
			}
			chunk = chunk[:0]
		}
	}
	return nil
}

func recorded(db *store.DB) (map[string]bool, error) {
	products := map[string]bool{}
	err := db.Scan([]byte(rangeProduct), nil, func(key, _ []byte) (bool, error) {
		products[strings.TrimPrefix(string(key), rangeProduct)] = true
		return true, nil
	})
	return products, err
}

func record(db *store.DB, add, drop []string) error {
	if len(add)+len(drop) == 0 {
		return nil
	}
	b := db.NewBatch()
	defer b.Close()
	for _, p := range add {
		b.Set([]byte(rangeProduct+p), mark)
	}
	for _, p := range drop {
		b.Delete([]byte(rangeProduct + p))
	}
	return db.Write(b)
}
