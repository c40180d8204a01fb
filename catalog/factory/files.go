package factory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sort"
	"unicode/utf8"
)

// pipelineFiles are the places of pipeline.json, beside the database first.
var pipelineFiles = []string{"state/pipeline.json", "pipeline.json"}

// readPipeline adds the products of pipeline.json that the database does not have.
func readPipeline(root *os.Root, byID map[string]product, r *Report) {
	for _, name := range pipelineFiles {
		raw, err := readFile(root, name, maxPipelineLen)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			r.lose(name, err)
			return
		}
		found, err := parsePipeline(raw, r)
		if err != nil {
			r.lose(name, err)
		}
		for id, p := range found {
			if _, have := byID[id]; !have {
				byID[id] = p
			}
		}
		return
	}
}

// parsePipeline reads {"products":{id:{…}}}. One broken product costs itself.
func parsePipeline(raw []byte, r *Report) (map[string]product, error) {
	var doc struct {
		Products map[string]json.RawMessage `json:"products"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, notJSON(err)
	}
	ids := make([]string, 0, len(doc.Products))
	for id := range doc.Products {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	found := map[string]product{}
	for _, id := range ids {
		if len(found) == MaxProducts {
			return found, fmt.Errorf("has more than %d products; the rest is left out", MaxProducts)
		}
		var p struct {
			Idea     text            `json:"idea"`
			State    text            `json:"state"`
			Category text            `json:"category"`
			Spec     json.RawMessage `json:"spec"`
			Price    json.RawMessage `json:"capability_price_per_call_usd"`
		}
		broken := json.Unmarshal(doc.Products[id], &p)
		sells := sold(string(p.State))
		switch err := checkID(id); {
		case err != nil:
			if sells || broken != nil {
				r.skip(fmt.Sprintf("product %q of pipeline.json", clip(id)), err)
			}
		case broken != nil:
			r.hold(id, notJSON(broken))
		default:
			found[id] = product{
				id: id, idea: cut(string(p.Idea), maxIdeaLen), category: string(p.Category), spec: unquoted(p.Spec), price: p.Price, sold: sells,
			}
		}
	}
	return found, nil
}

// unquoted accepts a spec both as an object and as that object's text, which is
// how the database holds it.
func unquoted(raw json.RawMessage) []byte {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return []byte(s)
	}
	return raw
}

// text is a string of a stranger's file: anything else reads as empty, since a
// number in the place of a name is no reason to lose the product.
type text string

// UnmarshalJSON accepts every JSON value.
func (t *text) UnmarshalJSON(raw []byte) error {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		*t = text(s)
	}
	return nil
}

// specification is what counts of specs/<id>/specification.json and of the spec column.
type specification struct {
	ProductName text            `json:"product_name"`
	Delivery    text            `json:"delivery_profile"`
	Price       json.RawMessage `json:"capability_price_per_call_usd"`
}

func parseSpecification(raw []byte) (s specification, err error) {
	if err = json.Unmarshal(raw, &s); err != nil {
		err = notJSON(err)
	}
	return s, err
}

func parseMarketing(raw []byte) (productName string, err error) {
	var m struct {
		Marketing json.RawMessage `json:"marketing"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return "", notJSON(err)
	}
	var inner struct {
		ProductName text `json:"product_name"`
	}
	if json.Unmarshal(m.Marketing, &inner) != nil {
		return "", nil // marketing is absent or of another shape: it names nothing
	}
	return string(inner.ProductName), nil
}

// enrich reads the product's own files. The marketing name goes before that of the
// specification file, that before the spec column's; so do the prices of the last two.
func (p *product) enrich(root *os.Root) error {
	err := readOptional(root, path.Join("state", p.id, "marketing_content.json"), func(raw []byte) (err error) {
		p.marketingName, err = parseMarketing(raw)
		return err
	})
	if err != nil {
		return err
	}
	return readOptional(root, path.Join("specs", p.id, "specification.json"), func(raw []byte) (err error) {
		p.file, err = parseSpecification(raw)
		return err
	})
}

// readOptional hands a product's file to parse; a product need not have it.
func readOptional(root *os.Root, name string, parse func([]byte) error) error {
	raw, err := readFile(root, name, maxFileLen)
	if err == nil {
		err = parse(raw)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// readFile reads a regular file below the root whole; os.Root refuses every path
// and link that leaves it. Anything that is no file (a pipe could block for ever) is
// refused before it is opened.
func readFile(root *os.Root, name string, most int64) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is no file")
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(raw)) > most {
		err = fmt.Errorf("is larger than %d bytes", most)
	}
	return raw, err
}

func notJSON(err error) error { return fmt.Errorf("is not the JSON object it should be: %w", err) }

// cut shortens to at most n bytes of whole characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
