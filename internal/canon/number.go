package canon

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// PyNumber is the text that Python prints for the JSON number token it read: an
// integer token stays as it is at any size ("-0" becomes "0"), any other token
// becomes the shortest text that reads back to the same double, plain when its
// decimal exponent is -4 to 15 and always with a fraction, else with an exponent
// of at least two digits (federation notes §8). It fails on anything but a
// finite JSON number.
func PyNumber(token string) (string, error) {
	v, err := Parse([]byte(token))
	if err != nil || v.Kind() != Number || v.Token() != token {
		return "", fmt.Errorf("%q is not a finite JSON number", clip(token))
	}
	return string(appendPython(nil, token)), nil
}

// appendPython prints a token that the parser has accepted.
func appendPython(dst []byte, token string) []byte {
	if strings.IndexAny(token, ".eE") < 0 {
		if token == "-0" {
			return append(dst, '0')
		}
		return append(dst, token...)
	}
	f, _ := strconv.ParseFloat(token, 64) // the parser refused what overflows
	return appendRepr(dst, f)
}

// shortest is the shortest decimal that reads back to one double:
// 0.d₁d₂d₃… × 10^point.
type shortest struct {
	negative bool
	point    int
	from, to int // the digits are text[from:to]
	text     [maxShortest]byte
}

// maxShortest holds the longest shortest form: 17 digits, a point, e-308.
const maxShortest = 24

func (s *shortest) set(f float64) {
	s.negative = math.Signbit(f)
	text := strconv.AppendFloat(s.text[:0], math.Abs(f), 'e', -1, 64) // d.ddde±xx
	s.to = bytes.IndexByte(text, 'e')
	exponent := 0
	for _, c := range text[s.to+2:] {
		exponent = exponent*10 + int(c-'0')
	}
	if text[s.to+1] == '-' {
		exponent = -exponent
	}
	s.point = exponent + 1
	if s.to > 1 {
		s.text[1] = s.text[0] // move the first digit over the point
		s.from = 1
	}
}

func (s *shortest) digits() []byte { return s.text[s.from:s.to] }

// appendPlain prints the digits without an exponent and, if they are whole,
// without a fraction.
func (s *shortest) appendPlain(dst []byte) []byte {
	switch n := len(s.digits()); {
	case s.point <= 0:
		dst = append(dst, "0."...)
		dst = appendZeros(dst, -s.point)
		return append(dst, s.digits()...)
	case s.point >= n:
		dst = append(dst, s.digits()...)
		return appendZeros(dst, s.point-n)
	default:
		dst = append(dst, s.digits()[:s.point]...)
		dst = append(dst, '.')
		return append(dst, s.digits()[s.point:]...)
	}
}

func appendZeros(dst []byte, n int) []byte {
	for range n {
		dst = append(dst, '0')
	}
	return dst
}

// appendExponent prints d.ddde±x with at least width exponent digits.
func (s *shortest) appendExponent(dst []byte, width int) []byte {
	dst = append(dst, s.digits()[0])
	if len(s.digits()) > 1 {
		dst = append(dst, '.')
		dst = append(dst, s.digits()[1:]...)
	}
	exp := s.point - 1
	if exp < 0 {
		dst = append(dst, "e-"...)
		exp = -exp
	} else {
		dst = append(dst, "e+"...)
	}
	if exp < 10 && width > 1 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(exp), 10)
}

// appendRepr prints a finite double as Python's repr does.
func appendRepr(dst []byte, f float64) []byte {
	var s shortest
	s.set(f)
	if s.negative {
		dst = append(dst, '-')
	}
	if s.point <= -4 || s.point > 16 {
		return s.appendExponent(dst, 2)
	}
	dst = s.appendPlain(dst)
	if s.point >= len(s.digits()) {
		dst = append(dst, ".0"...)
	}
	return dst
}

// appendES6 prints a finite double as ECMAScript's Number::toString does.
func appendES6(dst []byte, f float64) []byte {
	if f == 0 {
		return append(dst, '0')
	}
	var s shortest
	s.set(f)
	if s.negative {
		dst = append(dst, '-')
	}
	if s.point <= -6 || s.point > 21 {
		return s.appendExponent(dst, 1)
	}
	return s.appendPlain(dst)
}

func appendES6Token(dst []byte, token string) ([]byte, bool) {
	f, err := strconv.ParseFloat(token, 64)
	if err != nil {
		return dst, false
	}
	return appendES6(dst, f), true
}

// maxWhole is where ECMAScript starts to print whole doubles with an exponent.
const maxWhole = 1e21

// AppendFloat prints f so that token and canonical reprint agree, in Python and,
// for whole values, after a trip through JavaScript: whole values below 10²¹ as
// integers, others in Python's repr (1e-05, 0.0001). Negative zero prints as 0.
// A value that is not finite has no JSON number and prints as null.
func AppendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return append(dst, "null"...)
	case f == math.Trunc(f) && math.Abs(f) < maxWhole:
		return appendES6(dst, f)
	default:
		return appendRepr(dst, f)
	}
}
