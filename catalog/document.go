package catalog

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
)

// MaxDocumentAge is how old generated_at gets before a document that did not change
// is signed anew.
const MaxDocumentAge = time.Minute

// MaxDocumentBytes is what crawlers of the protocol read of one document
// (federation notes §2); a manifest leaves rows out rather than pass it.
const MaxDocumentBytes = 2_000_000

// documentVersion is the protocol's name of these document shapes.
const documentVersion = "v2"

// Document is one signed document as published.
type Document struct {
	Body        []byte // exact bytes to serve; callers must not change them
	ETag        string // strong, quoted
	GeneratedAt time.Time
}

// docCache holds the newest version of one document.
type docCache struct {
	mu  sync.Mutex // one signs, the others wait for it
	cur atomic.Pointer[signedDoc]
}

type signedDoc struct {
	Document
	version uint64 // of the catalogue that it shows
	extra   string // what else it shows
}

// document returns the cached document, or has it written and signed: write appends
// an open object, message selects what the protocol signs of it.
func (c *Catalog) document(ctx context.Context, what string, d *docCache, extra string,
	write func(o *object, now time.Time) error, message func(canon.Value) ([]byte, error)) (Document, error) {
	if doc := d.cur.Load(); c.fresh(doc, extra) {
		return doc.Document, nil
	}
	if err := ctx.Err(); err != nil {
		return Document{}, fmt.Errorf("catalog: %s: %w", what, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if doc := d.cur.Load(); c.fresh(doc, extra) {
		return doc.Document, nil
	}
	now := c.cfg.Now().UTC().Truncate(time.Second)
	if c.foldDue(now) {
		c.fold(now)
	}
	version := c.version.Load() // before reading, so that a later change is not missed
	o := openObject(nil)
	if err := write(&o, now); err != nil {
		return Document{}, fmt.Errorf("catalog: %s: %w", what, err)
	}
	body, err := c.sign(o, message)
	if err != nil {
		return Document{}, fmt.Errorf("catalog: sign %s: %w", what, err)
	}
	doc := &signedDoc{
		Document: Document{Body: body, ETag: `"` + canon.Digest(body)[:32] + `"`, GeneratedAt: now},
		version:  version,
		extra:    extra,
	}
	d.cur.Store(doc)
	return doc.Document, nil
}

func (c *Catalog) fresh(doc *signedDoc, extra string) bool {
	if doc == nil || doc.version != c.version.Load() || doc.extra != extra {
		return false
	}
	age := c.cfg.Now().Sub(doc.GeneratedAt)
	return age >= 0 && age < MaxDocumentAge
}

// sign closes a document and appends its signature. The message is computed from
// the bytes that are published, as a reader will.
func (c *Catalog) sign(o object, message func(canon.Value) ([]byte, error)) ([]byte, error) {
	unsigned := o.close()
	v, err := canon.Parse(unsigned)
	if err != nil {
		return nil, err
	}
	msg, err := message(v)
	if err != nil {
		return nil, err
	}
	o.dst = slices.Clone(unsigned[:len(unsigned)-1])
	o.nest("signature", func(s *object) {
		s.text("algorithm", "ed25519")
		s.text("public_key", c.cfg.Signer.PublicBase64())
		s.text("value", c.cfg.Signer.SignBase64(msg))
	})
	return o.close(), nil
}

// listed returns the rows that documents list, in their order. Rows whose hub
// cannot be reached now are left out, as search leaves them out.
func (c *Catalog) listed(now time.Time) ([]*Capability, error) {
	c.mu.Lock()
	if c.top.broken {
		if err := c.rankAnew(); err != nil {
			c.mu.Unlock()
			return nil, err
		}
	}
	keys := slices.Clone(c.top.rows)
	c.mu.Unlock()
	rows := make([]*Capability, 0, len(keys))
	for _, k := range keys {
		r, err := c.peek(k.Key)
		if err != nil {
			return nil, err
		}
		if r != nil && c.route(r.SourceHub, now).Status == RouteLive { // nil: removed since
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// rankAnew fills the top list by a pass over all rows.
func (c *Catalog) rankAnew() error {
	var top topList
	err := c.cfg.Store.Scan([]byte(rangeRow), nil, func(key, value []byte) (bool, error) {
		k, ok := parseRowKey(key)
		if !ok {
			return true, nil
		}
		r, err := decodeRow(k, value) // its schemas are not kept
		if err != nil {
			return false, err
		}
		if executable(&r) {
			c.table.overlay(&r)
			top.add(topRow{r.Key, r.TrustScore})
		}
		return true, nil
	})
	if err == nil {
		c.top = top
	}
	return err
}

// Status is what the discovery document says beyond the catalogue's own knowledge.
type Status struct {
	PaymentConfigured bool
	PaymentTestnet    bool   // demo money or a test chain
	Money             string // "demo", "off"
	PluginsLoaded     int
	PluginExtensions  map[string]json.RawMessage
	MCPEndpoint       bool
}

// fingerprint tells two statuses apart. Two equal ones may have two
// fingerprints only if a plugin writes its extension in two ways.
func (s Status) fingerprint() string {
	var b strings.Builder
	fmt.Fprint(&b, s.PaymentConfigured, s.PaymentTestnet, s.MCPEndpoint, s.PluginsLoaded, " ", s.Money)
	for _, name := range sortedNames(s.PluginExtensions) {
		fmt.Fprintf(&b, "\x00%s\x00%s", name, s.PluginExtensions[name])
	}
	return b.String()
}

func sortedNames(m map[string]json.RawMessage) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// shownAlike is true if documents say the same of two states of a peer. When it was last
// read is left to MaxDocumentAge: a mesh in which everybody is heard of every minute
// must not sign its documents for each of them.
func shownAlike(a, b *Peer) bool {
	shown := func(p *Peer) bool { return p.Status == PeerActive }
	if shown(a) != shown(b) {
		return false
	}
	return !shown(a) || a.URL == b.URL && a.Name == b.Name && a.Capabilities == b.Capabilities && slices.Equal(a.Categories, b.Categories)
}
