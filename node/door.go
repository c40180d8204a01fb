package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/safehttp"
	"github.com/aimarket/aimarket/p2p"
)

// maxDoorBody bounds an answer over a stream as safehttp bounds one over HTTP.
const maxDoorBody = 2 << 20

// door does one exchange with a hub over the transport that its URL names.
type door struct {
	out     *safehttp.Client
	host    *p2p.Host // nil: hubs known by their key alone cannot be reached
	gate    func(url string) bool
	timeout time.Duration
	nowhere bool // this hub has no address that means anything to others
}

// crawlerHeader is a hub's claim of where it is (federation notes §4). Over a stream the
// connection says who calls, and an address that was derived from the listen address
// would be listed by the other side as a hub that nobody can reach.
const crawlerHeader = "X-AIMarket-Crawler"

var errNoMesh = errors.New("this hub takes no part in the mesh and knows no other way to a hub without a public URL; start it without --no-p2p")

var errGate = errors.New("the link to this hub is cut")

// Do sends one request; any status is an answer.
func (d door) Do(ctx context.Context, method, url string, header http.Header, body []byte) (*safehttp.Response, error) {
	if d.nowhere || byKey(url) {
		header = maps.Clone(header)
		maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.EqualFold(name, crawlerHeader) })
	}
	if !byKey(url) {
		if d.gate != nil && !d.gate(url) {
			return nil, fmt.Errorf("%s %s: %w", method, url, errGate)
		}
		return d.out.Do(ctx, method, url, header, body)
	}
	if d.host == nil {
		return nil, fmt.Errorf("%s %s: %w", method, url, errNoMesh)
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range header {
		r.Header[k] = v
	}
	resp, err := d.host.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxDoorBody+1))
	if err == nil && len(raw) > maxDoorBody {
		err = fmt.Errorf("the answer is larger than %d bytes", maxDoorBody)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: reading the answer: %w", method, url, err)
	}
	return &safehttp.Response{Status: resp.StatusCode, Header: resp.Header, Body: raw}, nil
}
