package ledger

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/aimarket/aimarket/internal/canon"
)

// Money is an exact amount of micro-USD (10⁻⁶), the escrow token's own unit.
type Money int64

// USD is one dollar.
const USD Money = 1_000_000

// ParseUSD reads a JSON number token of dollars. Digits beyond the sixth decimal
// are rounded half to even, so that 0.30000000000000004, what a float-keeping
// client sends for 0.3, means 0.3. It fails on NaN, Infinity, quoted numbers and
// overflow. The sign is the caller's to judge.
func ParseUSD(token string) (Money, error) {
	m, err := canon.ParseMicros(token)
	if err != nil {
		return 0, fmt.Errorf("ledger: read %.40q as US dollars: %w", token, err)
	}
	return Money(m), nil
}

// AppendJSON appends the amount as a JSON number of dollars in the form in which
// token and canonical reprint agree: 0.001, 5, 1e-05.
func (m Money) AppendJSON(dst []byte) []byte { return canon.AppendMicros(dst, int64(m)) }

// MarshalJSON is AppendJSON for encoding/json.
func (m Money) MarshalJSON() ([]byte, error) { return m.AppendJSON(nil), nil }

// Float is the double nearest to the amount in dollars: for display and for the
// payer proof, never to count with.
func (m Money) Float() float64 { return float64(m) / float64(USD) }

// String is the amount for people: "4.997 USD", never in exponent form.
func (m Money) String() string {
	sign, u := "", uint64(m)
	if m < 0 {
		sign, u = "-", -u
	}
	whole, frac := u/uint64(USD), u%uint64(USD)
	if frac == 0 {
		return fmt.Sprintf("%s%d USD", sign, whole)
	}
	digits := fmt.Sprintf("%06d", frac)
	for digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return fmt.Sprintf("%s%d.%s USD", sign, whole, digits)
}

// Add returns m+n, or ErrOverflow.
func (m Money) Add(n Money) (Money, error) {
	s := m + n
	if (s > m) != (n > 0) && n != 0 {
		return 0, overflow("%d + %d", m, n)
	}
	return s, nil
}

// Sub returns m-n, or ErrOverflow.
func (m Money) Sub(n Money) (Money, error) {
	s := m - n
	if (s < m) != (n > 0) && n != 0 {
		return 0, overflow("%d - %d", m, n)
	}
	return s, nil
}

// Mul returns m×n, or ErrOverflow.
func (m Money) Mul(n int64) (Money, error) {
	neg := (m < 0) != (n < 0)
	hi, lo := bits.Mul64(magnitude(int64(m)), magnitude(n))
	limit := uint64(math.MaxInt64)
	if neg {
		limit++
	}
	if hi != 0 || lo > limit {
		return 0, overflow("%d × %d", m, Money(n))
	}
	if neg {
		return Money(-lo), nil
	}
	return Money(lo), nil
}

// Bps returns bps ten-thousandths of m, rounded half to even to the micro-USD: the
// routing fee's arithmetic (payments contract §2). m and bps must not be negative.
func (m Money) Bps(bps int64) (Money, error) {
	if m < 0 || bps < 0 {
		return 0, overflow("%d × %d bps", m, Money(bps))
	}
	hi, lo := bits.Mul64(uint64(m), uint64(bps))
	if hi >= 10_000 {
		return 0, overflow("%d × %d bps", m, Money(bps))
	}
	q, r := bits.Div64(hi, lo, 10_000)
	if r > 5_000 || r == 5_000 && q&1 == 1 {
		q++
	}
	if q > math.MaxInt64 {
		return 0, overflow("%d × %d bps", m, Money(bps))
	}
	return Money(q), nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func overflow(format string, a, b Money) error {
	return &Error{Kind: KindOverflow, Detail: fmt.Sprintf("amount overflow: "+format+" micro-USD", int64(a), int64(b))}
}
