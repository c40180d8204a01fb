package identity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
)

// The protocol's published test key (RFC 8032 §7.1, test 1); never for production.
const (
	testSeed   = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	testPublic = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testKey(t testing.TB) *Key {
	t.Helper()
	k, err := FromSeed(unhex(t, testSeed))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignIsRFC8032(t *testing.T) {
	for _, c := range []struct{ seed, public, message, signature string }{
		{testSeed, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
		{"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
	} {
		k, err := FromSeed(unhex(t, c.seed))
		if err != nil {
			t.Fatal(err)
		}
		pub := k.Public()
		if hex.EncodeToString(pub[:]) != c.public {
			t.Errorf("public key %x", pub[:])
		}
		sig := k.Sign(unhex(t, c.message))
		if hex.EncodeToString(sig) != c.signature {
			t.Errorf("signature %x", sig)
		}
		if err := Verify(pub, unhex(t, c.message), sig); err != nil {
			t.Error(err)
		}
		if err := VerifyBase64(pub, unhex(t, c.message), k.SignBase64(unhex(t, c.message))); err != nil {
			t.Error(err)
		}
	}
	if k := testKey(t); k.PublicBase64() != testPublic || k.Public().String() != testPublic {
		t.Errorf("public key %s", k.PublicBase64())
	}
}

func TestFromSeedRefusesOtherLengths(t *testing.T) {
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := FromSeed(make([]byte, n)); err == nil {
			t.Errorf("a seed of %d bytes is taken", n)
		}
	}
}

func TestDerive(t *testing.T) {
	k := testKey(t)
	a, b := k.Derive("channel secrets"), k.Derive("buyer pseudonyms")
	if a == b || a != k.Derive("channel secrets") {
		t.Error("purposes are not kept apart, or one gives two secrets")
	}
	// HKDF-SHA256, salt empty, info "aimarket channel secrets", by Python's hmac.
	if got, want := hex.EncodeToString(a[:]), "6558ce8c1604fa88977771447f2542df8c411e79ec54e936839b8adc66399562"; got != want {
		t.Errorf("secret %s, want %s: every stored secret of a hub would be lost", got, want)
	}
}

// TestKeyIsSilent prints a key in every way that comes to mind.
func TestKeyIsSilent(t *testing.T) {
	k := testKey(t)
	type holder struct {
		Key  *Key
		Copy Key
		own  Key
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("key", "k", k, "copy", *k, "in", holder{k, *k, *k})
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "k", k, "copy", *k, "in", holder{k, *k, *k})
	encoded, err := json.Marshal(holder{k, *k, *k})
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(encoded)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p"} {
		all += fmt.Sprintf(verb, k) + fmt.Sprintf(verb, *k) + fmt.Sprintf(verb, holder{k, *k, *k})
	}
	all += fmt.Sprint(k, *k, holder{k, *k, *k})
	seed := unhex(t, testSeed)
	for name, form := range map[string]string{
		"hex": testSeed[:16], "HEX": fmt.Sprintf("%X", seed[:8]), "raw": string(seed[:8]), "decimal": fmt.Sprint(seed[:4])[1:14],
		"base64": "nWGxne/9", "quoted": fmt.Sprintf("%q", seed[:4])[1:8], "Go syntax": "0x9d, 0x61",
	} {
		if bytes.Contains([]byte(all), []byte(form)) {
			t.Errorf("the seed shows as %s", name)
		}
	}
	if !bytes.Contains([]byte(all), []byte(testPublic)) {
		t.Error("the public half does not show")
	}
}

func BenchmarkSign(b *testing.B) {
	k, msg := testKey(b), make([]byte, 200)
	for b.Loop() {
		k.Sign(msg)
	}
}

func BenchmarkVerify(b *testing.B) {
	k, msg := testKey(b), make([]byte, 200)
	pub, sig := k.Public(), k.Sign(msg)
	for b.Loop() {
		if err := Verify(pub, msg, sig); err != nil {
			b.Fatal(err)
		}
	}
}
