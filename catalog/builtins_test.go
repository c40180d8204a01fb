package catalog

import (
	"context"
	"testing"
)

func builtinRow(product, id string, micros int64) Capability {
	r := row(product, id)
	r.PriceMicros = micros
	return r
}

func soldRow(product, id string) Capability {
	r := row(product, id)
	r.Builtin, r.InvokeURL, r.PublisherID = false, "https://provider.example/"+id, "somebody"
	return r
}

func TestSetBuiltinsReplacesTheSetOfAnOlderRelease(t *testing.T) {
	ctx := context.Background()
	h := newHub(t)
	h.put(soldRow("sold", "a@v1"))
	must(t, h.SetBuiltins(ctx, []Capability{builtinRow("text", "echo@v1", 1000), builtinRow("old", "gone@v1", 1000)}))
	for range 2 { // the set is known after a restart, too
		must(t, h.SetBuiltins(ctx, []Capability{builtinRow("text", "echo@v1", 2000)}))
		if c := h.Counts(); c.Local != 2 || c.Products != 2 {
			t.Fatalf("counts %+v, want the publisher's row and one built-in", c)
		}
		r, err := h.Lookup(ctx, "text", "echo@v1", Local)
		must(t, err)
		if r.PriceMicros != 2000 || !r.Builtin {
			t.Fatalf("the built-in was not replaced: %+v", r)
		}
		if _, err := h.Lookup(ctx, "old", "gone@v1", Local); err == nil {
			t.Fatal("a built-in of the older release is still listed")
		}
		must(t, h.SetBuiltins(ctx, []Capability{builtinRow("text", "echo@v1", 1000), builtinRow("old", "gone@v1", 1000)}))
		h.reopen(t)
	}
	must(t, h.SetBuiltins(ctx, nil))
	if c := h.Counts(); c.Local != 1 {
		t.Fatalf("counts %+v, want the publisher's row alone", c)
	}
}

// A key that now belongs to a publisher is not taken off with the built-ins.
func TestSetBuiltinsLeavesPublishersRows(t *testing.T) {
	ctx := context.Background()
	h := newHub(t)
	must(t, h.SetBuiltins(ctx, []Capability{builtinRow("text", "echo@v1", 1000)}))
	h.put(soldRow("text", "echo@v1"))
	must(t, h.SetBuiltins(ctx, nil))
	r, err := h.Lookup(ctx, "text", "echo@v1", Local)
	must(t, err)
	if r.Builtin {
		t.Fatalf("got %+v", r)
	}
}
