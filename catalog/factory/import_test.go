package factory

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aimarket/aimarket/catalog"
)

func TestNoFactoryIsNoError(t *testing.T) {
	rows, r := newDisk(t).load()
	if len(rows) != 0 || r.Skipped != 0 || r.Why != "" || !r.Gone("p1") {
		t.Fatalf("%v, %+v", rows, r)
	}
	rows, r, err := Import(context.Background(), Options{Root: filepath.Join(t.TempDir(), "none"), PublicURL: testURL})
	if err != nil || len(rows) != 0 || r.Skipped != 0 {
		t.Fatalf("%v, %+v, %v", rows, r, err)
	}
}

func TestWithoutAddressNothingIsListed(t *testing.T) {
	d := newDisk(t)
	d.exec(schema, insert("p1", "poems", "COMPLETED", ""))
	rows, r, err := Import(context.Background(), Options{Root: d.root})
	if err != nil || len(rows) != 0 || !strings.Contains(r.Why, "AIFACTORY_PUBLIC_URL") || !strings.Contains(r.String(), "none is listed") {
		t.Fatalf("%v, %+v, %v", rows, r, err)
	}
	for _, bad := range []string{"localhost:8000", "ftp://x", "http://u:p@x", "http://x/?q=1", "http://x y"} {
		if _, _, err := Import(context.Background(), Options{Root: d.root, PublicURL: bad}); err == nil {
			t.Errorf("address %q was accepted", bad)
		}
	}
}

func TestStates(t *testing.T) {
	d := newDisk(t)
	d.exec(schema,
		insert("s1", "poems", "COMPLETED", ""), insert("s2", "poems", "completed", ""), insert("s3", "poems", "Deployed_Production", ""),
		insert("s4", "poems", "DEPLOYED", ""), insert("s5", "poems", "FAILED", ""), insert("s6", "poems", "", ""))
	rows, r := d.load()
	same(t, ids(rows), "s1/poems@v1 s2/poems@v1 s3/poems@v1")
	if r.Skipped != 0 || r.Products != 3 || r.String() != "3 products with 3 capabilities, 0 left out" {
		t.Fatalf("%+v", r)
	}
}

func TestPipelineAddsOnlyOtherIDs(t *testing.T) {
	d := newDisk(t)
	d.exec(schema, insert("db-1", "from the database", "COMPLETED", ""), insert("db-2", "not yet", "RUNNING", ""))
	d.write("state/pipeline.json", map[string]any{"products": map[string]any{
		"db-1": map[string]any{"idea": "from the file", "state": "COMPLETED"},
		"db-2": map[string]any{"idea": "from the file", "state": "COMPLETED"},
		"js-1": map[string]any{"idea": "file bot", "state": "completed", "capability_price_per_call_usd": 0.2},
		"js-2": map[string]any{"idea": "poems", "state": "COMPLETED", "spec": map[string]any{"product_name": "Odes", "capability_price_per_call_usd": 0.3}},
		"js-3": map[string]any{"idea": "poems", "state": "COMPLETED", "spec": `{"product_name":"Texts"}`},
		"js-4": map[string]any{"idea": 7, "state": "COMPLETED", "category": []int{1}},
		"js-5": map[string]any{"idea": "poems", "state": "FAILED"},
	}})
	rows, r := d.load()
	same(t, ids(rows), "db-1/from-the-database@v1 js-1/file-bot.agent@v1 js-2/odes@v1 js-3/texts@v1 js-4/js-4@v1")
	if rows[1].PriceMicros != 200_000 || rows[2].PriceMicros != 300_000 || r.Skipped != 0 {
		t.Fatalf("%+v %+v", rows, r)
	}
}

func TestPipelineAlone(t *testing.T) {
	d := newDisk(t)
	d.write("pipeline.json", `{"products":{"js-1":{"idea":"poems","state":"COMPLETED"}}}`)
	rows, _ := d.load()
	same(t, ids(rows), "js-1/poems@v1")
}

func TestEnrichment(t *testing.T) {
	d := newDisk(t)
	d.exec(schema, insert("e1", "writes poems", "COMPLETED", `{"product_name":"Column","capability_price_per_call_usd":0.9}`),
		insert("e2", "writes poems", "COMPLETED", `{"product_name":"Column"}`), insert("e3", "writes poems", "COMPLETED", `{"product_name":"Column"}`))
	d.write("state/e1/marketing_content.json", map[string]any{"marketing": map[string]any{"product_name": "Rhyme Bot"}})
	d.write("specs/e1/specification.json", map[string]any{"product_name": "File", "delivery_profile": "cloud", "capability_price_per_call_usd": 0.25})
	d.write("specs/e2/specification.json", map[string]any{"product_name": "File"})
	d.write("state/e3/marketing_content.json", `{"marketing":[]}`)
	rows, r := d.load()
	same(t, ids(rows), "e1/rhyme-bot.agent@v1 e2/file@v1 e3/column@v1")
	if rows[0].PriceMicros != 250_000 || r.Skipped != 0 {
		t.Fatalf("%+v", r)
	}
	same(t, rows[0].Description, "Rhyme Bot: writes poems. Category: tools. Delivery: cloud.")
}

func TestHostileIDs(t *testing.T) {
	d := newDisk(t)
	d.write("secret.json", `{"product_name":"stolen"}`)
	statements := []string{schema, insert("good", "poems", "COMPLETED", "")}
	bad := []string{"..", "../..", "a/../../x", "/etc", "a\\b", "x", "a b", "nul", strings.Repeat("a", 81), strings.Repeat("a", 100_000), "ü-1", "a\nb", "..a"}
	n := 0
	for _, id := range bad {
		if id != "nul" { // the control: a valid id among them
			n++
		}
		statements = append(statements, insert(id, "poems", "COMPLETED", ""))
	}
	statements = append(statements, "INSERT INTO products(id, state) VALUES(NULL, 'COMPLETED')", insert("../quiet", "not sold", "FAILED", ""))
	d.exec(statements...)
	rows, r := d.load()
	same(t, ids(rows), "good/poems@v1 nul/poems@v1")
	r.expect(t, n+1, `without ".."`)

	d = newDisk(t)
	d.write("pipeline.json", `{"products":{"../x":{"state":"COMPLETED"},"a/b":{"state":"FAILED"},"c\u0000d":7,"":{"state":"COMPLETED"},"ok":{"idea":"poems","state":"COMPLETED"}}}`)
	rows, r = d.load()
	same(t, ids(rows), "ok/poems@v1")
	r.expect(t, 3, "of pipeline.json")
}

func TestNothingOutsideTheFolderIsRead(t *testing.T) {
	outside := newDisk(t)
	outside.write("specification.json", `{"product_name":"stolen"}`)
	d := newDisk(t)
	d.exec(schema, insert("link-dir", "poems", "COMPLETED", ""), insert("link-file", "poems", "COMPLETED", ""), insert("inside", "poems", "COMPLETED", ""))
	d.write("specs/real/specification.json", `{"product_name":"mine"}`)
	must(t, os.Symlink(outside.root, filepath.Join(d.root, "specs", "link-dir")))
	must(t, os.Mkdir(filepath.Join(d.root, "specs", "link-file"), 0o755))
	must(t, os.Symlink(filepath.Join(outside.root, "specification.json"), filepath.Join(d.root, "specs", "link-file", "specification.json")))
	must(t, os.Symlink("real", filepath.Join(d.root, "specs", "inside")))
	rows, r := d.load()
	same(t, ids(rows), "inside/mine@v1")
	r.expect(t, 2, "specs/link-dir/specification.json")
	if r.Gone("link-dir") || !r.Gone("other") {
		t.Error("a product whose file cannot be read is not gone")
	}
}

func TestBrokenFilesCostThemselves(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*disk)
		want   string
		reason string
		gone   bool // may p2 be taken off
	}{
		"database is text": {func(d *disk) { d.write("state/pipeline.db", strings.Repeat("no database ", 1000)) }, "js/poems@v1", "pipeline.db", false},
		"database is cut":  {func(d *disk) { must(d.t, os.Truncate(filepath.Join(d.root, "state/pipeline.db"), 5000)) }, "js/poems@v1", "pipeline.db", false},
		"no table":         {func(d *disk) { d.exec("DROP TABLE products") }, "js/poems@v1", "no table products", false},
		"database is a folder": {func(d *disk) {
			must(d.t, os.Remove(filepath.Join(d.root, "state/pipeline.db")))
			must(d.t, os.Mkdir(filepath.Join(d.root, "state/pipeline.db"), 0o755))
		}, "js/poems@v1", "is no file", false},
		"pipeline is no JSON":       {func(d *disk) { d.write("pipeline.json", `{"products":`) }, "p1/poems@v1 p2/poems@v1", "pipeline.json", false},
		"pipeline of another shape": {func(d *disk) { d.write("pipeline.json", `{"products":[1]}`) }, "p1/poems@v1 p2/poems@v1", "pipeline.json", false},
		"pipeline is huge":          {func(d *disk) { d.huge("pipeline.json", maxPipelineLen+1) }, "p1/poems@v1 p2/poems@v1", "larger than", false},
		"one record of pipeline": {func(d *disk) {
			d.write("pipeline.json", `{"products":{"js":{"idea":"poems","state":"COMPLETED"},"kk":[]}}`)
		}, "js/poems@v1 p1/poems@v1 p2/poems@v1", `"kk"`, true},
		"marketing is no JSON":     {func(d *disk) { d.write("state/p2/marketing_content.json", "<html>") }, "js/poems@v1 p1/poems@v1", "state/p2/marketing_content.json", false},
		"specification is no JSON": {func(d *disk) { d.write("specs/p2/specification.json", `[]`) }, "js/poems@v1 p1/poems@v1", "specs/p2/specification.json", false},
		"specification is huge":    {func(d *disk) { d.huge("specs/p2/specification.json", maxFileLen+1) }, "js/poems@v1 p1/poems@v1", "larger than", false},
		"specification is a pipe": {func(d *disk) {
			must(d.t, os.MkdirAll(filepath.Join(d.root, "specs/p2"), 0o755))
			must(d.t, syscall.Mkfifo(filepath.Join(d.root, "specs/p2/specification.json"), 0o600))
		}, "js/poems@v1 p1/poems@v1", "is no file", false},
		"spec column is no JSON": {func(d *disk) { d.exec(`UPDATE products SET spec='{' WHERE id='p2'`) }, "js/poems@v1 p1/poems@v1", "its spec", false},
		"spec column is huge":    {func(d *disk) { d.exec(`UPDATE products SET spec=printf('%.*c', 2000000, 'x') WHERE id='p2'`) }, "js/poems@v1 p1/poems@v1", "its spec is larger", false},
		"price is text":          {func(d *disk) { d.write("specs/p2/specification.json", `{"capability_price_per_call_usd":"cheap"}`) }, "js/poems@v1 p1/poems@v1", "is no number", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			d.exec(schema, insert("p1", "poems", "COMPLETED", ""), insert("p2", "poems", "COMPLETED", ""))
			d.write("pipeline.json", `{"products":{"js":{"idea":"poems","state":"COMPLETED"}}}`)
			c.spoil(d)
			rows, r := d.load()
			same(t, ids(rows), c.want)
			r.expect(t, 1, c.reason)
			if r.Gone("p2") != c.gone {
				t.Errorf("gone %v", !c.gone)
			}
		})
	}
}

// huge makes a sparse file.
func (d *disk) huge(name string, size int64) {
	d.write(name, "{}")
	must(d.t, os.Truncate(filepath.Join(d.root, name), size))
}

func TestOddColumnsAreRead(t *testing.T) {
	d := newDisk(t)
	d.exec(`CREATE TABLE products(ID, State, idea)`,
		`INSERT INTO products VALUES(42, 'COMPLETED', 7), ('bl', x'434f4d504c45544544', x'ff00'), ('nn', 'COMPLETED', NULL)`)
	rows, r := d.load()
	same(t, ids(rows), "42/7@v1 bl/bl@v1 nn/nn@v1")
	if r.Skipped != 0 {
		t.Fatalf("%+v", r)
	}
}

func TestTooManyProducts(t *testing.T) {
	many := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i <= %d)
		INSERT INTO products(id, idea, state) SELECT printf('p%%06d', i), 'poems', 'COMPLETED' FROM n`, MaxProducts)
	d := newDisk(t)
	d.exec(schema, many)
	rows, r := d.load()
	r.expect(t, 1, "more than 10000 products")
	if len(rows) != MaxProducts || r.Gone("p999999") {
		t.Fatalf("%d rows, gone %v", len(rows), r.Gone("p999999"))
	}
	d.exec(`UPDATE products SET id='/'||id WHERE id < 'p001000'`)
	if _, r = d.load(); r.Skipped != 1000 || len(r.Reasons) != MaxReasons {
		t.Fatalf("%d skipped, %d named", r.Skipped, len(r.Reasons))
	}
}

func TestEndlessViewEndsWithTheContext(t *testing.T) {
	d := newDisk(t)
	d.exec(`CREATE VIEW products(id, state) AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i, 'COMPLETED' FROM n`)
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	if _, _, err := Import(ctx, Options{Root: d.root, PublicURL: testURL}); err == nil {
		t.Fatal("an ended context is an error")
	}
}

// A factory that is running has its newest rows in the write-ahead log.
func TestDatabaseInUseIsReadAndNotChanged(t *testing.T) {
	d := newDisk(t)
	d.exec(`PRAGMA journal_mode=WAL`, schema)
	db := openWriter(t, d)
	_, err := db.Exec(insert("new", "poems", "COMPLETED", ""))
	must(t, err)
	file := filepath.Join(d.root, "state", "pipeline.db")
	before, err := os.ReadFile(file)
	must(t, err)
	tx, err := db.Begin()
	must(t, err)
	_, err = tx.Exec(insert("unfinished", "poems", "COMPLETED", ""))
	must(t, err)
	rows, r := d.load()
	same(t, ids(rows), "new/poems@v1")
	must(t, tx.Rollback())
	after, err := os.ReadFile(file)
	must(t, err)
	if r.Skipped != 0 || !bytes.Equal(before, after) {
		t.Fatalf("%+v, changed %v", r, !bytes.Equal(before, after))
	}
}

// A factory that crashed leaves a log behind; folding it in is the factory's to do.
func TestDatabaseOfACrashedFactoryIsLeftAsItIs(t *testing.T) {
	live, d := newDisk(t), newDisk(t)
	live.exec(`PRAGMA journal_mode=WAL`, schema)
	_, err := openWriter(t, live).Exec(insert("new", "poems", "COMPLETED", ""))
	must(t, err)
	names := []string{"state/pipeline.db", "state/pipeline.db-wal"}
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(live.root, name))
		must(t, err)
		d.write(name, string(raw))
	}
	rows, r := d.load()
	same(t, ids(rows), "new/poems@v1")
	if r.Skipped != 0 {
		t.Fatalf("%+v", r)
	}
	for _, name := range names {
		want, err := os.ReadFile(filepath.Join(live.root, name))
		must(t, err)
		if got, err := os.ReadFile(filepath.Join(d.root, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s was changed: %d bytes, were %d (%v)", name, len(got), len(want), err)
		}
	}
}

func TestSQLitePath(t *testing.T) {
	d := newDisk(t)
	d.exec(schema, insert("p1", "poems", "COMPLETED", ""))
	odd := filepath.Join(t.TempDir(), "a?mode=rw#%41 b.db")
	must(t, os.Rename(filepath.Join(d.root, "state/pipeline.db"), odd))
	rows, _, err := Import(context.Background(), Options{Root: d.root, SQLitePath: odd, PublicURL: testURL + "/base/"})
	must(t, err)
	same(t, ids(rows), "p1/poems@v1")
	same(t, rows[0].InvokeURL, testURL+"/base/capabilities/p1/poems@v1/invoke")

	rows, r, err := Import(context.Background(), Options{Root: d.root, SQLitePath: odd + ".none", PublicURL: testURL})
	must(t, err)
	r.expect(t, 1, "SQLITE_PATH")
	if len(rows) != 0 || r.Gone("p1") {
		t.Fatal("a named database that is missing takes nothing off")
	}
	if _, err := os.Stat(odd + ".none"); err == nil {
		t.Fatal("the import made a database")
	}
}

func TestReasonsAreLogged(t *testing.T) {
	d := newDisk(t)
	d.write("pipeline.json", "no")
	var out bytes.Buffer
	_, _, err := Import(context.Background(), Options{Root: d.root, PublicURL: testURL, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	must(t, err)
	if !strings.Contains(out.String(), "level=WARN") || !strings.Contains(out.String(), "pipeline.json") {
		t.Fatalf("log %q", out.String())
	}
}

var _ Catalog = (*catalog.Catalog)(nil)
