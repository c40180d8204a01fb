package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/aimarket/aimarket/httpapi/client"
)

// hub returns a client of the hub that --server names.
func (e *env) hub() (*client.Client, error) { return e.hubAt("") }

// hubAt returns a client of the hub at url, or, if that is empty, of the one that
// --server names.
func (e *env) hubAt(url string) (*client.Client, error) {
	if url == "" {
		url = e.server
	}
	c, err := client.New(url, client.Options{})
	if err != nil {
		return nil, unreadable(err)
	}
	return c, nil
}

// printRaw prints a JSON document as sent, with a final newline: signatures
// cover bytes, so nothing is re-encoded.
func (e *env) printRaw(raw []byte) error {
	_, err := fmt.Fprintf(e.out, "%s\n", bytes.TrimRight(raw, "\n"))
	return err
}

// printJSON prints a value of our own.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.out)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table prints rows under a heading, columns aligned.
func (e *env) table(heading string, rows [][]string) error {
	w := tabwriter.NewWriter(e.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ReplaceAll(heading, " ", "\t"))
	for _, r := range rows {
		for i, cell := range r {
			r[i] = printable(cell)
		}
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}

// printable keeps a stranger's text from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
}

// harmless is the same JSON for a terminal: what could steer it is escaped.
func harmless(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for _, r := range string(raw) {
		switch {
		case r == '\r': // white space between values; strings have it escaped
			out = append(out, ' ')
		case r > 0x7e && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)):
			for _, u := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, "\\u%04x", u)
			}
		default:
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}

// amount is a number on the command line, sent as it was written.
type amount string

// UnmarshalText refuses what is no JSON number.
func (a *amount) UnmarshalText(text []byte) error {
	var n json.Number
	if err := json.Unmarshal(text, &n); err != nil || len(text) == 0 || text[0] == '"' || string(text) != n.String() {
		return fmt.Errorf("%q is no number such as 0.05", text)
	}
	*a = amount(text)
	return nil
}

// clip shortens text for a table.
func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// readInput reads a file, or standard input for "-".
func (e *env) readInput(path string, limit int64) ([]byte, error) {
	f := e.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		f = file
	}
	return readLimited(f, limit)
}
