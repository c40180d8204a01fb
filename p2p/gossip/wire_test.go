package gossip

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/identity"
)

func drawRefs(t *rapid.T) (list []ref) {
	for range rapid.IntRange(1, refsPerFrame).Draw(t, "refs") {
		r := ref{sequence: rapid.Uint64().Draw(t, "sequence"), held: rapid.Bool().Draw(t, "held")}
		r.key[0], r.digest[31] = rapid.Byte().Draw(t, "key"), rapid.Byte().Draw(t, "digest")
		list = append(list, r)
	}
	return list
}

// TestWireRoundTrip: what is printed reads back the same.
func TestWireRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		refs := drawRefs(t)
		var b []byte
		var asks []byte
		var keys []identity.PublicKey
		for _, r := range refs {
			b = appendRef(b, r)
			asks = append(asks, r.key[:]...)
			keys = append(keys, r.key)
		}
		if got, err := decodeRefs(b); err != nil || !reflect.DeepEqual(got, refs) {
			t.Fatalf("refs: %v, %v", got, err)
		}
		if got, err := decodeAsks(asks); err != nil || !reflect.DeepEqual(got, keys) {
			t.Fatalf("asks: %v", err)
		}
		head := rapid.SliceOfN(rapid.Byte(), 1, catalog.MaxHeadBytes).Draw(t, "head")
		if got, err := decodeHeads(appendHead(appendHead(nil, head), head)); err != nil || len(got) != 2 || !bytes.Equal(got[1], head) {
			t.Fatalf("heads: %v, %v", got, err)
		}
		h := hello{root: digest{rapid.Byte().Draw(t, "root")}, head: head}
		if got, err := decodeHello(h.encode()); err != nil || got.root != h.root || !bytes.Equal(got.head, h.head) {
			t.Fatalf("hello: %v, %v", got, err)
		}
		q := request{refs[0].key, refs[0].digest, digest{1}}
		if got, err := decodeRequest(q.encode()); err != nil || got != q {
			t.Fatalf("request: %v, %v", got, err)
		}
		status, update, err := readAnswer(bytes.NewReader(appendAnswer(statusOK, head)), func(int) error { return nil })
		if err != nil || status != statusOK || !bytes.Equal(update, head) {
			t.Fatalf("answer: %v, %v", status, err)
		}
	})
}

// TestWireBounds: what is longer than its bound is refused by its length alone, before
// anything of it is read.
func TestWireBounds(t *testing.T) {
	for kind, bound := range frameBound {
		var b bytes.Buffer
		if err := writeFrame(&b, kind, make([]byte, bound)); err != nil {
			t.Fatal(err)
		}
		if got, p, err := readFrame(&b, kind); err != nil || got != kind || len(p) != bound {
			t.Errorf("kind %d at its bound: %v", kind, err)
		}
		head := []byte{kind, 0, 0, 0, 0}
		head[1], head[2], head[3], head[4] = byte((bound+1)>>24), byte((bound+1)>>16), byte((bound+1)>>8), byte(bound+1)
		if _, _, err := readFrame(bytes.NewReader(head), kind); !errors.Is(err, errWire) {
			t.Errorf("kind %d beyond its bound: %v", kind, err)
		}
	}
	for name, raw := range map[string][]byte{
		"too long":     {statusOK, 0, 255, 255, 255},
		"empty":        {statusOK, 0, 0, 0, 0},
		"other status": {9},
	} {
		if _, _, err := readAnswer(bytes.NewReader(raw), func(int) error { return nil }); !errors.Is(err, errWire) {
			t.Errorf("answer %s: %v", name, err)
		}
	}
	if _, _, err := readAnswer(bytes.NewReader([]byte{statusOK, 0, 0, 1, 0, 7}), func(int) error { return nil }); err == nil || errors.Is(err, errWire) {
		t.Errorf("a cut answer is the network's fault, not the format's: %v", err)
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(hello{head: []byte("{}")}.encode())
	f.Add(appendRef(nil, ref{sequence: 7, held: true}))
	f.Add(appendHead(nil, []byte("{}")))
	f.Add([]byte{frameHello, 0, 0, 0, 1, 1})
	f.Add(appendAnswer(statusOK, []byte("{}")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if h, err := decodeHello(raw); err == nil && !bytes.Equal(h.encode(), raw) {
			t.Error("hello does not print as it was read")
		}
		if refs, err := decodeRefs(raw); err == nil {
			var again []byte
			for _, r := range refs {
				again = appendRef(again, r)
			}
			if !bytes.Equal(again, raw) {
				t.Error("refs do not print as they were read")
			}
		}
		if heads, err := decodeHeads(raw); err == nil {
			var again []byte
			for _, h := range heads {
				again = appendHead(again, h)
			}
			if !bytes.Equal(again, raw) {
				t.Error("heads do not print as they were read")
			}
		}
		if q, err := decodeRequest(raw); err == nil && !bytes.Equal(q.encode(), raw) {
			t.Error("request does not print as it was read")
		}
		_, _ = decodeAsks(raw)
		_, _ = decodeDone(raw)
		for r := bytes.NewReader(raw); ; {
			if _, _, err := readFrame(r, frameHello, frameBuckets, frameDiffer, frameRefs, frameHeads, frameAsks, frameDone); err != nil {
				break
			}
		}
		_, update, err := readAnswer(io.LimitReader(bytes.NewReader(raw), 1<<20), func(int) error { return nil })
		if err == nil && len(update) > catalog.MaxUpdateBytes {
			t.Error("an answer beyond its bound")
		}
	})
}

// FuzzClaimedAuthor: the look at a message that nobody parsed yet never panics and
// never makes a long key.
func FuzzClaimedAuthor(f *testing.F) {
	_, head := newAuthor(1).whole()
	f.Add(head)
	f.Add([]byte(`{"consumer_hub" : "https://a.example"}`))
	f.Add([]byte(`"signer_public_key":"`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(claimedAuthor(raw)) > maxAuthorText {
			t.Error("too long")
		}
	})
}

func TestClaimedAuthor(t *testing.T) {
	a := newAuthor(1)
	a.set("p", "c", "text")
	update, head := a.whole()
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"head":    {head, a.key.PublicBase64()},
		"update":  {update, a.key.PublicBase64()},
		"event":   {[]byte(`{"type":"x","consumer_hub": "https://a.example"}`), "https://a.example"},
		"nothing": {[]byte(`{}`), ""},
		"number":  {[]byte(`{"signer_public_key":7}`), ""},
	} {
		if got := claimedAuthor(c.raw); got != c.want {
			t.Errorf("%s: %q", name, got)
		}
	}
}
