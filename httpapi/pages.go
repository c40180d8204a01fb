package httpapi

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"strings"

	"github.com/aimarket/aimarket/ledger"
)

// Each page is one answer with its style and script inside, so that it works from
// any base path and needs nothing from anywhere else. What a page shows of the
// market it asks the API for, like every other client.

//go:embed pages/*.html pages/*.css pages/*.js
var pageFiles embed.FS

// page is one finished page and the policy that lets only its own script and
// style run.
type page struct {
	body []byte
	csp  []string
}

// pageList names each page's files and its path, by which its script finds the
// hub's base path.
var pageList = []struct{ name, path, title string }{
	{"home", "/", ""},
	{"live", "/live", "Live calls"},
	{"mesh", "/mesh", "Mesh"},
	{"developers", "/developers", "For developers"},
	{"plugins", "/plugins/demo", "Plugins"},
	{"widget", "/widget/demo", "Try it"},
	{"docs", "/docs", "API"},
	{"404", "", "Not found"},
}

func buildPages(s *Server) (map[string]page, error) {
	read := func(name string) (string, error) {
		b, err := pageFiles.ReadFile("pages/" + name)
		return string(b), err
	}
	layout, err := read("layout.html")
	if err != nil {
		return nil, err
	}
	css, err := read("base.css")
	if err != nil {
		return nil, err
	}
	js, err := read("base.js")
	if err != nil {
		return nil, err
	}
	out := map[string]page{}
	for _, p := range pageList {
		body, err := read(p.name + ".html")
		if err != nil {
			return nil, err
		}
		script := js
		if own, err := read(p.name + ".js"); err == nil { // the 404 page has none
			script += "\n" + own
		}
		title := s.cfg.HubName
		if p.title != "" {
			title = p.title + " · " + title
		}
		text := strings.NewReplacer(
			"{{title}}", html.EscapeString(title),
			"{{path}}", p.path,
			"{{style}}", css,
			"{{script}}", script,
			"{{body}}", s.fill(body),
			"{{notice}}", s.moneyNotice(),
			"{{name}}", html.EscapeString(s.cfg.HubName),
			"{{version}}", html.EscapeString(s.cfg.Version),
		).Replace(layout)
		out[p.name] = page{
			body: []byte(text),
			csp: []string{"default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src " + hashOf(css) +
				"; script-src " + hashOf(script) + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
		}
	}
	return out, nil
}

// fill puts what is known of the hub into a page's body.
func (s *Server) fill(body string) string {
	return strings.NewReplacer(
		"{{name}}", html.EscapeString(s.cfg.HubName),
		"{{url}}", html.EscapeString(s.cfg.HubURL),
		"{{key}}", html.EscapeString(s.key),
		"{{version}}", html.EscapeString(s.cfg.Version),
		"{{money}}", html.EscapeString(string(s.cfg.Mode)),
	).Replace(body)
}

// moneyNotice says on every page what the money here is worth.
func (s *Server) moneyNotice() string {
	if s.cfg.Mode == ledger.Demo {
		return `<p class="notice" role="note"><strong>Demo money.</strong> Deposits are credited from nothing, are worth nothing and are never paid out. Do not send anything to this hub.</p>`
	}
	return `<p class="notice calm" role="note"><strong>Free hub.</strong> Every call is free here; there are no channels and no money.</p>`
}

// hashOf is the source expression that admits exactly this inline text.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("'sha256-%s'", base64.StdEncoding.EncodeToString(sum[:]))
}

var frameDeny = []string{"DENY"}

func (s *Server) sendPage(w http.ResponseWriter, name string, status int) {
	p := s.pages[name]
	h := w.Header()
	h["Content-Security-Policy"] = p.csp
	h["X-Frame-Options"] = frameDeny
	h["Content-Type"] = htmlType
	h.Set("Cache-Control", documentCache)
	h.Set("Content-Length", fmt.Sprint(len(p.body)))
	w.WriteHeader(status)
	_, _ = w.Write(p.body)
}
