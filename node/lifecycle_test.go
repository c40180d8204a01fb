package node

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aimarket/aimarket/httpapi/client"
	"github.com/aimarket/aimarket/internal/store"
	"github.com/aimarket/aimarket/ledger"
)

func TestStartReadyStop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	var log lockedBuffer
	c := testConfig(dir)
	c.Logger = logTo(&log)
	h := start(t, c)
	for _, path := range []string{"/readyz", "/healthz", "/.well-known/ai-market.json", "/ai-market/v2/manifest"} {
		if status, body := get(t, http.DefaultClient, h.client.Base()+path); status != http.StatusOK {
			t.Errorf("%s: HTTP %d: %s", path, status, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	if h.URL() != "http://"+h.Addr().String() {
		t.Errorf("URL %q of a hub on the free port %s", h.URL(), h.Addr())
	}
	for _, want := range []string{h.URL(), h.PublicKey(), dir, "DEMO MONEY"} {
		if !strings.Contains(h.Banner(), want) {
			t.Errorf("the banner lacks %q:\n%s", want, h.Banner())
		}
	}
	ch := h.open("5")
	h.echo(ch, "")
	if got := h.balance(ch); got != "4.999" {
		t.Errorf("balance %s", got)
	}
	if h.LogBytes() == 0 {
		t.Error("no bytes went to the log")
	}
	h.mustStop()
	for _, want := range []string{"made this hub's key", "hub is ready", "DEMO MONEY", "stopping", "msg=stopped"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log.String())
		}
	}
	if info, err := os.Stat(filepath.Join(dir, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
	checkFolder(t, dir)
}

func TestNeverRunIsClosed(t *testing.T) {
	n, err := New(t.Context(), testConfig(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // again is no error
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	assertFree(t, n.cfg.DataDir, n.Addr().String())
}

func TestCloseIsInReverseOrderAndReportsEverything(t *testing.T) {
	var n Node
	var order string
	for _, name := range []string{"a", "b", "c"} {
		n.onClose(name, func(context.Context) error { order += name; return errors.New(name + " failed") })
	}
	err := n.Close(t.Context())
	if order != "cba" {
		t.Errorf("closed %q", order)
	}
	for _, want := range []string{"closing the a: a failed", "closing the b: b failed", "closing the c: c failed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %q", err, want)
		}
	}
}

// assertFree fails if somebody still holds the folder or the address.
func assertFree(t *testing.T, dir, address string) {
	t.Helper()
	if info, err := os.Stat(filepath.Join(dir, databaseFolder)); err == nil && info.IsDir() {
		db, err := store.Open(filepath.Join(dir, databaseFolder), store.Options{})
		if err == nil {
			err = db.Close()
		}
		if err != nil && !errors.Is(err, store.ErrSchema) {
			t.Errorf("the folder is still held: %v", err)
		}
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Errorf("the address is still held: %v", err)
		return
	}
	_ = ln.Close()
}

// A step that fails names what to do, and nothing that was opened before it stays.
func TestFailedStart(t *testing.T) {
	write := func(path, text string, mode os.FileMode) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		prepare func(t *testing.T, c *Config)
		want    string
		fresh   bool // the folder is not even made
	}{
		"port taken": {func(t *testing.T, c *Config) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			c.Listen = ln.Addr().String()
		}, "another with --listen", true},
		"folder is a file": {func(t *testing.T, c *Config) {
			write(c.DataDir, "x", 0o600)
		}, "making the data folder", false},
		"folder in a file": {func(t *testing.T, c *Config) {
			write(c.DataDir, "x", 0o600)
			c.DataDir = filepath.Join(c.DataDir, "data")
		}, "making the data folder", true},
		"folder not writable": {func(t *testing.T, c *Config) {
			if os.Geteuid() == 0 {
				t.Skip("root may write anywhere")
			}
			if err := os.MkdirAll(c.DataDir, 0o500); err != nil {
				t.Fatal(err)
			}
		}, "permission", false},
		"database is a file": {func(t *testing.T, c *Config) {
			write(filepath.Join(c.DataDir, databaseFolder), "x", 0o600)
		}, "not a directory", false},
		"key is garbage": {func(t *testing.T, c *Config) {
			write(filepath.Join(c.DataDir, keyFile), "short", 0o600)
		}, "restore it from a backup", false},
		"key for all to read": {func(t *testing.T, c *Config) {
			write(filepath.Join(c.DataDir, keyFile), strings.Repeat("k", 32), 0o644)
		}, "chmod 600", false},
		"schema of a newer release": {func(t *testing.T, c *Config) {
			p, err := pebble.Open(filepath.Join(c.DataDir, databaseFolder), &pebble.Options{Logger: quiet{}})
			if err != nil {
				t.Fatal(err)
			}
			mark := store.PutValue(1, binary.BigEndian.AppendUint32(nil, store.SchemaVersion+1))
			if err := errors.Join(p.Set([]byte("store/schema"), mark, pebble.Sync), p.Close()); err != nil {
				t.Fatal(err)
			}
		}, "newer release", false},
		"catalogue row of another program": {func(t *testing.T, c *Config) {
			putRow(t, c.DataDir, "catalog/capability/x", "\x01x")
		}, "opening the catalogue", false},
		"factory address": {func(t *testing.T, c *Config) { c.FactoryURL = "nowhere" }, "factory address", true},
		"admin address faces the network": {func(t *testing.T, c *Config) {
			c.AdminListen = "0.0.0.0:0"
		}, "must not face the network", false},
		"admin address by name": {func(t *testing.T, c *Config) {
			c.AdminListen = "hub.example:0"
		}, "not on loopback", false},
		"admin address of nothing": {func(t *testing.T, c *Config) { c.AdminListen = "nonsense" }, "not on loopback", false},
		"admin port taken": {func(t *testing.T, c *Config) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { ln.Close() })
			c.AdminListen = ln.Addr().String()
		}, "--admin-listen", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(filepath.Join(t.TempDir(), "data"))
			c.Listen = "127.0.0.1:" + freePort(t)
			own := c.Listen
			tt.prepare(t, &c)
			n, err := New(t.Context(), c)
			if err == nil {
				_ = n.Close(t.Context())
				t.Fatal("it started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if _, err := os.Stat(c.DataDir); tt.fresh && err == nil {
				t.Error("a failed start left a data folder")
			}
			assertFree(t, c.DataDir, own)
		})
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(string, ...any) {}

// putRow writes one row into a stopped hub's database.
func putRow(t *testing.T, dir, key, value string) {
	t.Helper()
	db, err := store.Open(filepath.Join(dir, databaseFolder), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	b.Set([]byte(key), []byte(value))
	if err := errors.Join(db.Write(b), db.Close()); err != nil {
		t.Fatal(err)
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func TestSecondHubOnAFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(dir)
	c.AdminListen = "unix"
	h := start(t, c)
	_, err := New(t.Context(), c)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "another hub uses") || !strings.Contains(err.Error(), "--data") {
		t.Errorf("got %v", err)
	}
	// The first does not notice, and its socket is still its own.
	h.echo(h.open("1"), "")
	if status, _ := get(t, socketClient(t, dir), "http://admin/metrics"); status != http.StatusOK {
		t.Errorf("admin socket: HTTP %d", status)
	}
	h.mustStop()
	start(t, c).mustStop()
}

// A call in flight is finished, answered and billed; whoever comes then is refused.
func TestStopFinishesCallsInFlight(t *testing.T) {
	provider := newSlowProvider(t)
	dir := t.TempDir()
	c := testConfig(dir)
	stopping := make(chan struct{})
	c.Logger = logOnce(stopping, "stopping")
	h := start(t, c)
	h.sell(provider.URL)
	ch := h.open("5")
	type result struct {
		o   client.Outcome
		err error
	}
	answer := make(chan result, 1)
	go func() {
		o, err := h.invoke(ch, "sold", "slow@v1", "")
		answer <- result{o, err}
	}()
	<-provider.arrived
	h.cancel()
	<-stopping
	for { // the listener closes a moment after the line is logged
		conn, err := net.Dial("tcp", h.Addr().String())
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case r := <-answer:
		t.Fatalf("answered before its provider did: %+v", r)
	case <-h.done:
		t.Fatal("stopped with a call in flight")
	default:
	}
	close(provider.release)
	if r := <-answer; r.err != nil || r.o.PriceUSD != "0.01" || r.o.Balance != "4.99" {
		t.Errorf("got %+v, %v", r.o, r.err)
	}
	h.mustStop()
	if r := checkFolder(t, dir); r.Receipts != 1 || r.Holds != 0 {
		t.Errorf("%+v", r)
	}
}

// A provider that never answers does not keep the hub from stopping: the call is
// cut off, not billed, and its money is free at the next start.
func TestStopCutsOffWhatOutlastsItsPatience(t *testing.T) {
	provider := newSlowProvider(t)
	dir := t.TempDir()
	c := testConfig(dir)
	c.patience = 50 * time.Millisecond
	h := start(t, c)
	h.sell(provider.URL)
	ch := h.open("5")
	failed := make(chan error, 1)
	go func() {
		_, err := h.invoke(ch, "sold", "slow@v1", "")
		failed <- err
	}()
	<-provider.arrived
	err := h.stop()
	if err == nil || !strings.Contains(err.Error(), "still under way") {
		t.Errorf("Run returned %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the call was answered")
	}
	close(provider.release)
	checkFolder(t, dir)
	h = start(t, testConfig(dir))
	if got := h.balance(ch); got != "5" {
		t.Errorf("balance %s, want the held money back", got)
	}
	h.mustStop()
	if r := checkFolder(t, dir); r.Receipts != 0 || r.Holds != 0 {
		t.Errorf("%+v", r)
	}
}

// A listener that dies takes the hub down with its reason, in order.
func TestRunEndsWithAServerThatFails(t *testing.T) {
	dir := t.TempDir()
	h := start(t, testConfig(dir))
	h.echo(h.open("1"), "")
	_ = h.public.Listener.Close()
	if err := <-h.done; err == nil || !strings.Contains(err.Error(), "serving 127.0.0.1") {
		t.Errorf("Run returned %v", err)
	}
	h.done <- nil
	checkFolder(t, dir)
}

// Money can be turned off and on again on one folder; the books stay.
func TestMoneyModeMaySwitch(t *testing.T) {
	dir := t.TempDir()
	h := start(t, testConfig(dir))
	ch := h.open("5")
	h.echo(ch, "")
	h.mustStop()

	c := testConfig(dir)
	c.Money = ledger.Off
	h = start(t, c)
	if o := h.echo(client.Channel{}, ""); o.PriceUSD != "0" && o.PriceUSD != "0.0" {
		t.Errorf("a call costs %s with money off", o.PriceUSD)
	}
	if !strings.Contains(h.Banner(), "every call is free") {
		t.Error(h.Banner())
	}
	h.mustStop()
	checkFolder(t, dir)

	h = start(t, testConfig(dir))
	if got := h.balance(ch); got != "4.999" {
		t.Errorf("balance %s", got)
	}
	h.echo(ch, "")
	if got := h.balance(ch); got != "4.998" {
		t.Errorf("balance %s", got)
	}
	h.mustStop()
	checkFolder(t, dir)
}
