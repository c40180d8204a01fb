package ledger_test

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/aimarket/aimarket/ledger"
)

var errDisk = errors.New("disk on fire")

// frail is a storage whose parts fail when told to.
type frail struct {
	ledger.Storage
	apply, wait, get atomic.Bool
}

func (f *frail) Apply(ctx context.Context, b ledger.Batch) (func() error, error) {
	if f.apply.Load() {
		return nil, errDisk
	}
	wait, err := f.Storage.Apply(ctx, b)
	if err == nil && f.wait.Load() {
		return func() error { return errDisk }, nil
	}
	return wait, err
}

func (f *frail) Get(ctx context.Context, key []byte) ([]byte, error) {
	if f.get.Load() {
		return nil, errDisk
	}
	return f.Storage.Get(ctx, key)
}

// TestFailedWriteStopsTheLedger: when a write fails, nobody knows what is on disk,
// so nothing is answered until the ledger is opened again and has looked.
func TestFailedWriteStopsTheLedger(t *testing.T) {
	for name, breakIt := range map[string]func(*frail){
		"apply": func(f *frail) { f.apply.Store(true) },
		"sync":  func(f *frail) { f.wait.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &frail{}
			h := newHub(t, func(c *ledger.Config) { f.Storage = c.Storage; c.Storage = f })
			id, secret := h.open(t, 1000)
			hold := h.hold(t, id, secret, "r", 100)
			breakIt(f)
			d := delivery("r")
			d.RequestID, d.Answer = "scope", []byte("a")
			err := h.Capture(ctx, hold, d)
			if !errors.Is(err, ledger.ErrStorage) || !errors.Is(err, errDisk) {
				t.Fatalf("Capture on a failing disk: %v", err)
			}
			f.apply.Store(false)
			f.wait.Store(false)
			for what, err := range map[string]error{
				"hold":     second(h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "r2"})),
				"capture":  h.Capture(ctx, hold, delivery("r")),
				"deliver":  h.Deliver(ctx, delivery("free"), true),
				"close":    second(h.CloseChannel(ctx, ledger.CloseRequest{ChannelID: id})),
				"open":     func() error { _, _, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1}); return err }(),
				"answered": func() error { _, _, err := h.Answered(ctx, "scope", [32]byte{}); return err }(),
				"sweep":    func() error { _, _, err := h.Sweep(ctx); return err }(),
			} {
				if !errors.Is(err, ledger.ErrStorage) {
					t.Errorf("%s after a failed write: %v", what, err)
				}
			}
			h.reopen(t)
			h.check(t)
			used := h.channel(t, id).Used
			_, found, err := h.Answered(ctx, "scope", [32]byte{})
			if err != nil || found != (used == 100) || found != (name == "sync") {
				t.Errorf("after reopening: used %s, answer %t, %v", used, found, err)
			}
		})
	}
}

// TestFailedReadStopsNothing: a read that fails changes nothing and may be tried
// again.
func TestFailedReadStopsNothing(t *testing.T) {
	f := &frail{}
	h := newHub(t, func(c *ledger.Config) { f.Storage = c.Storage; c.Storage = f })
	id, secret := h.open(t, 1000)
	h.pay(t, id, secret, "r0", 1)
	h.reopen(t) // what memory knows needs no reading
	f.get.Store(true)
	for what, err := range map[string]error{
		"channel": second(h.Channel(ctx, id)),
		"hold":    second(h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: "r"})),
		"receipt": second(h.Receipt(ctx, "r0")),
	} {
		if !errors.Is(err, ledger.ErrStorage) || !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f.get.Store(false)
	h.pay(t, id, secret, "r", 1)
	h.check(t)
}

func TestOpenNeeds(t *testing.T) {
	good := newHub(t).config
	for name, change := range map[string]func(*ledger.Config){
		"storage":  func(c *ledger.Config) { c.Storage = nil },
		"signer":   func(c *ledger.Config) { c.Signer = nil },
		"clock":    func(c *ledger.Config) { c.Now = nil },
		"random":   func(c *ledger.Config) { c.Rand = nil },
		"mode":     func(c *ledger.Config) { c.Mode = "" },
		"deposits": func(c *ledger.Config) { c.Mode = "base" },
	} {
		c := good
		change(&c)
		if _, err := ledger.Open(ctx, c); !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("Open without %s: %v", name, err)
		}
	}
	c := good
	c.Storage = brokenScan{good.Storage}
	if _, err := ledger.Open(ctx, c); !errors.Is(err, errDisk) {
		t.Errorf("Open on an unreadable storage: %v", err)
	}
}

type brokenScan struct{ ledger.Storage }

func (brokenScan) Scan(context.Context, []byte, []byte, func(k, v []byte) (bool, error)) error {
	return errDisk
}

// TestNoRandomNoChannel: without randomness there is no secret, so no channel.
func TestNoRandomNoChannel(t *testing.T) {
	h := newHub(t, func(c *ledger.Config) { c.Rand = eof{} })
	if _, secret, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: 1}); !errors.Is(err, io.EOF) || secret != "" {
		t.Errorf("OpenChannel = %q, %v", secret, err)
	}
	if n := h.Stats().OpenChannels; n != 0 {
		t.Errorf("%d channels are open", n)
	}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }
