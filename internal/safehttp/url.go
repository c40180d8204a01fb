package safehttp

import (
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	// MaxURLBytes is the longest URL that is looked at.
	MaxURLBytes = 2048
	// maxHostBytes is the longest name that DNS carries, with a final dot.
	maxHostBytes  = 254
	maxLabelBytes = 63
)

// target is a URL that passed the rules on its text.
type target struct {
	url  *url.URL
	host string     // as it goes to the resolver, lower case
	addr netip.Addr // valid if the host is an address
	port string     // never empty
}

func (t *target) hostPort() string { return net.JoinHostPort(t.host, t.port) }

// parseURL applies every rule that needs no resolver. The second result is the
// reason of a refusal.
func parseURL(raw string) (*target, string) {
	if len(raw) > MaxURLBytes {
		return nil, "it is longer than " + strconv.Itoa(MaxURLBytes) + " bytes"
	}
	// Other programs cut at, skip or turn these; so what we check is not what
	// somebody else may fetch.
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return nil, "it contains a space, a control character or a backslash"
		}
	}
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok || scheme != "http" && scheme != "https" {
		return nil, "it does not begin with http:// or https://"
	}
	authority := rest
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority = rest[:i]
	}
	if strings.Contains(authority, "@") {
		return nil, "it contains a user name or password"
	}
	if strings.Contains(authority, "%") {
		return nil, "its host contains a zone or an escape"
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host != authority || u.User != nil || u.Opaque != "" {
		return nil, "it is malformed"
	}
	t := &target{url: u, host: strings.ToLower(u.Hostname()), port: u.Port()}
	if t.port == "" {
		if strings.HasSuffix(authority, ":") {
			return nil, "its port is empty"
		}
		t.port = map[string]string{"http": "80", "https": "443"}[scheme]
	} else if n, err := strconv.ParseUint(t.port, 10, 16); err != nil || n == 0 || t.port[0] == '0' {
		return nil, "its port is not between 1 and 65535"
	}
	if reason := t.parseHost(strings.HasPrefix(authority, "[")); reason != "" {
		return nil, reason
	}
	return t, ""
}

func (t *target) parseHost(bracketed bool) (reason string) {
	if bracketed {
		a, err := netip.ParseAddr(t.host)
		if err != nil || !a.Is6() || a.Zone() != "" {
			return "its host is not an IPv6 address"
		}
		t.addr = a
		return ""
	}
	name := strings.TrimSuffix(t.host, ".")
	if name == "" || len(t.host) > maxHostBytes {
		return "its host is missing or too long"
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if !validLabel(l) {
			return "its host is not a name in ASCII letters, digits, hyphens and dots"
		}
	}
	// Resolvers and other programs read 127.1, 0x7f.1, 017700000001 and
	// 2130706433 as IPv4. Only the plain form of four decimal numbers is taken.
	if numeric(labels[len(labels)-1]) {
		a, err := netip.ParseAddr(t.host)
		if err != nil {
			return "its host is an unusual spelling of an IPv4 address"
		}
		t.addr = a
	}
	return ""
}

func validLabel(l string) bool {
	if l == "" || len(l) > maxLabelBytes {
		return false
	}
	for i := range len(l) {
		switch c := l[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// numeric reports whether l reads as a number in some notation; no top-level
// domain does.
func numeric(l string) bool {
	if hex, ok := strings.CutPrefix(l, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(l, "0123456789") == ""
}
