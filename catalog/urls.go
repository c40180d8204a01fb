package catalog

import (
	"encoding/hex"
	"net/url"
	"strings"

	"github.com/aimarket/aimarket/internal/identity"
)

// checkInvokeURL checks the form of a provider's URL. Whether it may be called is
// the URLChecker's decision, and that of every later dial.
func checkInvokeURL(raw string) error {
	u, err := parseHTTPURL(raw, MaxURLLen)
	if err != nil {
		return invalid("invoke_url", "%v", err)
	}
	if u.Fragment != "" {
		return invalid("invoke_url", "must not have a fragment")
	}
	return nil
}

// urlID is the form under which an invoke URL is owned: case of scheme and host,
// a default port and a trailing slash make no difference.
func urlID(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" && !(u.Scheme == "http" && p == "80") && !(u.Scheme == "https" && p == "443") {
		host += ":" + p
	}
	id := strings.ToLower(u.Scheme) + "://" + host + strings.TrimRight(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		id += "?" + u.RawQuery
	}
	return id
}

func parseHTTPURL(raw string, maxLen int) (*url.URL, error) {
	if len(raw) > maxLen {
		return nil, errf("longer than %d bytes", maxLen)
	}
	if !plainText(raw, "") || strings.ContainsAny(raw, " \\") {
		return nil, errf("contains blanks, backslashes or control characters")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errf("not a URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, errf("must begin with http:// or https://")
	}
	if u.Hostname() == "" || u.User != nil {
		return nil, errf("must have a host and no user name")
	}
	return u, nil
}

// NormalizeHubURL returns the base URL under which a hub is known: lower-case
// scheme and host, no default port, query, fragment or trailing slash; a path
// stays, since a hub may be mounted under one (federation notes §9.8). A hub known by
// its key alone has the form of KeyURL.
func NormalizeHubURL(raw string) (string, error) {
	if isKeyURL(raw) {
		s := strings.ToLower(strings.TrimRight(raw, "/"))
		if _, ok := keyOfURL(s); !ok {
			return "", errf("after %s must come the 64 hex digits of a hub's key", keyScheme)
		}
		return s, nil
	}
	u, err := parseHTTPURL(strings.TrimRight(raw, "/"), MaxHubURLLen)
	if err != nil {
		return "", err
	}
	if u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		return "", errf("a hub's URL has no query and no fragment")
	}
	return urlID(raw), nil
}

// keyScheme begins the URL of a hub that is known by its key alone.
const keyScheme = "libp2p://"

// KeyURL is the base URL of a hub that is known by its key alone: "libp2p://" and the
// key in lower-case hex.
func KeyURL(key identity.PublicKey) string { return keyScheme + hex.EncodeToString(key[:]) }

func isKeyURL(raw string) bool {
	return len(raw) >= len(keyScheme) && strings.EqualFold(raw[:len(keyScheme)], keyScheme)
}

// keyOfURL is the inverse of KeyURL.
func keyOfURL(base string) (key identity.PublicKey, ok bool) {
	digits, ok := strings.CutPrefix(base, keyScheme)
	if !ok || len(digits) != 2*len(key) {
		return key, false
	}
	_, err := hex.Decode(key[:], []byte(digits))
	return key, err == nil && KeyURL(key) == base
}

// origin is scheme, host and port of a URL in normal form.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return urlID(u.Scheme + "://" + u.Host)
}

func hostname(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	return strings.ToLower(u.Hostname())
}
