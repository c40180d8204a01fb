package factory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/catalog"
)

// start is what a hub does at its start.
func (m *market) start(d *disk) (int, *Report) {
	m.t.Helper()
	rows, r := d.load()
	removed, err := Sync(context.Background(), m, m.db, rows, r)
	must(m.t, err)
	return removed, r
}

func twoProducts(t *testing.T) (*market, *disk) {
	m, d := newMarket(t), newDisk(t)
	d.exec(schema, insert("p1", "poem api", "COMPLETED", ""), insert("p2", "dashboard", "COMPLETED", ""))
	if removed, r := m.start(d); removed != 0 || r.Rows != 3 {
		t.Fatalf("removed %d, %s", removed, r)
	}
	same(t, m.listed("p1", "p2"), "p1/poem-api.api@v1 p2/dashboard.app@v1 p2/dashboard.landing@v1")
	return m, d
}

func TestImportedRowsAreFoundBySearchAndInvoke(t *testing.T) {
	m, _ := twoProducts(t)
	found, err := m.Search(context.Background(), catalog.Query{Intent: "poem", Limit: 10})
	must(t, err)
	if found.Total != 1 || found.Matches[0].ProductID != "p1" {
		t.Fatalf("search at the default floor finds %+v", found)
	}
	row, err := m.Lookup(context.Background(), "p1", "poem-api.api@v1", "")
	if err != nil || row.TrustScore < 0.35 || row.InvokeURL != testURL+"/capabilities/p1/poem-api.api@v1/invoke" {
		t.Fatalf("%+v, %v", row, err)
	}
}

func TestRestartTakesVanishedRowsOff(t *testing.T) {
	m, d := twoProducts(t)
	d.exec(`DELETE FROM products WHERE id='p1'`, `UPDATE products SET idea='dashboard bot' WHERE id='p2'`, insert("p3", "poems", "COMPLETED", ""))
	m.restart()
	if removed, _ := m.start(d); removed != 3 {
		t.Fatalf("removed %d", removed)
	}
	same(t, m.listed("p1", "p2", "p3"), "p2/dashboard-bot.agent@v1 p2/dashboard-bot.app@v1 p2/dashboard-bot.landing@v1 p3/poems@v1")
	d.exec(`UPDATE products SET state='FAILED'`)
	m.restart()
	if removed, _ := m.start(d); removed != 4 || m.Counts().Total != 0 {
		t.Fatalf("removed %d, counts %+v", removed, m.Counts())
	}
	m.restart()
	if removed, _ := m.start(d); removed != 0 {
		t.Fatalf("removed %d once more", removed)
	}
	if before, err := recorded(m.db); err != nil || len(before) != 0 {
		t.Fatalf("still on record: %v, %v", before, err)
	}
}

func TestTurnedOffFactoryTakesAllOff(t *testing.T) {
	m, d := twoProducts(t)
	m.restart()
	rows, r, err := Import(context.Background(), Options{Root: d.root})
	must(t, err)
	removed, err := Sync(context.Background(), m, m.db, rows, r)
	if err != nil || removed != 3 || m.Counts().Total != 0 {
		t.Fatalf("removed %d, %v, %+v", removed, err, m.Counts())
	}
}

func TestUnreadableIsNotGone(t *testing.T) {
	m, d := twoProducts(t)
	d.write("specs/p1/specification.json", "{") // being written
	m.restart()
	if removed, r := m.start(d); removed != 0 || r.Skipped != 1 {
		t.Fatalf("removed %d, %+v", removed, r)
	}
	same(t, m.listed("p1"), "p1/poem-api.api@v1")
	must(t, os.Truncate(filepath.Join(d.root, "state/pipeline.db"), 100))
	m.restart()
	if removed, _ := m.start(d); removed != 0 {
		t.Fatalf("removed %d", removed)
	}
	same(t, m.listed("p1", "p2"), "p1/poem-api.api@v1 p2/dashboard.app@v1 p2/dashboard.landing@v1")
}

func TestSomebodyElsesProductStays(t *testing.T) {
	m, d := newMarket(t), newDisk(t)
	theirs := catalog.Capability{
		Key:  catalog.Key{ProductID: "p1", CapabilityID: "poems@v1", SourceHub: catalog.Local},
		Name: "Theirs", PublisherID: "alice", InvokeURL: "https://alice.example/poems", TrustScore: 0.5,
	}
	own := theirs
	own.ProductID, own.PublisherID, own.InvokeURL, own.Builtin = "p2", "", "", true
	must(t, m.Put(context.Background(), []catalog.Capability{theirs, own}))
	d.exec(schema, insert("p1", "poems", "COMPLETED", ""), insert("p2", "a dashboard", "COMPLETED", ""), insert("p3", "poems", "COMPLETED", ""))
	_, r := m.start(d)
	r.expect(t, 2, "already listed by alice")
	r.expect(t, 2, "already listed by this hub")
	if r.Products != 1 || r.Rows != 1 {
		t.Fatalf("%s", r)
	}
	same(t, m.listed("p1", "p2", "p3"), "p1/poems@v1 p2/poems@v1 p3/poems@v1")
	row, err := m.Lookup(context.Background(), "p1", "poems@v1", "")
	if err != nil || row.PublisherID != "alice" || row.InvokeURL != theirs.InvokeURL {
		t.Fatalf("%+v, %v", row, err)
	}
}

func TestProductThatSomebodyElseEnteredIsLeft(t *testing.T) {
	m, d := twoProducts(t)
	must(t, m.Put(context.Background(), []catalog.Capability{{
		Key:  catalog.Key{ProductID: "p2", CapabilityID: "theirs@v1", SourceHub: catalog.Local},
		Name: "Theirs", PublisherID: "alice", InvokeURL: "https://alice.example/", TrustScore: 0.5,
	}}))
	m.restart()
	if removed, r := m.start(d); removed != 2 || r.Skipped != 1 {
		t.Fatalf("removed %d, %s", removed, r)
	}
	same(t, m.listed("p1", "p2"), "p1/poem-api.api@v1 p2/theirs@v1")
}

// Whatever publisher id somebody takes, the factory's product stays the factory's.
func TestNobodyPublishesOverTheFactory(t *testing.T) {
	m, _ := twoProducts(t)
	for _, publisher := range []string{"factory", HubName, "local", "hub"} {
		_, err := m.Stake(context.Background(), catalog.StakeRequest{PublisherID: publisher, AmountMicros: 100_000_000})
		must(t, err)
		_, err = m.Register(context.Background(), catalog.Registration{Publisher: publisher, Capability: catalog.Capability{
			Key:  catalog.Key{ProductID: "p1", CapabilityID: "poem-api.api@v1", SourceHub: catalog.Local},
			Name: "mine now", SourceHubName: HubName, InvokeURL: "https://thief.example/x",
		}})
		var gate *catalog.GateError
		if !errors.As(err, &gate) || gate.Gate != catalog.GateProduct {
			t.Errorf("%s: %v", publisher, err)
		}
	}
}

// faulty fails at one step, as a crash there would.
type faulty struct {
	*market
	put, remove bool
}

var errFault = errors.New("injected fault")

func (f *faulty) Put(ctx context.Context, rows []catalog.Capability) error {
	if f.put {
		return errFault
	}
	return f.market.Put(ctx, rows)
}

func (f *faulty) RemoveAll(ctx context.Context, keys []catalog.Key) error {
	if f.remove {
		return errFault
	}
	return f.market.RemoveAll(ctx, keys)
}

func TestInterruptedSyncIsMadeGood(t *testing.T) {
	for _, fault := range []faulty{{put: true}, {remove: true}} {
		m, d := twoProducts(t)
		d.exec(`DELETE FROM products WHERE id='p1'`, insert("p3", "poems", "COMPLETED", ""))
		rows, r := d.load()
		fault.market = m
		if _, err := Sync(context.Background(), &fault, m.db, rows, r); !errors.Is(err, errFault) {
			t.Fatalf("got %v", err)
		}
		m.restart()
		m.start(d)
		same(t, m.listed("p1", "p2", "p3"), "p2/dashboard.app@v1 p2/dashboard.landing@v1 p3/poems@v1")
		d.exec(`DELETE FROM products`)
		m.restart()
		m.start(d)
		if n := m.Counts().Total; n != 0 {
			t.Fatalf("%d rows are left", n)
		}
	}
}

func TestManyProductsAreListedInChunks(t *testing.T) {
	m, d := newMarket(t), newDisk(t)
	d.exec(schema, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 1201)
		INSERT INTO products(id, idea, state) SELECT printf('p%06d', i), 'poems '||i, 'COMPLETED' FROM n`)
	m.start(d)
	if c := m.Counts(); c.Local != 1201 || c.Products != 1201 {
		t.Fatalf("%+v", c)
	}
	d.exec(`DELETE FROM products WHERE id > 'p000700'`)
	if removed, _ := m.start(d); removed != 501 || m.Counts().Products != 700 {
		t.Fatalf("removed %d, %+v", removed, m.Counts())
	}
}

func TestReportNamesAreShort(t *testing.T) {
	r := &Report{seen: map[string]bool{}, log: quiet}
	r.hold(strings.Repeat("x", 10_000), errFault)
	if len(r.Reasons[0]) > 200 {
		t.Fatalf("%d bytes", len(r.Reasons[0]))
	}
}
