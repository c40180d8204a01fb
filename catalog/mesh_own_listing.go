package catalog

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
)

// toolsOf completes the tools of a listing from the store.
func (c *Catalog) toolsOf(l *digests, have map[RowID]Tool) ([]Tool, error) {
	out := make([]Tool, 0, len(l.entries))
	for i := range l.entries {
		e := &l.entries[i]
		t, ok := have[e.RowID]
		if !ok {
			value, err := c.cfg.Store.Get(toolKey(c.mesh.ownKey, e.RowID))
			if err == nil {
				t, err = storedTool(e.RowID, value)
			}
			if err != nil {
				return nil, err
			}
			t.Digest = e.digest
		}
		out = append(out, t)
	}
	return out, nil
}

// maxHeadCategories is how many categories an own head names.
const maxHeadCategories = 16

// categories are the most frequent first words of the capability ids, in order: what
// others look for in the DHT.
func (l *digests) categories() []string {
	count := map[string]int{}
	for i := range l.entries {
		word := strings.ToLower(l.entries[i].CapabilityID)
		if end := strings.IndexAny(word, ".@_-"); end >= 0 {
			word = word[:end]
		}
		if len(word) > 1 && len(word) <= maxCategoryLen/2 {
			count[word]++
		}
	}
	words := make([]string, 0, len(count))
	for w := range count {
		words = append(words, w)
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(count[b]-count[a], strings.Compare(a, b)) })
	words = words[:min(len(words), maxHeadCategories)]
	slices.Sort(words)
	return words
}

// ownListing is what this hub lists now, and the text of the tools that were looked at:
// all that changed since old, at least. The own rows of the manifest are its tools, in
// its choice where they are too many.
func (c *Catalog) ownListing(old *digests) (*digests, map[RowID]Tool, error) {
	o := &c.mesh.own
	if !o.all && !o.partial && c.local.Load() <= MaxListed {
		l, tools, err := c.ownChanges(old)
		if err != nil || l.size <= MaxListingBytes-int64(len(l.entries)) {
			return l, tools, err
		}
	}
	if c.top.broken {
		if err := c.rankAnew(); err != nil {
			return nil, nil, err
		}
	}
	var all []Tool
	var texts [][]byte
	for _, k := range c.top.rows {
		if k.SourceHub != Local {
			break // own rows come first
		}
		t, ok, err := c.ownTool(k.rowID())
		if err != nil {
			return nil, nil, err
		}
		if ok {
			all, texts = append(all, t), append(texts, t.Raw)
		}
	}
	tools := make(map[RowID]Tool, len(all))
	next := &digests{}
	picked := pick(texts, MaxListingBytes)
	for i := range all {
		if len(picked) == 0 || &picked[0][0] != &all[i].Raw[0] {
			continue
		}
		picked = picked[1:]
		tools[all[i].RowID] = all[i]
		next.entries = append(next.entries, listed{all[i].RowID, all[i].Digest, int32(len(all[i].Raw))})
		next.size += int64(len(all[i].Raw))
	}
	slices.SortFunc(next.entries, func(a, b listed) int { return a.compare(b.RowID) })
	o.partial = int64(len(next.entries)) < c.local.Load()
	return next, tools, nil
}

// ownChanges applies the rows that are marked as changed.
func (c *Catalog) ownChanges(old *digests) (*digests, map[RowID]Tool, error) {
	var list []Tool
	var removed []RowID
	tools := make(map[RowID]Tool, len(c.mesh.own.dirty))
	for id := range c.mesh.own.dirty {
		t, ok, err := c.ownTool(id)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			removed = append(removed, id)
			continue
		}
		list = append(list, t)
		tools[id] = t
	}
	changes, err := listingOf(list, removed)
	if err != nil {
		return nil, nil, err
	}
	return old.apply(changes), tools, nil
}

// ownTool prints an own row as the manifest lists it; false if it is not for sale.
func (c *Catalog) ownTool(id RowID) (Tool, bool, error) {
	r, err := c.read(id.at(Local))
	if err != nil || r == nil || !executable(r) {
		return Tool{}, false, err
	}
	c.table.overlay(r)
	raw := appendTool(nil, r, Route{Status: RouteLive})
	return Tool{RowID: id, Raw: raw, Digest: sha256.Sum256(raw)}, true, nil
}
