package testnet

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
)

func TestWork(t *testing.T) {
	tested := map[string]bool{}
	for _, c := range []struct{ id, input, want string }{
		{"greet@v1", `{"text":"Ada"}`, `{"greeting":"Hello Ada, this is hub-2."}`},
		{"greet@v1", `{"text":"\"\\é"}`, `{"greeting":"Hello \"\\é, this is hub-2."}`},
		{"greet@v1", `{"text":""}`, ""},
		{"greet@v1", `{"text":7}`, ""},
		{"greet@v1", `{"text":"` + strings.Repeat("a", maxText+1) + `"}`, ""},
		{"roman@v1", `{"n":1994}`, `{"roman":"MCMXCIV"}`},
		{"roman@v1", `{"n":3999}`, `{"roman":"MMMCMXCIX"}`},
		{"roman@v1", `{"n":4000}`, ""},
		{"roman@v1", `{"n":0}`, ""},
		{"roman@v1", `{"n":1.5}`, ""},
		{"roman@v1", `{}`, ""},
		{"rot13@v1", `{"text":"Hello, Zoe 7"}`, `{"text":"Uryyb, Mbr 7"}`},
		{"factors@v1", `{"n":1}`, `{"factors":"1"}`},
		{"factors@v1", `{"n":360}`, `{"factors":"2 2 2 3 3 5"}`},
		{"factors@v1", `{"n":999983}`, `{"factors":"999983"}`},
		{"factors@v1", `{"n":1000001}`, ""},
		{"acronym@v1", `{"text":"as soon  as possible 4 us"}`, `{"acronym":"ASAPU"}`},
		{"collatz@v1", `{"n":27}`, `{"steps":"111"}`},
		{"collatz@v1", `{"n":837799}`, `{"steps":"524"}`}, // the longest below a million
		{"morse@v1", `{"text":"SOS at 1"}`, `{"morse":"... --- ... / .- - /"}`},
		{"spelling@v1", `{"n":907}`, `{"words":"nine zero seven"}`},
		{"palindrome@v1", `{"text":"Was it a car or a cat I saw?"}`, `{"palindrome":"yes"}`},
		{"palindrome@v1", `{"text":"no it was not"}`, `{"palindrome":"no"}`},
		{"divisors@v1", `{"n":28}`, `{"verdict":"perfect"}`},
		{"divisors@v1", `{"n":12}`, `{"verdict":"abundant"}`},
		{"divisors@v1", `{"n":16}`, `{"verdict":"deficient"}`},
		{"divisors@v1", `{"n":1}`, `{"verdict":"deficient"}`},
		{"vowels@v1", `{"text":"Education"}`, `{"vowels":"5"}`},
		{"fizzbuzz@v1", `{"n":15}`, `{"says":"fizz buzz"}`},
		{"fizzbuzz@v1", `{"n":9}`, `{"says":"fizz"}`},
		{"fizzbuzz@v1", `{"n":10}`, `{"says":"buzz"}`},
		{"fizzbuzz@v1", `{"n":7}`, `{"says":"7"}`},
	} {
		w, ok := find(c.id)
		if !ok {
			t.Fatalf("there is no %s", c.id)
		}
		tested[c.id] = true
		in, err := canon.Parse([]byte(c.input))
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.run("hub-2", in)
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s of %s: %s, %v; want %s", c.id, c.input, got, err, c.want)
		}
	}
	for _, w := range works {
		if !tested[w.id] {
			t.Errorf("nothing tries %s", w.id)
		}
		if !json.Valid([]byte(w.input)) || !json.Valid([]byte(w.output)) {
			t.Errorf("the schemas of %s are no JSON", w.id)
		}
	}
	if len(works) < MaxOwnRows {
		t.Errorf("%d kinds of work do not make %d capabilities", len(works), MaxOwnRows)
	}
}

// bareProvider is a provider whose hubs do not run: it needs none of them.
func bareProvider(tb testing.TB) *provider {
	key, err := identity.FromSeed(make([]byte, 32))
	if err != nil {
		tb.Fatal(err)
	}
	n := &Network{cfg: Config{OwnRows: DefaultOwnRows}}
	n.hubs = []*Hub{newHub(n, 1), newHub(n, 2)}
	return &provider{net: n, key: key}
}

func (p *provider) try(path, body string) *http.Response {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hub/{number}/{id}", p.invoke)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(body)))
	return w.Result()
}

func TestProvider(t *testing.T) {
	p := bareProvider(t)
	const call = `{"product_id":"hub-2","capability_id":"roman@v1","input":{"n":12}}`
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/hub/2/roman@v1", call, 200},
		{"/hub/1/roman@v1", call, 422}, // another hub's
		{"/hub/2/rot13@v1", call, 422},
		{"/hub/3/roman@v1", call, 404},
		{"/hub/0/roman@v1", call, 404},
		{"/hub/x/roman@v1", call, 404},
		{"/hub/2/none@v1", call, 404},
		{"/hub/2/roman@v1", `{"product_id":"hub-2","capability_id":"roman@v1","input":{"n":-1}}`, 422},
		{"/hub/2/roman@v1", `{"product_id":"hub-2","capability_id":"roman@v1"}`, 422},
		{"/hub/2/roman@v1", `{`, 422},
		{"/hub/2/roman@v1", `{"input":"` + strings.Repeat("a", maxCall) + `"}`, 413},
	} {
		resp := p.try(c.path, c.body)
		raw, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status {
			t.Errorf("%s %.60s: HTTP %d %s, want %d", c.path, c.body, resp.StatusCode, raw, c.status)
		}
		signature := resp.Header.Get("X-Provider-Signature")
		if c.status != 200 {
			var refusal struct{ Detail string }
			if json.Unmarshal(raw, &refusal) != nil || refusal.Detail == "" || signature != "" {
				t.Errorf("%s: refused with %s, signed %q", c.path, raw, signature)
			}
			continue
		}
		if want := `{"success":true,"result":{"roman":"XII"}}`; string(raw) != want {
			t.Errorf("%s, want %s", raw, want)
		}
		body, _ := canon.Parse([]byte(c.body))
		answer, _ := canon.Parse(raw)
		message := canon.ProviderMessage("hub-2", "roman@v1", body.Get("input"), answer.Get("result"))
		if err := identity.VerifyBase64(p.key.Public(), message, signature); err != nil {
			t.Errorf("the answer's signature: %v", err)
		}
	}
}

func FuzzProvider(f *testing.F) {
	p := bareProvider(f)
	for _, w := range works {
		f.Add(w.id, fmt.Sprintf(`{"product_id":"hub-1","capability_id":%q,"input":{"n":3,"text":"a"}}`, w.id))
	}
	f.Add("roman@v1", `{"input":null}`)
	f.Fuzz(func(t *testing.T, id, body string) {
		if _, ok := find(id); !ok {
			return
		}
		resp := p.try("/hub/1/"+id, body)
		raw, _ := io.ReadAll(resp.Body)
		if resp.StatusCode >= 500 || !json.Valid(raw) || (resp.StatusCode == 200) != (resp.Header.Get("X-Provider-Signature") != "") {
			t.Errorf("%s %q: HTTP %d %s", id, body, resp.StatusCode, raw)
		}
	})
}

// Every hub sells the first kind of work, and together they sell every kind.
func TestOwn(t *testing.T) {
	p := bareProvider(t)
	sold := map[string]int{}
	const hubs = 12
	for number := 1; number <= hubs; number++ {
		seen := map[string]bool{}
		for _, w := range p.own(number) {
			if seen[w.id] {
				t.Errorf("hub %d sells %s twice", number, w.id)
			}
			seen[w.id] = true
			sold[w.id]++
		}
		if len(seen) != DefaultOwnRows {
			t.Errorf("hub %d sells %d things", number, len(seen))
		}
	}
	if sold[works[0].id] != hubs || len(sold) != len(works) {
		t.Errorf("sold: %v", sold)
	}
	p.net.cfg.OwnRows = MaxOwnRows
	if got := p.own(5); len(got) != MaxOwnRows {
		t.Errorf("%d capabilities, want %d", len(got), MaxOwnRows)
	}
	p.net.cfg.OwnRows = -1
	if got := p.own(5); len(got) != 0 {
		t.Errorf("%d capabilities, want none", len(got))
	}
}
