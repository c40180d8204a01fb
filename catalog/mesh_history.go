package catalog

import (
	"slices"

	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on the changes that are remembered, so that who missed a few need not fetch a
// whole listing.
const (
	maxSteps    = 64      // of one hub
	maxStepIDs  = 512     // tools in the steps of one hub
	maxHistory  = 200_000 // tools in the steps of all hubs
	stepsMinIDs = 1       // a step counts as at least one
)

// history holds the latest changes of each listing; c.mu guards it.
type history struct {
	byKey map[identity.PublicKey]*steps
	ids   int
}

type steps struct {
	list []step
	ids  int
}

// step says which tools differ between the listing base and the one after it.
type step struct {
	base string
	ids  []RowID
}

func (s *step) cost() int { return max(stepsMinIDs, len(s.ids)) }

// add notes a change from the listing base; an empty base starts afresh.
func (h *history) add(key identity.PublicKey, base string, tools []Tool, removed []RowID) {
	st := step{base: base, ids: make([]RowID, 0, len(tools)+len(removed))}
	for i := range tools {
		st.ids = append(st.ids, tools[i].RowID)
	}
	st.ids = append(st.ids, removed...)
	if base == "" || st.cost() > maxStepIDs {
		h.drop(key)
		return
	}
	s := h.byKey[key]
	if s == nil {
		s = &steps{}
		h.byKey[key] = s
	}
	s.list = append(s.list, st)
	s.ids += st.cost()
	h.ids += st.cost()
	for len(s.list) > maxSteps || s.ids > maxStepIDs {
		s.ids -= s.list[0].cost()
		h.ids -= s.list[0].cost()
		s.list = slices.Delete(s.list, 0, 1)
	}
	for k := range h.byKey { // any one will do: who needs it fetches the whole
		if h.ids <= maxHistory {
			break
		}
		if k != key {
			h.drop(k)
		}
	}
}

func (h *history) drop(key identity.PublicKey) {
	if s := h.byKey[key]; s != nil {
		h.ids -= s.ids
		delete(h.byKey, key)
	}
}

// since lists the tools that changed after the listing with digest base; false if
// that is not remembered.
func (h *history) since(key identity.PublicKey, base string) ([]RowID, bool) {
	s := h.byKey[key]
	if s == nil || base == "" {
		return nil, false
	}
	from := -1
	for i := range s.list { // the newest of several: a listing may come back
		if s.list[i].base == base {
			from = i
		}
	}
	if from < 0 {
		return nil, false
	}
	var out []RowID
	for i := range s.list[from:] {
		out = append(out, s.list[from+i].ids...)
	}
	slices.SortFunc(out, RowID.compare)
	return slices.Compact(out), true
}
