package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

// A hub's head is named as what it is, and every member of it is covered.
func TestVerifyHubHead(t *testing.T) {
	key, err := identity.FromSeed(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	head := `{"type":"hub_head","hub_url":"https://a.example","hub_name":"A","signer_public_key":"` + key.PublicBase64() +
		`","multiaddrs":[],"sequence":1,"generated_at":"2026-05-21T12:00:00Z","expires_at":"2026-05-22T12:00:00Z","listing_digest":"` +
		strings.Repeat("0", 64) + `","listing_bytes":0,"capabilities_count":0,"categories":[],"update_digest":""}`
	v, err := canon.Parse([]byte(head))
	if err != nil {
		t.Fatal(err)
	}
	msg, err := canon.ObjectMessage(v)
	if err != nil {
		t.Fatal(err)
	}
	signed := head[:len(head)-1] + `,"signature":{"algorithm":"ed25519","public_key":"` + key.PublicBase64() + `","value":"` + key.SignBase64(msg) + `"}}`
	for name, c := range map[string]struct {
		doc  string
		code int
		says string
	}{
		"as signed": {signed, 0, "valid: hub head"},
		"changed":   {strings.Replace(signed, `"sequence":1`, `"sequence":2`, 1), 1, "not valid: hub head"},
	} {
		file := filepath.Join(t.TempDir(), "head.json")
		if err := os.WriteFile(file, []byte(c.doc), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{"verify", file}, nil, &out, &errs); code != c.code || !strings.HasPrefix(out.String(), c.says) {
			t.Errorf("%s: exit %d\n%s%s", name, code, &out, &errs)
		}
		if strings.Contains(out.String(), "leaves out") {
			t.Errorf("%s: a member is not covered\n%s", name, &out)
		}
	}
}
