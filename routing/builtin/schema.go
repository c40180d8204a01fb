package builtin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/aimarket/aimarket/internal/canon"
)

const (
	maxSchema      = 64 << 10  // bytes
	maxInstance    = 256 << 10 // bytes
	maxViolations  = 100
	maxMessage     = 500     // bytes of one violation's text
	maxSchemaSteps = 200_000 // subschema evaluations, see budget
)

// noLoader refuses every reference that leaves the schema. The standard drafts'
// own meta-schemas are built into the library and need no loading.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is outside the schema; only references inside it are followed", url)
}

const schemaURL = "urn:aimarket:schema"

func validateJSON(ctx context.Context, in canon.Value) (json.RawMessage, error) {
	a := args{in: in}
	schema, instance := in.Get("schema"), in.Get("instance")
	formats := a.flag("formats", false)
	switch {
	case schema.Kind() == canon.Invalid:
		a.fail("schema", "is missing; it must be a JSON Schema")
	case schema.Kind() != canon.Object && schema.Kind() != canon.Bool:
		a.fail("schema", "must be an object or a boolean")
	case instance.Kind() == canon.Invalid:
		a.fail("instance", "is missing; it may be any JSON value")
	case len(schema.Raw()) > maxSchema:
		a.fail("schema", "is %d bytes long; at most %d are allowed", len(schema.Raw()), maxSchema)
	case len(instance.Raw()) > maxInstance:
		a.fail("instance", "is %d bytes long; at most %d are allowed", len(instance.Raw()), maxInstance)
	}
	if a.err != nil {
		return nil, a.err
	}
	b := &budget{root: schema, steps: maxSchemaSteps}
	if err := b.check(ctx, instance); err != nil {
		return nil, err
	}
	compiled, err := compileSchema(schema, formats)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(instance.Raw()))
	if err != nil {
		return nil, bad("instance", "is not JSON: %v", err)
	}
	var failed *jsonschema.ValidationError
	if err := compiled.Validate(doc); err != nil && !errors.As(err, &failed) {
		return nil, bad("schema", "cannot be applied: %v", err)
	}
	return validationResult(failed)
}

func compileSchema(schema canon.Value, formats bool) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema.Raw()))
	if err != nil {
		return nil, bad("schema", "is not JSON: %v", err)
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if formats {
		c.AssertFormat()
	}
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, bad("schema", "is not valid: %v", err)
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return nil, bad("schema", "is not valid: %s", clip(err.Error()))
	}
	return compiled, nil
}

func validationResult(failed *jsonschema.ValidationError) (json.RawMessage, error) {
	var o object
	o.bool("valid", failed == nil)
	o.open("errors", '[')
	n, more := 0, false
	p := message.NewPrinter(language.English)
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) > 0 {
			for _, c := range e.Causes {
				walk(c)
			}
			return
		}
		if n == maxViolations {
			more = true
			return
		}
		if n > 0 {
			o.b = append(o.b, ',')
		}
		n++
		var v object
		v.str("path", pointer(e.InstanceLocation))
		path := e.SchemaURL
		if _, f, ok := strings.Cut(path, "#"); ok {
			path = f
		}
		v.str("schema_path", path+pointer(e.ErrorKind.KeywordPath()))
		v.str("message", clip(e.ErrorKind.LocalizedString(p)))
		o.b = append(append(o.b, v.b...), '}')
	}
	if failed != nil {
		if _, ok := failed.ErrorKind.(*kind.Schema); ok || len(failed.Causes) > 0 {
			walk(failed)
		}
	}
	o.b = append(o.b, ']')
	o.bool("truncated", more)
	return o.done()
}

var pointerEscape = strings.NewReplacer("~", "~0", "/", "~1")

// pointer prints a location as a JSON Pointer (RFC 6901).
func pointer(path []string) string {
	var b strings.Builder
	for _, p := range path {
		b.WriteByte('/')
		b.WriteString(pointerEscape.Replace(p))
	}
	return b.String()
}

// clip shortens a text at a rune boundary.
func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}
