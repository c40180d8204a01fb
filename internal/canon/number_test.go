package canon_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"pgregory.net/rapid"
)

// golden reads a file that testdata/generate.py wrote with a real Python.
func golden(t testing.TB, name string) (rows [][]string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	if len(rows) < 100 {
		t.Fatalf("%s has only %d rows", name, len(rows))
	}
	return rows
}

func unquote(t testing.TB, quoted string) (s string) {
	t.Helper()
	if err := json.Unmarshal([]byte(quoted), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPyNumberIsPythons(t *testing.T) {
	for _, row := range golden(t, "numbers.tsv") {
		if got, err := canon.PyNumber(row[0]); err != nil || got != row[1] {
			t.Errorf("PyNumber(%s) = %s, %v; Python prints %s", row[0], got, err, row[1])
		}
	}
	for _, token := range []string{"", " 1", "1 ", "NaN", "Infinity", "1e400", "01", "1.", "+1", "0x1", "true", `"1"`, "1_000"} {
		if got, err := canon.PyNumber(token); err == nil {
			t.Errorf("PyNumber(%q) = %s, want an error", token, got)
		}
	}
}

func TestAppendFloat(t *testing.T) {
	for _, c := range []struct {
		f    float64
		want string
	}{
		{0, "0"}, {math.Copysign(0, -1), "0"}, {1, "1"}, {-3, "-3"}, {0.4, "0.4"}, {0.00001, "1e-05"}, {0.0001, "0.0001"},
		{1.5e-7, "1.5e-07"}, {4.997, "4.997"}, {1e15, "1000000000000000"}, {1e16, "10000000000000000"},
		{1 << 60, "1152921504606847000"}, {1e20, "100000000000000000000"}, {1e21, "1e+21"}, {-1e300, "-1e+300"},
		{5e-324, "5e-324"}, {math.MaxFloat64, "1.7976931348623157e+308"},
		{math.NaN(), "null"}, {math.Inf(1), "null"}, {math.Inf(-1), "null"},
	} {
		if got := string(canon.AppendFloat(nil, c.f)); got != c.want {
			t.Errorf("AppendFloat(%v) = %s, want %s", c.f, got, c.want)
		}
	}
}

// TestAppendFloatKeepsItsPromise: what is printed reads back to the same double and
// is already what Python would print for it.
func TestAppendFloatKeepsItsPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.OneOf(rapid.Float64(), rapid.Custom(func(t *rapid.T) float64 {
			return float64(rapid.Int64().Draw(t, "whole"))
		})).Draw(t, "f")
		if math.IsNaN(f) || math.IsInf(f, 0) {
			t.Skip("not finite")
		}
		token := string(canon.AppendFloat(nil, f))
		if back, err := strconv.ParseFloat(token, 64); err != nil || back != f {
			t.Fatalf("%v prints as %s, which reads as %v", f, token, back)
		}
		if reprint, err := canon.PyNumber(token); err != nil || reprint != token {
			t.Fatalf("%v prints as %s, which Python reprints as %s", f, token, reprint)
		}
	})
}

// TestJCSNumbers are the samples of RFC 8785 appendix B that have a decimal text.
func TestJCSNumbers(t *testing.T) {
	for _, c := range []struct {
		bits uint64
		want string
	}{
		{0x0000000000000000, "0"}, {0x8000000000000000, "0"}, {0x0000000000000001, "5e-324"}, {0x8000000000000001, "-5e-324"},
		{0x7fefffffffffffff, "1.7976931348623157e+308"}, {0xffefffffffffffff, "-1.7976931348623157e+308"},
		{0x4340000000000000, "9007199254740992"}, {0xc340000000000000, "-9007199254740992"}, {0x4430000000000000, "295147905179352830000"},
		{0x44b52d02c7e14af5, "9.999999999999997e+22"}, {0x44b52d02c7e14af6, "1e+23"}, {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
		{0x444b1ae4d6e2ef4e, "999999999999999700000"}, {0x444b1ae4d6e2ef4f, "999999999999999900000"}, {0x444b1ae4d6e2ef50, "1e+21"},
		{0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"}, {0x3eb0c6f7a0b5ed8d, "0.000001"}, {0x41b3de4355555553, "333333333.3333332"},
		{0x41b3de4355555554, "333333333.33333325"}, {0x41b3de4355555555, "333333333.3333333"}, {0x41b3de4355555556, "333333333.3333334"},
		{0x41b3de4355555557, "333333333.33333343"}, {0xbecbf647612f3696, "-0.0000033333333333333333"}, {0x43143ff3c1cb0959, "1424953923781206.2"},
	} {
		token := strconv.FormatFloat(math.Float64frombits(c.bits), 'e', -1, 64)
		if got, err := parse(t, token).AppendJCS(nil); err != nil || string(got) != c.want {
			t.Errorf("%s prints as %s, %v; want %s", token, got, err, c.want)
		}
	}
	if out, err := parse(t, "["+strings.Repeat("9", 400)+"]").AppendJCS([]byte("kept")); err == nil || string(out) != "kept" {
		t.Errorf("an integer beyond a double gave %.20s, %v", out, err)
	}
}
