package safety

import (
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// findPII looks for personal data and names the kind found: e-mail address, card
// number, bank account or social security number.
//
// It reads each string of the document on its own, with its key as context,
// because in the flattened text the neighbours of an array of numbers form
// card and SSN shapes. Without a document it reads the text.
func findPII(text string, v canon.Value) string {
	switch v.Kind() {
	case canon.Invalid:
		return piiIn("", normalize(text))
	default:
		return piiWalk("", v)
	}
}

func piiWalk(key string, v canon.Value) (kind string) {
	switch v.Kind() {
	case canon.String:
		if !machineKey(key) {
			kind = piiIn(key, normalize(v.Str()))
		}
	case canon.Number:
		// A number can be a card or, under a telling key, an SSN; never a fraction.
		if t := v.Token(); len(t) >= minPIIDigits && !machineKey(key) && !strings.ContainsAny(t, ".eE-") {
			kind = piiIn(key, t)
		}
	case canon.Object:
		for k, m := range v.Members {
			if kind = piiIn("", normalize(k)); kind == "" {
				kind = piiWalk(k, m)
			}
			if kind != "" {
				return kind
			}
		}
	case canon.Array:
		for m := range v.Elements {
			if kind = piiWalk(key, m); kind != "" {
				return kind
			}
		}
	}
	return kind
}

// machineKey reports whether a member holds what machines count or name things
// by (plugin notes §3: *_raw, *_wei, *_block and machine ids): hashes, block
// heights, amounts in smallest units.
func machineKey(key string) bool {
	k := strings.ToLower(key)
	for _, suffix := range [...]string{"_raw", "_wei", "_block", "_hash", "_nonce", "_signature", "_digest"} {
		if strings.HasSuffix(k, suffix) {
			return true
		}
	}
	switch k {
	case "hash", "nonce", "signature", "digest", "sha256", "sha512", "checksum", "uuid", "tx_hash", "txhash", "block", "timestamp", "timestamp_ms", "created_at", "trace_id", "span_id":
		return true
	}
	return false
}

// piiIn looks into one string. key is the name of the member that holds it.
func piiIn(key, s string) string {
	if hasEmail(s) {
		return "e-mail address"
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if i > 0 && wordByte(s[i-1]) {
			continue
		}
		switch {
		case '0' <= c && c <= '9':
			if n := cardAt(s, i); n > 0 {
				return "card number"
			}
			if ssnAt(key, s, i) {
				return "social security number"
			}
		case letterByte(c):
			if ibanAt(s, i) {
				return "bank account (IBAN)"
			}
		}
	}
	return ""
}

func digitByte(c byte) bool  { return '0' <= c && c <= '9' }
func letterByte(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func wordByte(c byte) bool   { return digitByte(c) || letterByte(c) || c == '_' }

// cardAt returns the length of the payment card number that begins at s[i], or 0.
// It accepts the groupings that are printed on cards, an issuer's prefix and
// length, and a valid Luhn digit.
func cardAt(s string, i int) int {
	if i > 0 && (s[i-1] == '.' || s[i-1] == '-' && i > 1 && wordByte(s[i-2]) || s[i-1] == '#') {
		return 0 // a fraction, or the tail of a longer identifier
	}
	var d [19]byte
	var groups [5]int
	n, g, sep := 0, 0, byte(0)
	j := i
	for ; j < len(s); j++ {
		if digitByte(s[j]) {
			if n == len(d) || g == len(groups) {
				return 0
			}
			d[n] = s[j] - '0'
			n++
			groups[g]++
			continue
		}
		if (s[j] == ' ' || s[j] == '-') && j+1 < len(s) && digitByte(s[j+1]) && (sep == 0 || sep == s[j]) && cardGroup(groups[g], g) {
			if n >= 13 {
				break
			}
			sep = s[j]
			g++
			if g == len(groups) {
				return 0
			}
			continue
		}
		break
	}
	if j < len(s) && (wordByte(s[j]) || s[j] == '.' && j+1 < len(s) && digitByte(s[j+1])) {
		return 0
	}
	if sep == '-' && j < len(s) && s[j] == '-' {
		return 0
	}
	if !cardGrouping(groups[:g+1], n) || !cardIssuer(d[:n]) || !luhn(d[:n]) {
		return 0
	}
	return j - i
}

// cardGroup reports whether the g-th group of a card may have n digits.
func cardGroup(n, g int) bool { return n == 4 || g == 1 && n == 6 || g >= 2 && (n == 4 || n == 5) }

func cardGrouping(g []int, n int) bool {
	switch len(g) {
	case 1:
		return n >= 13
	case 3:
		return g[0] == 4 && g[1] == 6 && (g[2] == 5 || g[2] == 4)
	case 4:
		return g[0] == 4 && g[1] == 4 && g[2] == 4 && g[3] <= 4
	case 5:
		return g[0] == 4 && g[1] == 4 && g[2] == 4 && g[3] == 4 && g[4] == 3
	}
	return false
}

// cardIssuer checks prefix and length: Visa, Mastercard, American Express,
// Discover, JCB, Diners, UnionPay, Mir.
func cardIssuer(d []byte) bool {
	two := int(d[0])*10 + int(d[1])
	four := two*100 + int(d[2])*10 + int(d[3])
	n := len(d)
	switch {
	case d[0] == 4:
		return n == 13 || n == 16 || n == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		return n == 16
	case two == 34, two == 37:
		return n == 15
	case four == 6011, two == 65, four >= 6440 && four <= 6499:
		return n == 16 || n == 19
	case four >= 3528 && four <= 3589, four >= 2200 && four <= 2204, two == 62:
		return n >= 16
	case four >= 3000 && four <= 3059, two == 36, two == 38, two == 39:
		return n == 14
	}
	return false
}

func luhn(d []byte) bool {
	sum := 0
	for i := range d {
		x := int(d[len(d)-1-i])
		if i%2 == 1 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0
}

// ssnAt reports whether a US social security number begins at s[i]. With hyphens
// its shape and its area rules suffice. With spaces or none the same digits are
// as likely anything else, so a word that says so must come before it.
func ssnAt(key, s string, i int) bool {
	if i > 0 && (s[i-1] == '.' || s[i-1] == '-' || s[i-1] == '+') {
		return false
	}
	var d [9]byte
	n, sep := 0, byte(0)
	j := i
	for ; j < len(s) && n <= 9; j++ {
		if digitByte(s[j]) {
			if n == 9 {
				return false
			}
			d[n] = s[j]
			n++
			continue
		}
		if (s[j] == '-' || s[j] == ' ') && (n == 3 && sep == 0 || n == 5 && sep == s[j]) {
			sep = s[j]
			continue
		}
		break
	}
	if n != 9 || j-i == 10 || j < len(s) && (wordByte(s[j]) || s[j] == '-' && j+1 < len(s) && wordByte(s[j+1])) {
		return false
	}
	area, group, serial := string(d[:3]), string(d[3:5]), string(d[5:])
	if area == "000" || area == "666" || area[0] == '9' || group == "00" || serial == "0000" {
		return false
	}
	switch area + group + serial {
	case "078051120", "219099999": // printed in advertisements, void since
		return false
	}
	if sep == '-' {
		return true
	}
	before := strings.ToLower(key + " " + s[max(0, i-48):i])
	return strings.Contains(before, "ssn") || strings.Contains(before, "social security") || strings.Contains(before, "social_security") || strings.Contains(before, "socialsecurity")
}

// ibanLengths holds the length of each country's IBAN.
var ibanLengths = func() map[string]int {
	m := make(map[string]int)
	const table = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27" +
		"GB22GE22GI23GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21MC27MD24ME22MK19" +
		"MR27MT31MU30NL18NO15PK24PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"
	for i := 0; i < len(table); i += 4 {
		m[table[i:i+2]] = int(table[i+2]-'0')*10 + int(table[i+3]-'0')
	}
	return m
}()

// ibanAt reports whether an IBAN begins at s[i]: country, length and the mod-97
// check, written whole or in groups of four.
func ibanAt(s string, i int) bool {
	if i+4 > len(s) || !letterByte(s[i+1]) || !digitByte(s[i+2]) || !digitByte(s[i+3]) {
		return false
	}
	want, ok := ibanLengths[strings.ToUpper(s[i:i+2])]
	if !ok {
		return false
	}
	var b [34]byte
	n, group := 0, 0
	j := i
	for ; j < len(s) && n < want; j++ {
		switch c := s[j]; {
		case digitByte(c):
			b[n] = c
		case letterByte(c):
			b[n] = c &^ 0x20
		case c == ' ' && group == 4:
			group = 0
			continue
		default:
			return false
		}
		n++
		group++
	}
	if n != want || j < len(s) && wordByte(s[j]) {
		return false
	}
	rem := 0
	for k := range n {
		c := b[(k+4)%n]
		if digitByte(c) {
			rem = (rem*10 + int(c-'0')) % 97
		} else {
			rem = (rem*100 + int(c-'A') + 10) % 97
		}
	}
	return rem == 1
}
