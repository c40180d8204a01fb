package routing

import "math/bits"

// The latency histogram: milliseconds below exactBins are counted exactly, larger
// ones in subBins equal steps of each power of two, which is a relative error
// below 1.6 % at the middle of a step.
const (
	exactBins = 64
	subBins   = 32
	subBits   = 5
	topBit    = 18 // values from 2^18 ms (4.4 minutes) on share the last bin
	histBins  = exactBins + (topBit-6)*subBins
)

type histogram [histBins]uint32

func histBin(ms int64) int {
	if ms < exactBins {
		return int(max(ms, 0))
	}
	top := bits.Len64(uint64(ms)) - 1
	if top >= topBit {
		return histBins - 1
	}
	return exactBins + (top-6)*subBins + int(ms>>(top-subBits)) - subBins
}

// histValue is the middle of a bin in milliseconds.
func histValue(bin int) int64 {
	if bin < exactBins {
		return int64(bin)
	}
	top, sub := (bin-exactBins)/subBins+6, (bin-exactBins)%subBins
	width := int64(1) << (top - subBits)
	return int64(1)<<top + int64(sub)*width + width/2
}

// percentile is the nearest-rank percentile of the n values in h; nil if there
// are none.
func (h *histogram) percentile(n int64, percent int64) *int64 {
	if n <= 0 {
		return nil
	}
	rank := max((n*percent+99)/100, 1)
	var seen int64
	for bin, count := range h {
		if seen += int64(count); seen >= rank {
			v := histValue(bin)
			return &v
		}
	}
	return nil
}
