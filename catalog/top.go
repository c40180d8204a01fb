package catalog

import (
	"cmp"
	"slices"
)

// MaxListed is how many rows a manifest and a price list hold (HTTP API notes §1).
const MaxListed = 1000

// topList is the head of the order in which documents list executable rows: the
// hub's own first, then by trust, then by key. It is kept while rows come and go, so
// that a document never needs a pass over the whole catalogue; only when a
// row leaves a full list must the list be read anew.
type topList struct {
	rows    []topRow        // sorted, at most MaxListed
	trust   map[Key]float64 // under which each of rows is sorted: the trust of a row moves
	skipped bool            // rows exist that did not fit
	broken  bool            // a row left while others waited: read anew
}

type topRow struct {
	Key
	trust float64
}

func compareTop(a, b topRow) int {
	if own := a.SourceHub == Local; own != (b.SourceHub == Local) {
		if own {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(b.trust, a.trust), cmp.Compare(a.SourceHub, b.SourceHub),
		cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.CapabilityID, b.CapabilityID))
}

// add lists a row that is not in the list.
func (t *topList) add(r topRow) {
	i, _ := slices.BinarySearchFunc(t.rows, r, compareTop)
	if i == MaxListed {
		t.skipped = true
		return
	}
	if t.trust == nil {
		t.trust = map[Key]float64{}
	}
	t.rows = slices.Insert(t.rows, i, r)
	t.trust[r.Key] = r.trust
	if len(t.rows) > MaxListed {
		delete(t.trust, t.rows[MaxListed].Key)
		t.rows, t.skipped = t.rows[:MaxListed], true
	}
}

// remove takes a row out, whatever trust it is sorted under. Its place may belong to a
// row that was skipped.
func (t *topList) remove(r topRow) {
	var there bool
	if r.trust, there = t.trust[r.Key]; !there {
		return
	}
	i, _ := slices.BinarySearchFunc(t.rows, r, compareTop)
	t.rows = slices.Delete(t.rows, i, i+1)
	delete(t.trust, r.Key)
	t.broken = t.broken || t.skipped
}

// move gives an executable row another trust. Only if that puts it last can a row that
// was skipped outrank it.
func (t *topList) move(r topRow) {
	if _, there := t.trust[r.Key]; !there {
		t.add(r)
		return
	}
	broken := t.broken
	t.remove(r)
	t.add(r)
	t.broken = broken || t.skipped && t.rows[len(t.rows)-1].Key == r.Key
}

// merge adds every row of another list.
func (t *topList) merge(o *topList) {
	for _, r := range o.rows {
		t.add(r)
	}
	t.skipped = t.skipped || o.skipped
}
