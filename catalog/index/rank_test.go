package index_test

import (
	"strings"
	"testing"

	"github.com/aimarket/aimarket/catalog/index"
)

// market is what a mid-sized hub sells: capability id | name | description.
const market = `
text.translate@v1 | Translate text | Translates text between forty languages and keeps the formatting.
doc.translate@v2 | Document translation | Turns PDF and Word files into another language, layout intact.
text.summarize@v1 | Summarize | Condenses a long article into its key points.
meeting.minutes@v1 | Meeting minutes | Writes a protocol of decisions and action items from a transcript.
text.sentiment@v1 | Sentiment analysis | Scores reviews and posts from negative to positive.
text.stats@v1 | Text statistics | Counts words, sentences and syllables and computes the Flesch readability score.
text.grammar@v1 | Grammar correction | Finds and corrects grammar and spelling mistakes in English prose.
text.paraphrase@v1 | Paraphraser | Rewords a passage in a chosen tone.
text.classify@v1 | Text classification | Assigns labels out of a taxonomy of topics.
text.keywords@v1 | Keyword extraction | Pulls the most telling phrases out of a page.
text.ner@v1 | Named entity recognition | Marks people, companies and places in running text.
text.toxicity@v1 | Toxicity filter | Flags insults, threats and hate speech in comments.
text.similarity@v1 | Semantic similarity | Tells how close two sentences are in meaning.
text.embed@v3 | Embeddings | Maps sentences to 768-dimensional vectors.
hash.sha256@v1 | SHA-256 | Computes the SHA-256 fingerprint of the input, hex encoded.
hash.blake3@v1 | BLAKE3 | Computes a BLAKE3 fingerprint of large files, very fast.
crypto.encrypt@v1 | Encrypt | Encrypts a payload with XChaCha20-Poly1305.
password.generate@v1 | Password generator | Generates strong passphrases.
unit.convert@v1 | Unit conversion | Converts lengths, masses, volumes and temperatures between metric and imperial units.
currency.convert@v1 | Currency converter | Exchanges an amount between currencies at the daily ECB rate.
time.zone@v1 | Time zone calculator | Tells what time it is elsewhere.
json.validate@v1 | JSON Schema validation | Checks a document against a JSON Schema and lists each violation.
json.diff@v1 | JSON diff | Compares two documents and prints an RFC 6902 patch.
csv.parse@v1 | CSV to JSON | Reads comma separated values and returns rows as objects.
xml.toJson@v1 | XmlToJson | Rewrites XML trees as objects.
qr.encode@v1 | QR code | Draws a scannable square code as PNG or SVG.
barcode.ean13@v1 | EAN-13 barcode | Draws the bars printed on groceries.
echo@v1 | Echo | Returns its input unchanged.
image.resize@v1 | Resize picture | Scales and crops photos to given pixel dimensions.
image.generate@v2 | Image generation | Paints a picture from a prompt with a diffusion model.
image.caption@v1 | Image captioning | Describes in one sentence what a photo shows.
image.background@v1 | Background removal | Cuts the subject out of a photo.
image.ocr@v1 | OCR | Reads printed and handwritten text off scans and receipts.
image.faces@v1 | Face blurring | Blurs faces and number plates for privacy.
video.subtitles@v1 | Subtitles | Adds timed captions to clips in twelve languages.
audio.transcribe@v1 | Transcription | Turns recordings of speech into text with speaker labels.
audio.tts@v1 | Voice synthesis | Reads a script aloud with a natural voice, text to speech in nine accents.
audio.denoise@v1 | Noise removal | Cleans hiss and hum from recordings.
music.compose@v1 | Melody maker | Composes a loop from mood and tempo.
weather.forecast@v1 | Weather forecast | Predicts temperature, wind and precipitation for ten days anywhere on earth.
geo.geocode@v1 | Geocoding | Finds the coordinates of a street address.
geo.route@v1 | Route planner | Computes the quickest way by car, bike or on foot.
flight.search@v1 | Flight search | Lists fares of two hundred airlines.
hotel.search@v1 | Hotel search | Lists vacancies and nightly rates in a city.
stock.quote@v1 | Stock quotes | Delayed quotes of shares on forty exchanges.
crypto.price@v1 | Coin prices | Spot prices of the five hundred largest tokens.
finance.risk@v1 | Credit risk score | Estimates the probability that a borrower defaults.
invoice.extract@v1 | Invoice reader | Extracts totals, VAT and line items from scanned bills.
legal.contract@v1 | Contract review | Highlights unusual clauses in agreements.
medical.triage@v1 | Symptom triage | Suggests how urgent a complaint is. Not a diagnosis.
code.review@v1 | Code review | Finds bugs and smells in pull requests.
code.test@v1 | Unit test writer | Writes table-driven tests for Go functions.
code.explain@v1 | Code explainer | Explains what a function does in plain words.
sql.generate@v1 | SQL writer | Turns a question into a query for your schema.
security.cve@v1 | CVE lookup | Lists known vulnerabilities of a package version.
security.phishing@v1 | Phishing detector | Decides whether a link or mail is a scam.
web.search@v1 | Web search | Searches the open web and returns ten links with snippets.
web.scrape@v1 | Page reader | Fetches a page and returns its main content as Markdown.
email.send@v1 | Email sender | Delivers a message to an inbox.
pii.redact@v1 | PII redaction | Masks names, phone numbers and card numbers.
jp.tenki@v1 | 天気予報 | 日本全国の一週間の天気を予報します。
zh.fanyi@v1 | 中文翻译 | 把文章翻译成中文。
ru.pogoda@v1 | Погода | Прогноз погоды по городам.
fr.resume@v1 | Générateur de résumé | Crée un résumé d'un texte français très court.
`

func marketRows() []index.Row {
	var rows []index.Row
	for line := range strings.Lines(strings.TrimSpace(market)) {
		f := strings.Split(strings.TrimSpace(line), " | ")
		family, _, _ := strings.Cut(f[0], ".")
		rows = append(rows, index.Row{
			Key:         index.Key{ProductID: "acme-" + strings.TrimSuffix(family, "@v1"), CapabilityID: f[0], SourceHub: "local"},
			Name:        f[1],
			Description: f[2],
			Numbers:     index.Numbers{PriceMicros: 1000, Trust: .8, SuccessRate: .99, LatencyMS: 200},
		})
	}
	return rows
}

func marketIndex(tb testing.TB) *index.Index {
	tb.Helper()
	texts := map[index.Key]index.Text{}
	rows := marketRows()
	for _, r := range rows {
		texts[r.Key] = index.Text{Name: r.Name, Description: r.Description}
	}
	x := index.New(index.Options{Text: func(k index.Key) (index.Text, bool) { t, ok := texts[k]; return t, ok }})
	if err := x.Put(rows...); err != nil {
		tb.Fatal(err)
	}
	return x
}

func TestFirstHit(t *testing.T) {
	x := marketIndex(t)
	for _, tc := range []struct{ intent, want, how string }{
		// By id.
		{"text.translate@v1", "text.translate@v1", "exact"},
		{"acme-text/text.ner@v1", "text.ner@v1", "exact"},
		{"acme-hash.hash.sha256@v1", "hash.sha256@v1", "exact"},
		{"acme-weather", "weather.forecast@v1", "exact"},
		{"product:acme-weather", "weather.forecast@v1", "exact"},
		{"product: acme-invoice", "invoice.extract@v1", "exact"},
		{"xml.toJson", "xml.toJson@v1", "lexical"},
		// In other inflections.
		{"translate", "text.translate@v1", "lexical"},
		{"translating texts", "text.translate@v1", "lexical"},
		{"translator for documents", "doc.translate@v2", "lexical"},
		{"summarizing articles", "text.summarize@v1", "lexical"},
		{"summarisation", "text.summarize@v1", "lexical"},
		{"validate against json schemas", "json.validate@v1", "lexical"},
		{"extracting keywords", "text.keywords@v1", "lexical"},
		{"classifier of topics", "text.classify@v1", "lexical"},
		{"resizing images", "image.resize@v1", "lexical"},
		{"sha256", "hash.sha256@v1", "lexical"},
		{"sha-256", "hash.sha256@v1", "lexical"},
		{"SHA 256 of a file", "hash.sha256@v1", "lexical"},
		{"xml to json", "xml.toJson@v1", "lexical"},
		{"XmlToJson", "xml.toJson@v1", "lexical"},
		{"ean 13", "barcode.ean13@v1", "lexical"},
		{"EAN13", "barcode.ean13@v1", "lexical"},
		// By the beginning of a word.
		{"transl", "text.translate@v1", "lexical"},
		{"geoc", "geo.geocode@v1", "lexical"},
		// In other words.
		{"localize", "text.translate@v1", "synonym"},
		{"tl;dr", "text.summarize@v1", "synonym"},
		{"make this shorter, a digest please", "text.summarize@v1", "synonym"},
		{"checksum", "hash.sha256@v1", "synonym"},
		{"shrink a photo", "image.resize@v1", "lexical"},
		{"remove the backdrop from my picture", "image.background@v1", "synonym"},
		{"how happy are my customers: emotion of reviews", "text.sentiment@v1", "lexical"},
		{"feet to metres", "unit.convert@v1", "synonym"},
		{"fahrenheit to celsius", "unit.convert@v1", "synonym"},
		{"exchange euros into dollars, money", "currency.convert@v1", "lexical"},
		{"will it rain tomorrow", "weather.forecast@v1", "synonym"},
		{"meteorology", "weather.forecast@v1", "synonym"},
		{"text to speech", "audio.tts@v1", "lexical"},
		{"speech synthesis", "audio.tts@v1", "lexical"},
		{"read aloud", "audio.tts@v1", "lexical"},
		{"voiceover", "audio.tts@v1", "synonym"},
		{"speech to text", "audio.transcribe@v1", "lexical"},
		{"dictation", "audio.transcribe@v1", "synonym"},
		{"optical character recognition", "image.ocr@v1", "synonym"},
		{"handwriting", "image.ocr@v1", "synonym"},
		{"read numbers from a scanned bill", "invoice.extract@v1", "lexical"},
		{"check a lawyer's agreement", "legal.contract@v1", "lexical"},
		{"spellcheck", "text.grammar@v1", "synonym"},
		{"is this mail a scam", "security.phishing@v1", "lexical"},
		{"bitcoin price", "crypto.price@v1", "lexical"},
		{"share price of a company", "stock.quote@v1", "lexical"},
		{"mask personal data", "pii.redact@v1", "lexical"},
		{"find bugs in a pull request", "code.review@v1", "lexical"},
		{"coordinates of an address", "geo.geocode@v1", "lexical"},
		{"cheap airfare", "flight.search@v1", "synonym"},
		{"give me back what I say, unchanged", "echo@v1", "lexical"},
		{"repeat", "echo@v1", "synonym"},
		{"rephrase", "text.paraphrase@v1", "synonym"},
		{"tamper-proof fingerprint", "hash.sha256@v1", "lexical"},
		{"word count", "text.stats@v1", "lexical"},
		{"2d matrix scannable", "qr.encode@v1", "lexical"},
		// Misspelled.
		{"trasnlate", "text.translate@v1", "fuzzy"},
		{"wether", "weather.forecast@v1", "fuzzy"},
		{"sumarize", "text.summarize@v1", "fuzzy"},
		{"sentimant anaylsis", "text.sentiment@v1", "fuzzy"},
		{"barcod", "barcode.ean13@v1", "lexical"},
		{"passwrod", "password.generate@v1", "fuzzy"},
		{"transcripton", "audio.transcribe@v1", "fuzzy"},
		// With accents, without, in other scripts.
		{"generateur de resume", "fr.resume@v1", "lexical"},
		{"GÉNÉRATEUR", "fr.resume@v1", "lexical"},
		{"ｗｅａｔｈｅｒ", "weather.forecast@v1", "lexical"},
		{"天気", "jp.tenki@v1", "lexical"},
		{"天気予報", "jp.tenki@v1", "lexical"},
		{"翻译", "zh.fanyi@v1", "lexical"},
		{"погода", "ru.pogoda@v1", "lexical"},
		{"пагода", "ru.pogoda@v1", "fuzzy"},
		// Whole sentences.
		{"Can you please translate this for me?", "text.translate@v1", "lexical"},
		{"I would like to find a hotel in Paris", "hotel.search@v1", "lexical"},
		{"please draw a QR code of my website", "qr.encode@v1", "lexical"},
		{"what is the weather like in Berlin", "weather.forecast@v1", "lexical"},
	} {
		r := x.Search(index.Query{Intent: tc.intent, Limit: 5})
		if len(r.Hits) == 0 {
			t.Errorf("%q finds nothing, want %s", tc.intent, tc.want)
			continue
		}
		h := r.Hits[0]
		if h.CapabilityID != tc.want || h.MatchType != tc.how {
			t.Errorf("%q finds %s (%s, %.4f, %q), want %s (%s)", tc.intent, h.CapabilityID, h.MatchType, h.Score, h.MatchedTerms, tc.want, tc.how)
			for _, h := range r.Hits[1:] {
				t.Logf("\tthen %s (%s, %.4f, %q)", h.CapabilityID, h.MatchType, h.Score, h.MatchedTerms)
			}
		}
	}
}

func TestNothingToFind(t *testing.T) {
	x := marketIndex(t)
	for _, intent := range []string{"?!", "zzzzqqqq", "product:", "product:nobody", "product:acme", "…", "x y"} {
		if r := x.Search(index.Query{Intent: intent, Limit: 5}); intent != "x y" && r.Total != 0 {
			t.Errorf("%q finds %v", intent, r.Hits)
		}
	}
}

func TestStopWordsAloneAreWords(t *testing.T) {
	x := marketIndex(t)
	if r := x.Search(index.Query{Intent: "what does this", Limit: 1}); len(r.Hits) == 0 || r.Hits[0].CapabilityID != "code.explain@v1" {
		t.Errorf("got %v", r.Hits)
	}
}

func TestRelevanceBeforeQuality(t *testing.T) {
	x := index.New(index.Options{})
	best := index.Numbers{Trust: 1, SuccessRate: 1}
	worst := index.Numbers{PriceMicros: 5e9, LatencyMS: 60_000}
	row := func(id, name, description string, n index.Numbers) index.Row {
		return index.Row{Key: index.Key{ProductID: "p", CapabilityID: id, SourceHub: "local"}, Name: name, Description: description, Numbers: n}
	}
	if err := x.Put(
		row("a@v1", "Translate", "", worst),
		row("b@v1", "Other", "It can translate.", best),
		row("c@v1", "Translate", "", best),
		row("d@v1", "Other", "It can localize.", best),
		row("e@v1", "Translate", "", index.Numbers{Trust: 1, SuccessRate: 1, PriceMicros: 1}),
	); err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, h := range x.Search(index.Query{Intent: "translate", Limit: 10}).Hits {
		order = append(order, h.CapabilityID)
	}
	if got := strings.Join(order, " "); got != "c@v1 e@v1 a@v1 b@v1 d@v1" {
		t.Errorf("order %s: names before descriptions before synonyms, better before worse, cheaper before dearer", got)
	}
}

func TestScoresAndTerms(t *testing.T) {
	x := marketIndex(t)
	r := x.Search(index.Query{Intent: "hash.sha256@v1", Limit: 1})
	// q = .35·.8 + .25·.99 + .20/1.2 + .20/1.02; score = .95 + .05 q
	if got, want := r.Hits[0].Score, .9945; got != want {
		t.Errorf("score of an exact id = %v, want %v", got, want)
	}
	r = x.Search(index.Query{Intent: "please translate my legal document", Limit: 1})
	if got := strings.Join(r.Hits[0].MatchedTerms, " "); got != "translate document" {
		t.Errorf("matched terms %q", got)
	}
	if r.Hits[0].Score <= 0 || r.Hits[0].Score >= .98 {
		t.Errorf("score %v", r.Hits[0].Score)
	}
}

// TestOwnOfferFirst: of one capability at several hubs, all alike, this hub's own is the
// first, wherever the names of the others stand in the alphabet.
func TestOwnOfferFirst(t *testing.T) {
	x := index.New(index.Options{})
	for _, hub := range []string{"libp2p://00", index.Local, "http://a.example", "zzz"} {
		row := index.Row{Key: index.Key{ProductID: "p", CapabilityID: "echo@v1", SourceHub: hub}, Name: "Echo", Description: "Returns its input."}
		if err := x.Put(row); err != nil {
			t.Fatal(err)
		}
	}
	hits := x.Search(index.Query{Intent: "echo", Limit: 10}).Hits
	if len(hits) != 4 || hits[0].SourceHub != index.Local {
		t.Errorf("%d hits, the first is of %q", len(hits), hits[0].SourceHub)
	}
}
