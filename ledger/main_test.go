package ledger_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/ledger/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// clock is a time that only the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

var epoch = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func newClock() *clock { return &clock{t: epoch} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// signer is a fixed key with the vectors' test seed.
type signer struct{ key ed25519.PrivateKey }

func newSigner() signer {
	seed := []byte("\x9d\x61\xb1\x9d\xef\xfd\x5a\x60\xba\x84\x4a\xf4\x92\xec\x2c\xc4\x44\x49\xc5\x69\x7b\x32\x69\x19\x70\x3b\xac\x03\x1c\xae\x7f\x60")
	return signer{ed25519.NewKeyFromSeed(seed)}
}

func (s signer) PublicBase64() string {
	return base64.StdEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey))
}
func (s signer) SignBase64(msg []byte) string {
	return base64.StdEncoding.EncodeToString(ed25519.Sign(s.key, msg))
}
func (s signer) Derive(purpose string) [32]byte {
	return sha256.Sum256(append(s.key.Seed(), purpose...))
}

// hub is a ledger under test with its clock and storage.
type hub struct {
	*ledger.Ledger
	clock   *clock
	storage ledger.Storage
	config  ledger.Config
}

func newHub(t testing.TB, change ...func(*ledger.Config)) *hub {
	t.Helper()
	c := newClock()
	config := ledger.Config{
		Storage: storagetest.NewMemory(), Signer: newSigner(), Now: c.Now, Rand: rand.New(rand.NewSource(1)),
		Mode: ledger.Demo, HubURL: "http://localhost:9083", Owner: "front-1",
	}
	for _, f := range change {
		f(&config)
	}
	h := &hub{clock: c, storage: config.Storage, config: config}
	h.reopen(t)
	return h
}

// reopen opens another ledger on the same rows, as after a restart.
func (h *hub) reopen(t testing.TB) {
	t.Helper()
	l, err := ledger.Open(ctx, h.config)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	h.Ledger = l
}

// check fails the test unless every invariant holds.
func (h *hub) check(t interface {
	Helper()
	Fatalf(string, ...any)
}) ledger.Report {
	t.Helper()
	rep, err := h.Check(ctx)
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	if len(rep.Violations) > 0 {
		t.Fatalf("%d violations: %v", len(rep.Violations), rep.Violations)
	}
	return rep
}

func (h *hub) open(t testing.TB, deposit ledger.Money) (id, secret string) {
	t.Helper()
	ch, secret, err := h.OpenChannel(ctx, ledger.OpenRequest{Deposit: deposit, Token: "USDT", Chain: "base"})
	if err != nil {
		t.Fatalf("OpenChannel: %v", err)
	}
	return ch.ID, secret
}

func (h *hub) hold(t testing.TB, id, secret, receipt string, amount ledger.Money) *ledger.Hold {
	t.Helper()
	hold, err := h.Hold(ctx, ledger.HoldRequest{ChannelID: id, Secret: secret, ReceiptID: receipt, Amount: amount})
	if err != nil {
		t.Fatalf("Hold %s: %v", receipt, err)
	}
	return hold
}

func (h *hub) pay(t testing.TB, id, secret, receipt string, amount ledger.Money) {
	t.Helper()
	hold := h.hold(t, id, secret, receipt, amount)
	if err := h.Capture(ctx, hold, delivery(receipt)); err != nil {
		t.Fatalf("Capture %s: %v", receipt, err)
	}
}

func delivery(nonce string) ledger.Delivery {
	return ledger.Delivery{Nonce: nonce, Receipt: []byte(`{"nonce":"` + nonce + `"}`)}
}

func (h *hub) channel(t testing.TB, id string) ledger.Channel {
	t.Helper()
	ch, err := h.Channel(ctx, id)
	if err != nil {
		t.Fatalf("Channel: %v", err)
	}
	return ch
}

// openDB opens a database on an in-memory disk and closes it with the test.
func openDB(t testing.TB, fs vfs.FS) *store.DB {
	t.Helper()
	db, err := store.Open("db", store.Options{FS: fs})
	if err != nil {
		t.Fatalf("store.Open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// onPebble puts a hub's rows in a database.
func onPebble(t testing.TB) func(*ledger.Config) {
	return func(c *ledger.Config) { c.Storage = ledger.NewPebbleStorage(openDB(t, vfs.NewMem())) }
}
