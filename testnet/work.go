package testnet

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/aimarket/aimarket/internal/canon"
)

// work is one deterministic thing a provider does. run returns a JSON object.
type work struct {
	id, name, does string
	input, output  string // JSON Schemas
	run            func(hub string, input canon.Value) ([]byte, error)
}

const (
	textSchema   = `{"type":"object","required":["text"],"properties":{"text":{"type":"string","minLength":1,"maxLength":1000}}}`
	numberSchema = `{"type":"object","required":["n"],"properties":{"n":{"type":"integer","minimum":1,"maximum":1000000}}}`

	maxText   = 1000 // bytes
	maxNumber = 1_000_000
)

// works are all of them; the first is sold by every hub.
var works = []work{
	ofText("greet@v1", "Greeting", "Greets somebody by name, in the name of the hub.", "greeting",
		func(hub, text string) string { return "Hello " + text + ", this is " + hub + "." }),
	ofNumber("roman@v1", "Roman numeral", "Writes a whole number as a Roman numeral.", "roman", roman),
	ofText("rot13@v1", "ROT13", "Shifts every letter of a text by thirteen places, as in riddles and spoilers.", "text",
		func(_, text string) string { return strings.Map(rot13, text) }),
	ofNumber("factors@v1", "Prime factors", "Splits a whole number into its prime factors.", "factors", factors),
	ofText("acronym@v1", "Acronym", "Builds an acronym from the first letters of the words of a phrase.", "acronym",
		func(_, text string) string { return acronym(text) }),
	ofNumber("collatz@v1", "Collatz steps", "Counts the steps of the Collatz sequence from a whole number down to one.", "steps", collatz),
	ofText("morse@v1", "Morse code", "Spells a text in Morse code, dots and dashes.", "morse",
		func(_, text string) string { return morse(text) }),
	ofNumber("spelling@v1", "Digits as words", "Spells the digits of a whole number as English words, for reading aloud.", "words", digits),
	ofText("palindrome@v1", "Palindrome", "Tells whether a phrase reads the same backwards, ignoring spaces and case.", "palindrome",
		func(_, text string) string { return palindrome(text) }),
	ofNumber("divisors@v1", "Divisor sum", "Adds up the proper divisors of a whole number and calls it perfect, abundant or deficient.", "verdict", divisors),
	ofText("vowels@v1", "Vowel count", "Counts the vowels of a text.", "vowels",
		func(_, text string) string { return vowels(text) }),
	ofNumber("fizzbuzz@v1", "Fizz buzz", "Plays fizz buzz: says what is said at a whole number.", "says", fizzbuzz),
}

func find(id string) (work, bool) {
	i := slices.IndexFunc(works, func(w work) bool { return w.id == id })
	if i < 0 {
		return work{}, false
	}
	return works[i], true
}

func outputSchema(member string) string {
	return `{"type":"object","required":["` + member + `"],"properties":{"` + member + `":{"type":"string"}}}`
}

func object(member, value string) []byte {
	return append(canon.AppendString([]byte(`{"`+member+`":`), value), '}')
}

func ofText(id, name, does, member string, f func(hub, text string) string) work {
	return work{id, name, does, textSchema, outputSchema(member), func(hub string, in canon.Value) ([]byte, error) {
		text := in.Get("text")
		if text.Kind() != canon.String || text.Str() == "" || len(text.Str()) > maxText {
			return nil, fmt.Errorf("input.text must be a string of 1 to %d bytes", maxText)
		}
		return object(member, f(hub, text.Str())), nil
	}}
}

func ofNumber(id, name, does, member string, f func(n int) (string, error)) work {
	return work{id, name, does, numberSchema, outputSchema(member), func(_ string, in canon.Value) ([]byte, error) {
		n, ok := in.Get("n").Int64()
		if !ok || n < 1 || n > maxNumber {
			return nil, fmt.Errorf("input.n must be a whole number from 1 to %d", maxNumber)
		}
		s, err := f(int(n))
		if err != nil {
			return nil, err
		}
		return object(member, s), nil
	}}
}

func roman(n int) (string, error) {
	if n > 3999 {
		return "", errors.New("input.n must be at most 3999: there are no numerals beyond")
	}
	var b strings.Builder
	for _, step := range []struct {
		value int
		sign  string
	}{
		{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"}, {40, "XL"},
		{10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"},
	} {
		for n >= step.value {
			b.WriteString(step.sign)
			n -= step.value
		}
	}
	return b.String(), nil
}

func rot13(r rune) rune {
	switch {
	case r >= 'a' && r <= 'z':
		return 'a' + (r-'a'+13)%26
	case r >= 'A' && r <= 'Z':
		return 'A' + (r-'A'+13)%26
	}
	return r
}

func factors(n int) (string, error) {
	var found []string
	for p := 2; p*p <= n; p++ {
		for n%p == 0 {
			found = append(found, fmt.Sprint(p))
			n /= p
		}
	}
	if n > 1 || len(found) == 0 {
		found = append(found, fmt.Sprint(n))
	}
	return strings.Join(found, " "), nil
}

func acronym(text string) string {
	var b strings.Builder
	for _, word := range strings.Fields(text) {
		if first := []rune(word)[0]; unicode.IsLetter(first) {
			b.WriteRune(unicode.ToUpper(first))
		}
	}
	return b.String()
}

func collatz(n int) (string, error) {
	steps := 0
	for ; n != 1; steps++ { // under a million, no start needs more than 524 steps
		if n%2 == 0 {
			n /= 2
		} else {
			n = 3*n + 1
		}
	}
	return fmt.Sprint(steps), nil
}

const morseAlphabet = ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."

func morse(text string) string {
	letters := strings.Fields(morseAlphabet)
	var signs []string
	for _, r := range strings.ToLower(text) {
		switch {
		case r >= 'a' && r <= 'z':
			signs = append(signs, letters[r-'a'])
		case unicode.IsSpace(r):
			signs = append(signs, "/")
		}
	}
	return strings.Join(signs, " ")
}

func digits(n int) (string, error) {
	words := []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
	var said []string
	for _, d := range fmt.Sprint(n) {
		said = append(said, words[d-'0'])
	}
	return strings.Join(said, " "), nil
}

func palindrome(text string) string {
	var letters []rune
	for _, r := range strings.ToLower(text) {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			letters = append(letters, r)
		}
	}
	backwards := slices.Clone(letters)
	slices.Reverse(backwards)
	if slices.Equal(letters, backwards) {
		return "yes"
	}
	return "no"
}

func divisors(n int) (string, error) {
	sum := 0
	for d := 1; d*d <= n; d++ {
		if n%d != 0 {
			continue
		}
		if d < n {
			sum += d
		}
		if o := n / d; o != d && o < n {
			sum += o
		}
	}
	switch {
	case sum == n:
		return "perfect", nil
	case sum > n:
		return "abundant", nil
	}
	return "deficient", nil
}

func vowels(text string) string {
	n := 0
	for _, r := range strings.ToLower(text) {
		if strings.ContainsRune("aeiou", r) {
			n++
		}
	}
	return fmt.Sprint(n)
}

func fizzbuzz(n int) (string, error) {
	switch {
	case n%15 == 0:
		return "fizz buzz", nil
	case n%5 == 0:
		return "buzz", nil
	case n%3 == 0:
		return "fizz", nil
	}
	return fmt.Sprint(n), nil
}
