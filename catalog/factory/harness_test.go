package factory

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testURL = "http://factory.example:8000"
	schema  = `CREATE TABLE products(id TEXT PRIMARY KEY, idea TEXT, state TEXT, category TEXT, spec TEXT, tags TEXT, error TEXT, created_at TEXT, updated_at TEXT)`
)

// disk is a factory's folder.
type disk struct {
	t    testing.TB
	root string
}

func newDisk(t testing.TB) *disk { return &disk{t, t.TempDir()} }

func (d *disk) write(name string, v any) {
	d.t.Helper()
	raw, ok := v.(string)
	if !ok {
		b, err := json.Marshal(v)
		must(d.t, err)
		raw = string(b)
	}
	file := filepath.Join(d.root, name)
	must(d.t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(d.t, os.WriteFile(file, []byte(raw), 0o600))
}

// exec runs statements on the folder's database, which it makes.
func (d *disk) exec(statements ...string) {
	d.t.Helper()
	must(d.t, os.MkdirAll(filepath.Join(d.root, "state"), 0o755))
	db, err := sql.Open("sqlite", filepath.Join(d.root, "state", "pipeline.db"))
	must(d.t, err)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			d.t.Fatalf("%s: %v", s, err)
		}
	}
}

// product is an SQL statement.
func insert(id, idea, state, spec string) string {
	q := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	return fmt.Sprintf("INSERT INTO products(id, idea, state, category, spec, tags) VALUES(%s, %s, %s, 'tools', %s, '[]')", q(id), q(idea), q(state), q(spec))
}

func (d *disk) load() ([]catalog.Capability, *Report) {
	d.t.Helper()
	rows, r, err := Import(context.Background(), Options{Root: d.root, PublicURL: testURL})
	must(d.t, err)
	if n := len(rows); n != r.Rows {
		d.t.Fatalf("%d rows, the report says %d", n, r.Rows)
	}
	return rows, r
}

// ids lists rows as product/capability.
func ids(rows []catalog.Capability) string {
	var out []string
	for _, r := range rows {
		out = append(out, r.ProductID+"/"+r.CapabilityID)
	}
	return strings.Join(out, " ")
}

func same(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

// reason fails unless the report has exactly this many entries, and one that says text.
func (r *Report) expect(t testing.TB, skipped int, text string) {
	t.Helper()
	if r.Skipped != skipped || !strings.Contains(strings.Join(r.Reasons, "\n"), text) {
		t.Fatalf("skipped %d, want %d and %q in %q", r.Skipped, skipped, text, r.Reasons)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type signer struct{}

func (signer) PublicBase64() string     { return "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=" }
func (signer) SignBase64([]byte) string { return "" }

type anyURL struct{}

func (anyURL) CheckURL(context.Context, string) error { return nil }

// market is a catalogue in memory.
type market struct {
	*catalog.Catalog
	t  testing.TB
	fs vfs.FS
	db *store.DB
}

func newMarket(t testing.TB) *market {
	t.Helper()
	m := &market{t: t, fs: vfs.NewMem()}
	m.open()
	t.Cleanup(m.close)
	return m
}

func (m *market) open() {
	m.t.Helper()
	db, err := store.Open("db", store.Options{FS: m.fs})
	must(m.t, err)
	m.db = db
	m.Catalog, err = catalog.Open(context.Background(), catalog.Config{
		Store: db, Signer: signer{}, URLs: anyURL{}, HubURL: "https://hub.example.com", HubName: "Test Hub", MinTrust: 0.3,
		Now: func() time.Time { return time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) },
	})
	must(m.t, err)
}

func (m *market) close() {
	m.t.Helper()
	must(m.t, m.Catalog.Close())
	must(m.t, m.db.Close())
}

func (m *market) restart() { m.close(); m.open() }

// listed is everything that search shows for one intent, at the default floor.
func (m *market) listed(products ...string) string {
	m.t.Helper()
	var all []catalog.Capability
	for _, p := range products {
		rows, err := m.Product(context.Background(), p)
		must(m.t, err)
		all = append(all, rows...)
	}
	return ids(all)
}

func openWriter(t testing.TB, d *disk) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(d.root, "state", "pipeline.db"))
	must(t, err)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { must(t, db.Close()) })
	return db
}
