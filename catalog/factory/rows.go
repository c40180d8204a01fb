package factory

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"

	"github.com/aimarket/aimarket/catalog"
)

// offer is one kind of capability that a product is sold as.
type offer struct {
	suffix  string
	words   []string
	micros  int64 // micro-USD per call
	p50MS   int
	success float64
}

var saasWords = []string{"saas", "app", "platform", "dashboard", "scheduling"}

// offers is the table of HTTP API notes §8; several may apply.
var offers = []offer{
	{".desktop@v1", []string{"desktop", "electron", "tauri", "flutter", "native client", "system tray"}, 2_500_000, 1200, .96},
	{".landing@v1", append([]string{"landing", "hero", "marketing", "one-pager"}, saasWords...), 500_000, 3000, .95},
	{".app@v1", saasWords, 5_000_000, 60_000, .92},
	{".api@v1", []string{"api", "service", "endpoint", "integration"}, 100_000, 500, .99},
	{".agent@v1", []string{"agent", "assistant", "bot", "automation"}, 1_000_000, 15_000, .93},
}

// plain is what a product is sold as when no word applies.
var plain = offer{"@v1", nil, 500_000, 5000, .95}

// applicable returns the table's rows for a text, in its order. Words count whole,
// in any case, in the singular or with a plural s; what stands between them does
// not matter. The reference hub looks for the letters anywhere, by which a
// therapist is an API.
func applicable(text string) []offer {
	text = words(text)
	var found []offer
	for _, o := range offers {
		for _, w := range o.words {
			w = words(w)
			if strings.Contains(text, w) || strings.Contains(text, strings.TrimSuffix(w, " ")+"s ") {
				found = append(found, o)
				break
			}
		}
	}
	if found == nil {
		found = []offer{plain}
	}
	return found
}

// words is the text's runs of letters and digits in lower case, each with a blank
// on both sides.
func words(text string) string {
	return " " + strings.Join(strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}), " ") + " "
}

// maxSlugLen is the longest slug (HTTP API notes §8).
const maxSlugLen = 30

// slug is the notes' rule, and no ".." nor a dot at an end, which no id may have.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case r == '.' && b.Len() > 0 && !strings.HasSuffix(b.String(), "."):
			b.WriteRune(r)
		case r != '.' && b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteRune('-')
		}
		if b.Len() > maxSlugLen {
			break // one more than is kept, which shows whether the cut is at a hyphen
		}
	}
	s := strings.TrimRight(b.String(), "-.")
	if len(s) > maxSlugLen {
		s = s[:maxSlugLen+1]
		if i := strings.LastIndexByte(s, '-'); i > 0 {
			s = s[:i]
		}
		s = strings.TrimRight(cut(s, maxSlugLen), "-.")
	}
	return s
}

// product is one row of a source with what its files add.
type product struct {
	id, idea, category string
	spec               []byte          // the spec column's JSON
	price              json.RawMessage // beside the spec, in pipeline.json
	marketingName      string
	file               specification // specs/<id>/specification.json
	sold               bool
}

// sold is true for the two states that count.
func sold(state string) bool {
	s := strings.ToUpper(strings.TrimSpace(state))
	return s == "COMPLETED" || s == "DEPLOYED_PRODUCTION"
}

// checkID admits ids that the market can call and that are one folder's name.
func checkID(id string) error {
	if !catalog.ValidID(id) {
		return fmt.Errorf("its id must be 2 to %d of A-Z a-z 0-9 - _ . @ without \"..\"", catalog.MaxIDLen)
	}
	return nil
}

// rows are the capabilities of a product, called below base.
func (p *product) rows(base string) ([]catalog.Capability, error) {
	var column specification
	switch {
	case len(p.spec) > maxSpecLen:
		return nil, fmt.Errorf("its spec is larger than %d bytes", maxSpecLen)
	case strings.TrimSpace(string(p.spec)) != "":
		var err error
		if column, err = parseSpecification(p.spec); err != nil {
			return nil, fmt.Errorf("its spec %w", err)
		}
	}
	price, err := firstPrice(p.file.Price, column.Price, p.price)
	if err != nil {
		return nil, err
	}
	name := first(p.marketingName, string(p.file.ProductName), string(column.ProductName), p.idea)
	stem := first(slug(name), slug(p.id))
	if stem == "" {
		return nil, errors.New("neither its name nor its id has a letter or digit to make a capability id of")
	}
	about := describe(first(name, p.id), p.idea, p.category, first(string(p.file.Delivery), string(column.Delivery)))
	var rows []catalog.Capability
	for _, o := range applicable(name + " " + p.idea) {
		id := stem + o.suffix
		if price > 0 {
			o.micros = price
		}
		if !catalog.ValidID(id) {
			return nil, fmt.Errorf("its capability id %q cannot be called", id)
		}
		rows = append(rows, catalog.Capability{
			Key:           catalog.Key{ProductID: p.id, CapabilityID: id, SourceHub: catalog.Local},
			SourceHubName: HubName, Name: strings.TrimSuffix(id, "@v1"), Version: "v1",
			Description: about,
			PriceMicros: o.micros, TrustScore: Trust, P50LatencyMS: o.p50MS, SuccessRate30d: o.success,
			InvokeURL: base + "/capabilities/" + p.id + "/" + id + "/invoke", // valid ids need no escaping
		})
	}
	return rows, nil
}

// describe is what search reads: the product's name, its idea, and what else is
// known, without control characters and within the catalogue's bound.
func describe(name, idea, category, delivery string) string {
	name, idea = clean(name), clean(idea)
	if idea != name && idea != "" {
		name += ": " + idea
	}
	tail := ""
	if c := cut(clean(category), maxIDRead); c != "" {
		tail += " Category: " + c + "."
	}
	if d := cut(clean(delivery), maxIDRead); d != "" {
		tail += " Delivery: " + d + "."
	}
	if name != "" && !strings.HasSuffix(name, ".") && tail != "" {
		name += "."
	}
	return cut(name, catalog.MaxDescriptionLen-len(tail)) + tail
}

// clean is a stranger's text on one line, without control characters.
func clean(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\uFFFD"), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	}), " ")
}

// first returns the first text that says anything.
func first(texts ...string) string {
	for _, t := range texts {
		if strings.TrimSpace(t) != "" {
			return t
		}
	}
	return ""
}

// firstPrice returns the first price that overrides the table, in micro-USD, 0 if
// none does: only numbers above 0 do.
func firstPrice(prices ...json.RawMessage) (int64, error) {
	for _, raw := range prices {
		if len(raw) == 0 || string(raw) == "null" {
			continue
		}
		var usd float64
		if err := json.Unmarshal(raw, &usd); err != nil {
			return 0, fmt.Errorf("its capability_price_per_call_usd %s is no number", clip(string(raw)))
		}
		if usd <= 0 {
			continue
		}
		micros := math.RoundToEven(usd * 1e6)
		if micros < 1 || micros > catalog.MaxPriceMicros {
			return 0, fmt.Errorf("its capability_price_per_call_usd %s is not in 0.000001…%d", clip(string(raw)), catalog.MaxPriceMicros/1_000_000)
		}
		return int64(micros), nil
	}
	return 0, nil
}
