package safety

import (
	"fmt"
	"regexp"
	"strings"
)

type category int

const (
	injection category = iota
	harassment
	pii
	medical
	children
	illegal
	nCategories
)

var (
	categoryNames = [nCategories]string{Injection, Harassment, PII, Medical, Children, Illegal}
	categoryOf    = func() map[string]category {
		m := make(map[string]category)
		for i, n := range categoryNames {
			m[n] = category(i)
		}
		return m
	}()
)

// rule is one shape of forbidden text.
//
// Expressions are written for normalised, lower-case text. A space in one stands
// for any short run of other characters (see gap), so that punctuation and line
// breaks between words hide nothing.
type rule struct {
	name     string // for the reason of a block; says the kind, never the text
	cat      category
	critical bool // injection: one match is enough
	// words are the words without one of which the expression cannot match. Only
	// their first keyRunes letters count; in scripts without spaces, two letters.
	words string
	// also, if not empty, is a second such list: one of each is needed. Windows are
	// cut around words only, so those should be the rarer ones.
	also string
	re   *regexp.Regexp
	// unless, if it matches the window, makes the rule not apply: the context in
	// which the same words are harmless.
	unless *regexp.Regexp
	// notAfter, if it matches the end of what comes before the match, makes that
	// match not count: "drivers must not", "attackers often".
	notAfter *regexp.Regexp
}

// matches looks for the rule in a stretch of lower-case text.
func (r *rule) matches(text string) bool {
	if r.notAfter == nil {
		if !r.re.MatchString(text) {
			return false
		}
	} else if !r.matchesNotAfter(text) {
		return false
	}
	return r.unless == nil || !r.unless.MatchString(text)
}

// maxMatches bounds how many matches of one window are tried against notAfter.
const maxMatches = 16

func (r *rule) matchesNotAfter(text string) bool {
	for _, m := range r.re.FindAllStringIndex(text, maxMatches) {
		if !r.notAfter.MatchString(text[max(0, m[0]-48):m[0]]) {
			return true
		}
	}
	return false
}

// gap is what a space in an expression stands for, optionalGap what " ?" does.
const (
	gap         = `[^a-zа-я0-9]{1,6}`
	optionalGap = `[^a-zа-я0-9]{0,6}`
)

// expression compiles a rule's expression. Text in other scripts goes through
// the same normalisation as what it is matched with.
func expression(src string) *regexp.Regexp {
	if src == "" {
		return nil
	}
	src = strings.ReplaceAll(normalize(src), " ?", optionalGap)
	return regexp.MustCompile(strings.ReplaceAll(src, " ", gap))
}

// allRules and triggers are built once from the rule tables.
var (
	allRules []rule
	triggers triggerTable
	// needsOneList are the rules without a second list of words.
	needsOneList ruleSet
	// What a rule can ask for like a word in also: "#" any bracket, # or colon,
	// "<|" that pair, "longword" a word of longWord letters or more.
	pseudoMark, pseudoTag, pseudoLong ruleSet
)

// spacedRule is the index of the rule that compactLetters reports.
var spacedRule int

type ruleText struct {
	name, words, also, re, unless, notAfter string
}

func init() {
	add := func(cat category, critical bool, list []ruleText) {
		for _, t := range list {
			if len(allRules) == maxRules {
				panic("safety: more rules than maxRules")
			}
			r := rule{name: t.name, cat: cat, critical: critical, words: t.words, also: t.also, re: expression(t.re), unless: expression(t.unless)}
			if t.notAfter != "" {
				r.notAfter = expression(`(?:` + t.notAfter + `) ?$`)
			}
			for _, w := range strings.Fields(normalize(t.words)) {
				triggers.add(w).rules.add(len(allRules))
			}
			for _, w := range strings.Fields(normalize(t.also)) {
				triggers.add(w).also.add(len(allRules))
			}
			if t.also == "" {
				needsOneList.add(len(allRules))
			}
			allRules = append(allRules, r)
		}
	}
	add(injection, true, criticalInjection)
	add(injection, false, strongInjection)
	add(medical, false, medicalRules)
	add(children, false, childrenRules)
	add(illegal, false, illegalRules)
	add(harassment, false, harassmentRules)
	for _, w := range []string{"system", "user", "assistant", "human", "ai", "bot", "developer"} {
		triggers.add(w).role = true
	}
	pseudoMark, pseudoTag, pseudoLong = triggers.add("#").also, triggers.add("<|").also, triggers.add("longword").also
	spacedRule = -1
	for i := range allRules {
		if allRules[i].name == spacedOut {
			spacedRule = i
		}
	}
	if spacedRule < 0 {
		panic(fmt.Sprintf("safety: no rule named %q", spacedOut))
	}
}
