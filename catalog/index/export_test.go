package index

// For tests of the package from outside.

var Stem, Fold, TermOf, LeastSum = stem, fold, termOf, leastSum

// Compact reclaims the dead at once.
func (x *Index) Compact() {
	x.write.Lock()
	defer x.write.Unlock()
	x.compact()
}

// Tokens are the tokens of a text, parts in parentheses, joins in brackets.
func Tokens(s string) []string {
	var t tokenizer
	var out []string
	for _, tok := range t.cut(s) {
		switch tok.kind {
		case partToken:
			out = append(out, "("+tok.text+")")
		case joinToken:
			out = append(out, "["+tok.text+"]")
		default:
			out = append(out, tok.text)
		}
	}
	return out
}

// Distance is the edit distance up to limit.
func Distance(s, t string, limit int) int { return new(distancer).distance(s, t, limit) }

// Related are the stems that a word is answered by too, with their factors.
func Related(word string) map[string]uint16 {
	l := theLexicon()
	out := map[string]uint16{}
	for i, w := range l.words {
		if w == stem(word) {
			for _, r := range l.related[i] {
				out[l.words[r.term]] = r.factor
			}
		}
	}
	return out
}
