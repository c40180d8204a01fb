package p2p

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestHubWithoutAddressIsReachedThroughRelay(t *testing.T) {
	relay := open(t, "relay", func(c *Config) { c.Relay = true })
	hidden := open(t, "hidden", func(c *Config) { c.Listen, c.Bootstrap = nil, relay.Multiaddrs() })
	eventually(t, "the hidden hub has a relayed address", func() bool {
		addrs := hidden.Multiaddrs()
		return len(addrs) > 0 && strings.Contains(addrs[0], "/p2p-circuit/p2p/"+hidden.PeerID())
	})
	<-hidden.AddressesChanged()

	other := open(t, "other", nil)
	other.Learn(key(hidden), hidden.Multiaddrs())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := other.Connect(ctx, key(hidden)); err != nil {
		t.Fatal(err)
	}
	if l := other.Link(key(hidden)); !l.Connected || !l.Relayed {
		t.Errorf("%+v", l)
	}
	if got := other.relayedConns(); got != 1 {
		t.Errorf("%d relayed connections", got)
	}
	// A hub that knows nothing but the relay finds it there.
	stranger := open(t, "stranger", func(c *Config) { c.Bootstrap = relay.Multiaddrs() })
	eventually(t, "the stranger joins the relay", linked(stranger, relay))
	eventually(t, "the stranger knows that it is a relay", func() bool { return len(stranger.atRelays(hidden.id)) > 0 })
	if err := stranger.Connect(ctx, key(hidden)); err != nil {
		t.Error(err)
	}
	if err := stranger.Connect(ctx, testKey(t, "nobody").Public()); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "1 relays") {
		t.Errorf("%v", err)
	}

	// More than a relay carries by libp2p's own default of 128 KiB.
	body := strings.Repeat("x", 1<<20)
	status, text, err := get(t, other, keyURL(key(hidden))+"/", body)
	if err != nil || status != 200 || !strings.HasSuffix(text, body) {
		t.Errorf("%d, %d bytes, %v", status, len(text), err)
	}
}
