package node

import (
	"context"
	"testing"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/routing/builtin"
)

func TestSkipSeedTakesBuiltinsOff(t *testing.T) {
	dir := t.TempDir()
	all := len(builtin.All())
	for _, skip := range []bool{false, true, true, false} {
		c := testConfig(dir)
		c.SkipSeed = skip
		h := start(t, c)
		want := all
		if skip {
			want = 0
		}
		if got := h.catalog.Counts().Total; got != want {
			t.Errorf("skip %v: %d capabilities listed, want %d", skip, got, want)
		}
		h.mustStop()
	}
}

// A new release that changes prices or drops a built-in leaves nothing of the old.
func TestBuiltinsAreThoseOfThisRelease(t *testing.T) {
	dir := t.TempDir()
	h := start(t, testConfig(dir))
	older, err := h.catalog.Lookup(context.Background(), "aimarket.text", "echo@v1", catalog.Local)
	if err != nil {
		t.Fatal(err)
	}
	price := older.PriceMicros
	gone := older
	older.PriceMicros, older.Description = price*7, "What an older release said."
	gone.Key = catalog.Key{ProductID: "aimarket.old", CapabilityID: "gone@v1", SourceHub: catalog.Local}
	if err := h.catalog.Put(context.Background(), []catalog.Capability{older, gone}); err != nil {
		t.Fatal(err)
	}
	h.sell("http://127.0.0.1:1/")
	h.mustStop()

	h = start(t, testConfig(dir))
	now, err := h.catalog.Lookup(context.Background(), "aimarket.text", "echo@v1", catalog.Local)
	if err != nil || now.PriceMicros != price || now.Description == older.Description {
		t.Errorf("%+v, %v", now, err)
	}
	if _, err := h.catalog.Lookup(context.Background(), "aimarket.old", "gone@v1", catalog.Local); err == nil {
		t.Error("a built-in that this release does not have is listed")
	}
	if got, want := h.catalog.Counts().Total, len(builtin.All())+1; got != want {
		t.Errorf("%d listed, want %d: the publisher's stays", got, want)
	}
	h.mustStop()
}
