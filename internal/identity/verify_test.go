package identity

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"pgregory.net/rapid"
)

// smallOrderKeys are all encodings of points of order 1, 2, 4 and 8, canonical or
// not, that RFC 8032 decoders may accept.
var smallOrderKeys = []string{
	"0100000000000000000000000000000000000000000000000000000000000000", // order 1
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"0000000000000000000000000000000000000000000000000000000000000000", // order 4
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p, that is 0
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // p+1, that is 1
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

func TestSmallOrderKeysAreRefused(t *testing.T) {
	for _, text := range smallOrderKeys {
		raw := unhex(t, text)
		if _, err := ParsePublicKey(base64.StdEncoding.EncodeToString(raw)); !errors.Is(err, ErrBadKey) {
			t.Errorf("%s: %v", text, err)
		}
		if err := Verify(PublicKey(raw), nil, make([]byte, 64)); !errors.Is(err, ErrBadKey) {
			t.Errorf("verifying under %s: %v", text, err)
		}
	}
}

// TestSmallOrderForgery is a signature that the standard library accepts for every
// message: A is the identity, S is 1 and R the base point.
func TestSmallOrderForgery(t *testing.T) {
	a := PublicKey(unhex(t, smallOrderKeys[0]))
	sig := unhex(t, "58"+strings.Repeat("66", 31)+"01"+strings.Repeat("00", 31))
	msg := []byte("nonce:anything|price_usd:0")
	if !ed25519.Verify(a[:], msg, sig) {
		t.Fatal("the standard library refuses it: the forgery is not the one meant")
	}
	if err := Verify(a, msg, sig); !errors.Is(err, ErrBadKey) {
		t.Errorf("accepted, or refused for another reason: %v", err)
	}
}

// TestSmallOrderR: the owner of a key can sign with R the identity, and the
// standard library accepts that; other verifiers do not, so neither do we.
func TestSmallOrderR(t *testing.T) {
	k, msg := testKey(t), []byte("m")
	pub := k.Public()
	hash := sha512.Sum512(unhex(t, testSeed))
	a, err := new(edwards25519.Scalar).SetBytesWithClamping(hash[:32])
	if err != nil {
		t.Fatal(err)
	}
	r := unhex(t, smallOrderKeys[0])
	challenge := sha512.Sum512(slices.Concat(r, pub[:], msg))
	h, err := new(edwards25519.Scalar).SetUniformBytes(challenge[:])
	if err != nil {
		t.Fatal(err)
	}
	sig := append(r, new(edwards25519.Scalar).Multiply(h, a).Bytes()...)
	if !ed25519.Verify(pub[:], msg, sig) {
		t.Fatal("the standard library refuses it: the case is not the one meant")
	}
	if err := Verify(pub, msg, sig); !errors.Is(err, ErrBadSignature) {
		t.Errorf("R of order 1: %v", err)
	}
	for _, r := range smallOrderKeys {
		sig := append(unhex(t, r), make([]byte, 32)...)
		if err := Verify(pub, msg, sig); !errors.Is(err, ErrBadSignature) {
			t.Errorf("R = %s: %v", r, err)
		}
	}
}

// TestNonCanonicalKeys: y at or above p decodes in lenient readers.
func TestNonCanonicalKeys(t *testing.T) {
	found := 0
	for low := 0xed; low <= 0xff; low++ {
		for _, top := range []byte{0x7f, 0xff} {
			raw := unhex(t, strings.Repeat("ff", 32))
			raw[0], raw[31] = byte(low), top
			if _, err := new(edwards25519.Point).SetBytes(raw); err == nil {
				found++
			}
			if _, err := ParsePublicKey(base64.StdEncoding.EncodeToString(raw)); !errors.Is(err, ErrBadKey) {
				t.Errorf("%x: %v", raw, err)
			}
			sig := append(raw, testKey(t).Sign([]byte("m"))[32:]...)
			if err := Verify(testKey(t).Public(), []byte("m"), sig); !errors.Is(err, ErrBadSignature) {
				t.Errorf("R = %x: %v", raw, err)
			}
		}
	}
	if found == 0 {
		t.Error("no case is one that a lenient reader takes")
	}
}

// TestLargeS adds the group order to S, which gives a second signature to readers
// that do not check the range.
func TestLargeS(t *testing.T) {
	k, msg := testKey(t), []byte("m")
	order := unhex(t, "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
	sig := k.Sign(msg)
	carry := 0
	for i, b := range order {
		sum := int(sig[32+i]) + int(b) + carry
		sig[32+i], carry = byte(sum), sum>>8
	}
	if err := Verify(k.Public(), msg, sig); !errors.Is(err, ErrBadSignature) {
		t.Errorf("S + L: %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	k, msg := testKey(t), []byte("message")
	good := k.SignBase64(msg)
	raw := k.Sign(msg)
	flipped := append([]byte(nil), raw...)
	flipped[5] ^= 1
	other, err := FromSeed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		pub PublicKey
		msg string
		sig string
	}{
		"another message":    {k.Public(), "Message", good},
		"another key":        {other.Public(), "message", good},
		"a flipped bit":      {k.Public(), "message", base64.StdEncoding.EncodeToString(flipped)},
		"nothing":            {k.Public(), "message", ""},
		"too short":          {k.Public(), "message", base64.StdEncoding.EncodeToString(raw[:63])},
		"too long":           {k.Public(), "message", base64.StdEncoding.EncodeToString(append(raw, 0))},
		"no padding":         {k.Public(), "message", strings.TrimRight(good, "=")},
		"a line break":       {k.Public(), "message", good[:10] + "\n" + good[10:]},
		"a space":            {k.Public(), "message", " " + good},
		"hex":                {k.Public(), "message", hex.EncodeToString(raw)},
		"loose trailing bit": {k.Public(), "message", good[:85] + string(good[85]+1) + "=="},
		"the placeholder":    {k.Public(), "message", "base64signatureplaceholder..."},
	} {
		if err := VerifyBase64(c.pub, []byte(c.msg), c.sig); !errors.Is(err, ErrBadSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := VerifyBase64(k.Public(), msg, good); err != nil {
		t.Error(err)
	}
}

func TestParsePublicKey(t *testing.T) {
	raw := testKey(t).Public()
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		text := enc.EncodeToString(raw[:])
		if got, err := ParsePublicKey(text); err != nil || got != raw || got.String() != testPublic {
			t.Errorf("%s: %s, %v", text, got, err)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "short": "11qYAYKxCrfV", "long": testPublic + "AAAA", "hex": testSeed, "no base64": strings.Repeat("*", 44),
		"line break": testPublic[:10] + "\n" + testPublic[10:], "space": " " + testPublic, "off the curve": base64.StdEncoding.EncodeToString(append([]byte{2}, make([]byte, 31)...)),
		"loose trailing bit": testPublic[:42] + "p=", "huge": strings.Repeat("A", 1<<20),
	} {
		if _, err := ParsePublicKey(text); !errors.Is(err, ErrBadKey) {
			t.Errorf("%s: %v", name, err)
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: the error repeats %d bytes", name, len(err.Error()))
		}
	}
}

// TestSignVerify: whatever is signed verifies strictly, and one bit changed does not.
func TestSignVerify(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, err := FromSeed(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed"))
		if err != nil {
			t.Fatal(err)
		}
		if parsed, err := ParsePublicKey(k.PublicBase64()); err != nil || parsed != k.Public() {
			t.Fatalf("own key: %v", err)
		}
		msg := rapid.SliceOf(rapid.Byte()).Draw(t, "message")
		sig := k.Sign(msg)
		if err := Verify(k.Public(), msg, sig); err != nil {
			t.Fatal(err)
		}
		bit := rapid.IntRange(0, 511).Draw(t, "bit")
		sig[bit/8] ^= 1 << (bit % 8)
		if Verify(k.Public(), msg, sig) == nil {
			t.Fatalf("bit %d does not matter", bit)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(testPublic)
	f.Add("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePublicKey(text)
		if err != nil {
			return
		}
		if again, err := ParsePublicKey(p.String()); err != nil || again != p {
			t.Fatalf("%q reads as %s, which reads as %s, %v", text, p, again, err)
		}
	})
}

func FuzzVerifyBase64(f *testing.F) {
	k := testKey(f)
	f.Add([]byte("m"), k.SignBase64([]byte("m")))
	f.Fuzz(func(t *testing.T, msg []byte, sig string) {
		if VerifyBase64(k.Public(), msg, sig) == nil && sig != k.SignBase64(msg) {
			t.Fatalf("%q is a second spelling of a signature", sig)
		}
	})
}
