package builtin

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aimarket/aimarket/internal/canon"
)

var encodings = []string{"text", "base64", "base64url", "base32", "hex", "url"}

func transcode(_ context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	data := a.text("data", maxText)
	from, to := a.encoding("from"), a.encoding("to")
	if a.err != nil {
		return nil, a.err
	}
	raw, err := decode(from, data)
	if err != nil {
		return nil, bad("data", "is not %s: %v", from, err)
	}
	if to == "text" && !utf8.Valid(raw) {
		return nil, bad("to", "cannot be text: the decoded data is not UTF-8; ask for hex or base64")
	}
	var o object
	o.str("data", encode(to, raw))
	o.int("bytes", len(raw))
	return o.done()
}

// encoding reads a required name of an encoding.
func (a *args) encoding(field string) string {
	if a.in.Get(field).Kind() == canon.Invalid {
		a.fail(field, "is missing; it must be one of %q", encodings)
		return "text"
	}
	return a.option(field, encodings...)
}

func decode(from, s string) ([]byte, error) {
	switch from {
	case "base64", "base64url":
		return decodeBase64(s)
	case "base32":
		return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(s), "="))
	case "hex":
		return hex.DecodeString(s)
	case "url":
		t, err := url.QueryUnescape(s)
		return []byte(t), err
	}
	return []byte(s), nil
}

func encode(to string, b []byte) string {
	switch to {
	case "base64":
		return base64.StdEncoding.EncodeToString(b)
	case "base64url":
		return base64.RawURLEncoding.EncodeToString(b)
	case "base32":
		return base32.StdEncoding.EncodeToString(b)
	case "hex":
		return hex.EncodeToString(b)
	case "url":
		return strings.ReplaceAll(url.QueryEscape(string(b)), "+", "%20")
	}
	return string(b)
}

// decodeBase64 reads both alphabets, padded or not.
func decodeBase64(s string) ([]byte, error) {
	enc := base64.RawStdEncoding
	if strings.ContainsAny(s, "-_") {
		enc = base64.RawURLEncoding
	}
	return enc.DecodeString(strings.TrimRight(s, "="))
}
