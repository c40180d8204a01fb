package httpapi

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/aimarket/aimarket/internal/limit"
)

// Every request passes these steps, in this order:
//
//	1. measure   status, size and time are recorded, whatever happens below
//	2. recover   a panic becomes a 500 with a JSON body, is logged and counted
//	3. identify  the request gets an id, the client's own if it is usable
//	4. CORS      every answer may be read by any page; OPTIONS ends here with 204
//	5. security  headers that keep browsers from guessing
//	6. route     the chi router: 404 and 405 come from there
//
// They live in one function because each of them as a middleware of its own would
// cost every paid call an allocation and an indirect call.

// exchange watches one answer on its way out.
type exchange struct {
	http.ResponseWriter
	status int
	bytes  int64
	id     string
	route  *routeStats // set by the route's own handler
}

// WriteHeader notes the status of the answer.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write notes the size of the answer.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(b)
	x.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Flush serves plugins that stream.
func (x *exchange) Flush() { _ = http.NewResponseController(x.ResponseWriter).Flush() }

// requestID is the id of the request that w answers.
func requestID(w http.ResponseWriter) string {
	if x, ok := w.(*exchange); ok {
		return x.id
	}
	return ""
}

// outer wraps the router with the steps above.
func (s *Server) outer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now() // for latency only: the hub's clock may be a test's
		// Not pooled: a handler of a plugin that outlives its request must never
		// find itself writing to another client.
		x := &exchange{ResponseWriter: w}
		s.metrics.inFlight.Inc()
		defer func() {
			fault := recover()
			if fault != nil && fault != http.ErrAbortHandler {
				s.recovered(x, r, fault)
			}
			s.finish(x, r, time.Since(start))
			if fault == http.ErrAbortHandler {
				panic(fault) // net/http cuts the connection for it
			}
		}()

		h := w.Header()
		x.id = s.identify(r)
		h["X-Request-Id"] = []string{x.id}
		s.cors(h, r)
		h["X-Content-Type-Options"] = noSniff
		h["Referrer-Policy"] = noReferrer
		if r.Method == http.MethodOptions {
			s.preflight(x, r)
			return
		}
		next.ServeHTTP(x, r)
	})
}

var (
	noSniff    = []string{"nosniff"}
	noReferrer = []string{"no-referrer"}
	anyOrigin  = []string{"*"}
	varyOrigin = []string{"Origin"}
)

// recovered turns a panic into an answer, if none has started.
func (s *Server) recovered(x *exchange, r *http.Request, fault any) {
	s.metrics.panics.Inc()
	s.log.ErrorContext(r.Context(), "a handler panicked", "method", r.Method, "path", r.URL.Path,
		"panic", fault, "request_id", x.id, "stack", string(debug.Stack()))
	if x.status == 0 {
		s.fail(x, r, internalError(nil))
	}
}

func (s *Server) finish(x *exchange, r *http.Request, took time.Duration) {
	s.metrics.inFlight.Dec()
	if x.status == 0 {
		x.status = http.StatusOK // net/http sends that for a handler that wrote nothing
	}
	rt := x.route
	if rt == nil {
		rt = s.metrics.unrouted
	}
	rt.observe(x.status, took)
	if s.log.Enabled(r.Context(), slog.LevelDebug) {
		s.log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "route", rt.pattern,
			"status", x.status, "bytes", x.bytes, "took", took, "client", limit.AddressKey(s.clientAddress(r)),
			"request_id", x.id)
	}
}

// maxRequestID bounds a request id that a client or proxy chose.
const maxRequestID = 64

// identify takes a usable X-Request-Id or makes one: the process's random prefix
// and a counter, unique without asking for randomness per request.
func (s *Server) identify(r *http.Request) string {
	if given := r.Header["X-Request-Id"]; len(given) == 1 && visible(given[0], maxRequestID) {
		return given[0]
	}
	b := make([]byte, 0, len(s.idPrefix)+12)
	b = append(b, s.idPrefix...)
	return string(strconv.AppendUint(b, s.requests.Add(1), 36))
}

// visible reports a non-empty string of at most max visible ASCII characters.
func visible(s string, max int) bool {
	if s == "" || len(s) > max {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// corsHeaders are the request headers that pages may send (consumer contract §3,
// Browsers), and the ones this hub adds.
var corsHeaders = strings.Join([]string{
	"Content-Type", "Accept", "Authorization", "Idempotency-Key", "X-Request-Id",
	"X-AIMarket-Affiliate", "X-AIMarket-Sandbox-Visitor", "X-AIMarket-Route-Ok",
	"X-Payment-Channel", "X-Payment-Channel-Secret", "X-Market-Signature", "X-API-Key",
	"X-AIMarket-Mandate", "X-AIMarket-Mandate-Proof", "X-AIMarket-Job", "X-AIMarket-Job-Grant",
	"X-Payment", "X-Payment-Nonce", "X-Payment-Secret",
}, ", ")

const corsMethods = "GET, HEAD, POST, DELETE, OPTIONS"

// corsMaxAge is how long a browser may remember a preflight, in seconds.
const corsMaxAge = "86400"

// cors lets pages read the answer: any page by default, or the configured ones.
func (s *Server) cors(h http.Header, r *http.Request) {
	if len(s.cfg.CORSOrigins) == 0 || s.anyOrigin {
		h["Access-Control-Allow-Origin"] = anyOrigin
		return
	}
	h["Vary"] = varyOrigin
	if origin := r.Header.Get("Origin"); origin != "" && contains(s.cfg.CORSOrigins, origin) {
		h["Access-Control-Allow-Origin"] = []string{origin}
	}
}

// preflight answers OPTIONS on any path: what a browser may send does not depend
// on whether the path exists, and a 404 here would hide the real one.
func (s *Server) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if allow := s.methods(r); allow != "" {
		h.Set("Allow", allow)
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
}
