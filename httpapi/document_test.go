package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// documentChecker holds every answer that any test gets against the OpenAPI
// document: the status must be documented, the content type the documented one,
// and a JSON body must fit the documented schema.
type documentChecker struct {
	operations []*documented
	compiler   *jsonschema.Compiler
	mu         sync.Mutex
	compiled   map[string]*jsonschema.Schema
	seen       map[string]bool // "GET /path 200"
}

type documented struct {
	method, path string
	matches      *regexp.Regexp
	responses    map[string]map[string]any
}

// documentOf decodes a server's own OpenAPI document.
func documentOf(t testing.TB, s *Server) map[string]any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.openapi.body))
	if err != nil {
		t.Fatal(err)
	}
	return v.(map[string]any)
}

func newDocumentChecker(t testing.TB, s *Server) *documentChecker {
	t.Helper()
	doc := documentOf(t, s)
	c := &documentChecker{compiler: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}, seen: map[string]bool{}}
	if err := c.compiler.AddResource("mem:///openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	for path, verbs := range doc["paths"].(map[string]any) {
		for verb, op := range verbs.(map[string]any) {
			d := &documented{method: strings.ToUpper(verb), path: path, responses: map[string]map[string]any{}}
			pattern := regexp.QuoteMeta(path)
			pattern = strings.ReplaceAll(pattern, `\{hub_url\}`, `.*`)
			pattern = regexp.MustCompile(`\\\{[a-z_]+\\\}`).ReplaceAllString(pattern, `[^/]+`)
			d.matches = regexp.MustCompile("^" + pattern + "/?$")
			for status, a := range op.(map[string]any)["responses"].(map[string]any) {
				d.responses[status] = a.(map[string]any)
			}
			c.operations = append(c.operations, d)
		}
	}
	return c
}

// find prefers a literal path to one with parameters, as the router does.
func (c *documentChecker) find(method, path string) *documented {
	var best *documented
	for _, d := range c.operations {
		if d.method == method && d.matches.MatchString(path) && (best == nil || strings.Count(d.path, "{") < strings.Count(best.path, "{")) {
			best = d
		}
	}
	return best
}

func (c *documentChecker) check(t testing.TB, method, path string, r *response) {
	t.Helper()
	d := c.find(method, path)
	if d == nil || r.status == http.StatusMethodNotAllowed || r.status == http.StatusNoContent && method == http.MethodOptions {
		return
	}
	status := fmt.Sprint(r.status)
	a, ok := d.responses[status]
	if !ok {
		t.Errorf("%s %s answered %s, which its OpenAPI entry does not have\n%s", method, d.path, status, r.body)
		return
	}
	c.mu.Lock()
	c.seen[method+" "+d.path+" "+status] = true
	c.mu.Unlock()
	content, _ := a["content"].(map[string]any)
	got, _, _ := strings.Cut(r.header.Get("Content-Type"), ";")
	if content == nil {
		if len(r.body) > 0 {
			t.Errorf("%s %s %s has a body, its OpenAPI entry has none", method, d.path, status)
		}
		return
	}
	if _, ok := content[got]; !ok {
		t.Errorf("%s %s %s is %q, its OpenAPI entry says %v", method, d.path, status, got, content)
		return
	}
	if got != "application/json" {
		return
	}
	at := "mem:///openapi.json#/paths/" + pointer(d.path) + "/" + strings.ToLower(method) + "/responses/" + status + "/content/application~1json/schema"
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.body))
	if err != nil {
		t.Errorf("%s %s %s: %v", method, d.path, status, err)
		return
	}
	if err := c.schema(t, at).Validate(v); err != nil {
		t.Errorf("%s %s %s does not fit its documented schema: %v\n%s", method, d.path, status, err, r.body)
	}
}

func (c *documentChecker) schema(t testing.TB, at string) *jsonschema.Schema {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.compiled[at]; s != nil {
		return s
	}
	s, err := c.compiler.Compile(at)
	if err != nil {
		t.Fatalf("%s: %v", at, err)
	}
	c.compiled[at] = s
	return s
}

// pointer escapes a path for a JSON pointer inside a URL fragment.
func pointer(path string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(path)
}

func TestDocumentDescribesEveryRoute(t *testing.T) {
	h := newHub(t)
	r := h.get("/openapi.json").want(http.StatusOK)
	if got := r.str("openapi"); !strings.HasPrefix(got, "3.1") {
		t.Errorf("openapi version %q", got)
	}
	ids := map[string]bool{}
	for _, rt := range h.table {
		if ids[rt.id] {
			t.Errorf("operation id %q is used twice", rt.id)
		}
		ids[rt.id] = true
		if rt.hidden {
			continue
		}
		op := r.value.Get("paths").Get(documentedPath(rt.path)).Get(strings.ToLower(rt.method))
		if op.Get("operationId").Str() != rt.id {
			t.Errorf("%s %s is not in the document", rt.method, rt.path)
		}
		if op.Get("summary").Str() == "" || op.Get("responses").Len() == 0 {
			t.Errorf("%s %s has no summary or no responses", rt.method, rt.path)
		}
		for _, part := range regexp.MustCompile(`\{([a-z_]+)\}`).FindAllStringSubmatch(documentedPath(rt.path), -1) {
			found := false
			for _, p := range rt.params {
				found = found || p.in == "path" && p.name == part[1] && p.required
			}
			if !found {
				t.Errorf("%s %s does not describe its path parameter %s", rt.method, rt.path, part[1])
			}
		}
	}
	r.header.Get("ETag")
	h.get("/openapi.json", "If-None-Match: "+r.header.Get("ETag")).want(http.StatusNotModified)
}

// Every schema in the document must itself be a valid JSON Schema.
func TestDocumentSchemasCompile(t *testing.T) {
	h := newHub(t)
	for name := range documentOf(t, h.Server)["components"].(map[string]any)["schemas"].(map[string]any) {
		h.doc.schema(t, "mem:///openapi.json#/components/schemas/"+name)
	}
	if _, err := json.Marshal(h.table[0].answers); err == nil && len(h.doc.compiled) < 15 {
		t.Errorf("only %d schemas are named", len(h.doc.compiled))
	}
}
