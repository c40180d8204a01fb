package catalog

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const oneDay = 24 * time.Hour

// lookup is the row as a call sees it.
func (h *hub) lookup(k Key) Capability {
	h.t.Helper()
	r, err := h.Lookup(context.Background(), k.ProductID, k.CapabilityID, k.SourceHub)
	must(h.t, err)
	return r
}

// manifestTool is the row as the manifest shows it.
func (h *hub) manifestTool(k Key) (tool struct {
	Success float64 `json:"success_rate_30d"`
	Basis   string  `json:"reputation_basis"`
	Seen    int64   `json:"observations_30d"`
	P50     int     `json:"p50_latency_ms"`
	Product string  `json:"product_id"`
}) {
	h.t.Helper()
	doc, err := h.Manifest(context.Background())
	must(h.t, err)
	var m struct{ Tools []json.RawMessage }
	must(h.t, json.Unmarshal(doc.Body, &m))
	for _, raw := range m.Tools {
		must(h.t, json.Unmarshal(raw, &tool))
		if tool.Product == k.ProductID {
			return tool
		}
	}
	h.t.Fatalf("%v is not in the manifest", k)
	return tool
}

func TestObserve(t *testing.T) {
	h := newHub(t)
	r := row("aimarket", "echo@v1")
	h.put(r)
	first, err := h.Manifest(context.Background())
	must(t, err)
	for i := range 10 {
		h.Observe(r.Key, i < 9, 200*time.Millisecond)
	}
	// Calls alone sign nothing.
	h.clock.add(FoldInterval - time.Second)
	again, err := h.Manifest(context.Background())
	must(t, err)
	if again.ETag != first.ETag {
		t.Fatal("the manifest changed before the fold was due")
	}
	h.clock.add(time.Second)
	tool := h.manifestTool(r.Key)
	if tool.Success != 0.9 || tool.Basis != "measured" || tool.Seen != 10 || math.Abs(float64(tool.P50)-200) > 200*0.09 {
		t.Fatalf("manifest says %+v", tool)
	}
	got := h.lookup(r.Key)
	if got.Observations30d != 10 || got.SuccessRate30d != 0.9 || got.P50LatencyMS != tool.P50 {
		t.Fatalf("lookup says %+v", got)
	}
	res, err := h.Search(context.Background(), Query{MaxLatencyMS: 100})
	must(t, err)
	if res.Total != 0 {
		t.Fatal("search filters by the declared latency, not by the measured one")
	}
	h.reopen(t)
	if after := h.lookup(r.Key); after.Observations30d != 10 || after.P50LatencyMS != tool.P50 {
		t.Fatalf("after a restart %+v", after)
	}
	// Publishing the row again keeps what was measured.
	r.PriceMicros = 5
	h.put(r)
	if after := h.lookup(r.Key); after.Observations30d != 10 || after.PriceMicros != 5 {
		t.Fatalf("after a new price %+v", after)
	}
	// A month later nothing of it counts.
	h.clock.add(31 * oneDay)
	if tool := h.manifestTool(r.Key); tool.Basis != "unobserved" || tool.Success != 0.99 || tool.P50 != 3 {
		t.Fatalf("a month later the manifest says %+v", tool)
	}
	if len(h.table.rows) != 0 {
		t.Fatal("measurements that count nothing are kept")
	}
}

// Close saves what was observed since the last fold.
func TestObserveIsSavedOnClose(t *testing.T) {
	h := newHub(t)
	r := row("aimarket", "echo@v1")
	h.put(r)
	h.Observe(r.Key, true, time.Millisecond)
	h.reopen(t)
	if got := h.lookup(r.Key); got.Observations30d != 1 {
		t.Fatalf("after a restart %+v", got)
	}
}

// A fold in the background is waited for by Close; goleak sees it otherwise.
func TestObserveFoldsInTheBackground(t *testing.T) {
	h := newHub(t)
	r := row("aimarket", "echo@v1")
	h.put(r)
	h.clock.add(FoldInterval)
	h.Observe(r.Key, true, time.Millisecond)
	h.folds.Wait()
	if got := h.lookup(r.Key); got.Observations30d != 1 {
		t.Fatalf("after the fold %+v", got)
	}
}

func TestObserveForgetsRemovedRows(t *testing.T) {
	h := newHub(t)
	r := row("aimarket", "echo@v1")
	h.put(r)
	h.Observe(r.Key, true, time.Millisecond)
	h.fold(h.clock.Now())
	must(t, h.Remove(context.Background(), r.Key))
	h.Observe(r.Key, true, time.Millisecond) // a call that was under way
	h.fold(h.clock.Now())
	if len(h.table.rows) != 0 {
		t.Fatal("measurements of a removed row are kept")
	}
	h.put(r)
	if got := h.lookup(r.Key); got.Observations30d != 0 {
		t.Fatalf("a new row inherits %+v", got)
	}
}

// Nor does a row that is listed again after a restart.
func TestRemoveDeletesMeasurements(t *testing.T) {
	h := newHub(t)
	r := row("aimarket", "echo@v1")
	h.put(r)
	h.Observe(r.Key, true, time.Millisecond)
	h.fold(h.clock.Now())
	must(t, h.Remove(context.Background(), r.Key))
	h.reopen(t)
	h.put(r)
	if got := h.lookup(r.Key); got.Observations30d != 0 {
		t.Fatalf("a new row inherits %+v", got)
	}
}

func TestMeasuredTableIsBounded(t *testing.T) {
	const most = 500
	table := measureTable{rows: map[Key]*measured{}, max: most}
	for i := range most + 100 {
		table.admit(Key{ProductID: "p", CapabilityID: string(rune(i)), SourceHub: Local}, int64(i))
	}
	if len(table.rows) != most || table.forgotten.Load() != 100 {
		t.Fatalf("%d rows, %d forgotten", len(table.rows), table.forgotten.Load())
	}
}

// What is forgotten to make room is forgotten everywhere, and the row says again
// what its publisher declared.
func TestMeasuredEviction(t *testing.T) {
	h := newHub(t)
	h.table.max = 2
	old, a, b := row("old", "tool@v1"), row("new-a", "tool@v1"), row("new-b", "tool@v1")
	h.put(old, a, b)
	h.Observe(old.Key, false, time.Second)
	h.fold(h.clock.Now())
	if got := h.lookup(old.Key); got.Observations30d != 1 {
		t.Fatalf("before: %+v", got)
	}
	h.clock.add(oneDay)
	h.Observe(a.Key, true, time.Second)
	h.Observe(b.Key, true, time.Second)
	h.folds.Wait()
	h.fold(h.clock.Now())
	if got := h.lookup(old.Key); got.Observations30d != 0 || got.SuccessRate30d != 0.99 {
		t.Fatalf("after: %+v", got)
	}
	if h.Counts().Forgotten != 1 {
		t.Fatalf("counts %+v", h.Counts())
	}
	h.reopen(t)
	for k, want := range map[Key]int64{old.Key: 0, a.Key: 1, b.Key: 1} {
		if got := h.lookup(k); got.Observations30d != want {
			t.Errorf("after a restart %s has %d observations, want %d", k.ProductID, got.Observations30d, want)
		}
	}
}

// The window agrees with a plain list of calls.
func TestMeasuredWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type call struct {
			day  int64
			good bool
		}
		var calls []call
		m := &measured{}
		day := int64(20_000)
		for range rapid.IntRange(0, 200).Draw(t, "calls") {
			day += rapid.SampledFrom([]int64{0, 0, 0, 1, 2, 14, 15, 29, 30, 31, 100}).Draw(t, "gap")
			c := call{day, rapid.Bool().Draw(t, "good")}
			calls = append(calls, c)
			m.add(c.day, c.good, time.Millisecond)
		}
		day += rapid.Int64Range(0, 40).Draw(t, "later")
		var want standing
		for _, c := range calls {
			if c.day > day-windowDays {
				want.calls++
				if c.good {
					want.good++
				}
			}
		}
		saved, err := decodeMeasured(m.encode(nil))
		if err != nil {
			t.Fatal(err)
		}
		for name, m := range map[string]*measured{"kept": m, "saved": saved} {
			if got := m.read(day); got.calls != want.calls || got.good != want.good {
				t.Fatalf("%s: %+v, want %+v", name, got, want)
			}
		}
	})
}

func TestMedian(t *testing.T) {
	for _, ms := range []float64{0.2, 1, 2, 7, 100, 812, 8100, 40_000} {
		m := &measured{}
		for range 3 {
			m.add(1, true, time.Duration(ms*float64(time.Millisecond)))
		}
		m.add(1, true, time.Hour)
		m.add(1, false, time.Microsecond) // failures are quick and say nothing
		got := float64(m.read(1).p50)
		if want := max(1, ms); math.Abs(got-want) > max(0.5, want*0.1) {
			t.Errorf("median of %v ms is given as %v", ms, got)
		}
	}
	if b := bucket(-time.Second); b != 0 {
		t.Errorf("a negative latency is in bucket %d", b)
	}
}

// A latency counts for 15 to 30 days: the half window it fell in and the next one.
func TestMedianForgets(t *testing.T) {
	const start = 20_010 // first day of a half window
	median := func(day int64) int {
		m := &measured{}
		for range 100 {
			m.add(start, true, 100*time.Millisecond)
		}
		m.add(day, true, 10*time.Second)
		return m.read(day).p50
	}
	for day, old := range map[int64]bool{start: true, start + 14: true, start + 15: true, start + 29: true, start + 30: false, start + 50: false} {
		if got := median(day); (got < 200) != old {
			t.Errorf("day %d: the median is %d ms", day-start, got)
		}
	}
	// The same when calls came in between.
	m := &measured{}
	for range 100 {
		m.add(start, true, 100*time.Millisecond)
	}
	m.add(start+15, true, 10*time.Second)
	if got := m.read(start + 15).p50; got > 200 {
		t.Errorf("the first half window is forgotten at once: %d ms", got)
	}
	if got := m.read(start + 30).p50; got < 9000 {
		t.Errorf("the first half window still counts after the second: %d ms", got)
	}
}

func TestMeasuredSparesBytes(t *testing.T) {
	m := &measured{}
	m.add(20_000, true, time.Millisecond)
	if n := len(m.encode(nil)); n > 20 {
		t.Errorf("one call takes %d bytes", n)
	}
	got, err := decodeMeasured(m.encode(nil))
	must(t, err)
	if diff := cmp.Diff(m.encode(nil), got.encode(nil)); diff != "" {
		t.Error(diff)
	}
}
