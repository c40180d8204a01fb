package p2p

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/identity"
)

func withDHT(c *Config) { c.DHT = true }

func TestDHTFindsHubsAndWhatTheyOffer(t *testing.T) {
	a := open(t, "a", withDHT)
	join := func(c *Config) { c.DHT, c.Bootstrap = true, a.Multiaddrs() }
	b, c, d := open(t, "b", join), open(t, "c", join), open(t, "d", join)
	for _, h := range []*Host{b, c, d} {
		eventually(t, "a and each have one another in the routing table", func() bool {
			return a.dht.RoutingTable().Find(h.id) != "" && h.dht.RoutingTable().Find(a.id) != ""
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	// Nobody but the DHT told b where d is.
	if err := b.Connect(ctx, key(d)); err != nil {
		t.Fatal(err)
	}

	c.Provide([]string{"translation", "", strings.Repeat("x", maxCategoryLen+1), "translation", "images"})
	d.Provide([]string{"images"})
	for category, want := range map[string][]identity.PublicKey{"translation": {key(c)}, "images": {key(c), key(d)}} {
		eventually(t, "b finds who offers "+category, func() bool {
			got, err := b.FindProviders(ctx, category, 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, k := range want {
				if !slices.Contains(got, k) {
					return false
				}
			}
			return len(got) == len(want)
		})
	}
	if got, err := c.FindProviders(ctx, "translation", 10); err != nil || len(got) != 0 {
		t.Errorf("a hub finds itself: %v %v", got, err)
	}
	if got, err := b.FindProviders(ctx, "images", 1); err != nil || len(got) != 1 {
		t.Errorf("asked for one: %v %v", got, err)
	}
	if got, err := b.FindProviders(ctx, "nothing", 3); err != nil || len(got) != 0 {
		t.Errorf("nobody offers this: %v %v", got, err)
	}
	if _, err := b.FindProviders(ctx, "", 3); err == nil {
		t.Error("an empty category was looked for")
	}
}

func TestWithoutDHT(t *testing.T) {
	a := open(t, "a", nil)
	a.Provide([]string{"images"}) // harmless
	if _, err := a.FindProviders(t.Context(), "images", 1); !errors.Is(err, ErrNoDHT) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := a.Connect(ctx, testKey(t, "nobody").Public()); !errors.Is(err, ErrUnknown) {
		t.Errorf("%v", err)
	}
}
