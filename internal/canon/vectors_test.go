package canon_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// testSeed is the protocol's published test key; never for production.
const testSeed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

func testKey(t *testing.T) *identity.Key {
	t.Helper()
	seed, err := hex.DecodeString(testSeed)
	if err != nil {
		t.Fatal(err)
	}
	key, err := identity.FromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := key.PublicBase64(), "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="; got != want {
		t.Fatalf("public key %s, want %s", got, want)
	}
	return key
}

func vector(t *testing.T, name string) canon.Value {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "vectors", name))
	if err != nil {
		t.Fatal(err)
	}
	v, err := canon.Parse(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// TestSignedVectors signs each vector's message anew: Ed25519 is deterministic, so
// a byte out of place gives another signature.
func TestSignedVectors(t *testing.T) {
	key := testKey(t)
	for _, c := range []struct {
		file    string
		kind    canon.DocumentKind
		version int
	}{
		{"manifest-signed.json", canon.Manifest, 1},
		{"receipt-signed.json", canon.Receipt, 1},
		{"receipt-v2-signed.json", canon.Receipt, 2},
		{"federation-announce-signed.json", canon.Announce, 1},
	} {
		t.Run(c.file, func(t *testing.T) {
			doc := vector(t, c.file)
			kind, ok := canon.Identify(doc)
			if !ok || kind != c.kind {
				t.Fatalf("identified as %q, want %q", kind, c.kind)
			}
			s, err := canon.Message(kind, doc)
			if err != nil {
				t.Fatal(err)
			}
			if s.Version != c.version {
				t.Errorf("version %d, want %d", s.Version, c.version)
			}
			want := doc.Get("signature").Get("value").Str()
			if got := key.SignBase64(s.Messages[0]); got != want {
				t.Errorf("signature %s, want %s over\n%s", got, want, s.Messages[0])
			}
			if err := identity.VerifyBase64(key.Public(), s.Messages[0], want); err != nil {
				t.Error(err)
			}
		})
	}
}
