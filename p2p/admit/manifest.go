package admit

import (
	"strings"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

const (
	defaultPriceMicros = 350_000       // of a tool that names none (federation notes §2, "Per tool")
	maxPriceMicros     = 1_000_000_000 // 1000 USD: dearer tools are not listed
)

// offer is one capability that a hub lists as its own.
type offer struct {
	product, capability string
	priceMicros         int64
	input               []byte // of a call that its schema allows; {} if none could be made
	fits                bool   // input is such a call
}

// checkManifest judges a manifest as a stranger's: signature under the pinned key,
// shape of every tool, age. It returns what the hub at base offers itself.
func checkManifest(body []byte, base string, key identity.PublicKey, now time.Time) ([]offer, *problem) {
	doc, err := canon.Parse(body)
	if err != nil {
		return nil, broken("its manifest is not JSON: %v", err)
	}
	if doc.Kind() != canon.Object {
		return nil, broken("its manifest is %s, not an object", doc.Kind())
	}
	if v := doc.Get("protocol_version").Str(); v != "v1" && v != "v2" {
		return nil, broken("its manifest has protocol_version %q, not v1 or v2", clip(v))
	}
	block := doc.Get("signature")
	if algorithm := block.Get("algorithm").Str(); algorithm != "ed25519" {
		return nil, broken("its manifest is signed with %q, not ed25519", clip(algorithm))
	}
	message, err := canon.ManifestMessage(doc)
	if err != nil {
		return nil, broken("its manifest cannot be verified: %v", err)
	}
	if err := identity.VerifyBase64(key, message, block.Get("value").Str()); err != nil {
		return nil, broken("the signature of its manifest does not verify under its key: %v", err)
	}
	made, err := time.Parse(time.RFC3339, doc.Get("generated_at").Str())
	switch {
	case err != nil:
		return nil, broken("its manifest does not say when it was made: generated_at is %q", clip(doc.Get("generated_at").Str()))
	case now.Sub(made) > catalog.MaxManifestAge:
		return nil, broken("its manifest is from %s, more than %d days old", made.UTC().Format(time.RFC3339), catalog.MaxManifestAge/(24*time.Hour))
	case made.Sub(now) > catalog.MaxManifestLead:
		return nil, broken("its manifest is from the future, %s; is its clock right?", made.UTC().Format(time.RFC3339))
	}
	tools := doc.Get("tools")
	if tools.Kind() != canon.Array {
		return nil, broken("its manifest has %s as tools, not an array", tools.Kind())
	}
	var offers []offer
	i := 0
	for t := range tools.Elements {
		switch {
		case t.Kind() != canon.Object:
			return nil, broken("tool %d of its manifest is %s, not an object", i, t.Kind())
		case t.Get("name").Kind() != canon.String, t.Get("description").Kind() != canon.String, t.Get("input_schema").Kind() != canon.Object:
			return nil, broken("tool %d of its manifest, %q, lacks a name, a description or an input_schema", i, clip(t.Get("name").Str()))
		}
		if o, ok := readOffer(t, base); ok && len(offers) < catalog.MaxListed {
			offers = append(offers, o)
		}
		i++
	}
	return offers, nil
}

// readOffer reads one tool; false for what the hub only passes on or could not be
// called for.
func readOffer(t canon.Value, base string) (offer, bool) {
	if source := t.Get("source_hub").Str(); source != "" && source != catalog.Local && byHTTP(base) && !sameHub(source, base) {
		return offer{}, false
	} else if !byHTTP(base) && source != "" && source != catalog.Local {
		return offer{}, false // over streams: own rows are those called local
	}
	o := offer{product: t.Get("product_id").Str(), capability: t.Get("capability_id").Str(), priceMicros: defaultPriceMicros}
	if o.capability == "" {
		o.capability = t.Get("name").Str()
	}
	if !catalog.ValidID(o.product) || !catalog.ValidID(o.capability) {
		return offer{}, false
	}
	if price := t.Get("price_per_call_usd"); price.Exists() {
		micros, err := canon.ParseMicros(price.Token())
		if err != nil || micros < 0 || micros > maxPriceMicros {
			return offer{}, false
		}
		o.priceMicros = micros
	}
	o.input, o.fits = buildInput(t.Get("input_schema"))
	return o, true
}

// sameHub compares two base URLs; the scheme makes no difference.
func sameHub(a, b string) bool {
	na, errA := catalog.NormalizeHubURL(a)
	nb, errB := catalog.NormalizeHubURL(b)
	cut := func(u string) string { _, rest, _ := strings.Cut(u, "://"); return rest }
	return errA == nil && errB == nil && cut(na) == cut(nb)
}

func clip(s string) string {
	const shown = 80
	if len(s) > shown {
		return strings.ToValidUTF8(s[:shown], "") + "…"
	}
	return s
}
