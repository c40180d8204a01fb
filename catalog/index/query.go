package index

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// productPrefix starts an intent that looks a product up (consumers.md "Search").
const productPrefix = "product:"

// intent is a query's text taken apart, before the index is looked at.
type intent struct {
	text    string // trimmed and cut to MaxIntentBytes
	product string // of a product look-up
	lookup  bool
	tokens  []token // own copy
}

func parseIntent(s string) intent {
	s = strings.TrimSpace(s)
	if len(s) > MaxIntentBytes {
		end := MaxIntentBytes
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	in := intent{text: s}
	if p, ok := strings.CutPrefix(s, productPrefix); ok {
		in.product, in.lookup = strings.TrimSpace(p), true
		return in
	}
	var t tokenizer
	in.tokens = t.cut(s)
	return in
}

// alternative is one term that answers a word of the query.
type alternative struct {
	term   uint32
	factor uint16 // 0…wordFactor
	kind   string // Match constant
	posts  []uint32
}

// queryTerm is one word of the query with everything that answers it.
type queryTerm struct {
	typed string
	alts  []alternative
	share uint32 // of shareScale
}

func (t *queryTerm) add(term uint32, factor uint16, kind string) {
	for _, a := range t.alts {
		if a.term == term {
			return // the better one came first
		}
	}
	t.alts = append(t.alts, alternative{term: term, factor: factor, kind: kind})
}

// plan is a query's words in terms of one core.
type plan struct {
	terms []queryTerm
}

// planTerms finds the words that an intent consists of. The caller holds the core still.
func (c *core) planTerms(tokens []token) plan {
	words := c.chooseTokens(tokens)
	kept := words[:0:0]
	for _, w := range words {
		if !stopWords[w.text] {
			kept = append(kept, w)
		}
	}
	stopped := kept
	if len(kept) == 0 {
		stopped = words
	}
	var p plan
	var at []int // plan index of each of words, -1 if left out
	terms := make([]uint32, len(words))
	for i, w := range words {
		t, known := c.lookup(w.text)
		if !known {
			t = noDoc
		}
		terms[i] = t
		at = append(at, -1)
		if !slices.ContainsFunc(stopped, func(k token) bool { return k == w }) {
			continue
		}
		j := slices.IndexFunc(p.terms, func(q queryTerm) bool {
			return q.typed == w.text || known && len(q.alts) > 0 && q.alts[0].term == t && q.alts[0].kind == MatchLexical
		})
		if j < 0 {
			if len(p.terms) == MaxQueryTerms {
				continue
			}
			j = len(p.terms)
			q := queryTerm{typed: w.text}
			if known {
				q.add(t, wordFactor, MatchLexical)
				if int(t) < len(c.lex.related) {
					for _, r := range c.lex.related[t] {
						q.add(r.term, r.factor, MatchSynonym)
					}
				}
			}
			p.terms = append(p.terms, q)
		}
		at[i] = j
	}
	for i := range words {
		if terms[i] == noDoc {
			continue
		}
		ph, n := c.lex.phraseAt(terms[i:])
		for k := range n {
			if at[i+k] < 0 {
				continue
			}
			q := &p.terms[at[i+k]]
			q.add(ph.as, phraseFactor, MatchSynonym)
			for _, t := range ph.also {
				q.add(t, synonymFactor, MatchSynonym)
			}
		}
	}
	return p
}

// chooseTokens keeps, of a word with parts, either the word or the parts: the word
// "sha256" if some row has it, else its parts; of "getWeather" always the parts,
// which rows that have the word have too.
func (c *core) chooseTokens(tokens []token) []token {
	var out []token
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		switch t.kind {
		case joinToken, partToken:
			continue
		case wholeToken:
			parts := i + 1
			for parts < len(tokens) && tokens[parts].kind == partToken {
				parts++
			}
			digits := strings.ContainsAny(t.text, "0123456789")
			if term, ok := c.lookup(t.text); ok && digits && (int(term) < len(c.lex.words) || len(c.terms[term].posts) > 0) {
				out = append(out, token{t.text, wordToken})
			} else {
				for _, p := range tokens[i+1 : parts] {
					out = append(out, token{p.text, wordToken})
				}
			}
			i = parts - 1
		default:
			out = append(out, token{t.text, wordToken})
		}
	}
	return out
}

// exactRows are the newest rows of what the intent names by id: a product, a
// capability, or both as "product/capability" or "product.capability".
type exactRows struct {
	named               string
	product, capability uint32 // newest row, noDoc if none
	pairs               []uint32
	pairProduct         []uint32 // product number that each of pairs must have
}

func (c *core) exact(in intent) exactRows {
	name := in.text
	if in.lookup {
		name = in.product
	}
	e := exactRows{named: name, product: noDoc, capability: noDoc}
	if p, ok := c.products.ids[name]; ok && int(p) < len(c.lastProduct) {
		e.product = c.lastProduct[p]
	}
	if in.lookup {
		return e
	}
	if q, ok := c.capabilities.ids[name]; ok && int(q) < len(c.lastCapability) {
		e.capability = c.lastCapability[q]
	}
	for i := range len(name) {
		if name[i] != '/' && name[i] != '.' {
			continue
		}
		p, ok1 := c.products.ids[name[:i]]
		q, ok2 := c.capabilities.ids[name[i+1:]]
		if ok1 && ok2 {
			e.pairs = append(e.pairs, c.lastCapability[q])
			e.pairProduct = append(e.pairProduct, p)
		}
	}
	return e
}

// resolve looks up the postings of every alternative and drops those without.
func (p *plan) resolve(c *core) {
	for i := range p.terms {
		t := &p.terms[i]
		kept := t.alts[:0]
		for _, a := range t.alts {
			if a.posts = c.terms[a.term].posts; len(a.posts) > 0 {
				kept = append(kept, a)
			}
		}
		t.alts = kept
	}
}

// unanswered returns the words that no row answers and that may be misspelled: those
// that are not of the lexicon.
func (p *plan) unanswered(c *core) []int {
	var list []int
	for i := range p.terms {
		t, known := c.lookup(p.terms[i].typed)
		if len(list) < maxMisspelled && len(p.terms[i].alts) == 0 && (!known || int(t) >= len(c.lex.words)) {
			list = append(list, i)
		}
	}
	return list
}

// correct adds what a word may have been meant as, among rows below rows: the nearest
// words first, among equals those of most rows.
func (t *queryTerm) correct(c *core, words []near, rows int) {
	var found []alternative
	for _, n := range words {
		a := alternative{term: n.term, factor: n.factor, kind: MatchFuzzy}
		if n.prefix {
			a.kind = MatchLexical
		}
		a.posts = c.terms[n.term].posts
		end, _ := slices.BinarySearch(a.posts, uint32(rows)<<docShift)
		if a.posts = a.posts[:end]; end > 0 {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b alternative) int {
		return cmp.Or(cmp.Compare(b.factor, a.factor), cmp.Compare(len(b.posts), len(a.posts)), cmp.Compare(a.term, b.term))
	})
	t.alts = append(t.alts, found[:min(len(found), maxNearWords)]...)
}

// weigh fills in the shares. rows is the number of rows that the search sees.
func (p *plan) weigh(rows int) {
	weights := make([]float64, len(p.terms))
	sum := 0.0
	for i := range p.terms {
		df := 0
		for n, a := range p.terms[i].alts {
			if n == 0 || p.terms[i].alts[0].kind != MatchLexical {
				df = max(df, len(a.posts))
			}
		}
		weights[i] = unknownIDF
		if df > 0 {
			weights[i] = idf(rows, df)
		}
		sum += weights[i]
	}
	for i := range p.terms {
		p.terms[i].share = uint32(weights[i] / sum * shareScale)
	}
}
