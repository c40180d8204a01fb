package httpapi

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/ledger"
)

// Header values that every answer shares. They are never changed.
var (
	jsonType = []string{"application/json"}
	htmlType = []string{"text/html; charset=utf-8"}
)

// send answers with a JSON body whose length is known.
func send(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may have gone; there is nobody to tell
}

// object members, appended in order. A jsonBody is built once and sent as it is:
// the protocol's numbers must look exactly as canon prints them.
type jsonBody []byte

func newBody(size int) jsonBody { return append(make(jsonBody, 0, size), '{') }

// comma separates what comes next from a member before it.
func (b jsonBody) comma() jsonBody {
	if n := len(b); n > 0 && b[n-1] != '{' && b[n-1] != '[' {
		b = append(b, ',')
	}
	return b
}

func (b jsonBody) key(name string) jsonBody {
	b = append(b.comma(), '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func (b jsonBody) str(name, v string) jsonBody { return appendQuoted(b.key(name), v) }
func (b jsonBody) raw(name, v string) jsonBody { return append(b.key(name), v...) }
func (b jsonBody) json(name string, v []byte) jsonBody {
	return append(b.key(name), v...)
}
func (b jsonBody) integer(name string, v int64) jsonBody {
	return strconv.AppendInt(b.key(name), v, 10)
}
func (b jsonBody) orNull(name string, v *int64) jsonBody {
	if v == nil {
		return b.raw(name, "null")
	}
	return b.integer(name, *v)
}
func (b jsonBody) yes(name string, v bool) jsonBody { return strconv.AppendBool(b.key(name), v) }
func (b jsonBody) usd(name string, v ledger.Money) jsonBody {
	return canon.AppendMicros(b.key(name), int64(v))
}

// float prints a finite number; a NaN or infinity, which JSON cannot hold, is 0.
func (b jsonBody) float(name string, v float64) jsonBody {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		v = 0
	}
	return canon.AppendFloat(b.key(name), v)
}

// time prints UTC in whole seconds; the zero time is an empty string.
func (b jsonBody) time(name string, t time.Time) jsonBody {
	b = append(b.key(name), '"')
	if !t.IsZero() {
		b = t.UTC().AppendFormat(b, timeFormat)
	}
	return append(b, '"')
}

func (b jsonBody) strings(name string, all []string) jsonBody {
	b = append(b.key(name), '[')
	for i, s := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, s)
	}
	return append(b, ']')
}

// open and openList start a member that close and closeList end.
func (b jsonBody) open(name string) jsonBody     { return append(b.key(name), '{') }
func (b jsonBody) openList(name string) jsonBody { return append(b.key(name), '[') }
func (b jsonBody) close() jsonBody               { return append(b, '}') }
func (b jsonBody) closeList() jsonBody           { return append(b, ']') }

// element starts an object in a list.
func (b jsonBody) element() jsonBody {
	if b[len(b)-1] == '}' {
		b = append(b, ',')
	}
	return append(b, '{')
}

// end closes the whole body.
func (b jsonBody) end() []byte { return append(b, '}') }

// timeFormat is the protocol's: UTC, whole seconds, trailing Z.
const timeFormat = "2006-01-02T15:04:05Z"

const protocolVersion = "v2"

func appendQuoted(dst []byte, s string) []byte { return canon.AppendString(dst, s) }

// roundTo rounds a display figure, half away from zero.
func roundTo(v float64, places int) float64 {
	p := math.Pow10(places)
	return math.Round(v*p) / p
}

// plainJSON marshals what nobody signs: the OpenAPI document and the admin's state.
func plainJSON(v any) ([]byte, error) { return json.Marshal(v) }
