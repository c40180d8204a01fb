package httpapi

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what the hub answers now into testdata/*.txtar")

// TestConversations plays testdata/*.txtar: pairs of files, "N name request" and
// "N name response". What differs from run to run (ids, secrets, signatures,
// times taken) is named in the order of its first appearance: $CH1, $SECRET1, …,
// and a request may use what an earlier answer named.
func TestConversations(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no conversations in testdata: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) { converse(t, script) })
	}
}

func converse(t *testing.T, script string) {
	archive, err := txtar.ParseFile(script)
	if err != nil {
		t.Fatal(err)
	}
	var options []func(*setup)
	if bytes.Contains(archive.Comment, []byte("hub: money off")) {
		options = append(options, moneyOff)
	}
	h := newHub(t, options...)
	n := names{known: map[string]string{}, count: map[string]int{}}
	for i := 0; i+1 < len(archive.Files); i += 2 {
		ask, answer := archive.Files[i], &archive.Files[i+1]
		if !strings.HasSuffix(ask.Name, "request") || !strings.HasSuffix(answer.Name, "response") {
			t.Fatalf("%s: %q is not followed by its response", script, ask.Name)
		}
		head, body, _ := strings.Cut(n.expand(string(ask.Data)), "\n\n")
		lines := strings.Split(strings.TrimSpace(head), "\n")
		method, target, ok := strings.Cut(lines[0], " ")
		if !ok {
			t.Fatalf("%s: %q is no request line", script, lines[0])
		}
		r := h.do(method, target, strings.TrimSpace(body), lines[1:]...)
		got := n.replace(transcript(r))
		if *update {
			answer.Data = []byte(got)
			continue
		}
		if diff := cmp.Diff(string(answer.Data), got); diff != "" {
			t.Errorf("%s: (-script +hub)\n%s", ask.Name, diff)
		}
	}
	if *update {
		if err := os.WriteFile(script, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// transcript is an answer as the scripts show it: status, the headers that carry
// meaning, and the body.
func transcript(r *response) string {
	b := fmt.Sprintf("%d %s\n", r.status, http.StatusText(r.status))
	var shown []string
	for _, k := range []string{"Content-Type", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Www-Authenticate", "Allow", "Idempotent-Replayed", "Access-Control-Allow-Origin"} {
		for _, v := range r.header.Values(k) {
			shown = append(shown, k+": "+v)
		}
	}
	sort.Strings(shown)
	b += strings.Join(shown, "\n") + "\n"
	if len(r.body) > 0 {
		b += "\n" + string(r.body) + "\n"
	}
	return b
}

// names gives stable names to what differs between runs.
type names struct {
	known map[string]string // value → name
	count map[string]int
}

var varying = []struct {
	name string
	in   *regexp.Regexp
}{
	{"CH", regexp.MustCompile(`(ch_[0-9a-f]{16})`)},
	{"SECRET", regexp.MustCompile(`"channel_secret":"([^"]+)"`)},
	{"BLOCKED", regexp.MustCompile(`(blocked_[0-9]+_[0-9a-z-]*_[0-9a-f]{16})`)},
	{"RCPT", regexp.MustCompile(`(rcpt_[0-9a-f]{32})`)},
	{"SIG", regexp.MustCompile(`"value":"([A-Za-z0-9+/]{86}==)"`)},
	{"MS", regexp.MustCompile(`"(?:latency_ms|p50_latency_ms_24h|p95_latency_ms_24h)":([0-9]+)`)},
	{"MS", regexp.MustCompile(`"avg_latency_ms":([0-9.]+)`)},
}

func (n *names) replace(s string) string {
	for _, v := range varying {
		s = v.in.ReplaceAllStringFunc(s, func(hit string) string {
			at := v.in.FindStringSubmatchIndex(hit)
			value := hit[at[2]:at[3]]
			if v.name == "MS" {
				return hit[:at[2]] + "$MS" + hit[at[3]:]
			}
			name := n.known[value]
			if name == "" {
				n.count[v.name]++
				name = fmt.Sprintf("$%s%d", v.name, n.count[v.name])
				n.known[value] = name
			}
			return hit[:at[2]] + name + hit[at[3]:]
		})
	}
	return s
}

// expand puts the values of earlier answers into a request, longest name first.
func (n *names) expand(s string) string {
	type pair struct{ value, name string }
	var all []pair
	for v, name := range n.known {
		all = append(all, pair{v, name})
	}
	sort.Slice(all, func(i, j int) bool { return len(all[i].name) > len(all[j].name) })
	for _, p := range all {
		s = strings.ReplaceAll(s, p.name, p.value)
	}
	return s
}
