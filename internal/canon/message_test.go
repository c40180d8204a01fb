package canon_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
)

func digest(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

// TestMessages spells out each canonical form of federation notes §8.
func TestMessages(t *testing.T) {
	const nulls = `{"category":null,"channel_id":null,"delivery_reasons":null,"plugin":null,"reason":null,"refunded":null,"trace_id":null,"type":"rejection","verify_score":null}`
	const outcome = `"audit_score":null,"delivery_fulfils":null,"delivery_reasons":["b","a"],"mode":null,"performed":true,"reason":null,"settled":null,"status":"settled","threshold":0.7,"verified":null,"verifier":null}`
	for name, c := range map[string]struct{ doc, want string }{
		"manifest": {
			`{"capabilities_count":3,"generated_at":"T","protocol_version":"v2","tools":[{"b":0.00001,"a":"<é>"}],"by_hub":{"local":{}},"base_url":"u","signature":{}}`,
			`capabilities_count:3|generated_at:T|protocol_version:v2|tools_hash:` + digest(`[{"a": "<é>", "b": 1e-05}]`) + `|by_hub_hash:` + digest(`{"local": {}}`),
		},
		"manifest of defaults": {
			`{"tools":[],"generated_at":"T"}`,
			`capabilities_count:0|generated_at:T|protocol_version:v1|tools_hash:` + digest(`[]`) + `|by_hub_hash:` + digest(`{}`),
		},
		"receipt": {
			`{"nonce":"n","product_id":"p","capability_id":"c","price_usd":0.00001,"timestamp":"t","success":true,"latency_ms":12,"signature":{"value":"x"}}`,
			`nonce:n|product_id:p|capability_id:c|price_usd:1e-05|timestamp:t|success:1|latency_ms:12`,
		},
		"receipt of defaults": {
			`{"nonce":"n","capability_id":"c","timestamp":"t","signature":{}}`,
			`nonce:n|product_id:|capability_id:c|price_usd:0|timestamp:t|success:0|latency_ms:0`,
		},
		"receipt v1 with nulls of v2": {
			`{"nonce":"n","product_id":"p","capability_id":"c","price_usd":0.0,"timestamp":"t","type":null}`,
			`nonce:n|product_id:p|capability_id:c|price_usd:0.0|timestamp:t|success:0|latency_ms:0`,
		},
		"receipt still unsigned that needs v2": {
			`{"nonce":"n","product_id":"p","capability_id":"c","price_usd":0,"timestamp":"t","success":false,"type":"rejection"}`,
			`nonce:n|product_id:p|capability_id:c|price_usd:0|timestamp:t|success:0|latency_ms:0|v:2|fields:` + digest(nulls),
		},
		"announcement": {
			`{"hub_url":"https://h","well_known_url":"https://h/w","capabilities_count":5.0,"hub_name":"x"}`,
			`hub_url:https://h|well_known_url:https://h/w|capabilities_count:5.0`,
		},
		"discovery document": {
			`{"signer_public_key":"k","manifest_url":"m","a":[1, 2.50],"signature":{"value":"x"}}`,
			`{"a":[1,2.5],"manifest_url":"m","signer_public_key":"k"}`,
		},
		"price list": {
			`{"prices":[],"generated_at":"T","currency":"USD","signature":{"value":"x"}}`,
			`{"currency":"USD","generated_at":"T","prices":[]}`,
		},
		"signed object": {`{"z":1,"signature":{},"a":2}`, `{"a":2,"z":1}`},
		"verification verdict": {
			`{"nonce":"n","capability_id":"c","verdict":"passed","verify_score":0.90,"trace_id":null,"timestamp":"t","status":"settled","performed":true,"threshold":0.7,"delivery_reasons":["b","a"]}`,
			`nonce:n|capability_id:c|verdict:passed|verify_score:0.9|trace_id:None|timestamp:t|v:2|fields:` + digest(`{`+outcome),
		},
		"verdict of nulls": {
			`{"nonce":"n","capability_id":"c","verdict":null,"verify_score":null,"timestamp":"t","status":"settled","performed":true,"threshold":0.7,"delivery_reasons":["b","a"]}`,
			`nonce:n|capability_id:c|verdict:None|verify_score:None|trace_id:|timestamp:t|v:2|fields:` + digest(`{`+outcome),
		},
		"verdict with an appeal": {
			`{"nonce":"n","capability_id":"c","verdict":"","verify_score":1,"timestamp":"t","status":"settled","performed":true,"threshold":0.7,"delivery_reasons":["b","a"],"appeal":{"by":"x","a":1.0}}`,
			`nonce:n|capability_id:c|verdict:|verify_score:1|trace_id:|timestamp:t|v:3|fields:` + digest(`{"appeal":{"a":1.0,"by":"x"},`+outcome),
		},
		"reputation event": {
			`{"type":"success","provider_hub":"https://h","timestamp":"t","price_usd":0.4,"latency_ms":8100,"capability_id":"c","consumer_hub":"https://x"}`,
			`type:success|provider_hub:https://h|timestamp:t|price_usd:0.4|latency_ms:8100`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			doc := parse(t, c.doc)
			kind, ok := canon.Identify(doc)
			if !ok || !slices.Contains(strings.Fields(name), strings.Fields(string(kind))[len(strings.Fields(string(kind)))-1]) {
				t.Fatalf("identified as %q (%v)", kind, ok)
			}
			s, err := canon.Message(kind, doc)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(s.Messages[0]); got != c.want {
				t.Errorf("\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

// TestMessagesRefused: what has no canonical text, or one shared with another
// document, is refused with its reason.
func TestMessagesRefused(t *testing.T) {
	const receipt = `{"nonce":"n","product_id":"p","capability_id":"c","timestamp":"t",`
	for name, c := range map[string]struct {
		kind        canon.DocumentKind
		doc, reason string
	}{
		"no object":            {canon.Receipt, `[1]`, "not an object"},
		"manifest array":       {canon.Manifest, `[]`, "not an object"},
		"whole array":          {canon.Discovery, `[]`, "not an object"},
		"price as text":        {canon.Receipt, receipt + `"price_usd":"0.4"}`, `string as "price_usd"`},
		"price null":           {canon.Receipt, receipt + `"price_usd":null}`, `null "price_usd"`},
		"latency as object":    {canon.Receipt, receipt + `"latency_ms":{}}`, `object as "latency_ms"`},
		"success as number":    {canon.Receipt, receipt + `"success":1}`, `number as "success"`},
		"nonce as number":      {canon.Receipt, `{"nonce":1,"product_id":"p","capability_id":"c"}`, `number as "nonce"`},
		"pipe in nonce":        {canon.Receipt, `{"nonce":"n|product_id:q","product_id":"p","capability_id":"c"}`, "pipe sign"},
		"pipe in url":          {canon.Announce, `{"hub_url":"https://h|well_known_url:x","well_known_url":"y"}`, "pipe sign"},
		"count as text":        {canon.Announce, `{"hub_url":"h","well_known_url":"w","capabilities_count":"5"}`, `string as "capabilities_count"`},
		"version null":         {canon.Receipt, receipt + `"signature":{"version":null}}`, "version null"},
		"version 0":            {canon.Receipt, receipt + `"signature":{"version":0}}`, "version 0"},
		"version text":         {canon.Receipt, receipt + `"signature":{"version":"2"}}`, `version "2"`},
		"version 2.0":          {canon.Receipt, receipt + `"signature":{"version":2.0}}`, "version 2.0"},
		"version 3":            {canon.Receipt, receipt + `"signature":{"version":3}}`, "version 3"},
		"version true":         {canon.Receipt, receipt + `"signature":{"version":true}}`, "version true"},
		"signature null":       {canon.Receipt, receipt + `"signature":null}`, "this one is null"},
		"signature text":       {canon.Receipt, receipt + `"signature":"x"}`, "this one is string"},
		"verdict score object": {canon.Verdict, `{"nonce":"n","verdict":"x","verify_score":[]}`, `array as "verify_score"`},
		"credential":           {canon.Credential, `{"credentialSubject":{},"proof":{"cryptosuite":"x"}}`, "MandateMessage"},
		"no kind":              {"", `{}`, "no signed form"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := canon.Message(c.kind, parse(t, c.doc))
			if err == nil {
				t.Fatalf("message %s", s.Messages[0])
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("%q does not say %q", err, c.reason)
			}
		})
	}
	if _, _, _, err := canon.ReceiptMessage(canon.Value{}); err == nil {
		t.Error("an absent receipt has a message")
	}
}

func TestCoverage(t *testing.T) {
	const base = `{"nonce":"n","product_id":"p","capability_id":"c","price_usd":0,"success":true,"timestamp":"t","latency_ms":1,` +
		`"type":"rejection","refunded":true,"reason":null,"zz":1,"sandbox":true,"list_price_usd":0.4,`
	for name, c := range map[string]struct {
		doc                            string
		version                        int
		uncovered, unauthenticated, in string
	}{
		"receipt v1 that needs v2": {base + `"signature":{"value":"x"}}`, 1, "list_price_usd refunded sandbox type zz", "refunded type", "nonce product_id"},
		"receipt v2":               {base + `"signature":{"version":2}}`, 2, "list_price_usd sandbox zz", "", "refunded"},
		"manifest":                 {`{"tools":[],"generated_at":"T","base_url":"u","total_capabilities":1,"signature":{"value":"x"}}`, 1, "base_url total_capabilities", "", "generated_at tools"},
		"discovery":                {`{"manifest_url":"m","signer_public_key":"k","x":null,"signature":{}}`, 1, "", "", "manifest_url signer_public_key x"},
		"announcement":             {`{"hub_url":"h","well_known_url":"w","hub_name":"n","signer_public_key":"k"}`, 1, "hub_name signer_public_key", "", "hub_url well_known_url"},
		"verdict":                  {`{"nonce":"n","capability_id":"c","verdict":"x","status":"settled","requested":true}`, 2, "requested", "", "nonce capability_id verdict"},
		"reputation":               {`{"type":"x","provider_hub":"h","timestamp":"t","consumer_hub":"h2"}`, 1, "consumer_hub", "", "type provider_hub timestamp"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := parse(t, c.doc)
			kind, ok := canon.Identify(doc)
			if !ok {
				t.Fatal("not identified")
			}
			s, err := canon.Message(kind, doc)
			if err != nil {
				t.Fatal(err)
			}
			if s.Version != c.version {
				t.Errorf("version %d, want %d", s.Version, c.version)
			}
			if got := strings.Join(s.Uncovered, " "); got != c.uncovered {
				t.Errorf("uncovered %q, want %q", got, c.uncovered)
			}
			if got := strings.Join(s.Unauthenticated, " "); got != c.unauthenticated {
				t.Errorf("unauthenticated %q, want %q", got, c.unauthenticated)
			}
			if got := strings.Join(s.Covered, " "); !strings.Contains(got, c.in) || slices.Contains(s.Covered, "signature") {
				t.Errorf("covered %q, want %q in it", got, c.in)
			}
		})
	}
}

func TestIdentifyNothing(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `null`, `"receipt"`, `{"nonce":"n"}`, `{"tools":[]}`} {
		if kind, ok := canon.Identify(parse(t, text)); ok {
			t.Errorf("%s is a %s", text, kind)
		}
	}
	if _, ok := canon.Identify(canon.Value{}); ok {
		t.Error("an absent value is a document")
	}
	if kind, ok := canon.Identify(vector(t, "provenance-receipt-signed.json")); !ok || kind != canon.Credential {
		t.Errorf("the provenance receipt is a %q", kind)
	}
}

// TestReceiptSpellings: a receipt that a client has re-encoded still matches one of
// the messages, and a changed amount matches none.
func TestReceiptSpellings(t *testing.T) {
	receipt := func(price, latency string) canon.Value {
		return parse(t, `{"nonce":"n","product_id":"p","capability_id":"c","price_usd":`+price+`,"timestamp":"t","success":true,"latency_ms":`+latency+`}`)
	}
	for _, c := range []struct {
		signedPrice, signedLatency, price, latency string
		match                                      bool
	}{
		{"0.0", "0", "0", "0", true}, {"0", "0", "0.0", "0", true}, {"1.0", "812", "1", "812.0", true}, {"5", "3.0", "5.0", "3", true},
		{"0.0", "0", "-0.0", "0", false}, {"0", "0", "-0.0", "0", true}, {"1e-05", "1", "0.00001", "1", true}, {"0.5", "1", "0.50", "1", true},
		{"1", "1", "1", "1", true}, {"1", "1", "2", "1", false}, {"0.5", "1", "0.51", "1", false}, {"10", "1", "1", "1", false},
		{"12345678901234567890", "1", "12345678901234567890", "1", true},
	} {
		signed, _, _, err := canon.ReceiptMessage(receipt(c.signedPrice, c.signedLatency))
		if err != nil {
			t.Fatal(err)
		}
		all, err := canon.ReceiptMessages(receipt(c.price, c.latency))
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.ContainsFunc(all, func(m []byte) bool { return string(m) == string(signed) }); got != c.match {
			t.Errorf("signed as %s, %s and shown as %s, %s: match %v, want %v", c.signedPrice, c.signedLatency, c.price, c.latency, got, c.match)
		}
		first, _, _, _ := canon.ReceiptMessage(receipt(c.price, c.latency))
		if string(all[0]) != string(first) || len(all) > 9 {
			t.Errorf("%d messages, the first %s", len(all), all[0])
		}
	}
	// The exact token of the document is a candidate: the protocol text asks for it.
	all, err := canon.ReceiptMessages(receipt("1.50", "1"))
	if err != nil || !slices.ContainsFunc(all, func(m []byte) bool { return strings.Contains(string(m), "price_usd:1.50|") }) {
		t.Errorf("no candidate with the token 1.50: %v", err)
	}
}

func TestProviderMessage(t *testing.T) {
	input, result := parse(t, `{"b":"<&>","a":1.50}`), parse(t, `{"y":"é","x":[0.00001]}`)
	want := `{"capability_id":"c@v1","input_sha256":"` + digest(`{"a":1.5,"b":"<&>"}`) + `","product_id":"p\"q","result":{"x":[1e-05],"y":"é"}}`
	if got := string(canon.ProviderMessage(`p"q`, "c@v1", input, result)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	tokens := `{"capability_id":"c@v1","input_sha256":"` + digest(`{"a":1.50,"b":"<&>"}`) + `","product_id":"p\"q","result":{"x":[0.00001],"y":"é"}}`
	all := canon.ProviderMessages(`p"q`, "c@v1", input, result)
	if len(all) != 2 || string(all[0]) != want || string(all[1]) != tokens {
		t.Errorf("candidates %q", all)
	}
	if all := canon.ProviderMessages("p", "c", parse(t, `{}`), parse(t, `{"a":0.5}`)); len(all) != 1 {
		t.Errorf("%d candidates where token and reprint agree", len(all))
	}
	if got := string(canon.ProviderMessage("p", "c", canon.Value{}, canon.Value{})); !strings.HasSuffix(got, `"result":null}`) || !strings.Contains(got, digest("null")) {
		t.Errorf("absent values: %s", got)
	}
}

// TestProviderMessageIsCanonical: the printed object is its own compact form.
func TestProviderMessageIsCanonical(t *testing.T) {
	msg := canon.ProviderMessage("p", "c", parse(t, `{"x":1}`), parse(t, `{"b":[1,2],"a":"\u0001"}`))
	if got := string(parse(t, string(msg)).AppendCompact(nil)); got != string(msg) {
		t.Errorf("%s reprints as %s", msg, got)
	}
}

func TestDigest(t *testing.T) {
	if got := canon.Digest(nil); got != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" {
		t.Error(got)
	}
	if got := canon.Digest([]byte("hello")); got != digest("hello") {
		t.Error(got)
	}
}
