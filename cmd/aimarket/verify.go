package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/aimarket/aimarket/httpapi/client"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

type verifyCmd struct {
	Document string `arg:"" help:"File, - for standard input, or an http(s) URL."`
	Key      string `help:"Key the signature must verify under: base64, a hub's URL or its discovery document; the document's own key if not given." placeholder:"KEY"`
}

// Help is shown by aimarket verify --help.
func (verifyCmd) Help() string {
	return `Says what the document is, who signed it, what the signature covers and what it leaves open to anybody.
A key that the document itself names proves only that nothing was changed, not who wrote it: give --key.
Exit 0 valid, 1 not valid, 2 unreadable.

Examples:
  aimarket verify receipt.json --key https://hub.example.com
  aimarket verify https://hub.example.com/ai-market/v2/manifest
  curl -s http://localhost:9083/.well-known/ai-market.json | aimarket verify -`
}

// verdict is what verify prints.
type verdict struct {
	Valid     bool     `json:"valid"`
	Document  string   `json:"document"`
	Version   int      `json:"version"`
	Signer    string   `json:"signer"`
	KeyFrom   string   `json:"key_from"`
	Covered   []string `json:"covered"`
	Uncovered []string `json:"uncovered"`
	// Unauthenticated look like part of the statement and are anybody's to change.
	Unauthenticated []string `json:"unauthenticated,omitempty"`
	Reason          string   `json:"reason,omitempty"`
}

// Run verifies the document.
func (c verifyCmd) Run(e *env) error {
	raw, err := e.document(c.Document)
	if err != nil {
		return unreadable(fmt.Errorf("reading %s: %w", c.Document, err))
	}
	doc, err := canon.Parse(raw)
	if err != nil {
		return unreadable(fmt.Errorf("reading %s: %w", c.Document, err))
	}
	doc = unwrap(doc)
	kind, ok := canon.Identify(doc)
	if !ok {
		return unreadable(fmt.Errorf("%s is no receipt, manifest, discovery document, price list, hub head or announcement", c.Document))
	}
	signed, err := canon.Message(kind, doc)
	if err != nil {
		return unreadable(err)
	}
	v := verdict{Document: nameOf(kind, doc), Version: signed.Version, Covered: signed.Covered, Uncovered: signed.Uncovered,
		Unauthenticated: signed.Unauthenticated}
	key, from, err := c.key(e, doc)
	if err != nil {
		return unreadable(err)
	}
	v.KeyFrom, v.Signer = from, key
	if err := check(doc, key, signed); err != nil {
		v.Reason = err.Error()
	} else {
		v.Valid = true
	}
	if err := v.print(e); err != nil {
		return err
	}
	if !v.Valid {
		return &exitError{code: 1}
	}
	return nil
}

// nameOf names a document for people. A head is signed as any object is, so only its
// type tells it apart.
func nameOf(kind canon.DocumentKind, doc canon.Value) string {
	if kind == canon.Whole && doc.Get("type").Str() == "hub_head" {
		return "hub head"
	}
	return string(kind)
}

// document reads a file, standard input or a URL.
func (e *env) document(name string) ([]byte, error) {
	if !isURL(name) {
		return e.readInput(name, maxDocument)
	}
	return fetch(e.ctx, name)
}

func isURL(s string) bool { return strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") }

func fetch(ctx context.Context, url string) ([]byte, error) {
	c, err := client.New(url, client.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Fetch(ctx, "")
}

// unwrap takes the receipt out of an invoke answer or refusal, so that the whole
// answer can be verified as it was saved.
func unwrap(doc canon.Value) canon.Value {
	if doc.Get("signature").Exists() {
		return doc
	}
	for _, name := range []string{"receipt", "rejection_receipt"} {
		if r := doc.Get(name); r.Get("signature").Exists() {
			return r
		}
	}
	return doc
}

// key finds the key to verify under and says where it is from.
func (c verifyCmd) key(e *env, doc canon.Value) (key, from string, err error) {
	if c.Key == "" {
		for _, v := range []canon.Value{doc.Get("signer_public_key"), doc.Get("signature").Get("public_key")} {
			if s := v.Str(); s != "" {
				return s, "the document itself", nil
			}
		}
		return "", "", errors.New("the document names no key: say whose signature it should be with --key KEY or --key HUB-URL")
	}
	if _, err := identity.ParsePublicKey(c.Key); err == nil {
		return c.Key, "--key", nil
	}
	source := c.Key
	if isURL(source) && !strings.HasSuffix(source, ".json") {
		source = strings.TrimRight(source, "/") + "/.well-known/ai-market.json"
	}
	raw, err := e.document(source)
	if err != nil {
		return "", "", fmt.Errorf("finding the key: %q is no key, and reading it failed: %w", c.Key, err)
	}
	var d struct {
		Key string `json:"signer_public_key"`
	}
	if err := json.Unmarshal(raw, &d); err != nil || d.Key == "" {
		return "", "", fmt.Errorf("finding the key: %s names no signer_public_key", source)
	}
	return d.Key, source, nil
}

func check(doc canon.Value, key string, signed canon.Signed) error {
	sig := doc.Get("signature")
	if sig.Kind() != canon.Object {
		return errors.New("it carries no signature")
	}
	if a := sig.Get("algorithm").Str(); a != "ed25519" {
		return fmt.Errorf("its algorithm is %q, not ed25519", a)
	}
	pub, err := identity.ParsePublicKey(key)
	if err != nil {
		return err
	}
	for _, msg := range signed.Messages {
		if err = identity.VerifyBase64(pub, msg, sig.Get("value").Str()); err == nil {
			return nil
		}
	}
	return err
}

func (v verdict) print(e *env) error {
	if e.json {
		return e.printJSON(v)
	}
	word := "valid"
	if !v.Valid {
		word = "not valid"
	}
	fmt.Fprintf(e.out, "%s: %s (signature form %d)\n", word, v.Document, v.Version)
	if v.Reason != "" {
		fmt.Fprintf(e.out, "why        %s\n", printable(v.Reason))
	}
	fmt.Fprintf(e.out, "signer     %s (from %s)\n", printable(v.Signer), printable(v.KeyFrom))
	fmt.Fprintf(e.out, "covers     %s\n", printable(strings.Join(v.Covered, ", ")))
	if len(v.Uncovered) > 0 {
		fmt.Fprintf(e.out, "leaves out %s\n", printable(strings.Join(v.Uncovered, ", ")))
	}
	if len(v.Unauthenticated) > 0 {
		fmt.Fprintf(e.out, "beware     %s: signed in later forms of this document, but not in this one; anybody can have written it\n",
			printable(strings.Join(v.Unauthenticated, ", ")))
	}
	return nil
}
