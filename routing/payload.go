package routing

import (
	"strings"
	"sync"

	"github.com/aimarket/aimarket/internal/canon"
)

// Payload is an input or output as hooks see it: parsed once, flattened once. It
// is safe for concurrent use, because a hook that overran its deadline may still
// be reading it while the next one starts.
type Payload struct {
	v    canon.Value
	once sync.Once
	text string
}

// NewPayload wraps a parsed JSON value.
func NewPayload(v canon.Value) *Payload { return &Payload{v: v} }

// Value is the parsed JSON, Raw its exact bytes. They are the bytes that go on to
// the provider or to the buyer and must not be changed: a hook that wants another
// payload returns it in Verdict.Replace.
func (p *Payload) Value() canon.Value { return p.v }

// Raw is the exact source text of the payload; see Value.
func (p *Payload) Raw() []byte { return p.v.Raw() }

// Text is all keys and values, strings decoded, joined by spaces in source order.
// Numbers, true, false and null appear as their JSON tokens.
func (p *Payload) Text() string {
	p.once.Do(func() {
		var b strings.Builder
		b.Grow(len(p.v.Raw()))
		flatten(&b, p.v)
		p.text = b.String()
	})
	return p.text
}

// flatten recurses at most canon.MaxDepth levels: canon refuses deeper texts.
func flatten(b *strings.Builder, v canon.Value) {
	switch v.Kind() {
	case canon.Object:
		for key, member := range v.Members {
			word(b, key)
			flatten(b, member)
		}
	case canon.Array:
		for e := range v.Elements {
			flatten(b, e)
		}
	case canon.String:
		word(b, v.Str())
	case canon.Number:
		word(b, v.Token())
	case canon.Bool, canon.Null:
		word(b, string(v.Raw()))
	case canon.Invalid:
	}
}

func word(b *strings.Builder, s string) {
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(s)
}
