package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"github.com/aimarket/aimarket/httpapi/client"
)

func invokeProxy(ctx context.Context, o Options) (_ []Result, err error) {
	addr, stopProvider, err := provider()
	if err != nil {
		return nil, err
	}
	defer stopProvider()

	n, stop, err := startHub(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	c, err := client.New("http://"+n.Addr().String(), client.Options{})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if _, err := c.Stake(ctx, "", "bench", "10"); err != nil {
		return nil, err
	}
	if _, err := c.Publish(ctx, "", fmt.Appendf(nil, `{"product_id":"bench","capability_id":"free@v1","name":"free",
		"description":"answers at once","invoke_url":"http://%s/invoke","price_per_call_usd":0,"publisher_id":"bench"}`, addr)); err != nil {
		return nil, err
	}

	target, _ := url.Parse("http://" + addr)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	proxy := &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}, ReadHeaderTimeout: time.Minute}
	go func() { _ = proxy.Serve(ln) }()
	defer proxy.Close()

	const body = `{"product_id":"bench","capability_id":"free@v1","input":{"text":"The quick brown fox jumps over the lazy dog."}}`
	request := [][]byte{post("/invoke", nil, body)}
	call := [][]byte{post("/ai-market/v2/invoke", nil, body)}
	var hubAdds, proxyAdds []float64
	for i := range o.Rounds {
		o.Say(fmt.Sprintf("invoke_proxy round %d of %d", i+1, o.Rounds))
		direct, err := load(ctx, addr, request, o.Round/3)
		if err != nil {
			return nil, err
		}
		proxied, err := load(ctx, ln.Addr().String(), request, o.Round/3)
		if err != nil {
			return nil, err
		}
		hub, err := load(ctx, n.Addr().String(), call, o.Round/3)
		if err != nil {
			return nil, err
		}
		base := quantile(direct.took, .5)
		proxyAdds = append(proxyAdds, us(quantile(proxied.took, .5)-base))
		hubAdds = append(hubAdds, us(quantile(hub.took, .5)-base))
	}
	return []Result{atMost("invoke_proxy", median(hubAdds), median(proxyAdds), "µs", 2,
		"latency added to a direct call, p50; floor: a bare httputil.ReverseProxy")}, nil
}
