package safety

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/routing"
)

// The categories as a contract names them; on the wire a block says "class:" and
// the name.
const (
	Injection  = "injection"
	Harassment = "harassment"
	PII        = "PII"
	Medical    = "medical"
	Children   = "children"
	Illegal    = "illegal"
)

// Constitutional is the category of the contract's own limits: the length, and
// the allowed and blocked patterns. It cannot be switched off.
const Constitutional = "constitutional"

const (
	// DefaultMaxInputLength is in characters of the flattened input (plugin notes §3).
	DefaultMaxInputLength = 100_000
	// maxContractPatterns and maxPatternLength bound what a publisher can make
	// every call pay for.
	maxContractPatterns = 32
	maxPatternLength    = 512
)

// Contract says what a capability refuses.
type Contract struct {
	// BlockedCategories are names of this package's categories.
	BlockedCategories []string
	// MaxInputLength is in characters; 0 means DefaultMaxInputLength.
	MaxInputLength int
	// AllowedPatterns are RE2 expressions; if there are any, an input must match one.
	AllowedPatterns []string
	// BlockedPatterns are RE2 expressions; an input that matches one is refused.
	BlockedPatterns []string
}

// DefaultContract is the protocol's: everything but medical.
func DefaultContract() Contract {
	return Contract{
		BlockedCategories: []string{Injection, Harassment, PII, Children, Illegal},
		MaxInputLength:    DefaultMaxInputLength,
	}
}

// Validate reports what is wrong with a contract, for publishing to refuse it early.
func (c Contract) Validate() error {
	_, err := compile(c)
	return err
}

func (c Contract) equal(d Contract) bool {
	return c.MaxInputLength == d.MaxInputLength &&
		slices.Equal(c.BlockedCategories, d.BlockedCategories) &&
		slices.Equal(c.AllowedPatterns, d.AllowedPatterns) &&
		slices.Equal(c.BlockedPatterns, d.BlockedPatterns)
}

// appendWire prints the contract as GET /safety/constitutional shows it. The
// compliance flags say which categories are on, by the law each is aimed at;
// soc2 is an audit of an organisation, which no filter can stand for, so it is
// always false.
func (c Contract) appendWire(b []byte) []byte {
	n := c.MaxInputLength
	if n == 0 {
		n = DefaultMaxInputLength
	}
	b = append(b, `{"blocked_categories":`...)
	b = appendStrings(b, c.BlockedCategories)
	b = append(b, `,"max_input_length":`...)
	b = strconv.AppendInt(b, int64(n), 10)
	b = append(b, `,"allowed_patterns":`...)
	b = appendStrings(b, c.AllowedPatterns)
	b = append(b, `,"blocked_patterns":`...)
	b = appendStrings(b, c.BlockedPatterns)
	return append(b, fmt.Sprintf(`,"safety_gate_enabled":true,"compliance":{"gdpr":%t,"hipaa":%t,"coppa":%t,"soc2":false}}`,
		slices.Contains(c.BlockedCategories, PII), slices.Contains(c.BlockedCategories, Medical),
		slices.Contains(c.BlockedCategories, Children))...)
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = canon.AppendString(b, s)
	}
	return append(b, ']')
}

// rules is a compiled contract.
type rules struct {
	contract        Contract
	maxLength       int
	on              [nCategories]bool
	preSet, postSet ruleSet
	allowed         []*regexp.Regexp
	blocked         []*regexp.Regexp
}

func compile(c Contract) (*rules, error) {
	r := &rules{contract: c, maxLength: c.MaxInputLength}
	switch {
	case c.MaxInputLength < 0:
		return nil, fmt.Errorf("max_input_length %d is negative; use 0 for the default of %d", c.MaxInputLength, DefaultMaxInputLength)
	case c.MaxInputLength == 0:
		r.maxLength = DefaultMaxInputLength
	}
	for _, name := range c.BlockedCategories {
		cat, ok := categoryOf[name]
		if !ok {
			return nil, fmt.Errorf("blocked_categories: %q is not a category; known are %v", name, categoryNames)
		}
		r.on[cat] = true
	}
	var err error
	if r.allowed, err = compilePatterns("allowed_patterns", c.AllowedPatterns); err != nil {
		return nil, err
	}
	if r.blocked, err = compilePatterns("blocked_patterns", c.BlockedPatterns); err != nil {
		return nil, err
	}
	for i := range allRules {
		cat := allRules[i].cat
		if !r.on[cat] {
			continue
		}
		if cat != harassment {
			r.preSet.add(i)
		}
		if cat != medical && cat != children {
			r.postSet.add(i)
		}
	}
	return r, nil
}

func compilePatterns(field string, list []string) ([]*regexp.Regexp, error) {
	if len(list) > maxContractPatterns {
		return nil, fmt.Errorf("%s: %d patterns, at most %d are allowed", field, len(list), maxContractPatterns)
	}
	out := make([]*regexp.Regexp, len(list))
	for i, p := range list {
		if len(p) > maxPatternLength {
			return nil, fmt.Errorf("%s[%d]: %d bytes, at most %d are allowed", field, i, len(p), maxPatternLength)
		}
		if p == "" {
			return nil, errors.New(field + ": an empty pattern matches everything")
		}
		re, err := regexp.Compile(p)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", field, i, err)
		}
		out[i] = re
	}
	return out, nil
}

// finding is why a text is refused; the zero finding passes.
type finding struct {
	category string
	reason   string // goes on after "Input " or "Output "
}

func (f finding) verdict(subject string) routing.Verdict {
	if f.category == "" {
		return routing.Verdict{}
	}
	return routing.Verdict{Blocked: true, Category: "class:" + f.category, Reason: subject + " " + f.reason}
}

// pre applies the checks of an input in the contract's order.
func (r *rules) pre(text string, v canon.Value) finding {
	if len(text) > r.maxLength {
		if n := utf8.RuneCountInString(text); n > r.maxLength {
			return finding{Constitutional, fmt.Sprintf("exceeds max length (%d > %d)", n, r.maxLength)}
		}
	}
	s := inspect(text, &r.preSet)
	if f := r.injection(&s); f.category != "" {
		return f
	}
	if f := r.pii(&s, text, v); f.category != "" {
		return f
	}
	for _, cat := range [...]category{medical, children, illegal} {
		if f := r.content(&s, cat); f.category != "" {
			return f
		}
	}
	for i, re := range r.blocked {
		if re.MatchString(text) {
			return finding{Constitutional, fmt.Sprintf("matches pattern %d that this capability's contract blocks", i+1)}
		}
	}
	if len(r.allowed) > 0 && !slices.ContainsFunc(r.allowed, func(re *regexp.Regexp) bool { return re.MatchString(text) }) {
		return finding{Constitutional, "matches none of the patterns that this capability's contract allows"}
	}
	return finding{}
}

// post applies the checks of an output.
func (r *rules) post(text string, v canon.Value) finding {
	s := inspect(text, &r.postSet)
	if f := r.pii(&s, text, v); f.category != "" {
		return f
	}
	if f := r.content(&s, harassment); f.category != "" {
		return f
	}
	if f := r.injection(&s); f.category != "" {
		return f
	}
	return r.content(&s, illegal)
}

func (r *rules) injection(s *signals) finding {
	switch {
	case !r.on[injection]:
	case s.critical >= 0:
		return finding{Injection, "contains instruction-injection patterns (" + allRules[s.critical].name + ")"}
	case s.strong.count() >= strongNeeded:
		return finding{Injection, "contains layered instruction-injection patterns (" + s.strong.names() + ")"}
	case s.roleLines >= roleLinesNeeded && s.length > roleLinesText:
		return finding{Injection, "contains a forged conversation (role-labelled lines)"}
	}
	return finding{}
}

func (r *rules) pii(s *signals, text string, v canon.Value) finding {
	if !r.on[pii] || !s.at && s.digits < minPIIDigits {
		return finding{}
	}
	if kind := findPII(text, v); kind != "" {
		return finding{PII, "contains personally identifiable information (PII): " + kind}
	}
	return finding{}
}

func (r *rules) content(s *signals, cat category) finding {
	hit := s.hits[cat]
	if !r.on[cat] || hit < 0 {
		return finding{}
	}
	name := allRules[hit].name
	switch cat {
	case medical:
		if s.medicalGroups.count() < medicalNeeded {
			return finding{}
		}
		return finding{Medical, "contains medical data about a person (" + s.medicalGroups.names() + ")"}
	case children:
		return finding{Children, "concerns the exploitation or the personal data of children (" + name + ")"}
	case harassment:
		return finding{Harassment, "contains harassment (" + name + ")"}
	default:
		return finding{Illegal, "matches known patterns for illegal content or activity (" + name + ")"}
	}
}
