package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aimarket/aimarket/httpapi/client"
)

// What a table cut is taken for a hub only if it can be no other.
func TestWholeURL(t *testing.T) {
	const (
		one     = "libp2p://615145c7cacc1f0140f5fc5fbc9849806e670d4c714747646e070981b7f14adf"
		two     = "libp2p://0a5145c7cacc1f0140f5fc5fbc9849806e670d4c714747646e070981b7f14adf"
		like2   = "libp2p://0a5145c700000000000000000000000000000000000000000000000000004adf"
		barred  = "libp2p://ff5145c7cacc1f0140f5fc5fbc9849806e670d4c714747646e070981b7f14adf"
		long    = "https://a-hub-with-a-very-long-name.example.org:8443"
		absent  = "libp2p://12345678…9abc"
		nothing = "https://nothing.example"
	)
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		list := map[string][]client.Peer{"peers": {{URL: one}, {URL: two}, {URL: long}}, "pending": {{URL: like2}, {URL: one}}}
		if r.Header.Get("Authorization") == "Bearer hush" {
			list["rejected"] = []client.Peer{{URL: barred}}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(list)
	}))
	defer hub.Close()
	c, err := client.New(hub.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, want := range map[string]struct{ token, text, url, err string }{
		"whole":                 {"", one, one, ""},
		"whole and not known":   {"", nothing, nothing, ""},
		"a cut key":             {"", shortURL(one), one, ""},
		"a cut URL":             {"", shortURL(long), long, ""},
		"two hubs":              {"", shortURL(two), "", two + ", " + like2},
		"no hub":                {"", absent, "", "short form of no hub"},
		"rejected, for anybody": {"", shortURL(barred), "", "short form of no hub"},
		"rejected, for its own": {"hush", shortURL(barred), barred, ""},
	} {
		got, err := wholeURL(t.Context(), c, want.token, want.text)
		if got != want.url || (err == nil) != (want.err == "") || err != nil && !strings.Contains(err.Error(), want.err) {
			t.Errorf("%s: %q, %v; want %q, %q", name, got, err, want.url, want.err)
		}
	}
}
