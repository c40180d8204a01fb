package index_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aimarket/aimarket/catalog/index"
	"github.com/google/go-cmp/cmp"
)

func TestTokens(t *testing.T) {
	for _, tc := range []struct {
		text string
		want string
	}{
		{"", ""},
		{"  ,;.-  ", ""},
		{"Translate text", "translate text"},
		{"translate.multi@v2", "translate multi v2"},
		{"prod-x/image_resize@v10", "prod x image resize v10"},
		{"getWeather", "getweather (get) (weather)"},
		{"PDFReader", "pdfreader (pdf) (reader)"},
		{"sha256", "sha256 (sha) (256)"},
		{"SHA-256 hash", "sha [sha256] 256 hash"},
		{"utf-8", "utf [utf8] 8"},
		{"prod-123456", "prod 123456"}, // a serial number, not a word
		{"mp3 to WAV", "mp3 to wav"},
		{"Café Zürich", "café zürich"},
		{"привет мир", "привет мир"},
		{"天気予報", "天気 気予 予報"},
		{"日", "日"},
		{"AI翻訳tool", "ai 翻訳 tool"},
		{"날씨 예보", "날씨 예보"},
		{"it's", "it s"},
		{"a\xffb", "a b"},
	} {
		if got := strings.Join(index.Tokens(tc.text), " "); got != tc.want {
			t.Errorf("tokens of %q = %q, want %q", tc.text, got, tc.want)
		}
	}
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "café": "cafe", "zürich": "zurich", "straße": "strasse",
		"ﬁle": "file", "ａｂｃ": "abc", "ёлка": "елка", "날씨": "날씨", "ά": "α",
	} {
		if got := index.Fold(in); got != want {
			t.Errorf("fold(%q) = %q, want %q", in, got, want)
		}
	}
}

// Words of a line must meet at one stem, and lines must not meet each other.
func TestStemsMeet(t *testing.T) {
	lines := []string{
		"translate translates translated translating translation translations translator translators",
		"summarize summarizes summarized summarizing summarizer summarization summarise summarising summarisation",
		"detect detects detected detecting detection detections detector detectors",
		"classify classifies classified classifying classification classifier",
		"compress compresses compressed compressing compression",
		"encrypt encrypts encrypted encrypting encryption",
		"image images imaging",
		"scan scans scanned scanning scanner",
		"category categories",
		"match matches matched matching",
		"box boxes",
		"embed embeds embedding embeddings embedded",
		"parse parses parsed parsing parser parsers",
		"validate validating validation validator",
		"extract extracting extraction extractor extractions",
		"document documents",
		"string strings",
		"price prices priced pricing",
		"speed speeds",
		"process processes processed processing",
		"news",
		"customer customers",
		"customized customizing customize",
	}
	seen := map[string]string{}
	for _, line := range lines {
		words := strings.Fields(line)
		want := index.Stem(words[0])
		if other, ok := seen[want]; ok {
			t.Errorf("%q and %q meet at %q", other, words[0], want)
		}
		seen[want] = words[0]
		for _, w := range words[1:] {
			if got := index.Stem(w); got != want {
				t.Errorf("stem(%q) = %q, but stem(%q) = %q", w, got, words[0], want)
			}
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b        string
		limit, want int
	}{
		{"hash", "hash", 2, 0},
		{"hash", "hsah", 2, 1},
		{"translate", "trasnlate", 2, 1},
		{"translate", "translte", 2, 1},
		{"translate", "tramslste", 2, 2},
		{"translate", "transform", 2, 3},
		{"weather", "wheather", 1, 1},
		{"погода", "пагода", 1, 1},
		{"abcd", "wxyz", 1, 2},
	} {
		for range 2 { // both ways: it is symmetric
			if got := index.Distance(tc.a, tc.b, tc.limit); got != tc.want {
				t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
			}
			tc.a, tc.b = tc.b, tc.a
		}
	}
}

func TestSynonymsMeet(t *testing.T) {
	for _, tc := range []struct{ a, b string }{
		{"translate", "localize"}, {"translation", "localise"}, {"summarize", "digest"},
		{"hash", "digest"}, {"hash", "checksum"}, {"image", "picture"}, {"photo", "image"},
		{"weather", "forecast"}, {"convert", "transform"}, {"sentiment", "emotion"},
		{"spelling", "typo"}, {"email", "mail"}, {"resume", "cv"}, {"invoice", "bill"},
	} {
		if index.Related(tc.a)[index.Stem(tc.b)] == 0 || index.Related(tc.b)[index.Stem(tc.a)] == 0 {
			t.Errorf("%q and %q do not stand for each other", tc.a, tc.b)
		}
	}
	if index.Related("rain")["weath"] == 0 && index.Related("rain")[index.Stem("weather")] == 0 {
		t.Error("rain does not hint at weather")
	}
	if index.Related("weather")["rain"] != 0 {
		t.Error("a hint goes both ways")
	}
	if diff := cmp.Diff(index.Related("hash")["hash"], uint16(0)); diff != "" {
		t.Error("a word is its own synonym")
	}
}

func FuzzTokens(f *testing.F) {
	for _, s := range []string{"translate.multi@v2", "天気予報", "sha-256", "ＡＢＣ", "e\u0301a", "\xff\xfe", strings.Repeat("x", 200)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tok := range index.Tokens(s) {
			if tok == "" || len(tok) > 3*index.MaxTokenBytes && !utf8.ValidString(tok) {
				t.Fatalf("token %q of %q", tok, s)
			}
			w := strings.Trim(tok, "()[]")
			if st := index.TermOf(w); index.Stem(st) != st {
				t.Fatalf("stem(%q) = %q is not a stem", st, index.Stem(st))
			}
		}
	})
}
