package routing

import (
	"testing"
	"time"

	"github.com/aimarket/aimarket/ledger"
	"pgregory.net/rapid"
)

func TestEventCodec(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringN(0, 20, 40)
		e := Event{
			ID: rapid.Uint64Max(1<<62).Draw(rt, "id"), CapabilityID: text.Draw(rt, "c"), ProductID: text.Draw(rt, "p"),
			SourceHub: text.Draw(rt, "s"), ConsumerHub: text.Draw(rt, "h"), TrafficClass: text.Draw(rt, "t"),
			Price: ledger.Money(rapid.Int64Range(0, 1e12).Draw(rt, "price")), Success: rapid.Bool().Draw(rt, "ok"),
			Latency: time.Duration(rapid.Int64Range(0, 1e12).Draw(rt, "latency")),
			Time:    time.UnixMilli(rapid.Int64Range(0, 1e13).Draw(rt, "time")).UTC(),
		}
		row := encodeEvent(e)
		got, err := decodeEvent(row)
		if err != nil || got != e {
			rt.Fatalf("%+v became %+v, %v", e, got, err)
		}
		for n := range row {
			if _, err := decodeEvent(row[:n]); err == nil {
				rt.Fatalf("a row cut at %d of %d bytes was read", n, len(row))
			}
		}
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(encodeEvent(Event{ID: 7, CapabilityID: "echo@v1", Success: true}))
	f.Add([]byte{statsVersion})
	f.Fuzz(func(t *testing.T, row []byte) {
		e, err := decodeEvent(row)
		if err != nil {
			return
		}
		if again, err := decodeEvent(encodeEvent(e)); err != nil || again != e {
			t.Errorf("%+v became %+v, %v", e, again, err)
		}
	})
}

func FuzzUvarints(f *testing.F) {
	m := minuteRow{minute: minute{calls: 3, failed: 1, revenue: 1000}, hist: map[uint16]uint32{5: 2, 70: 1}}
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, row []byte) {
		if n, err := uvarints(row); err == nil && len(n) > len(row) {
			t.Errorf("%d numbers from %d bytes", len(n), len(row))
		}
	})
}
