package index

import (
	"strings"
	"sync"
)

// synonyms are the concepts of the market, one a line: whoever asks for one of the
// words is content with another. A "+" joins the words of a phrase; where a text
// has the phrase, the line's first single word is indexed with it. A word may stand
// in several lines ("digest" is a summary and a checksum).
const synonyms = `
translate translation localize localise interpret
summarize summary digest condense abridge tldr tl+dr recap synopsis shorten brief
image picture photo photograph photographic pic
draw illustrate paint sketch
weather forecast meteorology meteorological climate
hash checksum digest fingerprint sha256 md5
convert conversion transform change turn converter
detect detection recognize recognition identify spot
classify classification categorize label
generate generation create produce make compose synthesize
write author draft
rewrite paraphrase rephrase reword
extract extraction pull scrape parse
tts text+to+speech speech+synthesis read+aloud voiceover narrate
transcribe transcription stt asr speech+to+text speech+recognition dictation
ocr optical+character+recognition text+recognition image+to+text
speech voice spoken
audio sound
video movie film clip footage
sentiment emotion mood opinion
analyze analysis analyse analytics examine inspect
validate validation verify check verification
search find lookup query retrieve discover
question ask faq
answer reply respond response
spelling orthography typo spellcheck spell+check
grammar proofread proofreading
email mail e+mail inbox
document doc file
pdf portable+document+format
price cost pricing quote rate fee
currency money fx forex exchange
crypto cryptocurrency coin
encrypt encryption cipher
decrypt decryption decipher
compress compression shrink zip minify
resize scale shrink enlarge
crop trim
map geo geography
geocode geolocate geolocation coordinates
location place position address whereabouts
route directions itinerary navigate
stock share equity
news headlines headline
shop store buy purchase ecommerce
count number tally
statistics stats statistical
qr qrcode qr+code
barcode ean upc
password passphrase credential
security secure protection
vulnerability weakness cve exploit
malware virus trojan
phishing scam
fraud fraudulent scam
spam junk
toxic toxicity abusive hateful
moderate moderation
medical medicine health clinical
drug medication pharmaceutical
legal law lawyer
contract agreement
invoice bill receipt
tax vat
resume cv curriculum+vitae
job career vacancy employment
schedule plan calendar appointment
reminder alarm alert notify notification
chat conversation dialogue talk converse
chatbot assistant
code source program programming
bug defect error
test testing qa
lint linter
debug troubleshoot
website webpage site web+page
crawl crawler spider scrape
unit measure measurement
temperature celsius fahrenheit
distance kilometre kilometer mile
json javascript+object+notation
csv comma+separated
table spreadsheet tabular
chart graph plot diagram visualize visualization
background backdrop
remove removal delete deletion erase strip
merge combine join concatenate
split divide separate
sort order arrange
compare difference diff comparison
random dice rng
date day
time clock hour
timezone time+zone
echo repeat mirror parrot
colour color hue
logo brand
song music melody tune
recipe cooking dish
travel trip journey
flight airline airfare
hotel accommodation lodging
movie cinema
child kid
car vehicle automobile
identify identification
embed embedding vector vectorize vectorization
cluster group
rank ranking
recommend recommendation suggest suggestion
predict prediction forecast
anomaly outlier
keyword keyphrase
entity ner named+entity
similar similarity alike
duplicate dedupe deduplicate
anonymize redact pseudonymize mask
pii personal+data personally+identifiable
receipt proof
schema structure
upload send
download fetch
`

// hints are one-way: who says the first word may mean one of the others, the likeliest
// first. They weigh less than synonyms.
const hints = `
language translate
foreign translate
multilingual translate
bilingual translate
english translate
french translate
german translate
spanish translate
chinese translate
russian translate
long summarize
short summarize
gist summarize
rain weather
temperature weather
sunny weather
umbrella weather
snow weather
integrity hash
sha hash
base64 encode
tampered hash verify
inches unit convert
metres unit convert
meters unit convert
pounds unit convert
kilograms unit convert
miles unit convert
feet unit convert
wordcount statistics text
readability statistics text
words statistics
feeling sentiment
positive sentiment
negative sentiment
scan ocr
handwriting ocr
listen audio
hear audio
podcast audio transcribe
lyrics song
scannable qr barcode
hacker security vulnerability
attack security
diagnose medical
symptom medical
disease medical
buy price
investor stock
ticker stock
share stock
portfolio stock
bitcoin crypto
ethereum crypto
meeting calendar transcribe
minutes meeting
wellformed validate
conform validate
correct grammar spelling
misspelled spelling
city location
nearby location
`

// securityWords are what the category "security" stands for (http-api.md §1): a row
// that has one of them as a substring is in.
var securityWords = []string{
	"security", "secure", "vulnerab", "exploit", "malware", "phish", "ransom", "threat",
	"intrusion", "firewall", "pentest", "penetration test", "cve-", "encrypt", "decrypt",
	"authentic", "forensic", "sandbox escape", "injection", "fraud",
}

// relation is a word that may stand for another.
type relation struct {
	term   uint32
	factor uint16 // of full weight, in 256ths
}

// phrase is a sequence of words that stands for one.
type phrase struct {
	rest []uint32 // the words after the first
	as   uint32
	also []uint32 // all single words of the concept, as among them
}

// lexicon is the vocabulary in the terms that every core starts with: the term of
// its i-th word is i, everywhere.
type lexicon struct {
	words    []string // stems
	related  [][]relation
	phrases  [][]phrase // by first word, longest first
	maxWords int        // of a phrase
}

var theLexicon = sync.OnceValue(func() *lexicon {
	l := &lexicon{}
	ids := map[string]uint32{}
	id := func(w string) uint32 {
		w = stem(w)
		t, ok := ids[w]
		if !ok {
			t = uint32(len(l.words))
			ids[w] = t
			l.words = append(l.words, w)
			l.related = append(l.related, nil)
			l.phrases = append(l.phrases, nil)
		}
		return t
	}
	relate := func(from, to uint32, factor uint16) {
		if from == to {
			return
		}
		for _, r := range l.related[from] {
			if r.term == to {
				return // the stronger relation stands first
			}
		}
		l.related[from] = append(l.related[from], relation{to, factor})
	}
	for line := range strings.Lines(strings.TrimSpace(synonyms)) {
		var singles []uint32
		var phrases [][]uint32
		for _, member := range strings.Fields(line) {
			var seq []uint32
			for _, w := range strings.Split(member, "+") {
				seq = append(seq, id(w))
			}
			if len(seq) == 1 {
				singles = append(singles, seq[0])
			} else {
				phrases = append(phrases, seq)
				l.maxWords = max(l.maxWords, len(seq))
			}
		}
		for _, a := range singles {
			for _, b := range singles {
				relate(a, b, synonymFactor)
			}
		}
		for _, p := range phrases {
			ph := phrase{rest: p[1:], as: singles[0], also: singles}
			at := 0
			for at < len(l.phrases[p[0]]) && len(l.phrases[p[0]][at].rest) >= len(ph.rest) {
				at++
			}
			l.phrases[p[0]] = append(l.phrases[p[0]][:at:at], append([]phrase{ph}, l.phrases[p[0]][at:]...)...)
		}
	}
	for line := range strings.Lines(strings.TrimSpace(hints)) {
		f := strings.Fields(line)
		for n, to := range f[1:] {
			relate(id(f[0]), id(to), uint16(max(hintStep, hintFactor-n*hintStep)))
		}
	}
	return l
})

// phraseAt is the longest phrase that terms starts with, and its length; 0 if none.
func (l *lexicon) phraseAt(terms []uint32) (phrase, int) {
	if int(terms[0]) >= len(l.phrases) {
		return phrase{}, 0
	}
next:
	for _, p := range l.phrases[terms[0]] {
		if len(terms) <= len(p.rest) {
			continue
		}
		for i, t := range p.rest {
			if terms[1+i] != t {
				continue next
			}
		}
		return p, 1 + len(p.rest)
	}
	return phrase{}, 0
}

func setOf(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}
