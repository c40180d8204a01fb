package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/aimarket/aimarket/internal/canon"
)

// document is a body that does not change while the hub runs.
type document struct {
	body []byte
	etag string
}

func newDocument(body []byte) document {
	return document{body: body, etag: `"` + canon.Digest(body)[:32] + `"`}
}

// describe prints the OpenAPI 3.1 document from the route table.
func (s *Server) describe() (document, error) {
	named := map[string]*schema{}
	paths := map[string]map[string]any{}
	for _, rt := range s.table {
		if rt.hidden {
			continue
		}
		path := documentedPath(rt.path)
		if paths[path] == nil {
			paths[path] = map[string]any{}
		}
		paths[path][strings.ToLower(rt.method)] = rt.operation(named)
	}
	components := map[string]any{}
	for name, sc := range named {
		components[name] = sc.whole()
	}
	doc := map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title":   s.cfg.HubName,
			"version": s.cfg.Version,
			"summary": "AIMarket Protocol v2: find AI capabilities, pay per call, get signed receipts.",
			"description": "Every GET answers HEAD too, OPTIONS succeeds on any path, and a path with a trailing slash is the same path. " +
				"Every refusal is a JSON object with a string \"error\". Amounts are JSON numbers in USD with at most six decimals. " +
				"Unknown members of requests are ignored; answers may gain members. Money here: " + string(s.cfg.Mode) + ".",
			"license": map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []any{map[string]any{"url": s.cfg.HubURL}},
		"paths":   paths,
		"tags": []any{
			tag("market", "Find capabilities and their prices"), tag("call", "Call them"), tag("receipts", "Prove what happened"),
			tag("channels", "Prepaid money"), tag("supply", "List your own capability"), tag("federation", "Other hubs"),
			tag("plugins", "What extends this hub"), tag("state", "How the hub is doing"), tag("pages", "For people"),
		},
		"components": map[string]any{
			"schemas": components,
			"securitySchemes": map[string]any{
				"operator":  bearerScheme("The hub's admin token."),
				"publisher": bearerScheme("A publisher token, or the admin token."),
				"metrics":   bearerScheme("The hub's metrics token."),
			},
		},
	}
	body, err := plainJSON(doc)
	if err != nil {
		return document{}, err
	}
	return newDocument(body), nil
}

func tag(name, about string) map[string]any {
	return map[string]any{"name": name, "description": about}
}

func bearerScheme(about string) map[string]any {
	return map[string]any{"type": "http", "scheme": "bearer", "description": about}
}

// documentedPath writes the router's wildcard as a parameter.
func documentedPath(path string) string { return strings.Replace(path, "*", "{hub_url}", 1) }

// operation describes one route and collects the named schemas it uses.
func (rt *route) operation(named map[string]*schema) map[string]any {
	op := map[string]any{"operationId": rt.id, "summary": rt.summary, "tags": []string{rt.tag}}
	if rt.notes != "" {
		op["description"] = rt.notes
	}
	var params []any
	for _, p := range rt.params {
		p.schema.refs(named)
		one := map[string]any{"name": p.name, "in": p.in, "schema": p.schema}
		if p.required {
			one["required"] = true
		}
		params = append(params, one)
	}
	if params != nil {
		op["parameters"] = params
	}
	if rt.takes != nil {
		rt.takes.refs(named)
		op["requestBody"] = map[string]any{"required": true, "content": map[string]any{"application/json": map[string]any{"schema": rt.takes}}}
	}
	answers := map[string]any{}
	for _, a := range rt.answers {
		one := map[string]any{"description": a.about}
		switch a.media {
		case "-":
		case "":
			a.body.refs(named)
			one["content"] = map[string]any{"application/json": map[string]any{"schema": a.body}}
		default:
			one["content"] = map[string]any{a.media: map[string]any{"schema": map[string]any{"type": "string"}}}
		}
		if a.status == http.StatusTooManyRequests {
			one["headers"] = map[string]any{"Retry-After": map[string]any{"description": "Seconds to wait.", "schema": map[string]any{"type": "integer"}}}
		}
		answers[strconv.Itoa(a.status)] = one
	}
	op["responses"] = answers
	switch rt.access {
	case operator:
		op["security"] = []any{map[string]any{"operator": []string{}}}
	case publishers:
		op["security"] = []any{map[string]any{"publisher": []string{}}, map[string]any{}}
	case metricsReader:
		op["security"] = []any{map[string]any{"metrics": []string{}}, map[string]any{}}
	}
	return op
}

func (s *Server) openapiJSON(w http.ResponseWriter, r *http.Request, rt *route) {
	h := w.Header()
	h.Set("ETag", s.openapi.etag)
	h.Set("Cache-Control", documentCache)
	if noneMatch(r.Header.Get("If-None-Match"), s.openapi.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	send(w, http.StatusOK, s.openapi.body)
}

var _ json.Marshaler = (*schema)(nil)
