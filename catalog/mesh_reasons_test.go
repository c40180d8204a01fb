package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every reason that the mesh's doors give, with its verdict.
func TestIntakeReasons(t *testing.T) {
	type scene struct {
		a, b, c *member // c is another owner
		t       *testing.T
	}
	tests := []struct {
		name    string
		policy  Admission
		do      func(s scene) Intake
		verdict Verdict
		reason  string
	}{
		{"applied", AdmitAll, func(s scene) Intake { return s.b.give(s.t, s.a.next(s.t, false), byRelay) }, Accept, ReasonApplied},
		{"wanted", AdmitAll, func(s scene) Intake { return s.b.tell(s.t, s.a.next(s.t, false).Head, byRelay) }, Accept, ReasonWanted},
		{"still wanted", AdmitAll, func(s scene) Intake {
			h := s.a.next(s.t, false).Head
			s.b.tell(s.t, h, byRelay)
			return s.b.tell(s.t, h, byRelay)
		}, Ignore, ReasonWanted},
		{"an empty listing needs no fetch", AdmitAll, func(s scene) Intake {
			must(s.t, s.a.Remove(context.Background(), Key{"prod-1", "tool@v1", Local}))
			return s.b.tell(s.t, s.a.next(s.t, true).Head, byRelay)
		}, Accept, ReasonApplied},
		{"pending under verified", AdmitVerified, func(s scene) Intake { return s.b.give(s.t, s.a.next(s.t, false), byAuthor) }, Ignore, ReasonPending},
		{"pending under closed", AdmitNone, func(s scene) Intake { return s.b.tell(s.t, s.a.next(s.t, false).Head, byRelay) }, Ignore, ReasonPending},
		{"pending again", AdmitNone, func(s scene) Intake {
			h := s.a.next(s.t, false).Head
			s.b.tell(s.t, h, byRelay)
			return s.b.tell(s.t, h, byRelay)
		}, Ignore, ReasonDuplicate},
		{"duplicate", AdmitAll, func(s scene) Intake {
			u := s.a.next(s.t, false)
			s.b.give(s.t, u, byAuthor)
			return s.b.tell(s.t, u.Head, byAuthor)
		}, Ignore, ReasonDuplicate},
		{"stale from a relay", AdmitAll, func(s scene) Intake {
			old := s.a.next(s.t, false)
			s.a.clock.add(time.Hour)
			s.b.give(s.t, s.a.next(s.t, true), byRelay)
			return s.b.give(s.t, old, byRelay)
		}, Ignore, ReasonStale},
		{"overtaken at its author", AdmitAll, func(s scene) Intake {
			old := s.a.next(s.t, false)
			s.b.give(s.t, s.a.next(s.t, true), byAuthor)
			return s.b.give(s.t, old, byAuthor)
		}, Ignore, ReasonStale},
		{"far stale from its author", AdmitAll, func(s scene) Intake {
			old := s.a.next(s.t, false)
			s.a.clock.add(time.Hour)
			s.b.give(s.t, s.a.next(s.t, true), byAuthor)
			return s.b.give(s.t, old, byAuthor)
		}, Reject, ReasonStale},
		{"expired", AdmitAll, func(s scene) Intake {
			u := s.a.next(s.t, false)
			s.a.clock.add(AwayAfter)
			return s.b.give(s.t, u, byAuthor)
		}, Ignore, ReasonExpired},
		{"future", AdmitAll, func(s scene) Intake {
			s.a.clock.add(MaxHeadAge + time.Minute)
			u := s.a.next(s.t, false)
			s.a.clock.add(-MaxHeadAge - time.Minute)
			return s.b.give(s.t, u, byAuthor)
		}, Ignore, ReasonFuture},
		{"self", AdmitAll, func(s scene) Intake { return s.a.give(s.t, s.a.next(s.t, false), byRelay) }, Ignore, ReasonSelf},
		{"own from before a restart", AdmitAll, func(s scene) Intake {
			s.a.next(s.t, false)
			u := s.a.next(s.t, true)
			s.a.reopen(s.t)
			return s.a.give(s.t, u, byRelay)
		}, Ignore, ReasonSelf},
		{"own key, not by it", AdmitAll, func(s scene) Intake {
			twin := newMember(s.t, 1, s.a.clock)
			defer twin.close(s.t)
			s.a.next(s.t, false)
			s.a.clock.add(time.Second)
			return s.a.give(s.t, twin.next(s.t, true), byRelay)
		}, Reject, ReasonOwnKey},
		{"URL of another key, from a relay", AdmitAll, func(s scene) Intake {
			s.a.SetAddresses("", nil, "https://shop.example.org")
			s.b.give(s.t, s.a.next(s.t, false), byRelay)
			s.c.SetAddresses("", nil, "https://shop.example.org")
			return s.b.give(s.t, s.c.next(s.t, false), byRelay)
		}, Ignore, ReasonURLTaken},
		{"URL of another key, from its author", AdmitAll, func(s scene) Intake {
			s.a.SetAddresses("", nil, "https://shop.example.org")
			s.b.give(s.t, s.a.next(s.t, false), byRelay)
			s.c.SetAddresses("", nil, "https://shop.example.org")
			return s.b.give(s.t, s.c.next(s.t, false), byAuthor)
		}, Reject, ReasonURLTaken},
		{"URL of another key, in the other scheme", AdmitAll, func(s scene) Intake {
			s.a.SetAddresses("", nil, "https://shop.example.org")
			s.b.give(s.t, s.a.next(s.t, false), byRelay)
			s.c.SetAddresses("", nil, "http://shop.example.org")
			return s.b.give(s.t, s.c.next(s.t, false), byAuthor)
		}, Reject, ReasonURLTaken},
		{"this hub's own URL", AdmitAll, func(s scene) Intake {
			s.b.SetAddresses("", nil, "https://shop.example.org")
			s.c.SetAddresses("", nil, "https://shop.example.org")
			return s.b.give(s.t, s.c.next(s.t, false), byAuthor)
		}, Reject, ReasonURLTaken},
		{"equivocation from its author", AdmitAll, func(s scene) Intake { return equivocate(s.t, s.a, s.b, byAuthor, true) }, Reject, ReasonEquivocation},
		{"equivocation, the winner from a relay", AdmitAll, func(s scene) Intake { return equivocate(s.t, s.a, s.b, byRelay, true) }, Accept, ReasonEquivocation},
		{"equivocation, the loser from a relay", AdmitAll, func(s scene) Intake { return equivocate(s.t, s.a, s.b, byRelay, false) }, Ignore, ReasonEquivocation},
		{"a given up key", AdmitAll, func(s scene) Intake {
			old := s.a.next(s.t, false)
			s.b.give(s.t, old, byRelay)
			heir := newMember(s.t, 77, s.a.clock, succeeds(s.a.key, 77))
			defer heir.close(s.t)
			expect(s.t, "succession", s.b.give(s.t, heir.next(s.t, false), byAuthor), Accept, ReasonApplied)
			return s.b.give(s.t, s.a.next(s.t, true), byAuthor)
		}, Reject, ReasonKeyChanged},
		{"changes that lead elsewhere", AdmitAll, func(s scene) Intake { return mismatched(s.t, s.a, s.b, byAuthor) }, Reject, ReasonMismatch},
		{"changes that lead elsewhere, by a relay", AdmitAll, func(s scene) Intake { return mismatched(s.t, s.a, s.b, byRelay) }, Ignore, ReasonMismatch},
		{"changes that the head does not bind, gossiped", AdmitAll, func(s scene) Intake {
			manyTools(s.a)
			u := s.a.next(s.t, false)
			s.a.put(row("prod-1", "second@v1"))
			s.a.next(s.t, false)
			s.a.put(row("prod-1", "third@v1"))
			s.a.next(s.t, false)
			raw, err := s.a.UpdateFor(context.Background(), s.a.pub(), u.Head.Digest)
			must(s.t, err)
			made, err := ParseUpdate(raw)
			must(s.t, err)
			return s.b.TakeUpdate(context.Background(), made, byRelay)
		}, Reject, ReasonMismatch},
		{"not parsed", AdmitAll, func(s scene) Intake {
			return s.b.TakeUpdate(context.Background(), &Update{Head: &Head{}}, byRelay)
		}, Reject, ReasonMalformed},
		{"malformed", AdmitAll, func(s scene) Intake {
			_, err := ParseHead([]byte(`{}`))
			return intakeOf(err)
		}, Reject, ReasonMalformed},
		{"signature", AdmitAll, func(s scene) Intake {
			_, err := ParseHead(forge(s.t, s.a.next(s.t, false).Head.Raw(), nil, func(h string) string {
				return strings.Replace(h, `"hub_name":"Hub 1"`, `"hub_name":"Hub 9"`, 1)
			}))
			return intakeOf(err)
		}, Reject, ReasonSignature},
		{"full of pending peers", AdmitVerified, func(s scene) Intake {
			s.b.Catalog.cfg.MaxPending = 1
			s.b.give(s.t, s.c.next(s.t, false), byRelay)
			return s.b.give(s.t, s.a.next(s.t, false), byRelay)
		}, Ignore, ReasonFull},
		{"full of rows", AdmitAll, func(s scene) Intake {
			s.b.Catalog.cfg.MaxRows = 0
			return s.b.give(s.t, s.a.next(s.t, false), byRelay)
		}, Ignore, ReasonFull},
		{"rejected", AdmitVerified, func(s scene) Intake {
			u := s.a.next(s.t, false)
			s.b.give(s.t, u, byRelay)
			_, err := s.b.Reject(context.Background(), KeyURL(s.a.pub()))
			must(s.t, err)
			return s.b.give(s.t, s.a.next(s.t, true), byRelay)
		}, Ignore, ReasonRejected},
		{"an address that may not be called, under verified", AdmitVerified, func(s scene) Intake {
			s.a.SetAddresses("", nil, "http://127.0.0.1:9000")
			return s.b.give(s.t, s.a.next(s.t, false), byAuthor)
		}, Ignore, ReasonPending},
		{"an address that may not be called, under open", AdmitAll, func(s scene) Intake {
			s.a.SetAddresses("", nil, "http://localhost:9000")
			return s.b.give(s.t, s.a.next(s.t, false), byRelay)
		}, Accept, ReasonApplied},
		{"unknown base", AdmitAll, func(s scene) Intake {
			manyTools(s.a)
			s.a.next(s.t, false)
			s.a.put(row("prod-1", "second@v1"))
			return s.b.give(s.t, s.a.next(s.t, false), byRelay)
		}, Accept, ReasonBase},
		{"storage", AdmitAll, func(s scene) Intake {
			u := s.a.next(s.t, false)
			must(s.t, s.b.db.Close())
			in := s.b.give(s.t, u, byRelay)
			s.b.open(s.t)
			return in
		}, Ignore, ReasonStorage},
	}
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ms := mesh(t, 3, policy(tt.policy))
			s := scene{ms[0], ms[1], ms[2], t}
			s.a.put(row("prod-1", "tool@v1"))
			s.c.put(row("prod-3", "tool@v1"))
			in := tt.do(s)
			expect(t, tt.name, in, tt.verdict, tt.reason)
			if (in.Want != nil) != (tt.reason == ReasonWanted || tt.reason == ReasonBase) {
				t.Fatalf("want %+v", in.Want)
			}
			if tt.verdict != Accept && in.Detail == "" && in.Want == nil {
				t.Fatal("a refusal without a word for people")
			}
			consistent(t, s.b.Catalog)
		})
		seen[tt.reason] = true
	}
	for _, r := range []string{ReasonApplied, ReasonWanted, ReasonPending, ReasonDuplicate, ReasonStale, ReasonExpired, ReasonFuture, ReasonSelf, ReasonOwnKey,
		ReasonURLTaken, ReasonKeyChanged, ReasonEquivocation, ReasonMismatch, ReasonMalformed, ReasonSignature, ReasonFull, ReasonRejected, ReasonBase, ReasonStorage} {
		if !seen[r] {
			t.Errorf("no case for %s", r)
		}
	}
}

// manyTools makes a listing that is large enough for changes to travel alone.
func manyTools(m *member) {
	for i := range 10 {
		m.put(row("prod-many", fmt.Sprintf("tool%d@v1", i)))
	}
}

func succeeds(former interface {
	PublicBase64() string
	SignBase64([]byte) string
}, n byte) func(*Config) {
	return func(c *Config) {
		c.Succeeds = &Succession{PublicKey: former.PublicBase64(), Signature: former.SignBase64(SuccessionMessage(former.PublicBase64(), keyOf(n).PublicBase64()))}
	}
}

// twoListings are two updates of one key under one sequence, the smaller digest first.
func twoListings(t fataler, a *member) (lesser, greater *Update) {
	one := a.next(t, false)
	twin := newMember(t, 1, a.clock)
	defer twin.close(t)
	other := row("prod-1", "tool@v1")
	other.PriceMicros = 5
	must0(t, twin.Put(context.Background(), []Capability{other}))
	two := twin.next(t, false)
	for two.Head.Sequence != one.Head.Sequence {
		t.Fatalf("sequences %d and %d", one.Head.Sequence, two.Head.Sequence)
	}
	if one.Head.Digest > two.Head.Digest {
		one, two = two, one
	}
	return one, two
}

func equivocate(t *testing.T, a, b *member, s Source, winner bool) Intake {
	first, second := twoListings(t, a)
	if !winner {
		first, second = second, first
	}
	expect(t, "the first", b.give(t, first, byRelay), Accept, ReasonApplied)
	return b.give(t, second, s)
}

// mismatched hands over signed changes whose head announces another listing.
func mismatched(t *testing.T, a, b *member, s Source) Intake {
	manyTools(a)
	u := a.next(t, false)
	expect(t, "whole", b.give(t, u, byRelay), Accept, ReasonApplied)
	a.clock.add(time.Second)
	a.put(row("prod-1", "second@v1"))
	u = a.next(t, false)
	if u.Base == "" {
		t.Fatal("not a change")
	}
	raw := string(u.Raw())
	head := string(u.Head.Raw())
	lie := forge(t, u.Head.Raw(), a.key, func(h string) string {
		return strings.Replace(h, `"listing_digest":"`+u.Head.Digest, `"listing_digest":"`+strings.Repeat("ab", 32), 1)
	})
	made, err := ParseUpdate([]byte(strings.Replace(raw, head, string(lie), 1)))
	must(t, err)
	if !made.Bound {
		t.Fatal("the head does not bind its changes")
	}
	return b.TakeUpdate(context.Background(), made, s)
}

// What breaks a rule of shape is refused before anything is looked up.
func TestParseHeadRefuses(t *testing.T) {
	a := mesh(t, 1)[0]
	a.put(row("prod-1", "tool@v1"))
	a.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, "https://shop.example.org")
	raw := a.next(t, false).Head.Raw()
	swap := func(old, new string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				t.Fatalf("no %s in %s", old, s)
			}
			return strings.Replace(s, old, new, 1)
		}
	}
	h, err := ParseHead(raw)
	must(t, err)
	tests := []struct {
		name   string
		change func(string) string
		kind   error
	}{
		{"another type", swap(`"type":"hub_head"`, `"type":"hub_tail"`), ErrMalformed},
		{"no sequence", swap(fmt.Sprintf(`"sequence":%d`, h.Sequence), `"sequenc":1`), ErrMalformed},
		{"sequence 0", swap(fmt.Sprintf(`"sequence":%d`, h.Sequence), `"sequence":0`), ErrMalformed},
		{"sequence with a fraction", swap(fmt.Sprintf(`"sequence":%d`, h.Sequence), `"sequence":1.5`), ErrMalformed},
		{"sequence beyond 2⁵³", swap(fmt.Sprintf(`"sequence":%d`, h.Sequence), `"sequence":9007199254740992`), ErrMalformed},
		{"negative count", swap(`"capabilities_count":1`, `"capabilities_count":-1`), ErrMalformed},
		{"too many tools", swap(`"capabilities_count":1`, `"capabilities_count":1001`), ErrMalformed},
		{"no tools, but bytes", swap(`"capabilities_count":1`, `"capabilities_count":0`), ErrMalformed},
		{"URL not normal", swap(`https://shop.example.org`, `https://Shop.example.org`), ErrMalformed},
		{"URL of a key", swap(`https://shop.example.org`, KeyURL(a.pub())), ErrMalformed},
		{"FTP", swap(`https://shop.example.org`, `ftp://shop.example.org`), ErrMalformed},
		{"upper-case digest", swap(`"listing_digest":"`+h.Digest, `"listing_digest":"`+strings.ToUpper(h.Digest[:63])+"A"), ErrMalformed},
		{"short digest", swap(`"listing_digest":"`+h.Digest, `"listing_digest":"ab`), ErrMalformed},
		{"update digest without its base", swap(`"update_digest":""`, `"update_digest":"`+h.Digest+`"`), ErrMalformed},
		{"a time with a zone", swap(stamp(h.GeneratedAt), "2026-11-24T09:00:00+01:00"), ErrMalformed},
		{"expires before it was made", swap(stamp(h.ExpiresAt), "2026-11-23T09:00:00Z"), ErrMalformed},
		{"name with a line break", swap(`"hub_name":"Hub 1"`, `"hub_name":"Hub\n1"`), ErrMalformed},
		{"name that is a number", swap(`"hub_name":"Hub 1"`, `"hub_name":1`), ErrMalformed},
		{"an address that is none", swap(`["/ip4/192.0.2.1/tcp/4001"]`, `[1]`), ErrMalformed},
		{"addresses that are no list", swap(`["/ip4/192.0.2.1/tcp/4001"]`, `{}`), ErrMalformed},
		{"too many addresses", swap(`["/ip4/192.0.2.1/tcp/4001"]`, `["a`+strings.Repeat(`","a`, MaxMultiaddrs)+`"]`), ErrMalformed},
		{"too large", swap(`"hub_name":"Hub 1"`, `"hub_name":"Hub 1","x":"`+strings.Repeat("x", MaxHeadBytes)+`"`), ErrMalformed},
		{"a member twice", swap(`"hub_name":"Hub 1"`, `"hub_name":"Hub 1","hub_name":"Hub 2"`), ErrMalformed},
		{"another algorithm", swap(`"algorithm":"ed25519"`, `"algorithm":"ed448"`), ErrMalformed},
		{"no key", swap(`"signer_public_key":"`+a.key.PublicBase64(), `"signer_public_key":"AAAA`), ErrMalformed},
		{"another key", swap(`"signer_public_key":"`+a.key.PublicBase64(), `"signer_public_key":"`+keyOf(9).PublicBase64()), ErrSignature},
		{"another key in the signature", swap(`"public_key":"`+a.key.PublicBase64(), `"public_key":"`+keyOf(9).PublicBase64()), ErrSignature},
		{"succession that is none", swap(`"hub_name":"Hub 1"`, `"hub_name":"Hub 1","succeeds":[]`), ErrMalformed},
		{"succession from itself", swap(`"hub_name":"Hub 1"`, `"hub_name":"Hub 1","succeeds":{"public_key":"`+a.key.PublicBase64()+`","signature":"x"}`), ErrMalformed},
		{"succession that nobody signed", swap(`"hub_name":"Hub 1"`, `"hub_name":"Hub 1","succeeds":{"public_key":"`+keyOf(9).PublicBase64()+`","signature":"`+a.key.SignBase64(nil)+`"}`), ErrSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			key := a.key
			if tt.kind == ErrSignature && !strings.Contains(tt.name, "succession") {
				key = nil
			}
			var text []byte
			if tt.name == "a member twice" {
				text = []byte(tt.change(string(raw)))
			} else {
				text = forge(t, raw, key, tt.change)
			}
			_, err := ParseHead(text)
			if !errors.Is(err, tt.kind) {
				t.Fatalf("error %v, want %v", err, tt.kind)
			}
		})
	}
	if _, err := ParseHead(forge(t, raw, a.key, swap(`"hub_name":"Hub 1"`, `"hub_name":"Hub 1","later":[1e5,"x"]`))); err != nil {
		t.Fatalf("an unknown member: %v", err)
	}
}

func TestParseUpdateRefuses(t *testing.T) {
	a := mesh(t, 1)[0]
	manyTools(a)
	whole := a.next(t, false)
	a.put(row("prod-1", "second@v1"))
	change := a.next(t, false)
	swap := func(u *Update, old, new string) []byte {
		if !strings.Contains(string(u.Raw()), old) {
			t.Fatalf("no %s in %s", old, u.Raw())
		}
		return []byte(strings.Replace(string(u.Raw()), old, new, 1))
	}
	tool := string(whole.Tools[0].Raw)
	for name, raw := range map[string][]byte{
		"not JSON":                {'{'},
		"no head":                 []byte(`{"tools":[]}`),
		"a tool changed":          swap(whole, `"price_per_call_usd":0.001`, `"price_per_call_usd":0.002`),
		"a tool left out":         swap(whole, tool+",", ""),
		"a tool twice":            swap(whole, tool, tool+","+tool),
		"a tool that is none":     swap(whole, tool, `7`),
		"a tool without ids":      swap(whole, tool, `{}`),
		"an id with a zero byte":  swap(whole, `"product_id":"prod-many"`, `"product_id":"prod\u0000many"`),
		"tools that are no list":  swap(whole, `"tools":[`, `"tool":[`),
		"a whole that removes":    swap(whole, `"removed":[]`, `"removed":[{"product_id":"p1","capability_id":"c1"}]`),
		"removed that is none":    swap(whole, `"removed":[]`, `"removed":[7]`),
		"removed and listed":      swap(change, `"removed":[]`, `"removed":[{"product_id":"prod-1","capability_id":"second@v1"}]`),
		"a base that is none":     swap(change, `"base":"`+change.Base, `"base":"xyz`),
		"changes passed as whole": swap(change, `"base":"`+change.Base, `"base":"`),
		"too large":               append(slices.Clone(whole.Raw()), make([]byte, MaxUpdateBytes)...),
	} {
		if _, err := ParseUpdate(raw); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if u, err := ParseUpdate(swap(change, `"base":"`+change.Base, `"base":"`+whole.Head.UpdateDigest+strings.Repeat("0", 64))); err != nil || u.Bound {
		t.Errorf("changes to another base: %v, bound %v", err, u != nil && u.Bound)
	}
}

func fuzzMember(f *testing.F) *Update {
	m := newMember(f, 1, &clock{now: testStart}, succeeds(keyOf(5), 1))
	defer m.close(f)
	m.SetAddresses("peer", []string{"/ip4/192.0.2.1/tcp/4001"}, "https://shop.example.org")
	must0(f, m.Put(context.Background(), []Capability{row("prod-1", "tool@v1")}))
	return m.next(f, false)
}

// Whatever comes in, parsing does not panic, and what it accepts prints and parses alike.
func FuzzParseHead(f *testing.F) {
	f.Add(fuzzMember(f).Head.Raw())
	f.Add([]byte(`{"type":"hub_head"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := ParseHead(raw)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrSignature) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if string(h.Raw()) != string(raw) && len(strings.TrimSpace(string(raw))) == len(raw) {
			t.Fatalf("kept %q of %q", h.Raw(), raw)
		}
		if _, err := ParseHead(h.Raw()); err != nil {
			t.Fatalf("parsed once: %v", err)
		}
	})
}

func FuzzParseUpdate(f *testing.F) {
	f.Add(fuzzMember(f).Raw())
	f.Add([]byte(`{"announcement":{},"base":"","tools":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		u, err := ParseUpdate(raw)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrSignature) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		again, err := ParseUpdate(newUpdate(u.Head, u.Base, u.Tools, u.Removed).Raw())
		if err != nil || again.Bound != u.Bound {
			t.Fatalf("printed again: %v", err)
		}
	})
}

// intakeOf words an error of ParseHead or ParseUpdate.
func intakeOf(err error) Intake {
	in := Intake{Verdict: Reject, Reason: ReasonMalformed, Detail: err.Error()}
	if errors.Is(err, ErrSignature) {
		in.Reason = ReasonSignature
	}
	return in
}
