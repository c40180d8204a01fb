package index

// stem takes the endings off an English word, so that "translating", "translation",
// "translator" and "translates" all meet at "translat". It is light on purpose: a word that is
// cut too short only meets a few strangers, at the price of their rank, while a
// word of another language that is cut meets itself, because queries are cut too.
// Words that are not plain lower-case a–z come back as they are.
func stem(w string) string {
	for range maxStemRounds {
		s := stemOnce(w)
		if s == w {
			return s
		}
		w = s
	}
	return w
}

// A stem of a stem is itself, which the dictionary relies on; no word of the test
// lists needs more than three rounds.
const maxStemRounds = MaxTokenBytes

// ending is one rule: an ending, what replaces it and how much must be left over.
type ending struct {
	cut, put string
	keep     int
}

// The first rule that fits wins, so longer endings stand first.
var endings = []ending{
	{"ifications", "ify", 2}, {"ification", "ify", 2},
	{"izations", "iz", 3}, {"isations", "iz", 3},
	{"ization", "iz", 3}, {"isation", "iz", 3},
	{"izers", "iz", 3}, {"isers", "iz", 4}, {"izer", "iz", 3}, {"iser", "iz", 4},
	{"ising", "iz", 4}, {"ised", "iz", 4}, {"ises", "iz", 4}, {"ise", "iz", 4},
	{"ations", "at", 3}, {"ation", "at", 3},
	{"ators", "at", 3}, {"ator", "at", 3},
	{"ctions", "ct", 2}, {"ction", "ct", 2},
	{"ctors", "ct", 3}, {"ctor", "ct", 3},
	{"ptions", "pt", 3}, {"ption", "pt", 3},
	{"ssions", "ss", 3}, {"ssion", "ss", 3},
	{"itions", "it", 3}, {"ition", "it", 3},
	{"iers", "y", 3}, {"ier", "y", 3},
	{"ments", "", 4}, {"ment", "", 4},
	{"nesses", "", 4}, {"ness", "", 4},
	{"fully", "", 4}, {"ful", "", 4},
	{"ically", "ic", 3},
	{"ingly", "", 4}, {"edly", "", 4},
	{"ying", "y", 2}, {"ings", "", 3}, {"ing", "", 3},
	{"ied", "y", 2}, {"ies", "y", 2},
	{"eed", "eed", 1},
	{"ed", "", 3},
	{"sses", "ss", 2}, {"shes", "sh", 2}, {"ches", "ch", 2}, {"xes", "x", 2}, {"zes", "z", 2},
	{"ers", "", 4}, {"er", "", 4},
	{"ly", "", 4},
	{"ss", "ss", 0}, {"us", "us", 0}, {"is", "is", 0},
	{"s", "", 3},
	{"ee", "ee", 0},
	{"e", "", 3},
}

func stemOnce(w string) string {
	if len(w) < 4 {
		return w
	}
	for i := range len(w) {
		if w[i] < 'a' || w[i] > 'z' {
			return w
		}
	}
	for _, e := range endings {
		keep := len(w) - len(e.cut)
		if keep < e.keep || w[keep:] != e.cut {
			continue
		}
		if e.put == "" && len(e.cut) > 1 && !hasVowel(w[:keep]) {
			continue // "string", "bring"
		}
		s := w[:keep] + e.put
		if e.put == "" {
			s = undouble(s)
		}
		return s
	}
	return w
}

func hasVowel(w string) bool {
	for i := range len(w) {
		switch w[i] {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			return true
		}
	}
	return false
}

// undouble turns "scann" and "mapp" into "scan" and "map", but leaves "compress",
// "fill" and "fuzz" alone.
func undouble(w string) string {
	n := len(w)
	if n < 4 || w[n-1] != w[n-2] {
		return w
	}
	switch w[n-1] {
	case 'b', 'd', 'g', 'm', 'n', 'p', 'r', 't':
		return w[:n-1]
	}
	return w
}

// stopWords say nothing about what is wanted. They are indexed, since an id or a
// name may be made of nothing else, and left out of queries that have other words.
var stopWords = setOf(`a an and any are as at be by can could do does for from get give
	have help hey hi how i in into is it its like looking me my need of on or our out
	please show so some someone something than that the their them there these they
	this those to up us use using want was we what when where which who will with
	would you your find which`)
