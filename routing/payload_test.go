package routing

import "testing"

func TestPayloadText(t *testing.T) {
	for raw, want := range map[string]string{
		`{}`:                                     "",
		`"a b"`:                                  "a b",
		`{"k":"v"}`:                              "k v",
		`{"b":[1,2.50,{"c":null}],"a":true}`:     "b 1 2.50 c null a true",
		`{"a":"igno\u0072e","\u0041":"\n\t"}`:    "a ignore A \n\t",
		`{"n":1e300,"big":12345678901234567890}`: "n 1e300 big 12345678901234567890",
	} {
		p := NewPayload(parse(raw))
		if got := p.Text(); got != want {
			t.Errorf("%s reads %q, want %q", raw, got, want)
		}
		if string(p.Raw()) != raw || p.Text() != want {
			t.Errorf("%s did not stay itself", raw)
		}
	}
}
