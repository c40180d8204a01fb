package httpapi

import (
	"encoding/json"
	"regexp"
)

// schema describes one JSON value. The same description is published in the
// OpenAPI document and, for requests, enforced by check, so that the document
// cannot promise what the hub does not do.
type schema struct {
	types    []string // JSON types; empty admits any value
	desc     string
	min, max *float64 // inclusive
	above    *float64 // exclusive lower bound
	minLen   int      // code points of a string, elements of an array
	maxLen   int      // 0: no bound
	pattern  *regexp.Regexp
	enum     []string
	props    []prop
	items    *schema
	def      any // published default
	example  any
	ref      string  // name under components/schemas
	gate     *schema // bounds that a layer below enforces with a 400: published, not checked here
}

// prop is one member of an object.
type prop struct {
	name     string
	required bool
	*schema
}

func value(types ...string) *schema { return &schema{types: types} }
func text() *schema                 { return value("string") }
func number() *schema               { return value("number") }
func integer() *schema              { return value("integer") }
func boolean() *schema              { return value("boolean") }
func anything() *schema             { return &schema{} }

// object describes an object with at least these members. Others are always
// allowed: the protocol ignores unknown keys and lets implementations add some.
func object(props ...prop) *schema { return &schema{types: []string{"object"}, props: props} }
func list(items *schema) *schema   { return &schema{types: []string{"array"}, items: items} }

func req(name string, s *schema) prop { return prop{name, true, s} }

// opt is a member that may be absent. In requests null counts as absent, because
// typed clients write their empty options that way.
func opt(name string, s *schema) prop { return prop{name, false, s} }

func (s *schema) about(desc string) *schema { s.desc = desc; return s }
func (s *schema) orNull() *schema           { s.types = append(s.types, "null"); return s }
func (s *schema) length(min, max int) *schema {
	s.minLen, s.maxLen = min, max
	return s
}
func (s *schema) between(min, max float64) *schema {
	s.min, s.max = &min, &max
	return s
}
func (s *schema) atLeast(min float64) *schema   { s.min = &min; return s }
func (s *schema) over(above float64) *schema    { s.above = &above; return s }
func (s *schema) atMost(max float64) *schema    { s.max = &max; return s }
func (s *schema) matching(re string) *schema    { s.pattern = regexp.MustCompile(re); return s }
func (s *schema) oneOf(names ...string) *schema { s.enum = names; return s }
func (s *schema) or(def any) *schema            { s.def = def; return s }
func (s *schema) like(example any) *schema      { s.example = example; return s }
func (s *schema) gated(by *schema) *schema      { s.gate = by; return s }
func (s *schema) named(ref string) *schema      { s.ref = ref; return s }

func (s *schema) allows(kind string) bool {
	if len(s.types) == 0 {
		return true
	}
	for _, t := range s.types {
		if t == kind {
			return true
		}
	}
	return false
}

// refs collects every named schema below s.
func (s *schema) refs(into map[string]*schema) {
	if s == nil {
		return
	}
	if s.ref != "" {
		if _, seen := into[s.ref]; seen {
			return
		}
		into[s.ref] = s
	}
	for _, p := range s.props {
		p.schema.refs(into)
	}
	s.items.refs(into)
}

// MarshalJSON prints a reference for a named schema and the schema otherwise.
func (s *schema) MarshalJSON() ([]byte, error) {
	if s.ref != "" {
		return json.Marshal(map[string]string{"$ref": "#/components/schemas/" + s.ref})
	}
	return json.Marshal(s.whole())
}

// whole is the schema as JSON Schema 2020-12, the dialect of OpenAPI 3.1.
func (s *schema) whole() map[string]any {
	m := map[string]any{}
	if s.gate != nil {
		m = s.gate.whole()
	}
	switch len(s.types) {
	case 0:
	case 1:
		m["type"] = s.types[0]
	default:
		m["type"] = s.types
	}
	set := func(key string, v any, ok bool) {
		if ok {
			m[key] = v
		}
	}
	set("description", s.desc, s.desc != "")
	set("minimum", s.min, s.min != nil)
	set("maximum", s.max, s.max != nil)
	set("exclusiveMinimum", s.above, s.above != nil)
	min, max := "minLength", "maxLength"
	if s.items != nil {
		min, max = "minItems", "maxItems"
	}
	set(min, s.minLen, s.minLen > 0)
	set(max, s.maxLen, s.maxLen > 0)
	if s.pattern != nil {
		m["pattern"] = s.pattern.String()
	}
	set("enum", s.enum, len(s.enum) > 0)
	set("default", s.def, s.def != nil)
	set("examples", []any{s.example}, s.example != nil)
	if s.items != nil {
		m["items"] = s.items
	}
	if len(s.props) > 0 {
		props := map[string]*schema{}
		var required []string
		for _, p := range s.props {
			props[p.name] = p.schema
			if p.required {
				required = append(required, p.name)
			}
		}
		m["properties"] = props
		set("required", required, len(required) > 0)
	}
	return m
}
