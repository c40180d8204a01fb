package testnet

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/internal/identity"
	"github.com/aimarket/aimarket/node"
)

// What each hub sells of its own: greet, and further work in turns, so that a search
// finds the same thing at several hubs and every hub has something that its
// neighbours lack.
const (
	DefaultOwnRows = 3
	MaxOwnRows     = 12

	stake        = 10_000_000 // micro-USD, what a hub asks of a publisher
	maxCall      = 1 << 20    // bytes, the protocol's bound for a provider
	headerWait   = 10 * time.Second
	basePrice    = 1000 // micro-USD of the cheapest capability
	priceStep    = 100  // further micro-USD for each hub: offers differ in price
	providerName = "testnet"
)

// provider answers the calls for every hub's own capabilities and signs what it answers.
type provider struct {
	net    *Network
	key    *identity.Key
	addr   string
	server *http.Server
	done   chan error
}

func startProvider(n *Network) (*provider, error) {
	seed := make([]byte, 32)
	if _, err := rand.Read(seed); err != nil {
		return nil, fmt.Errorf("testnet: making the provider's key: %w", err)
	}
	key, err := identity.FromSeed(seed)
	if err != nil {
		return nil, fmt.Errorf("testnet: %w", err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("testnet: listening for the provider: %w", err)
	}
	p := &provider{net: n, key: key, addr: ln.Addr().String(), done: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /hub/{number}/{id}", p.invoke)
	p.server = &http.Server{Handler: mux, ReadHeaderTimeout: headerWait}
	go func() { p.done <- p.server.Serve(ln) }()
	return p, nil
}

func (p *provider) close() error {
	err := p.server.Close()
	if served := <-p.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	p.done <- http.ErrServerClosed // for who closes again
	return err
}

// own lists the kinds of work that a hub sells.
func (p *provider) own(number int) []work {
	if p.net.cfg.OwnRows < 1 {
		return nil
	}
	list := []work{works[0]}
	rest := works[1:]
	each := p.net.cfg.OwnRows - 1
	for i := range each {
		list = append(list, rest[((number-1)*each+i)%len(rest)])
	}
	return list
}

// list publishes them as any publisher would: with a stake and through every gate.
func (p *provider) list(ctx context.Context, h *Hub, n *node.Node) error {
	for _, w := range p.own(h.number) {
		price := int64(basePrice + priceStep*h.number)
		r := catalog.Registration{Publisher: providerName, Capability: catalog.Capability{
			Key:  catalog.Key{ProductID: h.name, CapabilityID: w.id, SourceHub: catalog.Local},
			Name: w.name, Version: "v1", Description: w.does + " Sold by " + h.name + ".",
			InputSchema: []byte(w.input), OutputSchema: []byte(w.output),
			PriceMicros: price, RoutedMicros: price, P50LatencyMS: 1, SuccessRate30d: 1,
			InvokeURL:   fmt.Sprintf("http://%s/hub/%d/%s", p.addr, h.number, w.id),
			ProviderKey: p.key.PublicBase64(),
		}}
		_, err := n.Catalog().Register(ctx, r)
		if gate := (*catalog.GateError)(nil); errors.As(err, &gate) && gate.Gate == catalog.GateStake {
			if _, err = n.Catalog().Stake(ctx, catalog.StakeRequest{PublisherID: providerName, AmountMicros: stake}); err == nil {
				_, err = n.Catalog().Register(ctx, r)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// invoke is the protocol's contract of a provider: {"input", "product_id",
// "capability_id"} in, {"success": true, "result": {…}} and its signature out.
func (p *provider) invoke(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.Atoi(r.PathValue("number"))
	h := p.net.Hub(number)
	job, ok := find(r.PathValue("id"))
	if h == nil || !ok {
		refuse(w, http.StatusNotFound, "nothing is sold at this address")
		return
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCall))
	if err != nil {
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes or ended early", maxCall))
		return
	}
	body, err := canon.Parse(raw)
	input := body.Get("input")
	if err != nil || input.Kind() != canon.Object || body.Get("product_id").Str() != h.name || body.Get("capability_id").Str() != job.id {
		refuse(w, http.StatusUnprocessableEntity, `the body must be an object with this address's "product_id" and "capability_id" and an object "input"`)
		return
	}
	result, err := job.run(h.name, input)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, err.Error())
		return
	}
	v, err := canon.Parse(result)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the answer could not be signed")
		return
	}
	if !h.wait(r) {
		return
	}
	answer := append(append([]byte(`{"success":true,"result":`), result...), '}')
	w.Header().Set("X-Provider-Signature", p.key.SignBase64(canon.ProviderMessage(h.name, job.id, input, v)))
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer)
}

// refuse answers with the shape that hubs expect of a provider.
func refuse(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(canon.AppendString([]byte(`{"detail":`), detail), '}', '\n'))
}
