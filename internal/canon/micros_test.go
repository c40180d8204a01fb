package canon_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"pgregory.net/rapid"
)

func TestParseMicros(t *testing.T) {
	for _, c := range []struct {
		token string
		want  int64
	}{
		{"0", 0}, {"-0", 0}, {"0.0", 0}, {"0e999999999999999999999", 0}, {"5", 5e6}, {"5.0", 5e6}, {"0.001", 1000}, {"1e-05", 10},
		{"1E-5", 10}, {"0.00001", 10}, {"0.4", 400_000}, {"-0.35", -350_000}, {"4.997", 4_997_000}, {"1e3", 1e9}, {"1.5e+2", 150e6},
		{"123456e-6", 123_456}, {"0.0000005", 0}, {"0.0000015", 2}, {"0.0000025", 2}, {"0.00000250000000001", 3}, {"0.0000035", 4},
		{"0.00000049999999999999999999", 0}, {"0.00000050000000000000000001", 1}, {"-0.0000015", -2}, {"-0.0000025", -2},
		{"0.9999995", 1_000_000}, {"0.9999994", 999_999}, {"0.05e-5", 0}, {"5e-7", 0}, {"6e-7", 1}, {"15e-7", 2}, {"1e-400", 0},
		{"1e-999999999999999999999999", 0}, {"0000000001e-0"[9:], 1e6}, {"9223372036854.775807", math.MaxInt64},
		{"-9223372036854.775808", math.MinInt64}, {"9223372036854.7758074", math.MaxInt64}, {"9223372036854775807e-6", math.MaxInt64},
		{"1.005", 1_005_000}, {"0.1e1", 1e6}, {"10.50", 10_500_000},
	} {
		if got, err := canon.ParseMicros(c.token); err != nil || got != c.want {
			t.Errorf("ParseMicros(%s) = %d, %v; want %d", c.token, got, err, c.want)
		}
	}
	for _, token := range []string{"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1e1.5", "1e5e5", "0x1", "NaN", "inf", "Infinity", " 1",
		"1 ", "1,5", "1_0", "--1", "1.2.3", `"1"`, "null", "١", "9223372036854.775808", "9223372036854.7758075", "-9223372036854.775809",
		"1e13", "1e400", "1e999999999999999999999999", strings.Repeat("9", 1000)} {
		if got, err := canon.ParseMicros(token); err == nil {
			t.Errorf("ParseMicros(%q) = %d, want an error", token, got)
		} else if len(err.Error()) > 200 {
			t.Errorf("ParseMicros(%.10q…) repeats too much of the sender's text", token)
		}
	}
}

func TestAppendMicros(t *testing.T) {
	for _, c := range []struct {
		micros int64
		want   string
	}{
		{0, "0"}, {1, "1e-06"}, {9, "9e-06"}, {10, "1e-05"}, {15, "1.5e-05"}, {99, "9.9e-05"}, {100, "0.0001"}, {101, "0.000101"},
		{1000, "0.001"}, {350_000, "0.35"}, {1_000_000, "1"}, {1_000_001, "1.000001"}, {4_997_000, "4.997"}, {5_000_000, "5"},
		{-1, "-1e-06"}, {-350_000, "-0.35"}, {math.MaxInt64, "9223372036854.775807"}, {math.MinInt64, "-9223372036854.775808"},
	} {
		if got := string(canon.AppendMicros(nil, c.micros)); got != c.want {
			t.Errorf("AppendMicros(%d) = %s, want %s", c.micros, got, c.want)
		}
	}
}

// TestMicrosRoundTrip: every amount reads back exactly, and below 10¹⁵ micro-units
// the token is what Python reprints.
func TestMicrosRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-2e6, 2e6)).Draw(t, "micros")
		token := string(canon.AppendMicros(nil, micros))
		if back, err := canon.ParseMicros(token); err != nil || back != micros {
			t.Fatalf("%d prints as %s, which reads as %d, %v", micros, token, back, err)
		}
		reprint, err := canon.PyNumber(token)
		if err != nil || reprint != token && micros > -1e15 && micros < 1e15 {
			t.Fatalf("%d prints as %s, which Python reprints as %s (%v)", micros, token, reprint, err)
		}
	})
}

// TestParseMicrosIsExact compares with rational arithmetic.
func TestParseMicrosIsExact(t *testing.T) {
	token := rapid.StringMatching(`-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) { checkMicros(t, token.Draw(t, "token")) })
}

// checkMicros holds ParseMicros against rational arithmetic. The token must be a
// JSON number with a small exponent.
func checkMicros(t interface{ Fatalf(string, ...any) }, token string) {
	exact, ok := new(big.Rat).SetString(token)
	if !ok {
		t.Fatalf("%s is no number", token)
	}
	exact.Mul(exact, big.NewRat(1_000_000, 1))
	floor, rest := new(big.Int).DivMod(exact.Num(), exact.Denom(), new(big.Int))
	switch twice := rest.Lsh(rest, 1).Cmp(exact.Denom()); {
	case twice > 0, twice == 0 && floor.Bit(0) == 1:
		floor.Add(floor, big.NewInt(1))
	}
	got, err := canon.ParseMicros(token)
	if !floor.IsInt64() {
		if err == nil {
			t.Fatalf("ParseMicros(%s) = %d, but %s does not fit", token, got, floor)
		}
		return
	}
	if err != nil || got != floor.Int64() {
		t.Fatalf("ParseMicros(%s) = %d, %v; want %s", token, got, err, floor)
	}
}
