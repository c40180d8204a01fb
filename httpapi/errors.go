package httpapi

import (
	"net/http"
	"strconv"
	"time"

	"github.com/aimarket/aimarket/routing"
)

// problem is one refusal on the wire. The protocol grew three bodies for it; which
// one a route uses is part of its contract, and all three carry a string "error",
// because some clients see nothing else (consumer contract §3).
type problem struct {
	status int
	form   form
	code   string // stable; the "error" of forms 1 and 2, the "code" of form 3
	detail string // for people: what was refused, why, what to do
	fields []routing.Field
	wait   time.Duration // Retry-After, if positive
	limit  int           // RateLimit-Limit, if positive
	cause  error         // logged, never sent
}

// form selects the body of a problem (HTTP API notes §0).
type form uint8

const (
	formDetail  form = iota // {"detail":…,"error":code}
	formInvoke              // {"success":false,"error":code,"detail":…,"protocol_version":"v2"}
	formChannel             // {"error":detail,"code":code}
)

func (p *problem) Error() string { return p.code + ": " + p.detail }

func refuse(status int, code, detail string) *problem {
	return &problem{status: status, code: code, detail: detail}
}

func (p *problem) as(f form) *problem { p.form = f; return p }

// because keeps the technical cause for the log.
func (p *problem) because(err error) *problem { p.cause = err; return p }

// fail sends a problem.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, p *problem) {
	if p.cause != nil && p.status >= http.StatusInternalServerError {
		s.log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path,
			"status", p.status, "error", p.code, "cause", p.cause, "request_id", requestID(w))
	}
	h := w.Header()
	if p.wait > 0 {
		seconds := strconv.FormatInt(int64((p.wait+time.Second-1)/time.Second), 10)
		h.Set("Retry-After", seconds)
		if p.status == http.StatusTooManyRequests {
			h.Set("RateLimit-Reset", seconds)
			h.Set("RateLimit-Remaining", "0")
			if p.limit > 0 {
				h.Set("RateLimit-Limit", strconv.Itoa(p.limit))
			}
		}
	}
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="aimarket"`)
	}
	b := newBody(256)
	switch p.form {
	case formInvoke:
		b = b.yes("success", false).str("error", p.code).str("detail", p.detail)
	case formChannel:
		b = b.str("error", p.detail).str("code", p.code).yes("success", false)
	default:
		b = b.str("detail", p.detail).str("error", p.code).yes("success", false)
	}
	for _, f := range p.fields {
		b = b.json(f.Name, f.Value)
	}
	if p.form == formInvoke {
		b = b.str("protocol_version", protocolVersion)
	}
	send(w, p.status, b.end())
}

// invalid sends the 422 of a request that does not fit its schema.
func (s *Server) invalid(w http.ResponseWriter, f faults) {
	b := newBody(256).openList("detail")
	for _, v := range f {
		b = b.element().str("type", v.kind).openList("loc")
		for i, l := range v.loc {
			if i > 0 {
				b = append(b, ',')
			}
			if n, err := strconv.Atoi(l); err == nil && i > 0 {
				b = strconv.AppendInt(b, int64(n), 10)
			} else {
				b = appendQuoted(b, l)
			}
		}
		b = b.closeList().str("msg", v.msg)
		if v.input == "" {
			b = b.raw("input", "null")
		} else {
			b = b.raw("input", v.input)
		}
		b = b.close()
	}
	send(w, http.StatusUnprocessableEntity,
		b.closeList().str("error", "validation_error").yes("success", false).end())
}

func internalError(err error) *problem {
	return refuse(http.StatusInternalServerError, "internal_error",
		"the hub stopped at an unexpected fault; send the request again later and name the X-Request-Id to its operator").because(err)
}
