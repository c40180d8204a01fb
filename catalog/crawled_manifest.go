package catalog

import (
	"slices"
	"strconv"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// Bounds on a foreign manifest (federation notes §2).
const (
	MaxManifestAge  = 7 * 24 * time.Hour // of generated_at
	MaxManifestLead = time.Hour          // of generated_at before the reader's clock
	MaxForeignTools = 1000               // that are looked at
)

// foreignManifest is a manifest whose signature verifies under the pinned key.
type foreignManifest struct {
	generatedAt time.Time
	tools       canon.Value
}

// refusal is why something was not taken: a Reason constant and a sentence.
type refusal struct {
	reason string
	detail string
}

// readManifest decodes a manifest and checks shape, signature and age, in that order:
// a date that nobody signed proves nothing.
func readManifest(raw []byte, key identity.PublicKey, now time.Time) (foreignManifest, *refusal) {
	malformed := func(err error) (foreignManifest, *refusal) {
		return foreignManifest{}, &refusal{ReasonMalformed, "the manifest cannot be used: " + err.Error()}
	}
	if len(raw) > MaxDocumentBytes {
		return malformed(errf("it is %d bytes, at most %d are read", len(raw), MaxDocumentBytes))
	}
	doc, err := canon.Parse(slices.Clone(raw))
	if err != nil {
		return malformed(err)
	}
	generated, err := checkManifest(doc)
	if err != nil {
		return malformed(err)
	}
	if err := verifyBlock(doc, key, canon.ManifestMessage); err != nil {
		return foreignManifest{}, &refusal{ReasonSignature, "the manifest is not signed by the pinned key " + key.String() + ": " + err.Error()}
	}
	if r := tooOld(generated, now); r != nil {
		return foreignManifest{}, r
	}
	return foreignManifest{generatedAt: generated, tools: doc.Get("tools")}, nil
}

// tooOld judges when a manifest was made.
func tooOld(generated, now time.Time) *refusal {
	switch age := now.Sub(generated); {
	case age > MaxManifestAge:
		return &refusal{ReasonExpired, "the manifest was made at " + stamp(generated) + ", more than 7 days ago"}
	case -age > MaxManifestLead:
		return &refusal{ReasonFuture, "the manifest was made at " + stamp(generated) + ", more than an hour from now; check both clocks"}
	}
	return nil
}

// checkManifest holds everything but the single tools against the protocol's schema.
func checkManifest(doc canon.Value) (generated time.Time, err error) {
	if doc.Kind() != canon.Object {
		return generated, errf("it is %s, not an object", doc.Kind())
	}
	var s shape
	if v := s.text(doc, "", "protocol_version", true); v != "v1" && v != "v2" {
		s.wrong("protocol_version", doc.Get("protocol_version"), "v1 or v2")
	}
	s.release(doc, "release_version")
	at := s.text(doc, "", "generated_at", true)
	s.text(doc, "", "base_url", false)
	for _, count := range [...]string{"products_count", "capabilities_count", "total_capabilities", "local_capabilities", "federated_capabilities", "hubs_indexed"} {
		s.whole(doc, "", count, 0)
	}
	if tools := doc.Get("tools"); tools.Kind() != canon.Array {
		s.wrong("tools", tools, "an array")
	}
	s.nested(doc, "", "by_hub", func(path string, hubs canon.Value) {
		for hub, h := range hubs.Members {
			if s.err != nil {
				return
			}
			checkHubEntry(&s, path+strconv.Quote(clip(hub)), h)
		}
	})
	block := doc.Get("signature")
	if block.Kind() != canon.Object {
		s.wrong("signature", block, "an object")
	}
	for _, name := range [...]string{"algorithm", "public_key", "value"} {
		s.text(block, "signature.", name, true)
	}
	if s.err != nil {
		return generated, s.err
	}
	generated, ok := parseStamp(at)
	if !ok {
		return generated, invalid("generated_at", "%q is no time like 2026-05-21T12:00:00Z; a manifest that cannot be dated could be replayed for ever", clip(at))
	}
	return generated, nil
}

func checkHubEntry(s *shape, path string, h canon.Value) {
	if h.Kind() != canon.Object {
		s.wrong(path, h, "an object")
		return
	}
	s.whole(h, path+".", "capabilities_count", -1<<63)
	s.between(h, path+".", "trust_score", -1e308, 1e308)
	if basis := h.Get("trust_basis"); basis.Exists() {
		if b := basis.Str(); b != basisMeasured && b != basisUnobserved && b != basisSelf {
			s.wrong(path+".trust_basis", basis, "measured, unobserved or self")
		}
	}
	s.whole(h, path+".", "observations_30d", 0)
	s.text(h, path+".", "last_crawl", false)
}

// judged is what the tools of one manifest come to.
type judged struct {
	rows    []Capability // as peerTool leaves them
	dropped []Dropped
}

// judgeTools judges the first MaxForeignTools tools, each for itself: a bad one is left
// out alone. Of two tools with the same ids the first counts.
func judgeTools(tools canon.Value, isHub func(string) bool) judged {
	var out judged
	seen := make(map[RowID]bool, min(tools.Len(), MaxForeignTools))
	n := 0
	for t := range tools.Elements {
		if n++; n > MaxForeignTools {
			out.dropped = append(out.dropped, Dropped{Reason: strconv.Itoa(tools.Len()-MaxForeignTools) +
				" more tools were not looked at; " + strconv.Itoa(MaxForeignTools) + " of one hub are listed"})
			break
		}
		r, err := foreignTool(t, isHub)
		if err != nil {
			id := toolID(t)
			out.dropped = append(out.dropped, Dropped{RowID{clip(id.ProductID), clip(id.CapabilityID)}, err.Error()})
			continue
		}
		if seen[r.rowID()] {
			out.dropped = append(out.dropped, Dropped{r.rowID(), "the manifest lists it twice; the first one counts"})
			continue
		}
		seen[r.rowID()] = true
		out.rows = append(out.rows, r)
	}
	return out
}

// foreignTool is peerTool with what the manifest schema demands besides.
func foreignTool(t canon.Value, isHub func(string) bool) (Capability, error) {
	if name := t.Get("name"); t.Kind() == canon.Object && name.Kind() != canon.String {
		return Capability{}, invalid("name", "is %s, must be a string", name.Kind())
	}
	return peerTool(t, isHub)
}
