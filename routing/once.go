package routing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aimarket/aimarket/ledger"
)

// maxRequestID bounds a caller's request id in bytes.
const maxRequestID = 256

var errHalfWay = errors.New("routing: the call stopped half-way")

// flights are the calls with a request id that are under way in this process.
type flights struct {
	mu      sync.Mutex
	byScope map[string]*flight
}

// flight is one of them. The outcome may be read once done is closed.
type flight struct {
	print   [sha256.Size]byte
	done    chan struct{}
	answer  Answer
	refusal *Refusal
}

// once runs a call with a request id: an equal request gets the first answer
// again, one that comes while the first is under way waits for it, and a
// different request under the same id is refused.
func (r *Router) once(ctx context.Context, x *call) (Answer, *Refusal) {
	if len(x.RequestID) > maxRequestID {
		return Answer{}, refuse(RequestMismatch, "the Idempotency-Key is longer than %d bytes; nothing was billed; use a shorter one", maxRequestID)
	}
	known, refusal := x.identify()
	if refusal != nil {
		return Answer{}, refusal
	}
	if !known {
		// Whoever cannot prove the channel must neither read its answers nor wait for
		// them; the hold will refuse this call with the contract's words.
		return x.run(ctx)
	}
	f, first := r.flights.join(x.scope, x.print)
	if !first {
		return r.await(ctx, f, x)
	}
	defer r.flights.land(x.scope, f)
	// Asked only now that no other equal call can start: an answer stored a moment
	// ago is found here.
	f.answer, f.refusal = x.repeat()
	if f.refusal == nil && f.answer.Body == nil {
		f.refusal = asRefusal(errHalfWay) // what the waiters see if run panics
		f.answer, f.refusal = x.run(ctx)
	}
	return f.answer, f.refusal
}

// repeat returns the stored answer of an earlier equal request, or no body.
func (x *call) repeat() (Answer, *Refusal) {
	ctx, cancel := x.settling()
	defer cancel()
	body, found, err := x.r.c.Ledger.Answered(ctx, x.scope, x.print)
	switch {
	case errors.Is(err, ledger.ErrRequestMismatch):
		return Answer{}, requestMismatch(err)
	case err != nil:
		return Answer{}, asRefusal(err)
	case found:
		return Answer{Body: body, Replayed: true}, nil
	}
	return Answer{}, nil
}

func (f *flights) join(scope string, print [sha256.Size]byte) (fl *flight, first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.byScope[scope]; fl != nil {
		return fl, false
	}
	if f.byScope == nil {
		f.byScope = map[string]*flight{}
	}
	fl = &flight{print: print, done: make(chan struct{})}
	f.byScope[scope] = fl
	return fl, true
}

func (f *flights) land(scope string, fl *flight) {
	f.mu.Lock()
	delete(f.byScope, scope)
	f.mu.Unlock()
	close(fl.done)
}

// await waits for the first of two equal requests and shares its outcome.
func (r *Router) await(ctx context.Context, f *flight, x *call) (Answer, *Refusal) {
	if f.print != x.print {
		return Answer{}, requestMismatch(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, r.waitLimit())
	defer cancel()
	select {
	case <-f.done:
	case <-ctx.Done():
		return Answer{}, refuse(Internal, "an equal request is still under way; nothing was billed for this one; send it again with the same Idempotency-Key").
			because(ctx.Err()).retryIn(time.Second)
	}
	if f.refusal != nil {
		shared := *f.refusal
		return Answer{}, &shared
	}
	return Answer{Body: f.answer.Body, Nonce: f.answer.Nonce, Replayed: true}, nil
}

// identify binds the request id to who sent it and takes the request's
// fingerprint. known is false if a channel was named without its secret.
func (x *call) identify() (known bool, refusal *Refusal) {
	kind, who := "address", x.ClientKey
	switch {
	case x.ChannelID != "":
		ctx, cancel := x.settling()
		defer cancel()
		_, err := x.r.c.Ledger.Authorize(ctx, x.ChannelID, x.Secret)
		var e *ledger.Error
		if errors.As(err, &e) && e.Kind != ledger.KindStorage && e.Kind != ledger.KindCorrupt {
			return false, nil
		}
		if err != nil {
			return false, asRefusal(err)
		}
		kind, who = "channel", x.ChannelID
	case len(x.Credentials) > 0:
		kind, who = "credentials", credentialsDigest(x.Credentials)
	case x.Visitor != "":
		kind, who = "visitor", x.Visitor
	}
	x.scope = ledger.RequestScope(kind, who, x.RequestID)
	x.print = x.fingerprint()
	return true, nil
}

// fingerprint tells equal requests from different ones by what the buyer asked,
// not by how the JSON was spaced.
func (x *call) fingerprint() [sha256.Size]byte {
	h := sha256.New()
	hashPart(h, []byte(x.ProductID))
	hashPart(h, []byte(x.CapabilityID))
	hashPart(h, []byte(x.SourceHub))
	hashPart(h, x.Input.AppendCompact(nil))
	limit := int64(-1)
	if x.HasMaxPrice {
		limit = int64(x.MaxPrice)
	}
	hashPart(h, binary.BigEndian.AppendUint64(nil, uint64(limit)))
	var verify []byte
	if x.Verify.Len() > 0 {
		verify = x.Verify.AppendCompact(nil)
	}
	hashPart(h, verify)
	return [sha256.Size]byte(h.Sum(nil))
}

func credentialsDigest(c map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(c)) {
		hashPart(h, []byte(strings.ToLower(name)))
		hashPart(h, []byte(c[name]))
	}
	return string(h.Sum(nil))
}

// hashPart feeds b with its length, so that neighbours cannot run together.
func hashPart(h hash.Hash, b []byte) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(b)))
	h.Write(n[:])
	h.Write(b)
}

// requestMismatch refuses a request id that came back with another request.
func requestMismatch(err error) *Refusal {
	return refuse(RequestMismatch, "this Idempotency-Key was already used for a different request; nothing was billed; use a new key for a new request").because(err)
}

// waitLimit bounds how long an equal request waits for the first one.
func (r *Router) waitLimit() time.Duration { return r.c.RequestTimeout + settleTimeout }
