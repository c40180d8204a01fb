package catalog

import (
	"context"
	"testing"
)

func TestProductListsOwnRowsOfExactlyThatProduct(t *testing.T) {
	h := newHub(t)
	h.put(row("app", "b@v1"), row("app", "a@v1"), row("app.two", "a@v1"), row("ap", "a@v1"))
	rows, err := h.Product(context.Background(), "app")
	must(t, err)
	if len(rows) != 2 || rows[0].CapabilityID != "a@v1" || rows[1].CapabilityID != "b@v1" {
		t.Fatalf("got %v", rows)
	}
	for _, id := range []string{"none", "../app", "app\x00a", ""} {
		if rows, err := h.Product(context.Background(), id); err != nil || len(rows) != 0 {
			t.Errorf("%q: %v, %v", id, rows, err)
		}
	}
}

func TestRemoveAllKeepsCountsAndSurvivesRestart(t *testing.T) {
	h := newHub(t)
	h.put(row("app", "a@v1"), row("app", "b@v1"), row("kept", "a@v1"))
	gone := []Key{row("app", "a@v1").Key, row("app", "never@v1").Key, row("app", "b@v1").Key}
	must(t, h.RemoveAll(context.Background(), gone))
	for range 2 {
		if c := h.Counts(); c.Local != 1 || c.Products != 1 || c.Total != 1 {
			t.Fatalf("counts %+v, want one row of one product", c)
		}
		if rows, err := h.Product(context.Background(), "app"); err != nil || len(rows) != 0 {
			t.Fatalf("still listed: %v, %v", rows, err)
		}
		h.reopen(t)
	}
	must(t, h.RemoveAll(context.Background(), gone)) // again is no error
}

func TestRemoveAllStopsWithItsContext(t *testing.T) {
	h := newHub(t)
	h.put(row("app", "a@v1"))
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if err := h.RemoveAll(ctx, []Key{row("app", "a@v1").Key}); err == nil || h.Counts().Local != 1 {
		t.Fatalf("err %v, counts %+v", err, h.Counts())
	}
}
