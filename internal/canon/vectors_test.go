package canon_test

import (
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// TestWholeObjectVector signs the unsigned discovery vector as hubs do and holds
// that every byte outside the signature block counts and none inside.
func TestWholeObjectVector(t *testing.T) {
	key := testKey(t)
	raw, err := os.ReadFile(filepath.Join("testdata", "vectors", "well-known.json"))
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := canon.ObjectMessage(vector(t, "well-known.json"))
	if err != nil {
		t.Fatal(err)
	}
	// Python: sha256 of json.dumps(doc, sort_keys=True, ensure_ascii=False, separators=(",", ":")).
	if got, want := canon.Digest(unsigned), "6450d9ca8f111929f1367b99d1d824bb50197c919d5c3af8121f7c2efd705897"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	sig := key.SignBase64(unsigned)
	doc := func(edit string) canon.Value {
		return parse(t, strings.Replace(string(raw), `"peers": []`, edit, 1))
	}
	good, err := canon.ObjectMessage(doc(`"peers": [], "signature": {"algorithm":"ed25519","value":"` + sig + `"}`))
	if err != nil || identity.VerifyBase64(key.Public(), good, sig) != nil {
		t.Errorf("the signed document does not verify: %v", err)
	}
	bad, err := canon.ObjectMessage(doc(`"peers": [{}]`))
	if err != nil || identity.VerifyBase64(key.Public(), bad, sig) == nil {
		t.Errorf("a changed document verifies: %v", err)
	}
}

// TestOneFlippedCharacter changes each covered member of each signed vector.
func TestOneFlippedCharacter(t *testing.T) {
	key := testKey(t)
	for _, file := range []string{"manifest-signed.json", "receipt-signed.json", "receipt-v2-signed.json", "federation-announce-signed.json"} {
		doc := vector(t, file)
		kind, _ := canon.Identify(doc)
		s, err := canon.Message(kind, doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range s.Covered {
			at := doc.Get(name)
			raw := []byte(string(doc.Raw()))
			from := at.Offset()
			for i := from; i < from+len(at.Raw()); i++ {
				if c := raw[i]; c >= 'a' && c <= 'y' || c >= '0' && c <= '8' {
					raw[i]++
					break
				}
			}
			changed, err := canon.Parse(raw)
			if err != nil {
				continue // true became urue: unreadable, which is refused as well
			}
			if string(changed.Get(name).Raw()) == string(at.Raw()) && at.Kind() != canon.Array {
				t.Fatalf("%s: nothing flipped in %s", file, name)
			}
			c, err := canon.Message(kind, changed)
			if err != nil {
				continue
			}
			for _, msg := range c.Messages {
				if identity.VerifyBase64(key.Public(), msg, doc.Get("signature").Get("value").Str()) == nil {
					t.Errorf("%s verifies with another %s", file, name)
				}
			}
		}
	}
}

// TestMandateVectors checks every value of the mandate vector: documents by
// eddsa-jcs-2022, digests of the document with its proof, and the signed texts.
func TestMandateVectors(t *testing.T) {
	v := vector(t, "mandate-signed.json")
	keys := v.Get("keys")
	signer := map[string]*identity.Key{} // by did
	for _, member := range []string{"owner", "agent", "delegate", "second_owner"} {
		k := keys.Get(member)
		seed, err := hex.DecodeString(k.Get("seed_hex").Str())
		if err != nil {
			t.Fatal(err)
		}
		key, err := identity.FromSeed(seed)
		if err != nil {
			t.Fatal(err)
		}
		pub := key.Public()
		if got := "did:key:z" + base58(append([]byte{0xed, 0x01}, pub[:]...)); got != k.Get("did").Str() {
			t.Fatalf("%s is %s, want %s", member, got, k.Get("did").Str())
		}
		signer[k.Get("did").Str()] = key
	}
	for _, name := range []string{"root", "child"} {
		doc := v.Get(name).Get("document")
		if kind, ok := canon.Identify(doc); !ok || kind != canon.Credential {
			t.Errorf("%s identified as %q", name, kind)
		}
		msg, err := canon.MandateMessage(doc)
		if err != nil {
			t.Fatal(err)
		}
		sig := signer[doc.Get("issuer").Str()].Sign(msg)
		if got := "z" + base58(sig); got != doc.Get("proof").Get("proofValue").Str() {
			t.Errorf("%s: proof %s", name, got)
		}
		whole, err := doc.AppendJCS(nil)
		if err != nil {
			t.Fatal(err)
		}
		sum, _ := hex.DecodeString(canon.Digest(whole))
		if got := "sha256-" + base64.StdEncoding.EncodeToString(sum); got != v.Get(name).Get("digest").Str() {
			t.Errorf("%s: digest %s", name, got)
		}
		if want := v.Get(name).Get("canonical_sha256"); want.Exists() && want.Str() != canon.Digest(whole) {
			t.Errorf("%s: canonical digest %s", name, canon.Digest(whole))
		}
	}
	if _, err := canon.MandateMessage(parse(t, `{"proof":{"cryptosuite":"eddsa-rdfc-2022"}}`)); err == nil {
		t.Error("another suite has a message")
	}
	proof := v.Get("request_proof")
	if got := canon.Digest([]byte(proof.Get("body").Str())); !strings.HasSuffix(proof.Get("message").Str(), got) {
		t.Errorf("request body digest %s", got)
	}
	owner, leaf := keys.Get("owner").Get("did").Str(), keys.Get("agent").Get("did").Str()
	if parent := v.Get("child").Get("document").Get("credentialSubject").Get("id").Str(); parent != "" {
		leaf = parent
	}
	for name, did := range map[string]string{"request_proof": leaf, "owner_link": owner, "owner_change": owner, "revoke": owner} {
		part := v.Get(name)
		got := base64.RawURLEncoding.EncodeToString(signer[did].Sign([]byte(part.Get("message").Str())))
		if got != part.Get("signature").Str() {
			t.Errorf("%s: signature %s", name, got)
		}
	}
}

// base58 is the Bitcoin alphabet's encoding, as multibase "z" has it.
func base58(b []byte) string {
	const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
	n, radix, rest := new(big.Int).SetBytes(b), big.NewInt(58), new(big.Int)
	var out []byte
	for n.Sign() > 0 {
		n.DivMod(n, radix, rest)
		out = append(out, alphabet[rest.Int64()])
	}
	for i := 0; i < len(b) && b[i] == 0; i++ {
		out = append(out, alphabet[0])
	}
	slices.Reverse(out)
	return string(out)
}
