package catalog

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// keyOf is a hub's key for tests, by number.
func keyOf(n byte) *identity.Key {
	seed := make([]byte, 32)
	seed[0], seed[31] = n, 0x5a
	k, err := identity.FromSeed(seed)
	if err != nil {
		panic(err)
	}
	return k
}

// member is a hub of a test mesh.
type member struct {
	*hub
	key *identity.Key
}

// newMember makes a hub with a key of its own; without a policy it is open.
func newMember(t fataler, n byte, clock *clock, change ...func(*Config)) *member {
	t.Helper()
	m := &member{hub: &hub{fs: vfs.NewMem(), clock: clock, urls: &publicOnly{}}, key: keyOf(n)}
	m.cfg = Config{
		Signer: m.key, URLs: m.urls, Now: clock.Now, HubURL: fmt.Sprintf("http://localhost:%d", 9100+int(n)),
		HubName: fmt.Sprintf("Hub %d", n), HubVersion: "4.0.0", RoutingFeeBps: 100, MinTrust: 0.3, Admission: AdmitAll,
	}
	for _, f := range change {
		f(&m.cfg)
	}
	m.open(t)
	return m
}

// mesh makes hubs that close with the test.
func mesh(t *testing.T, n int, change ...func(*Config)) []*member {
	t.Helper()
	c := &clock{now: testStart}
	out := make([]*member, n)
	for i := range out {
		out[i] = newMember(t, byte(i+1), c, change...)
		out[i].t = t
		t.Cleanup(func() { out[i].close(t) })
	}
	return out
}

func policy(a Admission) func(*Config) { return func(c *Config) { c.Admission = a } }

func (m *member) pub() identity.PublicKey { return m.key.Public() }

// next is the member's next update; it fails if there is none.
func (m *member) next(t fataler, refresh bool) *Update {
	t.Helper()
	u, err := m.NextUpdate(context.Background(), refresh)
	if err != nil || u == nil {
		t.Fatalf("next update: %v, %v", u, err)
	}
	return u
}

var (
	byAuthor = Source{Via: ViaGossip, Peer: "author", Author: true}
	byRelay  = Source{Via: ViaGossip, Peer: "relay"}
	byStream = Source{Via: ViaStream, Peer: "relay"}
)

// give hands an update over as it travels.
func (m *member) give(t fataler, u *Update, s Source) Intake {
	t.Helper()
	again, err := ParseUpdate(slices.Clone(u.Raw()))
	if err != nil {
		t.Fatalf("parse what was printed: %v\n%s", err, u.Raw())
	}
	return m.TakeUpdate(context.Background(), again, s)
}

// tell hands over a head alone.
func (m *member) tell(t fataler, h *Head, s Source) Intake {
	t.Helper()
	again, err := ParseHead(slices.Clone(h.Raw()))
	if err != nil {
		t.Fatalf("parse what was printed: %v\n%s", err, h.Raw())
	}
	return m.TakeHead(context.Background(), again, s)
}

// fetch gives a member the newest listing of another hub from a third one.
func (m *member) fetch(t fataler, from *member, key identity.PublicKey, have string) Intake {
	t.Helper()
	raw, err := from.UpdateFor(context.Background(), key, have)
	if err != nil {
		t.Fatalf("update for %q: %v", have, err)
	}
	u, err := ParseUpdate(raw)
	if err != nil {
		t.Fatalf("parse what was served: %v", err)
	}
	return m.TakeUpdate(context.Background(), u, byStream)
}

// offers lists a hub's rows as they are known here, without what is this hub's own view.
func (m *member) offers(t fataler, sourceHub string) []string {
	t.Helper()
	var out []string
	for _, r := range listing(t, m.Catalog) {
		if r.SourceHub == sourceHub && executable(&r) {
			out = append(out, fmt.Sprintf("%s/%s %s %d %q %s", r.ProductID, r.CapabilityID, r.Name, r.PriceMicros, r.Description, r.InputSchema))
		}
	}
	return out
}

func found(t fataler, c *Catalog, intent string) int {
	t.Helper()
	res, err := c.Search(context.Background(), Query{Intent: intent})
	if err != nil {
		t.Fatalf("search: %v", err)
	}
	return len(res.Matches)
}

// forge changes a signed head and signs it again with key; a nil key leaves the
// signature as it was.
func forge(t fataler, raw []byte, key *identity.Key, change func(text string) string) []byte {
	t.Helper()
	text := change(string(raw))
	if key == nil {
		return []byte(text)
	}
	v, err := canon.Parse([]byte(text))
	if err != nil {
		t.Fatalf("forge: %v\n%s", err, text)
	}
	msg, err := canon.ObjectMessage(v)
	if err != nil {
		t.Fatalf("forge: %v", err)
	}
	old := v.Get("signature").Get("value").Str()
	return []byte(strings.Replace(text, old, key.SignBase64(msg), 1))
}

func expect(t fataler, what string, in Intake, verdict Verdict, reason string) {
	t.Helper()
	if in.Verdict != verdict || in.Reason != reason {
		t.Fatalf("%s: verdict %d %s (%s), want %d %s", what, in.Verdict, in.Reason, in.Detail, verdict, reason)
	}
}

// must0 is must for tests of rapid too.
func must0(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v", err)
	}
}

// toolFrom is a tool as an update carries it.
func toolFrom(t fataler, text string) Tool {
	t.Helper()
	v, err := canon.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return Tool{RowID: toolID(v), Raw: []byte(text), Digest: sha256.Sum256([]byte(text))}
}
