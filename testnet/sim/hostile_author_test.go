package sim

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// marker is in everything that a hostile member says of itself: whatever of it turns up
// at an honest hub is found by it.
const marker = "zzhostile"

// author prints and signs heads and updates of one key, by the rules and against them.
// It uses none of the hubs' own code but the canonical form and the signature.
type author struct {
	key      *identity.Key
	url      string
	addrs    []string
	sequence uint64
	age      time.Duration // how old its heads say they are
	tools    map[catalog.RowID][]byte
	edit     func(head map[string]any) // before it is signed; may be nil

	mu sync.Mutex // of sequence: heads are also made for who asks
}

// newAuthor is the author with a number; a scenario's keys differ from the hubs'.
func newAuthor(n int) *author {
	seed := sha256.Sum256(fmt.Appendf(nil, "hostile %d", n))
	key, err := identity.FromSeed(seed[:])
	if err != nil {
		panic(err) // only for other lengths
	}
	return &author{key: key, tools: map[catalog.RowID][]byte{}}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // maps of texts and numbers always marshal
	}
	return b
}

// sell lists a capability; more members, or other values, by change.
func (a *author) sell(product, capability string, change map[string]any) {
	tool := map[string]any{
		"product_id": product, "capability_id": capability, "name": product + "." + capability, "display_name": marker + " " + capability,
		"description": marker + " offer", "price_per_call_usd": 0.01, "input_schema": map[string]any{"type": "object"},
	}
	for name, v := range change {
		tool[name] = v
	}
	a.tools[catalog.RowID{ProductID: product, CapabilityID: capability}] = mustJSON(tool)
}

func sortedIDs(tools map[catalog.RowID][]byte) []catalog.RowID {
	ids := make([]catalog.RowID, 0, len(tools))
	for id := range tools {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b catalog.RowID) int {
		return cmp.Or(cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.CapabilityID, b.CapabilityID))
	})
	return ids
}

// listing is the digest and size of what the author sells.
func (a *author) listing() (digest string, size int) {
	h := sha256.New()
	h.Write([]byte("aimarket-listing/1\n"))
	for _, id := range sortedIDs(a.tools) {
		raw := a.tools[id]
		h.Write([]byte(id.ProductID + "\x00" + id.CapabilityID + "\x00"))
		sum := sha256.Sum256(raw)
		h.Write(sum[:])
		size += len(raw)
	}
	return hex.EncodeToString(h.Sum(nil)), size
}

// head is the next head of the whole listing.
func (a *author) head() []byte {
	now := time.Now().Add(-a.age).UTC().Truncate(time.Second)
	a.mu.Lock()
	a.sequence = max(a.sequence+1, uint64(time.Now().Add(-a.age).UnixMilli()))
	sequence := a.sequence
	a.mu.Unlock()
	digest, size := a.listing()
	doc := map[string]any{
		"type": "hub_head", "hub_url": a.url, "hub_name": marker, "hub_version": "0", "signer_public_key": a.key.PublicBase64(),
		"multiaddrs": append([]string{}, a.addrs...), "sequence": sequence,
		"generated_at": now.Format("2006-01-02T15:04:05Z"), "expires_at": now.Add(24 * time.Hour).Format("2006-01-02T15:04:05Z"),
		"listing_digest": digest, "listing_bytes": size, "capabilities_count": len(a.tools), "categories": []string{},
		"update_digest": "", "update_base": "",
	}
	if a.edit != nil {
		a.edit(doc)
	}
	return sign(a.key, doc)
}

func sign(key *identity.Key, doc map[string]any) []byte {
	delete(doc, "signature")
	v, err := canon.Parse(mustJSON(doc))
	if err != nil {
		panic(err) // it was printed here
	}
	message, err := canon.ObjectMessage(v)
	if err != nil {
		panic(err)
	}
	doc["signature"] = map[string]any{"algorithm": "ed25519", "value": key.SignBase64(message)}
	return mustJSON(doc)
}

// update is a head with the whole listing.
func (a *author) update() []byte { return updateOf(a.head(), a.tools) }

func updateOf(head []byte, tools map[catalog.RowID][]byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"announcement":%s,"base":"","tools":[`, head)
	for i, id := range sortedIDs(tools) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(tools[id])
	}
	b.WriteString(`],"removed":[]}`)
	return b.Bytes()
}
