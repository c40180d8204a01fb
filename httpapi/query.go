package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// param is one parameter of a route outside its body.
type param struct {
	in   string // "query", "path", "header"
	prop        // required path parameters are always there
}

func query(p prop) param  { return param{"query", p} }
func inPath(p prop) param { return param{"path", p} }
func header(p prop) param { return param{"header", p} }

// maxQueryPairs bounds how many pairs of a query string are looked at.
const maxQueryPairs = 64

// arguments are the checked query parameters of one request.
type arguments map[string]string

// arguments reads and checks the query parameters that a route declares; any
// others are ignored, and of a repeated one the last counts, as the reference does.
func readQuery(r *http.Request, params []param) (arguments, faults) {
	given := splitQuery(r.URL.RawQuery)
	args := arguments{}
	var bad faults
	for _, p := range params {
		if p.in != "query" {
			continue
		}
		loc := []string{"query", p.name}
		v, ok := given[p.name]
		if !ok {
			if p.required {
				bad.add(loc, "missing", "", "Field required")
			}
			continue
		}
		args[p.name] = v
		shown := string(appendQuoted(nil, v))
		switch {
		case p.allows("string"):
			bad.text(v, shown, p.schema, loc)
		case p.allows("boolean"):
			if _, ok := parseBool(v); !ok {
				bad.add(loc, "bool_parsing", shown, "Input should be a valid boolean, unable to interpret input")
			}
		case p.allows("integer"):
			token, ok := numeral(v)
			if !ok {
				bad.add(loc, "int_parsing", shown, "Input should be a valid integer, unable to parse string as an integer")
				continue
			}
			bad.bounds(token, true, p.schema, loc)
		default:
			token, ok := numeral(v)
			if !ok {
				bad.add(loc, "float_parsing", shown, "Input should be a valid number, unable to parse string as a number")
				continue
			}
			bad.bounds(token, false, p.schema, loc)
		}
	}
	return args, bad
}

func (a arguments) has(name string) bool { _, ok := a[name]; return ok }

// float, integer and yes read values that readQuery has passed.
func (a arguments) float(name string) float64 {
	token, _ := numeral(a[name])
	x, _ := strconv.ParseFloat(token, 64)
	return x
}

// integer is the value clamped to 32 bits, or def if the parameter is absent.
func (a arguments) integer(name string, def int) int {
	if !a.has(name) {
		return def
	}
	return int(min(max(a.float(name), math.MinInt32), math.MaxInt32))
}

func (a arguments) yes(name string) bool { b, _ := parseBool(a[name]); return b }

// numeral is the decimal number in v as a token that strconv and canon read. It
// takes the spellings that clients' number printers make ("5", "5.0", "3e-05",
// "+2", ".5") and nothing that only a programming language would know.
func numeral(v string) (string, bool) {
	v = strings.TrimPrefix(strings.TrimSpace(v), "+")
	digits := false
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c >= '0' && c <= '9':
			digits = true
		case c == '.' || c == '+' || c == 'e' || c == 'E':
		case c == '-':
		default:
			return "", false
		}
	}
	if !digits {
		return "", false
	}
	if _, err := strconv.ParseFloat(v, 64); err != nil && !isRange(err) {
		return "", false
	}
	return v, true
}

func isRange(err error) bool {
	ne, ok := err.(*strconv.NumError)
	return ok && ne.Err == strconv.ErrRange
}

// parseBool takes the spellings that the reference's validator takes.
func parseBool(v string) (value, ok bool) {
	switch strings.ToLower(v) {
	case "true", "1", "yes", "on", "t", "y":
		return true, true
	case "false", "0", "no", "off", "f", "n":
		return false, true
	}
	return false, false
}

// splitQuery decodes a query string the way the clients' own servers do: pairs
// split on "&" only, "+" is a space, a malformed escape stands for itself and
// bytes that are no UTF-8 become U+FFFD. Nothing a query can hold is an error.
func splitQuery(raw string) map[string]string {
	out := map[string]string{}
	for n := 0; raw != "" && n < maxQueryPairs; n++ {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		k, v, _ := strings.Cut(pair, "=")
		out[unescape(k, true)] = unescape(v, true)
	}
	return out
}

// unescape undoes percent encoding, and "+" for a space if plus is set.
func unescape(s string, plus bool) string {
	if !strings.ContainsAny(s, "%+") && utf8.ValidString(s) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+' && plus:
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			x, _ := strconv.ParseUint(s[i+1:i+3], 16, 8)
			b = append(b, byte(x))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return strings.ToValidUTF8(string(b), "\uFFFD")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}
