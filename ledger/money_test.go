package ledger_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/ledger"
)

func TestMoneyText(t *testing.T) {
	for _, c := range []struct {
		m            ledger.Money
		text, number string
	}{
		{0, "0 USD", "0"},
		{5 * ledger.USD, "5 USD", "5"},
		{4_997_000, "4.997 USD", "4.997"},
		{1000, "0.001 USD", "0.001"},
		{10, "0.00001 USD", "1e-05"},
		{1, "0.000001 USD", "1e-06"},
		{-1_500_000, "-1.5 USD", "-1.5"},
		{math.MinInt64, "-9223372036854.775808 USD", ""},
	} {
		if got := c.m.String(); got != c.text {
			t.Errorf("%d.String() = %q, want %q", int64(c.m), got, c.text)
		}
		if c.number == "" {
			continue
		}
		if got := string(c.m.AppendJSON(nil)); got != c.number {
			t.Errorf("%d.AppendJSON() = %s, want %s", int64(c.m), got, c.number)
		}
		if got, err := ledger.ParseUSD(c.number); err != nil || got != c.m {
			t.Errorf("ParseUSD(%q) = %d, %v; want %d", c.number, got, err, c.m)
		}
	}
	b, err := json.Marshal(map[string]ledger.Money{"price_usd": 1000})
	if err != nil || string(b) != `{"price_usd":0.001}` {
		t.Errorf("Marshal = %s, %v", b, err)
	}
}

func TestParseUSD(t *testing.T) {
	for token, want := range map[string]ledger.Money{
		"5": 5_000_000, "5.0": 5_000_000, "0.30000000000000004": 300_000, "1e-05": 10, "0.0000005": 0, "0.0000015": 2, "1E4": 10_000_000_000,
	} {
		if got, err := ledger.ParseUSD(token); err != nil || got != want {
			t.Errorf("ParseUSD(%q) = %d, %v; want %d", token, got, err, want)
		}
	}
	for _, token := range []string{"", "NaN", "Infinity", "inf", `"5"`, "5 ", "+5", "05", ".5", "1e40", "0x10", "1_000"} {
		if got, err := ledger.ParseUSD(token); err == nil {
			t.Errorf("ParseUSD(%q) = %d, want an error", token, got)
		}
	}
}

// TestMoneyArithmetic compares checked arithmetic with big integers.
func TestMoneyArithmetic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		edge := rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, 1, -1, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1}))
		a, b := edge.Draw(t, "a"), edge.Draw(t, "b")
		x, y := big.NewInt(a), big.NewInt(b)
		for _, op := range []struct {
			name string
			got  func() (ledger.Money, error)
			want *big.Int
		}{
			{"Add", func() (ledger.Money, error) { return ledger.Money(a).Add(ledger.Money(b)) }, new(big.Int).Add(x, y)},
			{"Sub", func() (ledger.Money, error) { return ledger.Money(a).Sub(ledger.Money(b)) }, new(big.Int).Sub(x, y)},
			{"Mul", func() (ledger.Money, error) { return ledger.Money(a).Mul(b) }, new(big.Int).Mul(x, y)},
		} {
			got, err := op.got()
			if op.want.IsInt64() != (err == nil) || err == nil && int64(got) != op.want.Int64() {
				t.Fatalf("%d %s %d = %d, %v; want %s", a, op.name, b, got, err, op.want)
			}
			if err != nil && !errors.Is(err, ledger.ErrOverflow) {
				t.Fatalf("overflow is reported as %v", err)
			}
		}
	})
}

func TestBps(t *testing.T) {
	for _, c := range []struct {
		m    ledger.Money
		bps  int64
		want ledger.Money
	}{{400_000, 100, 4_000}, {50, 100, 0}, {150, 100, 2}, {250, 100, 2}, {151, 100, 2}, {1, 10_000, 1}, {0, 100, 0}} {
		if got, err := c.m.Bps(c.bps); err != nil || got != c.want {
			t.Errorf("%d.Bps(%d) = %d, %v; want %d", int64(c.m), c.bps, int64(got), err, int64(c.want))
		}
	}
	if _, err := ledger.Money(math.MaxInt64).Bps(math.MaxInt64); !errors.Is(err, ledger.ErrOverflow) {
		t.Errorf("overflow gives %v", err)
	}
	if _, err := ledger.Money(-1).Bps(1); err == nil {
		t.Error("a negative amount has a fee")
	}
}
