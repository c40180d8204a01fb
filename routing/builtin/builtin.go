// Package builtin is the capabilities that a hub can sell without any provider:
// small, deterministic tools that agents need all the time and that run in the
// hub's own process.
//
// It promises that the same input always gives the same output, that every
// capability does what its description says, and that each is bounded in the
// size of its input, of its output and in the work in between, whatever the
// caller sends. They read no file, no clock, no randomness and no network. A bad
// input is an *InputError that names the field; the router does not bill it.
// Results are JSON objects whose numbers are printed in the protocol's canonical
// form, so that a receipt's digest of them never depends on who reprints them.
package builtin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aimarket/aimarket/catalog"
	"github.com/aimarket/aimarket/internal/canon"
	"github.com/aimarket/aimarket/routing"
)

const (
	// trust is the operator's trust in its own code, above the floors of search
	// (0.3) and invoke (0.35).
	trust = 0.9
	// p50MS is the declared median latency: all of this takes less.
	p50MS = 1
	// publisher names the hub itself as publisher.
	publisher = "aimarket-builtin"
)

// MaxOutput is the size that no result exceeds, in bytes.
const MaxOutput = 1 << 20

// Capability is a catalogue row and the code behind it.
type Capability struct {
	Row    catalog.Capability
	Run    routing.Func
	Prompt bool // done in microseconds with a small input: see routing.Config
}

// InputError says what is wrong with an input. Nothing was done and nothing is
// to be billed.
type InputError struct {
	Field  string // the member of input, "" for the whole
	Reason string // a sentence without a subject: "is missing; …"
}

// InvalidInput marks it as the caller's fault for the router, which then answers
// 400 and not 502.
func (*InputError) InvalidInput() bool { return true }

func (e *InputError) Error() string {
	if e.Field == "" {
		return "input " + e.Reason
	}
	return "input." + e.Field + " " + e.Reason
}

func bad(field, format string, args ...any) error {
	return &InputError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// All returns the capabilities in the order of their ids. The rows are fresh
// copies.
func All() []Capability {
	out := make([]Capability, len(table))
	for i, d := range table {
		out[i] = Capability{
			Row: catalog.Capability{
				Key:            catalog.Key{ProductID: d.product, CapabilityID: d.id, SourceHub: catalog.Local},
				Name:           d.name,
				Version:        "v1",
				Description:    d.description,
				InputSchema:    json.RawMessage(d.input),
				OutputSchema:   json.RawMessage(d.output),
				PriceMicros:    d.micros,
				RoutedMicros:   d.micros,
				TrustScore:     trust,
				P50LatencyMS:   p50MS,
				SuccessRate30d: 1,
				PublisherID:    publisher,
				Builtin:        true,
			},
			Run: d.run, Prompt: d.prompt,
		}
	}
	return out
}

// definition is one line of the table.
type definition struct {
	product, id, name, description string
	micros                         int64 // micro-USD per call
	input, output                  string
	run                            routing.Func
	prompt                         bool
}

// args reads the members of an input and keeps the first complaint.
type args struct {
	in  canon.Value
	err error
}

func (a *args) fail(field, format string, v ...any) {
	if a.err == nil {
		a.err = bad(field, format, v...)
	}
}

// text reads a required string of at most limit bytes.
func (a *args) text(field string, limit int) string {
	v := a.in.Get(field)
	switch {
	case v.Kind() == canon.Invalid:
		a.fail(field, "is missing; it must be a string")
	case v.Kind() != canon.String:
		a.fail(field, "must be a string")
	case len(v.Str()) > limit:
		a.fail(field, "is %d bytes long; at most %d are allowed", len(v.Str()), limit)
	default:
		return v.Str()
	}
	return ""
}

// option reads an optional string that must be one of the allowed; the first is
// the default.
func (a *args) option(field string, allowed ...string) string {
	v := a.in.Get(field)
	if v.Kind() == canon.Invalid || v.Kind() == canon.Null {
		return allowed[0]
	}
	for _, s := range allowed {
		if v.Kind() == canon.String && v.Str() == s {
			return s
		}
	}
	a.fail(field, "must be one of %q", allowed)
	return allowed[0]
}

// flag reads an optional boolean.
func (a *args) flag(field string, def bool) bool {
	v := a.in.Get(field)
	switch v.Kind() {
	case canon.Invalid, canon.Null:
	case canon.Bool:
		return v.Bool()
	default:
		a.fail(field, "must be true or false")
	}
	return def
}

// integer reads an optional whole number from lo to hi.
func (a *args) integer(field string, def, lo, hi int64) int64 {
	v := a.in.Get(field)
	if v.Kind() == canon.Invalid || v.Kind() == canon.Null {
		return def
	}
	n, err := json.Number(v.Token()).Int64()
	if v.Kind() != canon.Number || err != nil || n < lo || n > hi {
		a.fail(field, "must be a whole number from %d to %d", lo, hi)
		return def
	}
	return n
}

// object starts a result: members are appended in the order of the calls.
type object struct{ b []byte }

func (o *object) key(name string) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	} else {
		o.b = append(o.b, ',')
	}
	o.b = append(canon.AppendString(o.b, name), ':')
}

// open begins a member that is an array or object; the caller closes it.
func (o *object) open(name string, bracket byte) {
	o.key(name)
	o.b = append(o.b, bracket)
}

func (o *object) str(name, s string) {
	o.key(name)
	o.b = canon.AppendString(o.b, s)
}

func (o *object) num(name string, f float64) {
	o.key(name)
	o.b = canon.AppendFloat(o.b, f)
}

func (o *object) int(name string, n int) {
	o.key(name)
	o.b = fmt.Appendf(o.b, "%d", n)
}

func (o *object) bool(name string, v bool) {
	o.key(name)
	o.b = fmt.Appendf(o.b, "%t", v)
}

// done closes the object and holds it to MaxOutput.
func (o *object) done() (json.RawMessage, error) {
	if len(o.b) == 0 {
		o.b = append(o.b, '{')
	}
	o.b = append(o.b, '}')
	if len(o.b) > MaxOutput {
		return nil, bad("", "would give a result of %d bytes; at most %d are allowed, so ask for less", len(o.b), MaxOutput)
	}
	return o.b, nil
}

// stopped lets a long loop end with its caller.
func stopped(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("stopped before it was done: %w", context.Cause(ctx))
	}
	return nil
}
