package routing

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"
)

func memoryStats(t *testing.T, c *clock) *Router {
	t.Helper()
	s, err := openStats(nil, c.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &Router{stats: s}
}

func TestSummaryOfNothing(t *testing.T) {
	r := memoryStats(t, &clock{now: time.Unix(1e9, 0)})
	if s := r.Summary(); s != (Summary{}) {
		t.Errorf("%+v", s)
	}
	if e := r.Events(10); len(e) != 0 {
		t.Errorf("%v", e)
	}
}

// The windows against a model that keeps every call.
func TestSummaryMatchesAModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := &clock{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		r := memoryStats(t, c)
		var all []Event
		for range rapid.IntRange(1, 60).Draw(rt, "calls") {
			c.advance(time.Duration(rapid.IntRange(0, 3*3600).Draw(rt, "gap")) * time.Second)
			e := Event{Time: c.Now(), Success: rapid.Bool().Draw(rt, "ok"), Latency: time.Duration(rapid.IntRange(0, 50).Draw(rt, "ms")) * time.Millisecond}
			if e.Success {
				e.Price = ledger.Money(rapid.IntRange(0, 1e6).Draw(rt, "price"))
			}
			r.stats.add(e)
			all = append(all, e)
		}
		c.advance(time.Duration(rapid.IntRange(0, 30*3600).Draw(rt, "rest")) * time.Second)
		got := r.Summary()
		now := minuteOf(c.Now())
		var h1, h24, failed, good int64
		var revenue ledger.Money
		for _, e := range all {
			if e.Success {
				good++
			}
			age := now - minuteOf(e.Time)
			if age < 24*60 {
				h24++
				if !e.Success {
					failed++
				}
			}
			if age < 60 {
				h1++
				revenue += e.Price
			}
		}
		if got.Total != int64(len(all)) || got.Successful != good || got.Last1h != h1 || got.Last24h != h24 || got.Failed24h != failed || got.RevenuePerHour != revenue {
			rt.Fatalf("got %+v, want total %d good %d 1h %d 24h %d failed %d revenue %d", got, len(all), good, h1, h24, failed, revenue)
		}
		// The percentiles cover the last day up to one quarter of an hour more.
		var window []int64
		for _, e := range all {
			if minuteOf(c.Now())/slotMinutes-minuteOf(e.Time)/slotMinutes < daySlots {
				window = append(window, e.Latency.Milliseconds())
			}
		}
		slices.Sort(window)
		for _, p := range []struct {
			percent int
			got     *int64
		}{{50, got.P50LatencyMS24h}, {95, got.P95LatencyMS24h}} {
			if len(window) == 0 {
				if p.got != nil {
					rt.Fatalf("p%d of nothing is %d", p.percent, *p.got)
				}
				continue
			}
			rank := (len(window)*p.percent + 99) / 100
			if p.got == nil || *p.got != window[rank-1] {
				rt.Fatalf("p%d is %v, want %d", p.percent, p.got, window[rank-1])
			}
		}
	})
}

func TestHistogramError(t *testing.T) {
	for ms := int64(0); ms < 1<<topBit; ms += 1 + ms/97 {
		got := histValue(histBin(ms))
		if diff := float64(max(got-ms, ms-got)); diff > float64(ms)/60 {
			t.Fatalf("%d ms is counted as %d", ms, got)
		}
		if bin := histBin(ms); bin < 0 || bin >= histBins || histBin(ms+1) < bin {
			t.Fatalf("%d ms falls into bin %d", ms, bin)
		}
	}
	for _, ms := range []int64{-1, 1 << topBit, 1 << 40} {
		if bin := histBin(ms); bin < 0 || bin >= histBins {
			t.Errorf("%d ms falls into bin %d", ms, bin)
		}
	}
}

func TestEventsNewestFirstAndBounded(t *testing.T) {
	r := memoryStats(t, &clock{now: time.Unix(1e9, 0)})
	for range maxEvents + 5 {
		r.stats.add(Event{Time: time.Unix(1e9, 0)})
	}
	got := r.Events(3)
	if len(got) != 3 || got[0].ID != maxEvents+5 || got[2].ID != maxEvents+3 {
		t.Errorf("%+v", got)
	}
	if n := len(r.Events(1 << 30)); n != maxEvents {
		t.Errorf("%d events", n)
	}
	if n := len(r.Events(-1)); n != 0 {
		t.Errorf("%d events for a negative limit", n)
	}
}

func TestStatsSurviveARestart(t *testing.T) {
	fs := vfs.NewMem()
	c := &clock{now: time.Date(2026, 5, 21, 12, 0, 30, 0, time.UTC)}
	rnd := rand.New(rand.NewPCG(1, 2))
	var before Summary
	var events []Event
	for run := range 4 {
		db := openStore(t, fs)
		s, err := openStats(db, c.Now, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		r := &Router{stats: s}
		if got := r.Summary(); run > 0 && !reflect.DeepEqual(got, before) {
			t.Errorf("run %d starts with %+v, the last one ended with %+v", run, got, before)
		}
		if got := r.Events(200); run > 0 && !reflect.DeepEqual(got, events) {
			t.Errorf("run %d starts with other events: %+v want %+v", run, got[:2], events[:2])
		}
		for i := range 3000 {
			s.add(Event{CapabilityID: "echo@v1", Time: c.Now().UTC(), Success: i%3 > 0, Price: ledger.Money(i), Latency: time.Duration(rnd.IntN(5000)) * time.Millisecond})
			if i%100 == 0 {
				c.advance(20 * time.Second)
			}
			if i%1000 == 0 {
				if err := s.flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		before, events = r.Summary(), r.Events(200)
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if before.Total != 12000 {
		t.Errorf("total %d", before.Total)
	}
	// A day later only the totals are left, and the store holds no older minute.
	c.advance(25 * time.Hour)
	db := openStore(t, fs)
	defer db.Close()
	s, err := openStats(db, c.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if got := (&Router{stats: s}).Summary(); got.Total != 12000 || got.Last24h != 0 || got.P50LatencyMS24h != nil {
		t.Errorf("%+v", got)
	}
	left := 0
	if err := db.Scan([]byte(minuteRange), nil, func(_, _ []byte) (bool, error) { left++; return true, nil }); err != nil || left != 0 {
		t.Errorf("%d minutes left, %v", left, err)
	}
}

func TestDamagedStatsDoNotStopTheHub(t *testing.T) {
	db := openStore(t, vfs.NewMem())
	defer db.Close()
	b := db.NewBatch()
	b.Set([]byte(totalsKey), []byte{7, 7})
	b.Set(eventKey(3), []byte{1, '{'})
	b.Set(minuteKey(minuteOf(time.Date(2026, 5, 21, 12, 0, 0, 0, time.UTC))), []byte{1, 0xff})
	b.Set(minuteKey(1<<40), []byte{1, 1, 0, 0})
	if err := db.Write(b); err != nil {
		t.Fatal(err)
	}
	h := newHub(t, func(c *Config) { c.Store = db })
	defer h.Close(context.Background())
	h.mustInvoke(h.paid())
	if s := h.Summary(); s.Total != 1 {
		t.Errorf("%+v", s)
	}
}

func TestInvokesAreRecorded(t *testing.T) {
	h := newHub(t)
	h.mustInvoke(h.paid())
	c := h.paid()
	c.CapabilityID, c.OperatorSelf = "broken@v1", true
	h.mustRefuse(c, ProviderFailed)
	c.CapabilityID = "picky@v1" // the caller's fault
	h.mustRefuse(c, InvalidInput)
	h.mustRefuse(call1("echo@v1", `{}`), PaymentRequired) // not executed
	events := h.Events(10)
	if len(events) != 2 || events[0].Success || events[0].TrafficClass != "operator_self" || events[0].Price != 0 ||
		!events[1].Success || events[1].Price != echoPrice || events[1].TrafficClass != "external" || events[1].SourceHub != "local" {
		t.Errorf("%+v", events)
	}
	if s := h.Summary(); s.Total != 2 || s.Successful != 1 || s.SuccessRate != 0.5 || s.RevenuePerHour != echoPrice || s.AvgPriceUSD != 0.0005 {
		t.Errorf("%+v", s)
	}
	if good, bad := h.market.seen(); good != 1 || bad != 1 {
		t.Errorf("the catalogue saw %d good, %d bad", good, bad)
	}
}
