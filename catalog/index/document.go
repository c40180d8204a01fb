package index

import (
	"hash/maphash"
	"slices"
)

// posting is one term of a row that is being indexed.
type posting struct {
	term      uint32
	weight    uint32 // 1…255
	synthetic bool   // no word of it is written in the text that categories are about
}

// document is a row made ready to be added.
type document struct {
	posts  []posting // by term, each once
	hash   uint64
	opaque bool
}

// mention is one occurrence of a term in a field of a row, packed so that sorting is
// cheap: the term, then the field, then whether it is synthetic.
type mention uint64

func mentionOf(term uint32, f field, synthetic bool) mention {
	m := mention(term)<<8 | mention(f)<<1
	if synthetic {
		m |= 1
	}
	return m
}

func (m mention) term() uint32    { return uint32(m >> 8) }
func (m mention) field() field    { return field(m >> 1 & 0x7f) }
func (m mention) synthetic() bool { return m&1 != 0 }

// reader turns rows into documents. It is not safe for concurrent use.
type reader struct {
	cut      tokenizer
	mentions []mention
	run      []uint32 // terms of a field in their order, for phrases
	doc      document
	hash     maphash.Hash
}

var textSeed = maphash.MakeSeed()

// textHash tells whether a row's text is what it was.
func (r *reader) textHash(row *Row) uint64 {
	r.hash.SetSeed(textSeed)
	r.hash.Reset()
	for _, s := range [...]string{row.Name, row.ProductName, row.Description} {
		r.hash.WriteString(s)
		r.hash.WriteByte(0xff) // in no UTF-8 text
	}
	return r.hash.Sum64()
}

// resolver gives words their terms; core is one, and Index is one with its lock.
type resolver interface {
	word(w string) uint32
	term(stem string) uint32
}

// read makes the document of a row; it is valid until the next read.
func (r *reader) read(row *Row, to resolver, lex *lexicon) *document {
	r.mentions = r.mentions[:0]
	r.doc.posts = r.doc.posts[:0]
	r.doc.opaque = false
	r.doc.hash = r.textHash(row)
	var weights [fields]uint32
	for f, s := range [...]string{
		fieldCapability: row.CapabilityID, fieldProduct: row.ProductID, fieldName: row.Name,
		fieldProductName: row.ProductName, fieldDescription: row.Description,
	} {
		if len(s) > MaxDescriptionBytes {
			s = s[:MaxDescriptionBytes]
			r.doc.opaque = true
		}
		weights[f] = fieldWeight(field(f), r.readField(field(f), s, to, lex))
	}
	r.merge(&weights)
	return &r.doc
}

// readField notes the mentions of one field and returns how many words it has.
func (r *reader) readField(f field, s string, to resolver, lex *lexicon) int {
	count := 0
	r.run = r.run[:0]
	for _, t := range r.cut.cut(s) {
		var m mention
		switch t.kind {
		case joinToken:
			m = mentionOf(to.term(termOf(t.text)), f, true)
		case cutToken:
			r.doc.opaque = true
			fallthrough
		default:
			m = mentionOf(to.word(t.text), f, false)
		}
		r.mentions = append(r.mentions, m)
		if t.kind == wordToken || t.kind == wholeToken || t.kind == cutToken || t.kind == pairToken {
			count++
		}
		if t.kind == wordToken || t.kind == partToken {
			r.run = append(r.run, m.term())
		}
	}
	for i := range r.run {
		if p, n := lex.phraseAt(r.run[i:]); n > 0 {
			r.mentions = append(r.mentions, mentionOf(p.as, f, true))
		}
	}
	return max(count, 1)
}

// merge makes one posting of all mentions of a term.
func (r *reader) merge(weights *[fields]uint32) {
	slices.Sort(r.mentions)
	for i := 0; i < len(r.mentions); {
		if len(r.doc.posts) == MaxRowTerms {
			r.doc.opaque = true
			return
		}
		p := posting{term: r.mentions[i].term(), synthetic: true}
		again, last := uint32(0), fields
		for ; i < len(r.mentions) && r.mentions[i].term() == p.term; i++ {
			m := r.mentions[i]
			p.synthetic = p.synthetic && (m.synthetic() || m.field() == fieldProductName)
			p.weight = max(p.weight, weights[m.field()])
			if last != fields && last != m.field() && again < againMost*weightAgain255 {
				again += weightAgain255
			}
			last = m.field()
		}
		p.weight = min(p.weight+again, 255)
		r.doc.posts = append(r.doc.posts, p)
	}
}
