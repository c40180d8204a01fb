package builtin

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"

	"github.com/google/uuid"

	"github.com/aimarket/aimarket/internal/canon"
)

const maxUUIDName = 4096 // bytes

// hashes computes each digest; insecure ones have practical collisions.
var hashes = map[string]struct {
	sum    func([]byte) []byte
	secure bool
}{
	"sha256":   {func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }, true},
	"sha384":   {func(b []byte) []byte { s := sha512.Sum384(b); return s[:] }, true},
	"sha512":   {func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }, true},
	"sha3-256": {func(b []byte) []byte { s := sha3.Sum256(b); return s[:] }, true},
	"sha3-512": {func(b []byte) []byte { s := sha3.Sum512(b); return s[:] }, true},
	"sha1":     {func(b []byte) []byte { s := sha1.Sum(b); return s[:] }, false},
	"md5":      {func(b []byte) []byte { s := md5.Sum(b); return s[:] }, false},
	"crc32": {func(b []byte) []byte {
		s := crc32.ChecksumIEEE(b)
		return []byte{byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)}
	}, false},
}

func hash(_ context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	name := a.option("algorithm", "sha256", "sha512", "sha384", "sha3-256", "sha3-512", "sha1", "md5", "crc32")
	hasText, hasBytes := in.Get("text").Kind() != canon.Invalid, in.Get("base64").Kind() != canon.Invalid
	var data []byte
	switch {
	case hasText && hasBytes:
		a.fail("base64", "must not come together with text; send one of them")
	case hasBytes:
		raw, err := decodeBase64(a.text("base64", maxText))
		if err != nil {
			a.fail("base64", "is not base64: %v", err)
		}
		data = raw
	default:
		data = []byte(a.text("text", maxText))
	}
	if a.err != nil {
		return nil, a.err
	}
	h := hashes[name]
	sum := h.sum(data)
	var o object
	o.str("algorithm", name)
	o.str("hex", hex.EncodeToString(sum))
	o.str("base64", base64.StdEncoding.EncodeToString(sum))
	o.int("bytes", len(data))
	o.bool("secure", h.secure)
	return o.done()
}

func uuid5(_ context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	name := a.text("name", maxUUIDName)
	space := uuid.NameSpaceURL
	if v := in.Get("namespace"); v.Kind() != canon.Invalid && v.Kind() != canon.Null {
		switch s := a.text("namespace", 64); s {
		case "url":
		case "dns":
			space = uuid.NameSpaceDNS
		case "oid":
			space = uuid.NameSpaceOID
		case "x500":
			space = uuid.NameSpaceX500
		default:
			u, err := uuid.Parse(s)
			if err != nil {
				a.fail("namespace", "must be dns, url, oid, x500 or a UUID")
			}
			space = u
		}
	}
	if a.err != nil {
		return nil, a.err
	}
	var o object
	o.str("uuid", uuid.NewSHA1(space, []byte(name)).String())
	return o.done()
}
