package canon

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// microsPerUnit and microDigits: one unit (a US dollar, say) is 10⁶ micro-units.
const (
	microsPerUnit = 1_000_000
	microDigits   = 6
)

// AppendMicros prints an amount of micro-units (10⁻⁶) as the exact decimal
// number in the form of federation notes §8: 1000 is 0.001, 10 is 1e-05, 5000000
// is 5. Below 10¹⁵ micro-units (a thousand million dollars) the token and its
// reprint by Python agree; beyond, doubles are coarser than the decimal.
func AppendMicros(dst []byte, micros int64) []byte {
	n := uint64(micros)
	if micros < 0 {
		dst = append(dst, '-')
		n = -n
	}
	whole, rest := n/microsPerUnit, n%microsPerUnit
	switch {
	case rest == 0:
		return strconv.AppendUint(dst, whole, 10)
	case whole == 0 && rest < 10:
		dst = strconv.AppendUint(dst, rest, 10)
		return append(dst, "e-06"...)
	case whole == 0 && rest < 100:
		dst = append(dst, '0'+byte(rest/10))
		if rest%10 != 0 {
			dst = append(dst, '.', '0'+byte(rest%10))
		}
		return append(dst, "e-05"...)
	}
	dst = strconv.AppendUint(dst, whole, 10)
	dst = append(dst, '.')
	for unit := uint64(microsPerUnit / 10); rest > 0; unit /= 10 {
		dst = append(dst, '0'+byte(rest/unit))
		rest %= unit
	}
	return dst
}

// ParseMicros reads a JSON number token as micro-units, rounding the exact
// decimal half to even beyond the sixth decimal. It fails on anything but a JSON
// number and on amounts outside int64.
func ParseMicros(token string) (int64, error) {
	digits, exponent, negative, ok := splitNumber(token)
	if !ok {
		return 0, fmt.Errorf("amount %q is not a JSON number; write it like 0.001 or 1e-05", clip(token))
	}

	// The value is the integer digits.skip × 10^(exponent+microDigits) micro-units.
	keep := digits.n + exponent + microDigits // digits before the rounding point
	if digits.n == 0 {
		return 0, nil
	}
	if keep > 19 { // 10¹⁹ > MaxInt64, and the first digit is not 0
		return 0, tooLarge(token)
	}
	var n uint64
	for i := 0; i < keep; i++ {
		n = n*10 + uint64(digits.at(i)) // below 10¹⁹, so no overflow
	}
	if digits.roundsUp(keep, n) {
		n++
	}
	switch {
	case negative && n == 1<<63:
		return math.MinInt64, nil
	case n > math.MaxInt64:
		return 0, tooLarge(token)
	case negative:
		return -int64(n), nil
	}
	return int64(n), nil
}

func tooLarge(token string) error {
	return fmt.Errorf("amount %s is outside ±%d millionths; send a smaller one", clip(token), int64(math.MaxInt64))
}

// decimal is a run of significant digits, the decimal point left out. The first
// digit is not 0.
type decimal struct {
	text string // digits and at most one point
	n    int    // number of digits
	dot  int    // index of the point in text, or len(text)
}

func (d decimal) at(i int) byte {
	if i >= d.n {
		return 0
	}
	if i >= d.dot {
		i++
	}
	return d.text[i] - '0'
}

// roundsUp decides half to even for a number cut before digit keep, whose kept
// part is n.
func (d decimal) roundsUp(keep int, n uint64) bool {
	if keep < 0 || keep >= d.n {
		return false
	}
	if c := d.at(keep); c != 5 {
		return c > 5
	}
	for i := keep + 1; i < d.n; i++ {
		if d.at(i) != 0 {
			return true
		}
	}
	return n%2 == 1
}

// maxExponent caps exponents while reading, far beyond any that matters.
const maxExponent = 1 << 40

// splitNumber checks the JSON number grammar and takes the token apart into
// significant digits d and exponent e: the value is d × 10^e.
func splitNumber(token string) (d decimal, e int, negative, ok bool) {
	rest, negative := strings.CutPrefix(token, "-")
	mantissa := rest
	if i := strings.IndexAny(rest, "eE"); i >= 0 {
		mantissa = rest[:i]
		exp, digits := 0, rest[i+1:]
		minus := strings.HasPrefix(digits, "-")
		if minus || strings.HasPrefix(digits, "+") {
			digits = digits[1:]
		}
		if digits == "" {
			return d, 0, false, false
		}
		for _, c := range []byte(digits) {
			if c < '0' || c > '9' {
				return d, 0, false, false
			}
			exp = min(exp*10+int(c-'0'), maxExponent)
		}
		if minus {
			exp = -exp
		}
		e = exp
	}
	whole, fraction, hasPoint := strings.Cut(mantissa, ".")
	if !allDigits(whole) || len(whole) > 1 && whole[0] == '0' || hasPoint && !allDigits(fraction) {
		return d, 0, false, false
	}
	e -= len(fraction)
	// Drop leading zeros, and the point if it goes with them.
	text := mantissa
	for text != "" && (text[0] == '0' || text[0] == '.') {
		text = text[1:]
	}
	d = decimal{text: text, n: len(text), dot: strings.IndexByte(text, '.')}
	if d.dot < 0 {
		d.dot = len(text)
	} else {
		d.n--
	}
	return d, e, negative, true
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
