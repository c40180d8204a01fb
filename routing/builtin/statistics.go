package builtin

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/aimarket/aimarket/internal/canon"
)

const (
	maxNumbers = 10_000
	// maxMagnitude keeps every square and sum of maxNumbers values finite.
	maxMagnitude = 1e140
)

// number reads a required finite number.
func (a *args) number(field string) float64 {
	v := a.in.Get(field)
	if v.Kind() == canon.Invalid {
		a.fail(field, "is missing; it must be a number")
		return 0
	}
	f, ok := finite(v)
	if !ok {
		a.fail(field, "must be a number that a double can hold")
	}
	return f
}

func finite(v canon.Value) (float64, bool) {
	if v.Kind() != canon.Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.Token(), 64)
	return f, err == nil && !math.IsInf(f, 0)
}

func round15(f float64) float64 {
	r, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 15, 64), 64)
	if err != nil {
		return f
	}
	return r
}

func statistics(_ context.Context, in canon.Value) (json.RawMessage, error) {
	list := in.Get("numbers")
	switch {
	case list.Kind() == canon.Invalid:
		return nil, bad("numbers", "is missing; it must be an array of numbers")
	case list.Kind() != canon.Array:
		return nil, bad("numbers", "must be an array of numbers")
	case list.Len() == 0:
		return nil, bad("numbers", "is empty; at least one number is needed")
	case list.Len() > maxNumbers:
		return nil, bad("numbers", "has %d elements; at most %d are allowed", list.Len(), maxNumbers)
	}
	x := make([]float64, 0, list.Len())
	for v := range list.Elements {
		f, ok := finite(v)
		if !ok || math.Abs(f) > maxMagnitude {
			return nil, bad("numbers", "element %d must be a number of at most 1e140 in size", len(x))
		}
		x = append(x, f)
	}
	slices.Sort(x)
	n := float64(len(x))
	sum := kahan(x, func(f float64) float64 { return f })
	mean := sum / n
	squares := kahan(x, func(f float64) float64 { return (f - mean) * (f - mean) })
	var o object
	o.int("count", len(x))
	o.num("sum", round15(sum))
	o.num("min", x[0])
	o.num("max", x[len(x)-1])
	o.num("mean", round15(mean))
	o.num("median", round15(percentile(x, 0.5)))
	o.num("p25", round15(percentile(x, 0.25)))
	o.num("p75", round15(percentile(x, 0.75)))
	o.num("p95", round15(percentile(x, 0.95)))
	o.num("variance_population", round15(squares/n))
	o.num("stdev_population", round15(math.Sqrt(squares/n)))
	if len(x) > 1 {
		o.num("variance_sample", round15(squares/(n-1)))
		o.num("stdev_sample", round15(math.Sqrt(squares/(n-1))))
	} else {
		o.key("variance_sample")
		o.b = append(o.b, "null"...)
		o.key("stdev_sample")
		o.b = append(o.b, "null"...)
	}
	return o.done()
}

// kahan adds with a running correction (Neumaier's variant), so that the order
// and the size of the numbers cost no digits.
func kahan(x []float64, f func(float64) float64) float64 {
	var sum, c float64
	for _, v := range x {
		v = f(v)
		t := sum + v
		if math.Abs(sum) >= math.Abs(v) {
			c += (sum - t) + v
		} else {
			c += (v - t) + sum
		}
		sum = t
	}
	return sum + c
}

// percentile interpolates linearly between the closest ranks of sorted x.
func percentile(x []float64, p float64) float64 {
	at := p * float64(len(x)-1)
	i := int(at)
	if i+1 >= len(x) {
		return x[i]
	}
	part := at - float64(i)
	return x[i]*(1-part) + x[i+1]*part
}
