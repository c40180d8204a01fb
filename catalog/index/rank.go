package index

import "math"

// Ranking (after http-api.md §1 [L]). A query word has weight
//
//	idf = ln((N+1)/(df+1)) + 1
//
// and a row answers it as well as its best field does: its ids fully, its names by
// .82, its description by .62, a little less the longer the field is; the last
// few hundredths take the word in further fields. A word found by its synonym or by a
// correction of its spelling counts for less. The relevance of a row is the weighted
// mean over all query words; 1 is kept for rows whose id was asked for; what is
// below relevanceFloor is no hit. Quality only nudges:
//
//	score = relevance · (.95 + .05 q)
//	q = .35 trust + .25 success + .20/(1 + seconds) + .20/(1 + 20 USD)
//
// Equal scores (to four places) are ordered by trust, then price, then key.
//
// All of it up to the relevance is integer arithmetic, so that the order in which
// postings are added up cannot change a result.
const (
	weightCapability  = 1.0
	weightName        = .82
	weightDescription = .62
	weightAgain       = .03 // for each further field that has the word, at most againMost
	againMost         = 2

	// A field of n words counts 1 - step·(n-1), for at most most words.
	brevityStepName, brevityMostName               = .02, 8
	brevityStepDescription, brevityMostDescription = .004, 50

	wordFactor    = 256 // in 256ths of a word's full weight
	phraseFactor  = 230
	prefixFactor  = 190
	synonymFactor = 205
	hintFactor    = 140 // of a first hint; further ones hintStep less each
	hintStep      = 30
	fuzzyFactor1  = 175 // one edit away
	fuzzyFactor2  = 140 // two edits away

	lexicalCeiling = .98 // relevance of a row that answers everything but is not asked for by id
	relevanceFloor = .14

	unknownIDF = 1.0 // of a query word that no row has: as if every row had it

	shareScale = 1 << 16 // the idf shares of a query add up to this at most
	accFull    = 255 * wordFactor * shareScale
	accExact   = math.MaxUint32 // above accFull
)

// accFloor is the smallest sum that reaches relevanceFloor.
var accFloor = uint32(math.Ceil(relevanceFloor / lexicalCeiling * accFull))

func idf(rows, df int) float64 { return math.Log(float64(rows+1)/float64(df+1)) + 1 }

// relevance of a row whose postings added up to acc.
func relevance(acc uint32) float64 {
	if acc == accExact {
		return 1
	}
	return lexicalCeiling * float64(acc) / accFull
}

// quality is q, 0…1.
func quality(n Numbers) float32 {
	return float32(.35*n.Trust + .25*n.SuccessRate +
		.20/(1+float64(n.LatencyMS)/1e3) + .20/(1+20*float64(n.PriceMicros)/1e6))
}

// score is in units of 0.0001.
func score(acc uint32, quality float32) int32 {
	return int32(math.Round(relevance(acc) * (.95 + .05*float64(quality)) * scoreSteps))
}

// leastSum is a sum below which no row has the score, whatever its quality.
func leastSum(score int32) uint32 {
	return uint32(max(0, (float64(score)-.5)/scoreSteps/lexicalCeiling*accFull-1))
}

const scoreSteps = 10_000

// clean brings numbers into their range; what is not a number is the worst.
func (n Numbers) clean() Numbers {
	n.PriceMicros = max(0, n.PriceMicros)
	n.LatencyMS = min(max(0, n.LatencyMS), math.MaxInt32)
	n.Trust = unit(n.Trust)
	n.SuccessRate = unit(n.SuccessRate)
	n.Flags &^= dead
	return n
}

func unit(f float64) float64 {
	if !(f > 0) { // NaN too
		return 0
	}
	return min(f, 1)
}

// fields of a row, in the order they are read.
type field uint8

const (
	fieldCapability field = iota
	fieldProduct
	fieldName
	fieldProductName
	fieldDescription
	fields
)

// fieldWeight is the weight of each word of a field of n words, 0…255.
func fieldWeight(f field, n int) uint32 {
	w, step, most := weightName, brevityStepName, brevityMostName
	switch f {
	case fieldCapability:
		w = weightCapability
	case fieldDescription:
		w, step, most = weightDescription, brevityStepDescription, brevityMostDescription
	}
	return uint32(math.Round(255 * (1 - againMost*weightAgain) * w * (1 - step*float64(min(n, most+1)-1))))
}

var weightAgain255 = uint32(math.Round(255 * weightAgain))
