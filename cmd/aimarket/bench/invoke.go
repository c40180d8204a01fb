package bench

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/go-chi/chi/v5"
)

const clients = 64

// echoCall is the paid call: a capability of 0.001 USD that runs in process.
const echoCall = `{"product_id":"aimarket.text","capability_id":"echo@v1","input":{"text":"The quick brown fox jumps over the lazy dog."}}`

func invokePaid(ctx context.Context, o Options) (_ []Result, err error) {
	n, stop, err := startHub(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	channels, err := openChannels(ctx, "http://"+n.Addr().String(), clients)
	if err != nil {
		return nil, err
	}
	var paid [][]byte
	for _, ch := range channels {
		paid = append(paid, post("/ai-market/v2/invoke",
			map[string]string{"X-Payment-Channel": ch.ID, "X-Payment-Channel-Secret": ch.Secret}, echoCall))
	}
	// What one call writes to the log decides what the floor writes.
	before := n.LogBytes()
	warm, err := load(ctx, n.Addr().String(), paid, o.Round/4)
	if err != nil {
		return nil, err
	}
	bytesPerCall := int(n.LogBytes()-before) / max(len(warm.took), 1)

	floor, err := newFloor(o, bytesPerCall)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, floor.close()) }()
	var bare [][]byte
	for range clients {
		bare = append(bare, post("/invoke", nil, echoCall))
	}
	var rate, floorRate, p99, floorP99 []float64
	for i := range o.Rounds {
		o.Say(fmt.Sprintf("invoke_paid round %d of %d", i+1, o.Rounds))
		f, err := load(ctx, floor.addr, bare, o.Round)
		if err != nil {
			return nil, err
		}
		v, err := load(ctx, n.Addr().String(), paid, o.Round)
		if err != nil {
			return nil, err
		}
		rate, floorRate = append(rate, v.perSecond), append(floorRate, f.perSecond)
		p99, floorP99 = append(p99, ms(quantile(v.took, .99))), append(floorP99, ms(quantile(f.took, .99)))
	}
	note := fmt.Sprintf("floor: chi echo + Ed25519 signature + synced Pebble commit of %d bytes", bytesPerCall)
	return []Result{
		atLeast("invoke_paid", median(rate), median(floorRate), "calls/s", 0.6, note),
		atMost("invoke_paid_p99", median(p99), median(floorP99), "ms", 2, note),
	}, nil
}

// floor is the plainest server that does what a paid call cannot do without.
type floor struct {
	addr   string
	server *http.Server
	db     *pebble.DB
	dir    string
}

func newFloor(o Options, commitBytes int) (*floor, error) {
	dir, err := os.MkdirTemp(o.Dir, "floor-")
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: quiet{}})
	if err != nil {
		return nil, err
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	var seq atomic.Uint64
	r := chi.NewRouter()
	r.Post("/invoke", func(w http.ResponseWriter, req *http.Request) {
		var in struct {
			ProductID    string `json:"product_id"`
			CapabilityID string `json:"capability_id"`
			Input        any    `json:"input"`
		}
		if err := json.NewDecoder(req.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		message := fmt.Sprintf("nonce:%d|product_id:%s|capability_id:%s|price_usd:0.001", seq.Add(1), in.ProductID, in.CapabilityID)
		sig := ed25519.Sign(key, []byte(message))
		value := make([]byte, max(commitBytes-16, 1))
		copy(value, message)
		if err := db.Set(fmt.Appendf(nil, "%016x", seq.Load()), value, pebble.Sync); err != nil {
			http.Error(w, err.Error(), 500)
			return
		}
		body, _ := json.Marshal(map[string]any{"result": in.Input, "signature": base64.StdEncoding.EncodeToString(sig)})
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	f := &floor{addr: ln.Addr().String(), server: &http.Server{Handler: r}, db: db, dir: dir}
	go func() { _ = f.server.Serve(ln) }()
	return f, nil
}

func (f *floor) close() error {
	return errors.Join(f.server.Close(), f.db.Close(), os.RemoveAll(f.dir))
}

// quiet keeps Pebble's chatter out of the figures.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// provider is a plain HTTP service that answers at once.
func provider() (addr string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	answer := []byte(`{"success":true,"result":{"text":"The quick brown fox jumps over the lazy dog."}}`)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(answer)
	}), ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(ln) }()
	return ln.Addr().String(), func() { s.Close() }, nil
}
