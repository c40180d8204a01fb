package httpapi

import (
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/aimarket/aimarket/internal/canon"
)

// Bounds of request bodies. A larger body is refused with 413: at once if it says
// its length, else as soon as the bound is passed, and the rest is never read.
const (
	MaxInvokeBody  = 1 << 20   // POST /invoke, unless Config.MaxInvokeBody says otherwise
	MaxBody        = 64 << 10  // any other body
	MaxReceiptBody = 128 << 10 // POST /receipts/verify (HTTP API notes §2)
)

// firstRead is how much is set aside for a body before any of it arrived: a
// sender that only claims a large body must not make the hub hold memory for it.
const firstRead = 4 << 10

// readBody reads a body of at most limit bytes. The bytes belong to the caller for
// good: parsed values point into them, and a hook that overran its deadline may
// look at them after the answer has gone, so they come from no pool.
func readBody(r *http.Request, limit int64) ([]byte, *problem) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit, r.ContentLength)
	}
	size := r.ContentLength + 1 // room for the read that finds the end
	if size <= 0 || size > firstRead {
		size = firstRead
	}
	b := make([]byte, 0, size)
	for {
		if int64(len(b)) > limit {
			return nil, tooLarge(limit, -1)
		}
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if int64(len(b)) > limit {
				return nil, tooLarge(limit, -1)
			}
			return b, nil
		default:
			return nil, refuse(http.StatusBadRequest, "body_unreadable",
				"the request body ended before it was complete; send it again").because(err)
		}
	}
}

func tooLarge(limit, size int64) *problem {
	detail := "request body is larger than the " + strconv.FormatInt(limit, 10) + " bytes this route takes"
	if size > 0 {
		detail = "request body of " + strconv.FormatInt(size, 10) + " bytes is larger than the " +
			strconv.FormatInt(limit, 10) + " bytes this route takes"
	}
	return refuse(http.StatusRequestEntityTooLarge, "body_too_large", detail+"; send less")
}

// body reads, parses and checks a request body. If it returns false it has
// answered: 413, 400 for a body cut short, or 422.
func (s *Server) body(w http.ResponseWriter, r *http.Request, rt *route) (canon.Value, bool) {
	limit := rt.maxBody
	if limit == 0 {
		limit = MaxBody
	}
	raw, p := readBody(r, limit)
	if p != nil {
		w.Header().Set("Connection", "close")
		s.fail(w, r, p.as(rt.form))
		return canon.Value{}, false
	}
	v, bad := decodeBody(raw, rt.takes)
	if len(bad) > 0 {
		s.invalid(w, bad)
		return canon.Value{}, false
	}
	return v, true
}

// decodeBody parses a body and holds it against the schema of its route.
func decodeBody(raw []byte, takes *schema) (canon.Value, faults) {
	var bad faults
	if len(raw) == 0 {
		bad.add([]string{"body"}, "missing", "", "Field required")
		return canon.Value{}, bad
	}
	v, err := canon.Parse(raw)
	if err != nil {
		loc := []string{"body"}
		var syntax *canon.SyntaxError
		if errors.As(err, &syntax) {
			loc = append(loc, strconv.Itoa(syntax.Offset))
		}
		bad.add(loc, "json_invalid", "{}", "JSON decode error: %s", err)
		return canon.Value{}, bad
	}
	if v.Kind() != canon.Object {
		bad.add([]string{"body"}, "model_attributes_type", string(v.Raw()), "Input should be a valid dictionary or object to extract fields from")
		return v, bad
	}
	var at [4]string
	at[0] = "body"
	bad.check(v, takes, at[:1])
	return v, bad
}

// str is a string member, "" if it is absent or null.
func str(v canon.Value, name string) string { return v.Get(name).Str() }

// given is a member that is there and not null.
func given(v canon.Value, name string) (canon.Value, bool) {
	m := v.Get(name)
	return m, m.Kind() != canon.Invalid && m.Kind() != canon.Null
}
