package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// drawRow makes any row that could be stored.
func drawRow(t *rapid.T) Capability {
	r := Capability{
		Key:            Key{"p", "c@v1", Local},
		SourceHubName:  rapid.String().Draw(t, "hub"),
		Name:           rapid.String().Draw(t, "name"),
		Version:        rapid.String().Draw(t, "version"),
		Description:    rapid.String().Draw(t, "description"),
		InputSchema:    rapid.SliceOf(rapid.Byte()).Draw(t, "input"),
		OutputSchema:   rapid.SliceOf(rapid.Byte()).Draw(t, "output"),
		PriceMicros:    rapid.Int64Range(0, MaxPriceMicros).Draw(t, "price"),
		RoutedMicros:   rapid.Int64Range(0, 2*MaxPriceMicros).Draw(t, "routed"),
		RoutingFeeBps:  rapid.IntRange(0, maxRoutingFeeBps).Draw(t, "fee"),
		TrustScore:     rapid.Float64Range(0, 1).Draw(t, "trust"),
		P50LatencyMS:   rapid.IntRange(0, MaxLatencyMS).Draw(t, "p50"),
		SuccessRate30d: rapid.Float64Range(0, 1).Draw(t, "success"),
		InvokeURL:      rapid.String().Draw(t, "url"),
		PublisherID:    rapid.String().Draw(t, "publisher"),
		ProviderKey:    rapid.String().Draw(t, "key"),
		StakeMicros:    rapid.Int64Range(0, maxStakeMicros).Draw(t, "stake"),
		Demo:           rapid.Bool().Draw(t, "demo"),
		Builtin:        rapid.Bool().Draw(t, "builtin"),
		FirstSeen:      time.UnixMicro(rapid.Int64Range(0, math.MaxInt32*1e6).Draw(t, "first")).UTC(),
		UpdatedAt:      time.UnixMicro(rapid.Int64Range(0, math.MaxInt32*1e6).Draw(t, "updated")).UTC(),
	}
	return r
}

func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRow(t)
		b := appendRow(nil, &r)
		got, err := decodeRow(r.Key, b)
		if err != nil {
			t.Fatal(err)
		}
		if !sameRow(&r, &got) || !r.FirstSeen.Equal(got.FirstSeen) || !r.UpdatedAt.Equal(got.UpdatedAt) {
			t.Fatal(cmp.Diff(r, got))
		}
		for n := range b {
			if _, err := decodeRow(r.Key, b[:n]); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("a row cut to %d of %d bytes decodes: %v", n, len(b), err)
			}
		}
		if _, err := decodeRow(r.Key, append(b, 0)); !errors.Is(err, ErrCorrupt) {
			t.Fatal("a row with a byte too much decodes")
		}
	})
}

// Version 1 as it is on disks today must stay readable.
func TestRowVersion1(t *testing.T) {
	r := row("p", "c@v1")
	r.FirstSeen, r.UpdatedAt = testStart, testStart
	b := appendRow(nil, &r)
	golden(t, "row-v1.hex", []byte(hex.EncodeToString(b)))
	b[0] = 2
	if _, err := decodeRow(r.Key, b); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a row of an unknown version: %v", err)
	}
}

func TestKeysDoNotCollide(t *testing.T) {
	k := Key{"p", "c@v1", Local}
	got, ok := parseRowKey(rowKey(k))
	if !ok || got != k {
		t.Fatalf("%v becomes %v", k, got)
	}
	for _, bad := range []string{"", rangeRow, rangeRow + "a\x00b", rangeRow + "a\x00b\x00", rangeRow + "a\x00b\x00c\x00d", "ledger/x"} {
		if k, ok := parseRowKey([]byte(bad)); ok {
			t.Errorf("%q is read as %v", bad, k)
		}
	}
}

func FuzzDecodeRow(f *testing.F) {
	r := row("p", "c@v1")
	f.Add(appendRow(nil, &r))
	f.Add([]byte{rowVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRow(Key{"p", "c@v1", Local}, b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("err = %v", err)
			}
			return
		}
		again, err := decodeRow(r.Key, appendRow(nil, &r))
		if err != nil || !sameRow(&r, &again) {
			t.Fatalf("%v\n%s", err, cmp.Diff(r, again))
		}
	})
}

func FuzzDecodeMeasured(f *testing.F) {
	m := &measured{}
	m.add(20_000, true, time.Second)
	f.Add(m.encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeasured(b)
		if err != nil {
			return
		}
		if s := m.read(m.day + 3); s.good > s.calls || s.success > 1 {
			t.Fatalf("standing %+v", s)
		}
		first := m.encode(nil)
		again, err := decodeMeasured(first)
		if err != nil || !bytes.Equal(again.encode(nil), first) {
			t.Fatalf("measurements change when they are saved: %v", err)
		}
	})
}

func FuzzDecodePeer(f *testing.F) {
	b, err := encodePeer(&Peer{URL: "https://a.example.org", Status: PeerActive})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePeer("https://a.example.org", b)
		if err != nil {
			return
		}
		if _, err := encodePeer(p); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzDecodeStake(f *testing.F) {
	f.Add(appendStake(nil, StakeStatus{StakeMicros: 10 * usd}))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decodeStake("alice", b)
		if err != nil {
			return
		}
		again, err := decodeStake("alice", appendStake(nil, st))
		if err != nil || again != st {
			t.Fatalf("%+v becomes %+v, %v", st, again, err)
		}
	})
}

func FuzzSchema(f *testing.F) {
	f.Add([]byte(`{"type":"object","properties":{"a":{"maximum":1e5}}}`))
	f.Add([]byte(`{"a":[1.0,-0.0,1e300]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		once, err := normalSchema("input_schema", b)
		if err != nil {
			return
		}
		twice, err := normalSchema("input_schema", once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q becomes %q, then %q, %v", b, once, twice, err)
		}
	})
}
