package node

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aimarket/aimarket/internal/safehttp"
)

// A hub that was given no address must not claim one: others would list
// http://localhost:9083 as a hub that waits to be admitted.
func TestDoorClaimsOnlyAChosenAddress(t *testing.T) {
	var claimed []string
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		claimed = r.Header.Values(crawlerHeader)
	}))
	defer server.Close()
	out := safehttp.New(safehttp.Options{AllowLocal: true})
	defer out.Close()
	for _, tt := range []struct {
		nowhere bool
		want    int
	}{{true, 0}, {false, 1}} {
		header := http.Header{crawlerHeader: {"http://localhost:9083"}} // spelled as the crawler does
		d := door{out: out, timeout: time.Second, nowhere: tt.nowhere}
		if _, err := d.Do(t.Context(), http.MethodGet, server.URL, header, nil); err != nil {
			t.Fatal(err)
		}
		if len(claimed) != tt.want {
			t.Errorf("nowhere %v: the request claims %q", tt.nowhere, claimed)
		}
		if len(header[crawlerHeader]) != 1 {
			t.Error("the caller's header was changed")
		}
	}
}
