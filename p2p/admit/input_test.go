package admit

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/aimarket/aimarket/internal/canon"
)

func TestBuildInput(t *testing.T) {
	for schema, want := range map[string]string{
		`{}`: `{}`, `{"type":"object"}`: `{}`, `{"type":"object","properties":{"a":{"type":"string"}}}`: `{}`,
		`{"required":["a"]}`: `{"a":"Hello, world."}`,
		`{"type":"object","required":["a"],"properties":{"a":{"type":"string"}}}`:                                        `{"a":"Hello, world."}`,
		`{"required":["a"],"properties":{"a":{"type":"string","maxLength":5}}}`:                                          `{"a":"Hello"}`,
		`{"required":["a"],"properties":{"a":{"type":"string","minLength":20}}}`:                                         `{"a":"Hello, world. Hello,"}`,
		`{"required":["a"],"properties":{"a":{"enum":["x","y"]}}}`:                                                       `{"a":"x"}`,
		`{"required":["a"],"properties":{"a":{"const":3}}}`:                                                              `{"a":3}`,
		`{"required":["a"],"properties":{"a":{"type":"integer","default":7}}}`:                                           `{"a":7}`,
		`{"required":["a"],"properties":{"a":{"type":"string","examples":["Ärger"]}}}`:                                   `{"a":"Ärger"}`,
		`{"required":["a"],"properties":{"a":{"type":"integer","minimum":5,"maximum":9}}}`:                               `{"a":5}`,
		`{"required":["a"],"properties":{"a":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}}}`:              `{"a":0.5}`,
		`{"required":["a"],"properties":{"a":{"type":["boolean","null"]}}}`:                                              `{"a":true}`,
		`{"required":["a"],"properties":{"a":{"type":"array"}}}`:                                                         `{"a":[]}`,
		`{"required":["a"],"properties":{"a":{"type":"array","minItems":2,"items":{"type":"integer"}}}}`:                 `{"a":[1,1]}`,
		`{"required":["a"],"properties":{"a":{"type":"object","required":["b"],"properties":{"b":{"type":"boolean"}}}}}`: `{"a":{"b":true}}`,
		`{"required":["a"],"properties":{"a":{"type":"string","format":"email"}}}`:                                       `{"a":"someone@example.com"}`,
		`{"examples":[{"q":1}],"required":["a"]}`:                                                                        `{"q":1}`,
		`{"required":["a","a","b"]}`: `{"a":"Hello, world.","b":"Hello, world."}`,

		`{"type":"array"}`: ``, `{"type":7}`: ``, `{"anyOf":[{"required":["a"]}]}`: ``, `{"$ref":"#/x"}`: ``, `{"required":"a"}`: ``,
		`{"required":["a"],"properties":{"a":{"type":"string","pattern":"^x$"}}}`:                                          ``,
		`{"required":["a"],"properties":{"a":{"type":"string","format":"phone"}}}`:                                         ``,
		`{"required":["a"],"properties":{"a":{"type":"string","minLength":5,"maxLength":4}}}`:                              ``,
		`{"required":["a"],"properties":{"a":{"type":"string","minLength":1e9}}}`:                                          ``,
		`{"required":["a"],"properties":{"a":{"type":"integer","minimum":3,"maximum":2}}}`:                                 ``,
		`{"required":["a"],"properties":{"a":{"type":"array","minItems":99}}}`:                                             ``,
		`{"required":["a"],"properties":{"a":{"type":"array","minItems":2,"uniqueItems":true}}}`:                           ``,
		`{"required":["a"],"properties":{"a":false}}`:                                                                      ``,
		`{"required":["a"],"additionalProperties":false}`:                                                                  ``,
		`{"required":["a"],"properties":{"a":{"type":"martian"}}}`:                                                         ``,
		`{"required":["a","b","c","d","e","f","g","h","i"]}`:                                                               ``,
		strings.Repeat(`{"required":["a"],"properties":{"a":`, 9) + `{}` + strings.Repeat(`}}`, 9):                         ``,
		`{"examples":[{"a":"` + strings.Repeat("x", maxInputBytes) + `"}],"required":["a"],"properties":{"a":{"not":{}}}}`: ``,
	} {
		v, err := canon.Parse([]byte(schema))
		if err != nil {
			t.Fatal(schema, err)
		}
		got, ok := buildInput(v)
		if ok != (want != "") || ok && string(got) != want || !ok && string(got) != "{}" {
			t.Errorf("%s: %s %v, want %s", schema, got, ok, want)
		}
	}
}

// Whatever is built is valid by a real validator.
func TestBuiltInputsAreValid(t *testing.T) {
	built := 0
	rapid.Check(t, func(t *rapid.T) {
		schema := anObject(t, 3)
		raw, err := json.Marshal(schema)
		if err != nil {
			t.Fatal(err)
		}
		v, err := canon.Parse(raw)
		if err != nil {
			t.Skip(err)
		}
		input, ok := buildInput(v)
		if !ok {
			return
		}
		built++
		parsed, err := jsonschema.UnmarshalJSON(strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("s.json", parsed); err != nil {
			t.Fatal(err)
		}
		s, err := c.Compile("s.json")
		if err != nil {
			t.Skip(err)
		}
		instance, err := jsonschema.UnmarshalJSON(strings.NewReader(string(input)))
		if err != nil {
			t.Fatalf("%s is no JSON: %v", input, err)
		}
		if err := s.Validate(instance); err != nil {
			t.Fatalf("%s\nbuilt %s\n%v", raw, input, err)
		}
	})
	if built == 0 {
		t.Error("nothing was ever built")
	}
}

func anObject(t *rapid.T, depth int) map[string]any {
	props, required := map[string]any{}, []string{}
	for i := range rapid.IntRange(0, 4).Draw(t, "members") {
		name := fmt.Sprint("m", i)
		props[name] = aSchema(t, depth-1)
		if rapid.Bool().Draw(t, "required") {
			required = append(required, name)
		}
	}
	out := map[string]any{"type": "object", "properties": props, "required": required}
	if rapid.Bool().Draw(t, "closed") {
		out["additionalProperties"] = false
	}
	return out
}

func aSchema(t *rapid.T, depth int) any {
	kinds := []string{"string", "integer", "number", "boolean", "null", "enum", "const", "true", "array"}
	if depth > 0 {
		kinds = append(kinds, "object")
	}
	limits := func(s map[string]any, names ...string) map[string]any {
		for _, n := range names {
			if rapid.IntRange(0, 2).Draw(t, n) == 0 {
				s[n] = rapid.IntRange(0, 12).Draw(t, n+" value")
			}
		}
		return s
	}
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); kind {
	case "string":
		return limits(map[string]any{"type": kind}, "minLength", "maxLength")
	case "integer", "number":
		s := limits(map[string]any{"type": kind}, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
		if rapid.IntRange(0, 3).Draw(t, "step") == 0 {
			s["multipleOf"] = rapid.SampledFrom([]float64{1, 2, 3, 0.5, 7}).Draw(t, "multipleOf")
		}
		return s
	case "enum":
		return map[string]any{"enum": []any{rapid.IntRange(0, 9).Draw(t, "value"), "x"}}
	case "const":
		return map[string]any{"const": "k"}
	case "true":
		return true
	case "array":
		s := limits(map[string]any{"type": kind}, "minItems", "maxItems")
		if depth > 0 {
			s["items"] = aSchema(t, depth-1)
		}
		return s
	case "object":
		return anObject(t, depth)
	default:
		return map[string]any{"type": kind}
	}
}

func FuzzBuildInput(f *testing.F) {
	f.Add([]byte(`{"required":["a"],"properties":{"a":{"type":"integer","multipleOf":0.1,"minimum":-1e300}}}`))
	f.Add([]byte(`{"required":["a"],"properties":{"a":{"type":"string","minLength":-1}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		v, err := canon.Parse(raw)
		if err != nil {
			return
		}
		input, _ := buildInput(v)
		got, err := canon.Parse(input)
		if err != nil || got.Kind() != canon.Object || len(input) > maxInputBytes {
			t.Fatalf("%s: %q is no input: %v", raw, input, err)
		}
	})
}
