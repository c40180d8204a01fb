package builtin

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// budget walks a schema over an instance the way a validator would, without
// judging, and counts. A few kilobytes of schema whose references double at each
// level can cost a validator longer than the universe has, and it cannot be
// interrupted; so what is too much is refused before it starts. The walk visits
// every subschema that could apply, hence never fewer than the validator does.
type budget struct {
	root   canon.Value
	steps  int // left
	visits int
	ctx    context.Context
}

const (
	// maxRefDepth bounds references that lead to references without going down
	// into the instance: more is a loop.
	maxRefDepth = 64
	// maxExponent bounds number tokens: validators compute exactly, and 1e999999999
	// written out fills the memory.
	maxExponent = 400
	maxNumber   = 1000 // characters of a number token

	// What one step stands for besides a keyword or two, so that a step is roughly
	// a microsecond at worst: bytes of a string that is measured, bytes of one that a
	// format is checked on, and bytes times instructions of an expression.
	stringPerStep = 1000
	formatPerStep = 20
	regexpPerStep = 100
)

func (b *budget) check(ctx context.Context, instance canon.Value) error {
	b.ctx = ctx
	if err := checkNumbers("schema", b.root); err != nil {
		return err
	}
	if err := checkNumbers("instance", instance); err != nil {
		return err
	}
	if err := b.keywords(b.root, true); err != nil {
		return err
	}
	return b.visit(b.root, instance, 0)
}

func checkNumbers(field string, v canon.Value) error {
	switch v.Kind() {
	case canon.Number:
		t := v.Token()
		exp := 0
		if i := strings.IndexAny(t, "eE"); i >= 0 {
			n, err := strconv.Atoi(strings.TrimPrefix(t[i+1:], "+"))
			if err != nil {
				n = maxExponent + 1
			}
			exp = max(n, -n)
		}
		if exp > maxExponent || len(t) > maxNumber {
			return bad(field, "holds the number %s, whose exponent is beyond ±%d or which is longer than %d characters", clip(t), maxExponent, maxNumber)
		}
	case canon.Array:
		for e := range v.Elements {
			if err := checkNumbers(field, e); err != nil {
				return err
			}
		}
	case canon.Object:
		for _, m := range v.Members {
			if err := checkNumbers(field, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// keywords refuses what the walk could not follow: references that move with
// the evaluation or by name. Data under enum, const, default and examples is not
// schema.
func (b *budget) keywords(s canon.Value, top bool) error {
	switch s.Kind() {
	case canon.Array:
		for e := range s.Elements {
			if err := b.keywords(e, false); err != nil {
				return err
			}
		}
	case canon.Object:
		for k, m := range s.Members {
			switch k {
			case "$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor":
				if m.Kind() == canon.String {
					return bad("schema", "uses %s, which is not supported; use $ref with #/… paths", k)
				}
			case "$id", "id":
				if m.Kind() == canon.String && !top {
					return bad("schema", "has a nested %s, which is not supported; use $ref with #/… paths", k)
				}
				continue
			case "$ref":
				if m.Kind() == canon.String {
					if _, ok := b.resolve(m.Str()); !ok {
						return bad("schema", "refers to %q, which is not a path inside the schema (#/…)", clip(m.Str()))
					}
				}
				continue
			case "enum", "const", "default", "examples":
				continue
			}
			// A property may be called $anchor or id; its schema is an object.
			if err := b.keywords(m, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// resolve follows a JSON Pointer fragment inside the schema.
func (b *budget) resolve(ref string) (canon.Value, bool) {
	fragment, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return canon.Value{}, false
	}
	fragment, err := url.PathUnescape(fragment)
	if err != nil || fragment != "" && fragment[0] != '/' {
		return canon.Value{}, false
	}
	v := b.root
	for _, part := range strings.Split(fragment, "/")[1:] {
		part = strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
		switch v.Kind() {
		case canon.Object:
			v = v.Get(part)
		case canon.Array:
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 || n >= v.Len() {
				return canon.Value{}, false
			}
			i := 0
			for e := range v.Elements {
				if i == n {
					v = e
					break
				}
				i++
			}
		default:
			return canon.Value{}, false
		}
	}
	return v, v.Kind() == canon.Object || v.Kind() == canon.Bool
}

// visit counts the evaluation of schema s on instance value v. depth counts the
// steps since the walk last went down into the instance.
func (b *budget) visit(s, v canon.Value, depth int) error {
	b.steps -= 1 + s.Len()/8
	if v.Kind() == canon.String {
		b.steps -= len(v.Raw()) / stringPerStep
	}
	if b.steps < 0 {
		return bad("schema", "takes more than %d steps on this instance; use fewer nested or repeated references, or simpler patterns", maxSchemaSteps)
	}
	if b.visits++; b.visits%1024 == 0 {
		if err := stopped(b.ctx); err != nil {
			return err
		}
	}
	if depth > maxRefDepth {
		return bad("schema", "refers to itself without end, or nests more than %d schemas on one value", maxRefDepth)
	}
	if s.Kind() != canon.Object {
		return nil
	}
	for k, m := range s.Members {
		var err error
		switch k {
		case "$ref":
			if m.Kind() == canon.String {
				if t, ok := b.resolve(m.Str()); ok {
					err = b.visit(t, v, depth+1)
				}
			}
		case "not", "if", "then", "else":
			err = b.visit(m, v, depth+1)
		case "allOf", "anyOf", "oneOf":
			err = b.each(m, v, depth+1)
		case "dependentSchemas", "dependencies":
			for _, sub := range m.Members {
				if err = b.visit(sub, v, depth+1); err != nil {
					break
				}
			}
		case "properties", "patternProperties":
			err = b.members(m, v, k == "properties")
		case "propertyNames":
			for name := range v.Members {
				if err = b.visitName(m, name); err != nil {
					break
				}
			}
		case "pattern":
			b.match(m.Str(), v)
		case "format":
			if v.Kind() == canon.String {
				b.steps -= len(v.Raw()) / formatPerStep
			}
		case "additionalProperties", "unevaluatedProperties":
			if v.Kind() == canon.Object {
				for _, e := range v.Members {
					if err = b.visit(m, e, 0); err != nil {
						break
					}
				}
			}
		case "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains":
			err = b.items(m, v)
		case "enum", "required":
			b.steps -= m.Len()
		case "uniqueItems":
			if v.Kind() == canon.Array {
				b.steps -= v.Len() * min(v.Len(), 20)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *budget) each(list, v canon.Value, depth int) error {
	if list.Kind() != canon.Array {
		return nil
	}
	for s := range list.Elements {
		if err := b.visit(s, v, depth); err != nil {
			return err
		}
	}
	return nil
}

func (b *budget) members(schemas, v canon.Value, byName bool) error {
	if schemas.Kind() != canon.Object || v.Kind() != canon.Object {
		return nil
	}
	for name, s := range schemas.Members {
		if byName {
			if m := v.Get(name); m.Exists() {
				if err := b.visit(s, m, 0); err != nil {
					return err
				}
			}
			continue
		}
		size := programSize(name)
		for key, m := range v.Members {
			b.steps -= len(key) * size / regexpPerStep
			if err := b.visit(s, m, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// match counts an expression on a value.
func (b *budget) match(pattern string, v canon.Value) {
	if v.Kind() == canon.String {
		b.steps -= programSize(pattern)/8 + len(v.Raw())*programSize(pattern)/regexpPerStep
	}
}

// visitName visits a schema on the name of a member.
func (b *budget) visitName(s canon.Value, name string) error {
	v, err := canon.Parse(canon.AppendString(nil, name))
	if err != nil {
		return bad("instance", "has a member whose name cannot be checked")
	}
	return b.visit(s, v, 0)
}

// items applies a schema, or each of a list of schemas, to every element.
func (b *budget) items(s, v canon.Value) error {
	if v.Kind() != canon.Array {
		return nil
	}
	for e := range v.Elements {
		if s.Kind() == canon.Array {
			if err := b.each(s, e, 0); err != nil {
				return err
			}
			continue
		}
		if err := b.visit(s, e, 0); err != nil {
			return err
		}
	}
	return nil
}
